//! The kind `embed-genes` on the reference cells, from h5ad to h5ad.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::SafetensorsFile;
use celldag_data::{CellsFile, Csr, Dtype, H5adWriter, WriteOptions};
use celldag_engine::alone::run_alone;
use celldag_engine::{FailureCause, Kind, NodeError, Params, Summary};
use celldag_nodes::embed::{Embed, EmbedGenes, Tokenize};
use serde_json::{Map, Value, json};

const GENES: usize = 19_264;
/// Cells that the reference has decoded.
const CELLS: usize = 3;

fn with(values: &Value) -> Map<String, Value> {
    values.as_object().cloned().unwrap_or_default()
}

fn run(
    kind: &dyn Kind,
    values: &Value,
    inputs: &[(&str, &Path)],
    folder: &Path,
) -> Result<(Summary, PathBuf), NodeError> {
    fs_err::create_dir_all(folder).unwrap();
    let inputs: Vec<(&str, &str, &Path)> = inputs.iter().map(|&(port, path)| (port, "", path)).collect();
    let (summary, mut outputs) = run_alone(kind, with(values), &inputs, folder, "cpu")?;
    Ok((summary, outputs.pop_first().unwrap().1))
}

/// Tokens of the first cells, and of one more without counts.
fn tokens(golden: &Path, folder: &Path) -> PathBuf {
    let file = CellsFile::open(golden.join("input.h5ad")).unwrap();
    let matrix = file.matrix("X").unwrap();
    let mut counts = file.read_matrix(&matrix).unwrap().slice_rows(0, CELLS);
    counts.append(&Csr::from_dense(counts.n_cols(), &vec![0.0; counts.n_cols()]));
    let obs = file.obs().select(&(0..=CELLS).collect::<Vec<_>>());
    let cells = folder.join("cells.h5ad");
    let mut out = H5adWriter::create(&cells, &obs, file.var(), &WriteOptions::default()).unwrap();
    out.begin_matrix("X", Dtype::F32).unwrap();
    out.append(&counts).unwrap();
    out.finish().unwrap();
    let inputs = [("cells", cells.as_path()), ("checkpoint", &golden.join("checkpoint"))];
    run(&Tokenize, &json!({"model": "scfoundation"}), &inputs, &folder.join("tokens")).unwrap().1
}

fn expected(golden: &Path, array: &str) -> Vec<f32> {
    let file = SafetensorsFile::open(&golden.join("expected.safetensors")).unwrap();
    file.read(array).unwrap().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

fn kept(golden: &Path) -> Vec<usize> {
    let file = SafetensorsFile::open(&golden.join("expected.safetensors")).unwrap();
    let bytes = file.read("gene.index").unwrap();
    bytes.as_chunks().0.iter().map(|&b| usize::try_from(i32::from_le_bytes(b)).unwrap()).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_rows_are_genes_and_the_vectors_those_of_the_reference() {
    let Some(golden) = crate::common::fixtures().map(|root| root.join("golden/scfoundation")) else { return };
    let temp = tempfile::tempdir().unwrap();
    let (tokens, checkpoint) = (tokens(&golden, temp.path()), golden.join("checkpoint"));
    let inputs = [("tokens", tokens.as_path()), ("checkpoint", checkpoint.as_path())];
    let genes = |name: &str| {
        run(&EmbedGenes, &json!({"model": "scfoundation"}), &inputs, &temp.path().join(name)).unwrap()
    };
    let (said, file) = genes("a");
    let found = CellsFile::open(&file).unwrap();
    assert_eq!((found.obs().len(), found.obs().index[0].as_str()), (GENES, "A1BG"));
    assert!((0..GENES).all(|gene| found.obs().text("cells", gene).as_deref() == Some("3")));
    let (rows, dim, values) = found.obsm("X_scfoundation").unwrap();
    assert_eq!((rows, dim), (GENES, 24));
    let index = kept(&golden);
    let got: Vec<f32> = index.iter().flat_map(|&gene| values[gene * dim..][..dim].to_vec()).collect();
    let stored = expected(&golden, "gene.emb");
    let size = index.len() * dim;
    let sum = |at| stored.chunks(size).map(|cell| f64::from(cell[at])).sum::<f64>();
    let want: Vec<f32> = (0..size).map(|at| (sum(at) / CELLS as f64) as f32).collect();
    let difference = largest_difference(&got, &want);
    assert!(difference < 2e-5, "{difference:e}");
    for (fact, value) in [("genes", GENES), ("cells", CELLS), ("cells_without_tokens", 1), ("dimensions", 24)]
    {
        assert_eq!(said.facts[fact], json!(value), "{fact}");
    }
    let provenance = found.uns("celldag").unwrap().unwrap();
    let text = provenance.as_str().map_or_else(|| provenance.to_string(), str::to_owned);
    assert!(text.contains("\"model\":\"scfoundation\"") && text.contains("\"key\":\"gene\""), "{text}");
    assert!(fs_err::read(&file).unwrap() == fs_err::read(genes("b").1).unwrap(), "other bytes");
}

#[test]
fn expression_is_a_vector_a_cell() {
    let Some(golden) = crate::common::fixtures().map(|root| root.join("golden/scfoundation")) else { return };
    let temp = tempfile::tempdir().unwrap();
    let (tokens, checkpoint) = (tokens(&golden, temp.path()), golden.join("checkpoint"));
    let inputs = [("tokens", tokens.as_path()), ("checkpoint", checkpoint.as_path())];
    let values = json!({"model": "scfoundation", "output": "expression"});
    let (said, file) = run(&Embed, &values, &inputs, &temp.path().join("e")).unwrap();
    assert_eq!(said.facts["dimensions"], json!(GENES));
    let (rows, dim, values) = CellsFile::open(&file).unwrap().obsm("X_scfoundation").unwrap();
    assert_eq!((rows, dim), (CELLS + 1, GENES));
    let index = kept(&golden);
    let cells = values.chunks(GENES).take(CELLS);
    let got: Vec<f32> = cells.flat_map(|cell| index.iter().map(|&gene| cell[gene])).collect();
    let difference = largest_difference(&got, &expected(&golden, "gene.expression"));
    assert!(difference < 2e-5, "{difference:e}");
}

#[test]
fn models_without_vectors_of_genes_are_refused() {
    let Some(root) = crate::common::fixtures() else { return };
    let temp = tempfile::tempdir().unwrap();
    let golden = root.join("golden/geneformer-v1");
    let (cells, checkpoint) = (golden.join("input.h5ad"), golden.join("checkpoint"));
    let inputs = [("cells", cells.as_path()), ("checkpoint", checkpoint.as_path())];
    let (_, tokens) =
        run(&Tokenize, &json!({"model": "geneformer"}), &inputs, &temp.path().join("t")).unwrap();
    let inputs = [("tokens", tokens.as_path()), ("checkpoint", checkpoint.as_path())];
    let refused =
        run(&EmbedGenes, &json!({"model": "scfoundation"}), &inputs, &temp.path().join("g")).unwrap_err();
    assert_eq!(refused.cause, FailureCause::Parameter);
    assert!(refused.message.contains("of the model `geneformer`"), "{refused}");
    assert!(refused.help.unwrap().contains("come from scfoundation"));
    let wrong = EmbedGenes.check(&Params(with(&json!({"model": "scfoundation", "key": "other"}))));
    assert!(wrong[0].1.contains("cell, rde, gene"), "{wrong:?}");
}
