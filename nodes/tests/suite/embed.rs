//! The kinds `tokenize` and `embed` on the reference cells, from h5ad to h5ad.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celldag_data::checkpoint::SafetensorsFile;
use celldag_data::{CellsFile, Column, Csr, Dtype, H5adWriter, Table, WriteOptions};
use celldag_engine::alone::run_alone;
use celldag_engine::{FailureCause, Kind, NodeError, Params, Summary};
use celldag_nodes::embed::{Embed, Tokenize, TokensFile};
use serde_json::{Map, Value, json};

fn fixture(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CELLDAG_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing", found.display());
    println!("SKIP: {} is missing", found.display());
    None
}

fn with(values: &Value) -> Map<String, Value> {
    values.as_object().cloned().unwrap_or_default()
}

type Done = (Summary, BTreeMap<String, PathBuf>);

fn tokenize(cells: &Path, checkpoint: &Path, folder: &Path) -> Result<Done, NodeError> {
    fs_err::create_dir_all(folder).unwrap();
    let inputs = [("cells", "", cells), ("checkpoint", "", checkpoint)];
    run_alone(&Tokenize, with(&json!({"model": "geneformer"})), &inputs, folder, "cpu")
}

fn embed(tokens: &Path, checkpoint: &Path, options: &Value, folder: &Path) -> Result<Done, NodeError> {
    fs_err::create_dir_all(folder).unwrap();
    let inputs = [("tokens", "", tokens), ("checkpoint", "", checkpoint)];
    run_alone(&Embed, with(options), &inputs, folder, "cpu")
}

fn vectors(file: &Path) -> (usize, Vec<f32>) {
    let (_, dim, values) = CellsFile::open(file).unwrap().obsm("X_geneformer").unwrap();
    (dim, values)
}

fn expected(golden: &Path, array: &str) -> Vec<f32> {
    let file = SafetensorsFile::open(&golden.join("expected.safetensors")).unwrap();
    file.read(array).unwrap().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn parity_options_give_the_reference_arrays() {
    let cases = [
        ("geneformer-v1", json!({}), "emb.mean_second_to_last"),
        ("geneformer-v1", json!({"layer": -1, "pooling": "mean"}), "emb.mean_last"),
        ("geneformer-v2", json!({}), "emb.cls_second_to_last"),
        ("geneformer-v2", json!({"layer": -1, "pooling": "mean"}), "emb.mean_last"),
    ];
    let temp = tempfile::tempdir().unwrap();
    for (case, (name, options, array)) in cases.iter().enumerate() {
        let Some(golden) = fixture(&format!("golden/{name}")) else { return };
        let (cells, checkpoint) = (golden.join("input.h5ad"), golden.join("checkpoint"));
        let folder = temp.path().join(case.to_string());
        let (said, tokens) = tokenize(&cells, &checkpoint, &folder.join("tokens")).unwrap();
        let (_, done) = embed(&tokens["tokens"], &checkpoint, options, &folder.join("embed")).unwrap();
        let (_, values) = vectors(&done["embedding"]);
        let difference = largest_difference(&values, &expected(&golden, array));
        assert!(difference < 2e-5, "{name} {array}: {difference:e}");
        let input = CellsFile::open(&cells).unwrap();
        let output = CellsFile::open(&done["embedding"]).unwrap();
        assert_eq!(output.obs(), input.obs(), "obs is carried over");
        assert_eq!(said.facts["cells"], json!(input.n_cells()));
        assert_eq!(said.facts["counts"], json!("X"));
        let provenance = output.uns("celldag").unwrap().unwrap();
        let text = provenance.as_str().map_or_else(|| provenance.to_string(), str::to_owned);
        assert!(text.contains("\"model\":\"geneformer\"") && text.contains("\"layer\":-"), "{text}");
    }
}

#[test]
fn tokens_hold_ids_obs_and_what_they_are() {
    let Some(golden) = fixture("golden/geneformer-v1") else { return };
    let temp = tempfile::tempdir().unwrap();
    let (said, done) = tokenize(&golden.join("input.h5ad"), &golden.join("checkpoint"), temp.path()).unwrap();
    let tokens = TokensFile::open(&done["tokens"]).unwrap();
    let want = SafetensorsFile::open(&golden.join("expected.safetensors")).unwrap();
    let ids: Vec<u8> = (0..tokens.lengths().len())
        .flat_map(|cell| tokens.cell(cell).unwrap().ids)
        .flat_map(u32::to_le_bytes)
        .collect();
    assert!(ids == want.read("tok.input_ids").unwrap());
    assert_eq!(tokens.obs().unwrap(), *CellsFile::open(golden.join("input.h5ad")).unwrap().obs());
    assert_eq!(tokens.info().model, "geneformer");
    assert_eq!(tokens.info().tokenizer.variant, "V1");
    assert_eq!(tokens.info().tokenizer.vocabulary_size, 4202);
    assert_eq!(said.facts["tokens"], json!(10_230));
    // Readable by the reference implementation of the format, and damaged files are refused.
    let bytes = fs_err::read(&done["tokens"]).unwrap();
    let parsed = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(parsed.tensor("input_ids").unwrap().shape(), [10_230]);
    let broken = temp.path().join("broken.safetensors");
    for cut in [0, 7, 100, bytes.len() - 1] {
        fs_err::write(&broken, &bytes[..cut]).unwrap();
        assert!(TokensFile::open(&broken).is_err(), "cut at {cut}");
    }
    assert!(TokensFile::open(&golden.join("expected.safetensors")).is_err(), "safetensors, but no tokens");
}

#[test]
fn the_bytes_are_the_same_every_time_and_for_every_batch_size() {
    let Some(golden) = fixture("golden/geneformer-v1") else { return };
    let temp = tempfile::tempdir().unwrap();
    let run = |name: &str, batch_tokens: u64| {
        let folder = temp.path().join(name);
        let checkpoint = golden.join("checkpoint");
        let (_, tokens) = tokenize(&golden.join("input.h5ad"), &checkpoint, &folder).unwrap();
        let options = json!({"batch_tokens": batch_tokens});
        let (said, done) = embed(&tokens["tokens"], &checkpoint, &options, &folder.join("e")).unwrap();
        assert_eq!(said.execution["backend"], json!("cpu"));
        (fs_err::read(&tokens["tokens"]).unwrap(), fs_err::read(&done["embedding"]).unwrap())
    };
    assert!(run("a", 1) == run("b", 5000));
}

/// Five cells: the second has only an unknown gene, the fourth none at all.
fn write_cells(path: &Path, genes: &[&str], ids: Option<&[&str]>) {
    let obs = Table::new((0..4).map(|i| format!("cell{i}")).collect());
    let mut var = Table::new(genes.iter().map(|g| (*g).to_owned()).collect());
    if let Some(ids) = ids {
        let column = ids.iter().map(|id| Some((*id).to_owned())).collect();
        var.insert("ensembl_id", Column::Text(column)).unwrap();
    }
    let x = Csr::from_dense(genes.len(), &[3., 1., 0., 0., 0., 7., 1., 5., 2., 0., 0., 0.]);
    let mut file = H5adWriter::create(path, &obs, &var, &WriteOptions::default()).unwrap();
    file.begin_matrix("X", Dtype::F32).unwrap();
    file.append(&x).unwrap();
    file.finish().unwrap();
}

#[test]
fn cells_without_known_genes_get_nan_and_a_warning_and_keep_their_rows() {
    let Some(golden) = fixture("golden/geneformer-v2") else { return };
    let temp = tempfile::tempdir().unwrap();
    let genes = CellsFile::open(golden.join("input.h5ad")).unwrap();
    let known: Vec<String> =
        (0..genes.n_genes()).filter_map(|g| genes.var().text("ensembl_id", g)).map(String::from).collect();
    let known: Vec<&str> =
        known.iter().map(String::as_str).filter(|id| id.starts_with("ENSG")).take(300).collect();
    let checkpoint = golden.join("checkpoint");
    let file = temp.path().join("cells.h5ad");
    // Two genes that the vocabulary has, found by trying.
    let usable: Vec<&str> = known
        .iter()
        .copied()
        .filter(|id| {
            write_cells(&file, &["a", "b", "c"], Some(&[*id, "", ""]));
            tokenize(&file, &checkpoint, &temp.path().join("try")).is_ok()
        })
        .take(2)
        .collect();
    write_cells(&file, &["a", "b", "c"], Some(&[&format!("{}.7", usable[0]), usable[1], "ENSG99999999999"]));
    let (said, tokens) = tokenize(&file, &checkpoint, &temp.path().join("t")).unwrap();
    let why =
        ["tokens", "counts", "known_gene"].map(|what| said.facts[&format!("cells_without_{what}")].clone());
    assert_eq!(why, [json!(2), json!(1), json!(1)]);
    assert_eq!(said.facts["genes_matched"], json!(2), "the version was cut off");
    for (reason, cell) in [("have no counts", "`cell3`"), ("no count in a gene of the vocabulary", "`cell1`")]
    {
        let told = |warning: &String| {
            warning.contains("1 of 4 cells") && warning.contains(reason) && warning.contains(cell)
        };
        assert!(said.warnings.iter().any(told), "{reason}: {:?}", said.warnings);
    }
    let (said, done) = embed(&tokens["tokens"], &checkpoint, &json!({}), &temp.path().join("e")).unwrap();
    assert!(said.warnings.iter().any(|w| w.contains("NaN")));
    let (dim, values) = vectors(&done["embedding"]);
    let nan: Vec<bool> = values.chunks(dim).map(|row| row.iter().all(|v| v.is_nan())).collect();
    assert_eq!(nan, [false, true, false, true]);
    assert!(values[..dim].iter().all(|v| v.is_finite()));
}

#[test]
fn symbols_stand_in_for_ids_and_strange_genes_are_an_error() {
    let Some(golden) = fixture("golden/geneformer-v1") else { return };
    let temp = tempfile::tempdir().unwrap();
    let checkpoint = golden.join("checkpoint");
    let file = temp.path().join("cells.h5ad");
    write_cells(&file, &["CD3E", "LYZ", "nonsense"], None);
    let (said, _) = tokenize(&file, &checkpoint, &temp.path().join("t")).unwrap();
    assert!(said.facts["genes_by_symbol"].as_u64().unwrap() > 0);
    assert_eq!(said.facts["genes_matched"], json!(2));
    assert!(said.warnings.iter().any(|w| w.contains("variable genes")), "{:?}", said.warnings);
    write_cells(&file, &["x1", "x2", "x3"], None);
    let error = tokenize(&file, &checkpoint, &temp.path().join("u")).unwrap_err();
    assert_eq!(error.cause, FailureCause::Data);
    assert!(error.message.contains("x1, x2, x3") && error.message.contains("ensembl_id"), "{error}");
}

#[test]
fn normalised_values_are_refused() {
    let Some(file) = fixture("data/formats/h5ad_variants/non_integer_counts.h5ad") else { return };
    let Some(golden) = fixture("golden/geneformer-v1") else { return };
    let temp = tempfile::tempdir().unwrap();
    let error = tokenize(&file, &golden.join("checkpoint"), temp.path()).unwrap_err();
    assert_eq!(error.cause, FailureCause::Data);
    assert!(error.message.contains("raw counts"), "{error}");
}

#[test]
fn mistakes_end_in_the_right_cause() {
    let (Some(v1), Some(v2)) = (fixture("golden/geneformer-v1"), fixture("golden/geneformer-v2")) else {
        return;
    };
    let temp = tempfile::tempdir().unwrap();
    let (_, done) = tokenize(&v1.join("input.h5ad"), &v1.join("checkpoint"), temp.path()).unwrap();
    let tokens = &done["tokens"];
    let fails = |checkpoint: &Path, options: Value| {
        embed(tokens, checkpoint, &options, &temp.path().join("e")).unwrap_err()
    };
    let error = fails(&v2.join("checkpoint"), json!({}));
    assert_eq!(error.cause, FailureCause::Data);
    assert!(error.message.contains("another vocabulary") && error.help.is_some(), "{error}");
    let error = fails(&v1.join("checkpoint"), json!({"layer": -7}));
    assert_eq!(error.cause, FailureCause::Parameter);
    let error = fails(&v1.join("checkpoint"), json!({"pooling": "cls"}));
    assert_eq!(error.cause, FailureCause::Parameter);
    let error = fails(temp.path(), json!({}));
    assert_eq!(error.cause, FailureCause::Data);
}

#[test]
fn the_key_takes_exactly_the_files_that_are_read() {
    let Some(golden) = fixture("golden/geneformer-v1") else { return };
    let params = Params(with(&json!({"model": "geneformer"})));
    let files =
        |kind: &dyn Kind, folder: &Path| kind.input_files("checkpoint", folder, &params).unwrap().unwrap();
    let root = golden.join("checkpoint");
    assert_eq!(
        files(&Embed, &root),
        [
            Path::new("Geneformer-V1-10M/config.json"),
            Path::new("Geneformer-V1-10M/pytorch_model.bin"),
            Path::new("geneformer/gene_dictionaries_30m/token_dictionary_gc30M.pkl"),
        ]
    );
    let from_below = files(&Tokenize, &root.join("Geneformer-V1-10M"));
    assert_eq!(from_below.len(), 5);
    assert!(
        from_below.contains(&PathBuf::from("../geneformer/gene_dictionaries_30m/token_dictionary_gc30M.pkl"))
    );
    for file in from_below {
        assert!(root.join("Geneformer-V1-10M").join(file).is_file());
    }
    assert!(Embed.input_files("tokens", &root, &params).unwrap().is_none());
    assert!(Embed.input_files("checkpoint", &golden, &params).is_err());
}

#[test]
fn cells_that_a_model_leaves_out_are_told_with_the_reason() {
    let Some(golden) = fixture("golden/scbert") else { return };
    let temp = tempfile::tempdir().unwrap();
    let names = CellsFile::open(golden.join("checkpoint/panglao_10000.h5ad")).unwrap().var().index.clone();
    let file = temp.path().join("cells.h5ad");
    write_cells(&file, &[&names[0], &names[1], "unknown gene"], None);
    let run = |min_genes: u64, folder: &str| {
        let (folder, checkpoint) = (temp.path().join(folder), golden.join("checkpoint"));
        fs_err::create_dir_all(&folder).unwrap();
        let options = json!({"model": "scbert", "max_genes": 50, "min_genes": min_genes});
        let inputs = [("cells", "", file.as_path()), ("checkpoint", "", checkpoint.as_path())];
        run_alone(&Tokenize, with(&options), &inputs, &folder, "cpu")
    };
    let (said, _) = run(2, "two").unwrap();
    assert_eq!(said.facts["cells_left_out"], json!(0), "{:?}", said.warnings);
    let error = run(3, "three").unwrap_err();
    for part in ["2 express fewer than min_genes = 3 genes", "1 have no counts", "1 have no count in a gene"]
    {
        assert!(error.message.contains(part), "{error}");
    }
}

/// The parameters of a node as the engine hands them on.
fn resolved(kind: &dyn Kind, given: &Value) -> Params {
    let mut all = with(given);
    for param in kind.spec().params {
        all.entry(param.name).or_insert_with(|| param.default.unwrap_or_default());
    }
    let mut params = Params(all);
    assert!(kind.check(&params).is_empty());
    kind.resolve(&mut params);
    params
}

#[test]
fn keys_hold_the_options_of_the_model_and_its_epoch() {
    let scgpt = resolved(&Tokenize, &json!({"model": "scgpt", "seed": 7}));
    assert_eq!(scgpt.get("binning"), Some(&json!("left")), "a default is written out");
    assert_eq!(scgpt.get("seed"), Some(&json!(7)), "what was given stays");
    assert_eq!(scgpt.get("sample_size"), Some(&Value::Null), "an option of UCE");
    assert_eq!(scgpt.get("max_length"), Some(&Value::Null), "the checkpoint decides");
    assert_eq!(Tokenize.parts(&scgpt), BTreeMap::from([("scgpt".to_owned(), 1)]));
    let uce = resolved(&Embed, &json!({"model": "uce"}));
    assert_eq!((uce.get("normalize"), uce.get("latent")), (Some(&json!("l2")), Some(&Value::Null)));
    assert_eq!(uce.get("allow_unused"), Some(&json!([])));
    assert_eq!(Embed.parts(&uce).keys().collect::<Vec<_>>(), ["uce"]);
    // Nobody says which model: no defaults, but the epochs of all.
    let unknown = resolved(&Embed, &json!({"layer": -1}));
    assert_eq!((unknown.get("layer"), unknown.get("pooling")), (Some(&json!(-1)), Some(&Value::Null)));
    assert!(Embed.parts(&unknown).len() >= 10);
}

#[test]
fn tensors_are_left_over_when_the_user_says_so() {
    let Some(golden) = fixture("golden/geneformer-v2") else { return };
    let temp = tempfile::tempdir().unwrap();
    let (_, tokens) =
        tokenize(&golden.join("input.h5ad"), &golden.join("checkpoint"), &temp.path().join("t")).unwrap();
    let checkpoint = temp.path().join("checkpoint");
    fs_err::create_dir_all(checkpoint.join("geneformer")).unwrap();
    for entry in fs_err::read_dir(golden.join("checkpoint/geneformer")).unwrap() {
        let file = entry.unwrap();
        fs_err::copy(file.path(), checkpoint.join("geneformer").join(file.file_name())).unwrap();
    }
    let model = checkpoint.join("Geneformer-V2-104M");
    fs_err::create_dir_all(&model).unwrap();
    let published = golden.join("checkpoint/Geneformer-V2-104M");
    fs_err::copy(published.join("config.json"), model.join("config.json")).unwrap();
    let bytes = fs_err::read(published.join("model.safetensors")).unwrap();
    let parsed = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let shape = vec![1];
    let extra =
        safetensors::tensor::TensorView::new(safetensors::tensor::Dtype::F32, shape, &[0; 4]).unwrap();
    let all = parsed.tensors().into_iter().chain([("my_head.bias".to_owned(), extra)]);
    fs_err::write(model.join("model.safetensors"), safetensors::serialize(all, None).unwrap()).unwrap();
    let run = |checkpoint: &Path, options: Value, folder: &str| {
        let folder = temp.path().join(folder);
        embed(&tokens["tokens"], checkpoint, &options, &folder).map(|(_, done)| vectors(&done["embedding"]))
    };
    let error = run(&checkpoint, json!({}), "refused").unwrap_err();
    assert_eq!(error.cause, FailureCause::Data);
    assert!(error.message.contains("`my_head.bias`") && error.message.contains("allow_unused"), "{error}");
    let allowed = run(&checkpoint, json!({"allow_unused": ["my_head.*"]}), "allowed").unwrap();
    assert!(allowed == run(&golden.join("checkpoint"), json!({}), "published").unwrap());
    let typo = run(&checkpoint, json!({"allow_unused": ["my_head.*", "my_hat.*"]}), "typo").unwrap_err();
    assert_eq!(typo.cause, FailureCause::Parameter);
    assert!(typo.message.contains("`my_hat.*`"), "{typo}");
}
