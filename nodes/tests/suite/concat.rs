//! The kind `concat` on files: every count arrives where it belongs, cells keep what is known of them, and mistakes say
//! what to do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celldag_data::{Cells, CellsFile, Column, CountsSource, Csr, Dtype, H5adWriter, Table, WriteOptions};
use celldag_engine::alone::run_alone;
use celldag_engine::{FailureCause, NodeError, Summary};
use celldag_nodes::prep::concat::Concat;
use serde_json::{Value, json};

fn pbmc() -> Cells {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines/data/pbmc68k_700.h5ad");
    CellsFile::open(path).expect("cells").read_counts(&CountsSource::Auto).expect("counts")
}

fn write(path: &Path, cells: &Cells) -> PathBuf {
    let mut writer =
        H5adWriter::create(path, &cells.obs, &cells.var, &WriteOptions::default()).expect("file");
    writer.begin_matrix("X", Dtype::F32).expect("matrix");
    writer.append(&cells.x).expect("counts");
    writer.finish().expect("finish");
    path.to_owned()
}

fn concat(folder: &Path, with: &Value, inputs: &[(&str, &Path)]) -> Result<(Summary, Cells), NodeError> {
    let with = with.as_object().cloned().expect("parameters");
    let inputs: Vec<(&str, &str, &Path)> =
        inputs.iter().map(|(label, path)| ("cells", *label, *path)).collect();
    let (summary, outputs) = run_alone(&Concat, with, &inputs, folder, "cpu")?;
    let file = CellsFile::open(&outputs["cells"]).expect("readable output");
    Ok((summary, file.read_counts(&CountsSource::Auto).expect("counts")))
}

/// Cell and gene → count, of all counts.
fn counts(cells: &Cells, prefix: &str) -> BTreeMap<(String, String), f32> {
    let rows = cells.x.iter().zip(&cells.obs.index);
    let entries = rows.flat_map(|((columns, values), cell)| {
        columns.iter().zip(values).map(move |(&gene, &value)| {
            ((format!("{prefix}{cell}"), cells.var.index[gene as usize].clone()), value)
        })
    });
    entries.collect()
}

#[test]
fn real_cells_of_two_files_keep_every_count_and_annotation() {
    let dir = tempfile::tempdir().expect("a folder");
    let all = pbmc();
    let genes = all.var.len();
    // Two files with other genes, in another order, that share 565 of them.
    let first = all.select_cells(&(0..300).collect::<Vec<_>>()).select_genes(&(0..665).collect::<Vec<_>>());
    let second = all
        .select_cells(&(300..700).collect::<Vec<_>>())
        .select_genes(&(100..genes).rev().collect::<Vec<_>>());
    let paths = [write(&dir.path().join("a.h5ad"), &first), write(&dir.path().join("b.h5ad"), &second)];
    let inputs = [("dataset=one", paths[0].as_path()), ("dataset=two", paths[1].as_path())];
    let mut expected = counts(&first, "one:");
    expected.extend(counts(&second, "two:"));

    let (summary, outer) =
        concat(&dir.path().join("outer"), &json!({"join": "outer"}), &inputs).expect("outer");
    assert_eq!((outer.obs.len(), outer.var.len()), (700, genes));
    assert!(counts(&outer, "") == expected, "a count moved, changed or went missing");
    assert_eq!(summary.facts["cells_two"], 400);
    assert_eq!(summary.facts["genes_lost_one"], 0);

    let (summary, inner) = concat(&dir.path().join("inner"), &json!({}), &inputs).expect("inner");
    assert_eq!(inner.var.index, all.var.index[100..665], "the genes of both, in the order of the first file");
    let shared = &all.var.index[100..665];
    expected.retain(|(_, gene), _| shared.contains(gene));
    assert!(counts(&inner, "") == expected, "a count moved, changed or went missing");
    assert_eq!(summary.facts["genes_lost_two"], genes - 665);
    for (row, name) in inner.obs.index.iter().enumerate() {
        let (set, cell) = name.split_once(':').expect("a data set");
        assert_eq!(inner.obs.text("dataset", row).as_deref(), Some(set));
        assert_eq!(all.obs.index[row], cell);
        assert_eq!(inner.obs.text("cell_type", row), all.obs.text("cell_type", row));
        assert_eq!(inner.obs.text("myeloid", row), all.obs.text("myeloid", row));
    }
    let id = |cells: &Cells, gene| cells.var.text("ensembl_id", gene).map(std::borrow::Cow::into_owned);
    assert_eq!(id(&inner, 0), id(&all, 100), "tokenizers need the ids");
}

#[test]
fn the_order_of_inputs_changes_no_byte() {
    let dir = tempfile::tempdir().expect("a folder");
    let all = pbmc();
    let a = write(&dir.path().join("a.h5ad"), &all.select_cells(&[5, 1]));
    let b = write(&dir.path().join("b.h5ad"), &all.select_cells(&[7]));
    let bytes = |name: &str, inputs: &[(&str, &str, &Path)]| {
        let outputs = run_alone(&Concat, serde_json::Map::new(), inputs, &dir.path().join(name), "cpu");
        fs_err::read(&outputs.expect("concat").1["cells"]).expect("bytes")
    };
    let forth = bytes("forth", &[("cells", "x", &a), ("cells", "y", &b)]);
    assert!(
        forth == bytes("back", &[("cells", "y", &b), ("cells", "x", &a)]),
        "the order of arguments matters"
    );
}

fn made(cells: &[&str], genes: &[&str], column: &str) -> Cells {
    let mut obs = Table::new(cells.iter().map(|&name| name.to_owned()).collect());
    obs.insert(column, Column::Int(vec![Some(1); cells.len()])).expect("length");
    let var = Table::new(genes.iter().map(|&name| name.to_owned()).collect());
    Cells { obs, var, x: Csr::from_dense(genes.len(), &vec![1.0; cells.len() * genes.len()]) }
}

#[test]
fn what_does_not_fit_is_said() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let a = write(&at("a.h5ad"), &made(&["c1", "c2"], &["g1", "g2", "g3", "g4", "g5"], "response"));
    let b = write(&at("b.h5ad"), &made(&["c1"], &["g5", "g6"], "answer"));
    let (summary, both) = concat(&at("ok"), &json!({}), &[("a", &a), ("b", &b)]).expect("concat");
    assert_eq!(both.obs.index, ["a:c1", "a:c2", "b:c1"], "one name for two cells is no problem");
    assert_eq!(both.obs.text("response", 2), None);
    let warnings = summary.warnings.join("\n");
    assert!(warnings.contains("`b` lacks columns") && warnings.contains("response"), "{warnings}");
    assert!(warnings.contains("only 1 of the 5 genes of `a`"), "{warnings}");

    let c = write(&at("c.h5ad"), &made(&["c1"], &["h1"], "response"));
    let nothing = concat(&at("none"), &json!({}), &[("a", &a), ("c", &c)]).expect_err("no gene in common");
    assert_eq!(nothing.cause, FailureCause::Data);
    assert!(nothing.message.contains("`c` has 1 genes (`h1`, ...)"), "{nothing}");

    let taken = concat(&at("taken"), &json!({"column": "response"}), &[("a", &a), ("b", &b)]);
    let taken = taken.expect_err("the column is there already");
    assert!(taken.cause == FailureCause::Parameter && taken.message.contains("`response`"), "{taken}");
}

/// Genes without an id are lost when ids tell genes apart, and the message must not blame other files.
#[test]
fn genes_without_an_id_are_counted_and_told() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let with_ids = |name: &str, genes: &[(&str, &str)]| {
        let names: Vec<&str> = genes.iter().map(|(name, _)| *name).collect();
        let mut cells = made(&["c1"], &names, "response");
        let ids = genes.iter().map(|(_, id)| Some((*id).to_owned())).collect();
        cells.var.insert("ensembl_id", Column::Text(ids)).expect("length");
        write(&at(name), &cells)
    };
    let (one, two) = ("ENSG00000000001", "ENSG00000000002");
    let a = with_ids("a.h5ad", &[("x", one), ("y", two), ("novel", ""), ("spike", ""), ("LINC", "")]);
    let b = with_ids("b.h5ad", &[("x", one), ("y", two)]);
    let by_id = json!({"genes": "ensembl"});
    let (summary, both) = concat(&at("ok"), &by_id, &[("a", &a), ("b", &b)]).expect("concat");
    assert_eq!(both.var.index, ["x", "y"]);
    assert_eq!(summary.facts["genes_without_id_a"], 3);
    assert!(!summary.facts.contains_key("genes_without_id_b"));
    let [warning] = summary.warnings.as_slice() else { panic!("{:?}", summary.warnings) };
    assert!(
        warning.contains("3 of the 5 genes of `a` have no Ensembl id")
            && warning.contains("novel, spike, LINC"),
        "{warning}"
    );

    let c = with_ids("c.h5ad", &[("x", ""), ("y", "")]);
    let nothing = concat(&at("none"), &by_id, &[("a", &a), ("c", &c)]).expect_err("no id in common");
    assert!(
        nothing.message.contains("`c` has 2 genes (`x`, ...), 2 of them without an Ensembl id"),
        "{nothing}"
    );
    assert!(nothing.help.expect("help").contains("genes: name"));
}
