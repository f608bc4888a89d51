//! The kind `pretrain` end to end: real cells of the quickstart, and small files made for what must not matter. With
//! `CELLDAG_PYTHON`, a Python that has transformers, what it writes is also read there.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::cells::{several, write};
use celldag_data::{CellsFile, CountsSource, Dtype, H5adWriter, WriteOptions};
use celldag_engine::alone::{run_alone, run_alone_resumable};
use celldag_engine::{FailureCause, NodeError, Summary};
use celldag_nodes::embed::{Embed, Tokenize, TokensFile};
use celldag_nodes::learn::pretrain::Pretrain;
use serde_json::{Map, Value, json};

type Ran = Result<(Summary, BTreeMap<String, PathBuf>), NodeError>;

fn with(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("parameters are an object") };
    map
}

fn pipelines() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines")
}

fn tiny(changes: Value) -> Map<String, Value> {
    let mut params = with(json!({
        "layers": 1, "hidden": 16, "heads": 2, "feedforward": 16, "context": 32, "epochs": 3, "batch_size": 16,
        "learning_rate": 1e-2, "validation_fraction": 0.2, "min_cells": 5,
    }));
    params.extend(with(changes));
    params
}

fn pretrain(
    root: &Path,
    name: &str,
    cells: &[(&str, &Path)],
    dictionaries: &Path,
    params: Map<String, Value>,
) -> Ran {
    let folder = root.join(name);
    fs_err::create_dir_all(&folder).expect("folder");
    let mut inputs: Vec<(&str, &str, &Path)> =
        cells.iter().map(|(label, path)| ("cells", *label, *path)).collect();
    inputs.push(("dictionaries", "", dictionaries));
    run_alone(&Pretrain, params, &inputs, &folder, "cpu")
}

fn alone(
    kind: &dyn celldag_engine::Kind,
    folder: &Path,
    params: Value,
    inputs: &[(&str, &str, &Path)],
) -> Ran {
    fs_err::create_dir_all(folder).expect("folder");
    run_alone(kind, with(params), inputs, folder, "cpu")
}

fn json_of(path: &Path) -> Value {
    serde_json::from_slice(&fs_err::read(path).expect("file")).expect("JSON")
}

#[test]
fn a_model_of_real_cells_is_read_like_a_published_one() {
    let root = tempfile::tempdir().expect("folder");
    let cells = pipelines().join("data/pbmc68k_700.h5ad");
    let dictionaries = pipelines().join("models/geneformer-mini");
    let params = tiny(json!({"epochs": 8, "name": "blood", "licence": "CC0", "about": "700 blood cells."}));
    let (summary, outputs) =
        pretrain(root.path(), "a", &[("", &cells)], &dictionaries, params.clone()).expect("training");
    let facts = &summary.facts;
    println!("{facts:?}");
    assert_eq!(facts["cells"], 700);
    assert_eq!(
        facts["training_cells"].as_u64().expect("cells") + facts["validation_cells"].as_u64().expect("cells"),
        700
    );
    assert_eq!(facts["steps"], 8 * facts["training_cells"].as_u64().expect("cells").div_ceil(16));
    let loss = facts["validation_loss"].as_f64().expect("loss");
    let frequencies = facts["validation_loss_of_gene_frequencies"].as_f64().expect("loss");
    assert!(loss < frequencies, "{loss} is not below {frequencies} of gene frequencies");
    assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);

    let checkpoint = &outputs["checkpoint"];
    let history = json_of(&outputs["history"]);
    assert_eq!(history, json_of(&checkpoint.join("training.json")));
    let epochs = history["epochs"].as_array().expect("epochs");
    let losses: Vec<f64> = epochs.iter().map(|e| e["train_loss"].as_f64().expect("loss")).collect();
    assert!(losses.last() < losses.first(), "{losses:?}");
    let best = history["best_epoch"].as_u64().expect("epoch") as usize;
    assert_eq!(epochs[best - 1]["validation_loss"], facts["validation_loss"]);
    let card = fs_err::read_to_string(checkpoint.join("README.md")).expect("card");
    for word in
        ["# blood", "700 blood cells.", "CC0", "700 |", "gene frequencies alone", "What it is not good for"]
    {
        assert!(card.contains(word), "the card lacks {word}:\n{card}");
    }
    assert!(
        !card.contains(root.path().to_str().expect("path")) && !card.contains("pipelines/data"),
        "{card}"
    );

    let inputs = [("cells", "", cells.as_path()), ("checkpoint", "", checkpoint.as_path())];
    let (_, tokens) =
        alone(&Tokenize, &root.path().join("t"), json!({"model": "geneformer"}), &inputs).expect("tokens");
    let inputs = [("tokens", "", tokens["tokens"].as_path()), ("checkpoint", "", checkpoint.as_path())];
    let (embedded, vectors) =
        alone(&Embed, &root.path().join("e"), json!({"layer": -1}), &inputs).expect("vectors");
    assert_eq!(embedded.facts["dimensions"], 16);
    assert_eq!(embedded.facts["cells"], 700);
    transformers_agree(checkpoint, &tokens["tokens"], &vectors["embedding"]);

    // The same bytes again.
    let (again, more) = pretrain(root.path(), "b", &[("", &cells)], &dictionaries, params).expect("training");
    assert_eq!(again.facts, summary.facts);
    assert_eq!(bytes(&more["checkpoint"]), bytes(checkpoint));
}

/// Name and bytes of all files of a folder.
fn bytes(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs_err::read_dir(folder).expect("folder").map(|entry| entry.expect("entry").path());
    files
        .map(|file| {
            (
                file.file_name().expect("name").to_string_lossy().into_owned(),
                fs_err::read(file).expect("file"),
            )
        })
        .collect()
}

/// The vectors of the first cells, and the loss of hidden genes, in transformers.
fn transformers_agree(checkpoint: &Path, tokens: &Path, embedding: &Path) {
    let Some(python) = std::env::var_os("CELLDAG_PYTHON") else {
        println!("SKIP: transformers is asked only with CELLDAG_PYTHON");
        return;
    };
    let tokens = TokensFile::open(tokens).expect("tokens");
    let cells: Vec<Value> = (0..3)
        .map(|cell| json!({"ids": tokens.cell(cell).expect("cell").ids, "places": [0], "labels": [tokens.cell(cell).expect("cell").ids[0]]}))
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/masked_lm.py");
    let mut child = Command::new(python)
        .arg(script)
        .arg("losses")
        .arg(checkpoint)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python");
    child.stdin.take().expect("stdin").write_all(json!(cells).to_string().as_bytes()).expect("written");
    let output = child.wait_with_output().expect("output");
    assert!(output.status.success(), "masked_lm.py failed");
    let found: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let (_, _, values) = CellsFile::open(embedding).expect("file").obsm("X_geneformer").expect("vectors");
    let theirs: Vec<f64> =
        found["means"].as_array().expect("means").iter().flat_map(crate::common::golden::numbers).collect();
    let worst = theirs.iter().zip(&values).map(|(a, b)| (a - f64::from(*b)).abs()).fold(0.0, f64::max);
    println!("transformers: loss {} of visible genes, vectors differ by {worst:e} at most", found["loss"]);
    assert!(worst < 2e-5, "vectors differ by {worst}");
}

/// Dictionaries of the 12 genes of [`crate::common::cells`], by their symbols.
fn dictionaries(folder: &Path) -> PathBuf {
    let folder = folder.join("dictionaries");
    fs_err::create_dir_all(&folder).expect("folder");
    let put =
        |name: &str, value: &Value| fs_err::write(folder.join(name), value.to_string()).expect("written");
    let id = |gene: usize| format!("ENSG{gene:011}");
    let mut tokens = with(json!({"<pad>": 0, "<mask>": 1}));
    tokens.extend((0..12).map(|gene| (id(gene), json!(gene + 2))));
    put("token_dictionary.json", &Value::Object(tokens));
    let medians: Map<String, Value> = (0..12).map(|gene| (id(gene), json!(1.0 + gene as f64))).collect();
    put("gene_median_dictionary.json", &Value::Object(medians));
    let names: Map<String, Value> = (0..12).map(|gene| (format!("g{gene}"), json!(id(gene)))).collect();
    put("gene_name_id_dict.json", &Value::Object(names));
    folder
}

#[test]
fn neither_files_nor_their_order_nor_batches_matter() {
    let root = tempfile::tempdir().expect("folder");
    let dictionaries = dictionaries(root.path());
    let (one, two, both) = (several("a", 30, 1, 0), several("b", 20, 1, 30), root.path().join("both.h5ad"));
    let [first, second] = ["one.h5ad", "two.h5ad"].map(|name| root.path().join(name));
    write(&first, &one);
    write(&second, &two);
    // In another order too.
    write(&both, &two.into_iter().chain(one).rev().collect::<Vec<_>>());
    let train_with = |name: &str, cells: &[(&str, &Path)], changes: Value| {
        let (summary, outputs) =
            pretrain(root.path(), name, cells, &dictionaries, tiny(changes)).expect("training");
        let mut files = bytes(&outputs["checkpoint"]);
        files.remove("README.md").expect("card");
        (summary.facts, files)
    };
    let train = |name: &str, cells: &[(&str, &Path)]| train_with(name, cells, json!({}));
    let apart = train("apart", &[("x", &first), ("y", &second)]);
    assert_eq!(apart.0["genes"], 12);
    assert_eq!(apart.1.len(), 6, "{:?}", apart.1.keys());
    assert_eq!(apart, train("turned", &[("y", &first), ("x", &second)]));
    assert_eq!(apart, train("together", &[("", &both)]));
    // Computed one cell at a time where nothing is learnt.
    assert_eq!(apart, train_with("little", &[("", &both)], json!({"batch_tokens": 1})));
}

#[test]
fn what_cannot_be_trained_is_told_with_a_way_out() {
    let root = tempfile::tempdir().expect("folder");
    let dictionaries = dictionaries(root.path());
    let cells = root.path().join("cells.h5ad");
    write(&cells, &several("a", 20, 1, 0));
    let refused = |changes: Value| {
        pretrain(root.path(), "refused", &[("", &cells)], &dictionaries, tiny(changes)).expect_err("refused")
    };
    for (changes, cause, what) in [
        (json!({"heads": 3}), FailureCause::Parameter, "3 attention heads"),
        (json!({"mask_probability": 0.0}), FailureCause::Parameter, "nothing is hidden"),
        (json!({"min_cells": 21}), FailureCause::Parameter, "expressed in 21 cells"),
        (json!({"validation_fraction": 1e-9}), FailureCause::Parameter, "is no cell"),
        (json!({"counts": "layers/none"}), FailureCause::Data, "layers/none"),
        (
            json!({"learning_rate": 1e30, "warmup": 0.0, "clip": 0.0}),
            FailureCause::Failed,
            "training stopped",
        ),
    ] {
        let error = refused(changes);
        assert_eq!(error.cause, cause, "{error}");
        assert!(error.message.contains(what), "{error}");
    }
    let none = root.path().join("none.h5ad");
    fs_err::copy(pipelines().join("data/pbmc68k_700.h5ad"), &none).expect("copy");
    let error =
        pretrain(root.path(), "none", &[("", &none)], &dictionaries, tiny(json!({}))).expect_err("refused");
    assert_eq!(error.cause, FailureCause::Data);
    assert!(error.message.contains("none.h5ad") && error.message.contains("none of the"), "{error}");

    // Without validation cells the last epoch counts, beside frequencies on the training cells.
    let (summary, outputs) = pretrain(
        root.path(),
        "all",
        &[("", &cells)],
        &dictionaries,
        tiny(json!({"validation_fraction": 0.0})),
    )
    .expect("training");
    assert_eq!((&summary.facts["validation_cells"], &summary.facts["best_epoch"]), (&json!(0), &json!(3)));
    assert!(summary.facts["train_loss_of_gene_frequencies"].as_f64().is_some_and(f64::is_finite));
    assert_eq!(json_of(&outputs["history"])["gene_frequencies"]["validation_loss"], Value::Null);
    // Training cells alone give no verdict, however bad their loss is.
    let bad = tiny(json!({"validation_fraction": 0.0, "learning_rate": 1e-12, "epochs": 1}));
    let (summary, outputs) =
        pretrain(root.path(), "unlearnt", &[("", &cells)], &dictionaries, bad).expect("training");
    assert!(
        summary.facts["train_loss"].as_f64() > summary.facts["train_loss_of_gene_frequencies"].as_f64(),
        "{:?}",
        summary.facts
    );
    assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    let card = fs_err::read_to_string(outputs["checkpoint"].join("README.md")).expect("card");
    assert!(
        card.contains("No cell was kept for validation") && !card.contains("it has learnt nothing"),
        "{card}"
    );
    let bad = tiny(json!({"learning_rate": 1e-12, "epochs": 1}));
    let (summary, _) =
        pretrain(root.path(), "verdict", &[("", &cells)], &dictionaries, bad).expect("training");
    assert!(summary.warnings.iter().any(|w| w.contains("has learnt nothing")), "{:?}", summary.warnings);
}

/// A rate that grows until a number is none: the epochs before count, and the card says so.
#[test]
fn a_card_names_the_end_that_a_training_came_to() {
    let root = tempfile::tempdir().expect("folder");
    let dictionaries = dictionaries(root.path());
    let cells = root.path().join("cells.h5ad");
    write(&cells, &several("a", 60, 1, 0));
    // One batch an epoch. The rate of the first is 0, so that an epoch is complete before numbers grow.
    let params = json!({
        "learning_rate": 1e36, "schedule": "constant", "warmup": 1.0, "clip": 0.0, "epochs": 4, "batch_size": 64,
        "weight_decay": 0.0, "early_stopping": 0
    });
    let (summary, outputs) =
        pretrain(root.path(), "wild", &[("", &cells)], &dictionaries, tiny(params)).expect("training");
    let history = json_of(&outputs["history"]);
    assert!(history.get("diverged").is_some(), "{history}");
    assert!(summary.warnings.iter().any(|w| w.starts_with("training stopped")), "{:?}", summary.warnings);
    let card = fs_err::read_to_string(outputs["checkpoint"].join("README.md")).expect("card");
    assert!(card.contains("Training ended early: the ") && card.contains(" epoch 2"), "{card}");
}

/// A file with other genes than the dictionaries know, and a file that lacks genes of the others.
#[test]
fn genes_that_are_not_covered_are_told() {
    let root = tempfile::tempdir().expect("folder");
    let dictionaries = dictionaries(root.path());
    let [whole, strange] = ["whole.h5ad", "strange.h5ad"].map(|name| root.path().join(name));
    write(&whole, &several("a", 40, 1, 0));
    write(&strange, &several("c", 40, 1, 80));
    let rename = |path: &Path, keep: usize| {
        let mut cells =
            CellsFile::open(path).expect("cells").read_counts(&CountsSource::Auto).expect("counts");
        for (at, name) in cells.var.index.iter_mut().enumerate() {
            if at >= keep {
                *name = format!("unknown{at}");
            }
        }
        let mut writer =
            H5adWriter::create(path, &cells.obs, &cells.var, &WriteOptions::default()).expect("file");
        writer.begin_matrix("X", Dtype::F32).expect("counts");
        writer.append(&cells.x).expect("counts");
        writer.finish().expect("finish");
    };
    rename(&strange, 5);
    let files = [("whole.h5ad", whole.as_path()), ("study=strange", strange.as_path())];
    let (summary, _) =
        pretrain(root.path(), "strange", &files, &dictionaries, tiny(json!({}))).expect("training");
    assert_eq!(
        (&summary.facts["genes_of_largest_file"], &summary.facts["genes_matched_at_least"]),
        (&json!(12), &json!(5))
    );
    let warned = |what: &str| summary.warnings.iter().any(|w| w.starts_with(what));
    assert!(warned("strange: 7 of the 12 genes are not in the dictionaries"), "{:?}", summary.warnings);
    assert!(warned("strange has only 5 of the 12 genes of the vocabulary"), "{:?}", summary.warnings);
    assert!(summary.warnings.iter().all(|w| !w.starts_with("whole")), "{:?}", summary.warnings);
}

#[test]
fn a_training_that_was_stopped_goes_on_to_the_same_bytes() {
    let root = tempfile::tempdir().expect("folder");
    let dictionaries = dictionaries(root.path());
    let cells = root.path().join("cells.h5ad");
    write(&cells, &several("a", 60, 1, 0));
    let (whole, outputs) =
        pretrain(root.path(), "whole", &[("", &cells)], &dictionaries, tiny(json!({}))).expect("training");
    let wanted = bytes(&outputs["checkpoint"]);
    let inputs = [("cells", "", cells.as_path()), ("dictionaries", "", dictionaries.as_path())];
    // Cells are read twice before the first is trained on: stopped there, in the first epoch, and in later ones.
    for after in [30, 125, 160, 200, 240] {
        let folder = root.path().join(format!("stopped{after}"));
        fs_err::create_dir_all(&folder).expect("folder");
        let store = root.path().join(format!("store{after}"));
        let run =
            |stop| run_alone_resumable(&Pretrain, tiny(json!({})), &inputs, (&folder, "cpu"), &store, stop);
        let error = run(Some(after)).expect_err("stopped");
        assert_eq!(error.cause, FailureCause::Cancelled, "{error}");
        let (summary, outputs) = run(None).expect("training");
        println!("stopped after {after}: {:?}", summary.execution.get("resumed_at"));
        assert_eq!(summary.execution.contains_key("resumed_at"), after > 60);
        assert_eq!((&summary.facts, &summary.warnings), (&whole.facts, &whole.warnings));
        assert_eq!(bytes(&outputs["checkpoint"]), wanted, "stopped after {after}");
    }
}
