//! The kind `lora-train` end to end on real cells: the small Geneformer of the quickstart, myeloid cells against others.
//! With `CELLDAG_PYTHON`, a Python that has peft, what it writes is also read by peft.
#![allow(clippy::print_stdout, reason = "shows what peft found")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celldag_data::CellsFile;
use celldag_engine::alone::run_alone;
use celldag_engine::{FailureCause, NodeError, Summary};
use celldag_models::PeftAdapter;
use celldag_nodes::embed::{Embed, Tokenize};
use celldag_nodes::learn::lora::LoraTrain;
use celldag_nodes::learn::predictions::Predictions;
use celldag_nodes::learn::split::{Role, SplitRow, SplitTable};
use serde_json::{Map, Value, json};

type Ran = Result<(Summary, BTreeMap<String, PathBuf>), NodeError>;

fn with(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("parameters are an object") };
    map
}

fn pipelines() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines")
}

/// A folder with tokens and a split of real cells.
struct Bench {
    root: tempfile::TempDir,
    tokens: PathBuf,
    rows: Vec<SplitRow>,
}

impl Bench {
    /// The first 70 cells: 40 train, 10 validate, 20 are tested.
    fn new() -> Self {
        let root = tempfile::tempdir().expect("folder");
        let cells = pipelines().join("data/pbmc68k_700.h5ad");
        let checkpoint = pipelines().join("models/geneformer-mini");
        let inputs = [("cells", "", cells.as_path()), ("checkpoint", "", checkpoint.as_path())];
        let folder = root.path().join("tokens");
        fs_err::create_dir_all(&folder).expect("folder");
        let params = with(json!({"model": "geneformer"}));
        let (_, done) = run_alone(&Tokenize, params, &inputs, &folder, "cpu").expect("tokens");
        let obs = CellsFile::open(&cells).expect("cells").obs().clone();
        let labels = obs.column("myeloid").expect("labels");
        let row = |cell: usize| {
            let class = usize::from(labels.as_text(cell).expect("label") == "1");
            SplitRow {
                cell_id: obs.index[cell].clone(),
                repeat: 0,
                fold: 0,
                role: match cell % 7 {
                    0 | 1 => Role::Test,
                    2 => Role::Validation,
                    _ => Role::Train,
                },
                label: ["other", "myeloid"][class].to_owned(),
                class,
                group: String::new(),
            }
        };
        Self { tokens: done["tokens"].clone(), rows: (0..70).map(row).collect(), root }
    }

    fn train(&self, name: &str, rows: &[SplitRow], params: Value) -> Ran {
        let folder = self.root.path().join(name);
        fs_err::create_dir_all(&folder).expect("folder");
        let split = folder.join("split.csv");
        SplitTable { rows: rows.to_vec() }.write(&split).expect("split");
        let checkpoint = pipelines().join("models/geneformer-mini");
        let inputs = [
            ("tokens", "", self.tokens.as_path()),
            ("checkpoint", "", checkpoint.as_path()),
            ("split", "", split.as_path()),
        ];
        run_alone(&LoraTrain, with(params), &inputs, &folder, "cpu")
    }

    fn embed(&self, name: &str, adapter: Option<&Path>, params: Value) -> Ran {
        let folder = self.root.path().join(name);
        fs_err::create_dir_all(&folder).expect("folder");
        let checkpoint = pipelines().join("models/geneformer-mini");
        let mut inputs =
            vec![("tokens", "", self.tokens.as_path()), ("checkpoint", "", checkpoint.as_path())];
        inputs.extend(adapter.map(|adapter| ("adapter", "", adapter)));
        run_alone(&Embed, with(params), &inputs, &folder, "cpu")
    }
}

fn quick() -> Value {
    json!({"layer": -1, "hidden": [16], "epochs": 2, "batch_size": 8, "learning_rate": 3e-3, "dropout": 0.1, "rank": 4, "alpha": 8})
}

fn changed(changes: Value) -> Value {
    let mut params = with(quick());
    params.extend(with(changes));
    Value::Object(params)
}

/// The bytes of all outputs.
fn bytes(outputs: &BTreeMap<String, PathBuf>) -> BTreeMap<String, Vec<u8>> {
    let files = [
        "adapter/repeat0.fold0/adapter_model.safetensors",
        "adapter/repeat0.fold0/adapter_config.json",
        "head/head.safetensors",
        "head/head.json",
        "predictions.csv",
        "history.json",
    ];
    let folder = outputs["predictions"].parent().expect("folder");
    files.iter().map(|file| ((*file).to_owned(), fs_err::read(folder.join(file)).expect("output"))).collect()
}

#[test]
fn adapters_learn_and_change_what_is_embedded() {
    let bench = Bench::new();
    let (summary, outputs) = bench.train("train", &bench.rows, quick()).expect("training");
    assert_eq!(summary.facts["adapted_layers"], 9, "query, key and value of three layers");
    assert_eq!(summary.facts["trained_parameters"], 9 * 4 * (64 + 64) + 65 * 16 + 17);
    assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    let predictions = Predictions::read(&outputs["predictions"]).expect("predictions");
    let tested: Vec<&str> =
        bench.rows.iter().filter(|r| r.role == Role::Test).map(|r| r.cell_id.as_str()).collect();
    assert_eq!(predictions.rows.iter().map(|r| r.cell_id.as_str()).collect::<Vec<_>>(), tested);
    let history: Value =
        serde_json::from_slice(&fs_err::read(&outputs["history"]).expect("file")).expect("history");
    let losses = |epoch: usize| history["folds"][0]["epochs"][epoch]["train_loss"].as_f64().expect("loss");
    assert!(losses(1) < losses(0), "{history}");
    assert_eq!(history["folds"][0]["training_cells"], 40);

    // The adapter is a folder of its own right, and changes what the model says.
    let folder = outputs["adapter"].join("repeat0.fold0");
    let adapter = PeftAdapter::read(&folder).expect("adapter");
    assert_eq!((adapter.layers.len(), adapter.rank), (9, 4));
    assert!(
        adapter.layers.values().all(|layer| layer.b.iter().any(|&value| value != 0.0) && layer.scale == 2.0)
    );
    assert!(adapter.layers.contains_key("bert.encoder.layer.2.attention.self.value"));
    let vectors = |ran: &BTreeMap<String, PathBuf>| {
        CellsFile::open(&ran["embedding"]).expect("file").obsm("X_geneformer").expect("vectors").2
    };
    let readout = json!({"layer": -1});
    let (_, plain) = bench.embed("plain", None, readout.clone()).expect("embedding");
    let (_, adapted) = bench.embed("adapted", Some(&folder), readout.clone()).expect("embedding");
    let (_, of_parent) = bench.embed("parent", Some(&outputs["adapter"]), readout).expect("embedding");
    let change =
        vectors(&plain).iter().zip(vectors(&adapted)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(change > 1e-2, "{change}");
    assert_eq!(vectors(&adapted), vectors(&of_parent), "the only adapter of a folder of adapters");

    // Hugging Face peft reads it, and says the same.
    let Some(python) = std::env::var_os("CELLDAG_PYTHON") else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/peft_round_trip.py");
    let said = std::process::Command::new(python)
        .args([script, pipelines().join("models/geneformer-mini"), bench.tokens.clone(), folder])
        .args([&adapted["embedding"], &outputs["head"], &outputs["predictions"]])
        .output()
        .expect("python");
    println!("{}", String::from_utf8_lossy(&said.stdout));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn test_labels_and_the_order_of_rows_change_nothing() {
    let bench = Bench::new();
    let (_, first) = bench.train("first", &bench.rows, quick()).expect("training");
    let first = bytes(&first);
    let same = |name: &str, rows: &[SplitRow], params: Value| {
        let (_, outputs) = bench.train(name, rows, params).expect("training");
        bytes(&outputs)
    };
    assert_eq!(same("again", &bench.rows, quick()), first);
    assert_eq!(same("twice", &bench.rows, changed(json!({"recompute": true}))), first, "computed twice");
    assert_eq!(
        same("small", &bench.rows, changed(json!({"batch_tokens": 300}))),
        first,
        "other batches of test cells"
    );

    // Labels of test cells the other way round: what was trained is the same to the bit, and so are the scores.
    let mut turned = bench.rows.clone();
    for row in turned.iter_mut().filter(|row| row.role == Role::Test) {
        row.class = 1 - row.class;
        row.label = ["other", "myeloid"][row.class].to_owned();
    }
    let other = same("labels", &turned, quick());
    for (file, bytes) in &first {
        assert_eq!(*bytes == other[file], file != "predictions.csv", "{file}");
    }
    let mut reversed = bench.rows.clone();
    reversed.reverse();
    let other = same("order", &reversed, quick());
    assert!(first.iter().all(|(file, bytes)| file == "predictions.csv" || other[file] == *bytes));

    // What must matter does.
    for params in [
        json!({"seed": 1}),
        json!({"dropout": 0.0}),
        json!({"schedule": "cosine", "warmup": 0.3}),
        json!({"schedule": "linear"}),
        json!({"warmup": 0.5}),
        json!({"clip": 0.1}),
        json!({"sampling": "balanced"}),
        json!({"class_weight": "balanced"}),
        json!({"weight_decay": 0.5}),
        json!({"optimizer": "adam"}),
        json!({"optimizer": "sgd"}),
        json!({"alpha": 4}),
    ] {
        let name = params.to_string().replace(|c: char| !c.is_alphanumeric(), "_");
        let other = same(&name, &bench.rows, changed(params));
        let file = "adapter/repeat0.fold0/adapter_model.safetensors";
        assert_ne!(other[file], first[file], "{name}");
    }
}

#[test]
fn what_cannot_be_trained_is_refused_with_the_reason() {
    let bench = Bench::new();
    let refused =
        |name: &str, rows: &[SplitRow], params: Value| bench.train(name, rows, params).expect_err(name);
    let wrong = refused("targets", &bench.rows, changed(json!({"targets": ["qury"]})));
    assert_eq!(wrong.cause, FailureCause::Parameter);
    assert!(wrong.message.contains("`qury`") && wrong.message.contains("key, query"), "{}", wrong.message);
    // The last layer is not read at -2: nothing would be learnt in it.
    let behind = json!({"layer": -2, "targets": ["*.layer.2.*.query"]});
    let wrong = refused("behind", &bench.rows, changed(behind));
    assert!(wrong.message.contains("no vector depends on"), "{}", wrong.message);
    let wrong = refused("fold", &bench.rows, changed(json!({"fold": 3})));
    assert!(wrong.message.contains("no fold 3"));
    let mut unknown = bench.rows.clone();
    unknown[2].cell_id = "nobody".to_owned();
    let wrong = refused("unknown", &unknown, quick());
    assert!(wrong.cause == FailureCause::Data && wrong.message.contains("`nobody`"), "{}", wrong.message);
    let untrained: Vec<SplitRow> = bench.rows.iter().filter(|r| r.role != Role::Train).cloned().collect();
    assert!(refused("untrained", &untrained, quick()).message.contains("no training cells"));

    // A loss that is no number in the first epoch: which batch, which cells.
    let wild = json!({"learning_rate": 1e8, "optimizer": "sgd", "epochs": 3});
    let wrong = refused("wild", &bench.rows, changed(wild));
    assert_eq!(wrong.cause, FailureCause::Failed);
    assert!(
        wrong.message.contains("in epoch 1, batch") && wrong.message.contains("cells "),
        "{}",
        wrong.message
    );
    assert!(wrong.help.expect("help").contains("learning_rate"));
}

#[test]
fn a_class_without_training_cells_is_said_and_trained_without() {
    let bench = Bench::new();
    let without = |of: usize| -> Vec<SplitRow> {
        bench.rows.iter().filter(|row| row.role == Role::Test || row.class != of).cloned().collect()
    };
    for (params, of) in [(json!({}), 1), (json!({"class_weight": "balanced", "sampling": "balanced"}), 0)] {
        let (summary, outputs) =
            bench.train(&format!("without{of}"), &without(of), changed(params)).expect("training");
        let missing = ["other", "myeloid"][of];
        assert!(summary.warnings.iter().any(|w| w.contains(&format!("no training cell is {missing}"))));
        let predictions = Predictions::read(&outputs["predictions"]).expect("predictions");
        assert!(predictions.rows.iter().all(|row| row.score.is_finite()));
    }
}

#[test]
fn an_adapter_of_another_model_is_refused() {
    let bench = Bench::new();
    let Some(golden) = common::fixtures().map(|root| root.join("golden")) else { return };
    let refused =
        |name: &str, adapter: &Path| bench.embed(name, Some(adapter), json!({})).expect_err("another model");
    let wrong = refused("width", &golden.join("geneformer-v1/adapter"));
    assert_eq!(wrong.cause, FailureCause::Data);
    assert!(
        wrong.message.contains("64 inputs and 64 outputs") && wrong.message.contains("[8, 32]"),
        "{}",
        wrong.message
    );
    let wrong = refused("names", &golden.join("tgpt/adapter"));
    assert!(wrong.message.contains("no linear layer called h.0.attn.c_attn"), "{}", wrong.message);
    let nothing = bench.root.path().join("nothing");
    fs_err::create_dir_all(&nothing).expect("folder");
    assert!(refused("nothing", &nothing).message.contains("adapter_config.json"));
}
