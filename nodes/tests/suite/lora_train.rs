//! The kind `lora-train` end to end on real cells: the small Geneformer of the quickstart, myeloid cells against others.
//! With `CELLDAG_PYTHON`, a Python that has peft, what it writes is also read by peft.

use std::path::Path;

use crate::common::lora::{
    Bench, bytes, changed, mini, peft_round_trip, pipelines, quick, tokenized_with, vectors, with,
};
use celldag_data::Table;
use celldag_engine::alone::run_alone;
use celldag_engine::{FailureCause, Kind, Params};
use celldag_models::PeftAdapter;
use celldag_nodes::embed::{TokensFile, TokensWriter};
use celldag_nodes::learn::lora::LoraTrain;
use celldag_nodes::learn::predictions::Predictions;
use celldag_nodes::learn::split::{Role, SplitRow};
use serde_json::{Value, json};

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
    let readout = json!({"layer": -1});
    let (_, plain) = bench.embed("plain", None, readout.clone()).expect("embedding");
    let (_, adapted) = bench.embed("adapted", Some(&folder), readout.clone()).expect("embedding");
    let (_, of_parent) = bench.embed("parent", Some(&outputs["adapter"]), readout).expect("embedding");
    let change =
        vectors(&plain).iter().zip(vectors(&adapted)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(change > 1e-2, "{change}");
    assert_eq!(vectors(&adapted), vectors(&of_parent), "the only adapter of a folder of adapters");

    // Hugging Face peft reads it, and says the same.
    let checkpoint = mini();
    let files: [&Path; 6] = [
        &checkpoint,
        &bench.tokens,
        &folder,
        &adapted["embedding"],
        &outputs["head"],
        &outputs["predictions"],
    ];
    peft_round_trip(&files.map(Path::as_os_str));
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
        assert_eq!(*bytes == other[file], file != "predictions", "{file}");
    }
    let mut reversed = bench.rows.clone();
    reversed.reverse();
    let other = same("order", &reversed, quick());
    assert!(first.iter().all(|(file, bytes)| file == "predictions" || other[file] == *bytes));

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
    let Some(golden) = crate::common::fixtures().map(|root| root.join("golden")) else { return };
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

/// Cells of another study are read from a port of their own, and are as good as those of the first.
#[test]
fn external_cells_are_tested() {
    let bench = Bench::new();
    // The tested cells of the usual split, in a file of their own.
    let tested: Vec<&str> =
        bench.rows.iter().filter(|row| row.role == Role::Test).map(|row| row.cell_id.as_str()).collect();
    let file = TokensFile::open(&bench.tokens).expect("tokens");
    let names = file.obs().expect("cells").index;
    let part = |name: &str, wanted: &dyn Fn(&str) -> bool| {
        let rows: Vec<usize> = (0..names.len()).filter(|&row| wanted(&names[row])).collect();
        let scratch = bench.root.path().join(name);
        fs_err::create_dir_all(&scratch).expect("folder");
        let mut writer = TokensWriter::new(&scratch, &file.info().tokenizer).expect("scratch");
        rows.iter().for_each(|&row| writer.push(&file.cell(row).expect("cell")).expect("written"));
        let path = scratch.join("tokens.safetensors");
        let obs = Table::new(rows.iter().map(|&row| names[row].clone()).collect());
        writer.finish(&path, file.info(), &obs).expect("written");
        path
    };
    let (own, external) =
        (part("own", &|id| !tested.contains(&id)), part("other", &|id| tested.contains(&id)));
    let run = |name: &str, tokens: &Path, external: Option<&Path>| {
        let (folder, split) = bench.folder(name, &bench.rows);
        let checkpoint = mini();
        let mut inputs = vec![
            ("tokens", "", tokens),
            ("checkpoint", "", checkpoint.as_path()),
            ("split", "", split.as_path()),
        ];
        inputs.extend(external.map(|external| ("external", "", external)));
        run_alone(&LoraTrain, with(quick()), &inputs, &folder, "cpu")
    };
    let (_, together) = run("together", &bench.tokens, None).expect("training");
    let (summary, apart) = run("apart", &own, Some(&external)).expect("training");
    assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    assert_eq!(bytes(&apart), bytes(&together));

    let options = json!({"model": "geneformer", "gene_aliases": "hgnc"});
    let aliased = tokenized_with(
        &pipelines().join("data/pbmc68k_700.h5ad"),
        &bench.root.path().join("aliased"),
        options,
    );
    let other = run("aliases", &own, Some(&aliased)).expect_err("tokens of other options");
    assert!(
        other.cause == FailureCause::Data
            && other.message.contains("`gene_aliases` is \"none\" and \"hgnc\""),
        "{}",
        other.message
    );

    let missing = run("missing", &own, None).expect_err("test cells without tokens");
    assert!(missing.help.expect("help").contains("`external`"), "{}", missing.message);
    let twice = run("twice", &bench.tokens, Some(&external)).expect_err("cells on both ports");
    assert!(
        twice.cause == FailureCause::Data && twice.message.contains("on both ports"),
        "{}",
        twice.message
    );
}

#[test]
fn layers_are_trained_as_they_are() {
    let bench = Bench::new();
    let whole =
        |changes: Value| changed(with(changes).into_iter().chain([("clip".to_owned(), json!(1))]).collect());
    let full = |changes: Value| {
        let mut params = with(whole(changes));
        params.insert("targets".to_owned(), json!([]));
        ["rank", "alpha", "dropout"].into_iter().for_each(|name| drop(params.remove(name)));
        Value::Object(params)
    };
    let params = full(json!({"train": ["*.layer.2.*"], "learning_rate": 3e-4}));
    let (summary, outputs) = bench.train("whole", &bench.rows, params).expect("training");
    assert_eq!(summary.facts["adapted_layers"], 0);
    // Six linear layers with weight and bias, two normalisations.
    assert_eq!(summary.facts["trained_weights"], 16);
    let folder = outputs["adapter"].join("repeat0.fold0");
    let adapter = PeftAdapter::read(&folder).expect("adapter");
    assert!(adapter.layers.is_empty());
    assert_eq!(adapter.saved.len(), 16);
    assert!(adapter.saved.contains_key("bert.encoder.layer.2.attention.self.query.weight"), "{adapter:?}");
    let readout = json!({"layer": -1});
    let (_, plain) = bench.embed("plain", None, readout.clone()).expect("embedding");
    let (_, trained) = bench.embed("trained", Some(&folder), readout).expect("embedding");
    let change =
        vectors(&plain).iter().zip(vectors(&trained)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(change > 1e-2, "{change}");

    // Beside adapters, and again from the published weights in the second fold.
    let both = whole(json!({"train": ["LayerNorm"], "dropout": 0.0}));
    let (summary, _) = bench.train("both", &bench.rows, both.clone()).expect("training");
    // Of the embeddings, and two of each of three layers.
    assert_eq!(
        (&summary.facts["adapted_layers"], &summary.facts["trained_weights"]),
        (&json!(9), &json!(14))
    );
    let second = bench.rows.iter().map(|row| SplitRow { fold: 1, ..row.clone() });
    let rows: Vec<SplitRow> = bench.rows.iter().cloned().chain(second).collect();
    let (_, folds) = bench.train("folds", &rows, both.clone()).expect("training");
    let second: Vec<SplitRow> = rows.iter().filter(|row| row.fold == 1).cloned().collect();
    let (_, alone) = bench.train("second", &second, both).expect("training");
    let file = "adapter/repeat0.fold1/adapter_model.safetensors";
    assert_eq!(bytes(&folds)[file], bytes(&alone)[file]);

    let refused = |name: &str, params: Value| bench.train(name, &bench.rows, params).expect_err(name);
    let wrong = refused("unknown", changed(json!({"train": ["qury"]})));
    assert!(wrong.cause == FailureCause::Parameter && wrong.message.contains("`qury`"), "{}", wrong.message);
    let wrong = refused("behind", full(json!({"layer": -2, "train": ["*.layer.2.*"]})));
    assert!(wrong.message.contains("no vector depends on"), "{}", wrong.message);
}

#[test]
fn parameters_without_a_meaning_are_refused() {
    let wrong = |params: Value| LoraTrain.check(&Params(with(params)));
    assert_eq!(wrong(json!({"targets": [], "train": []}))[0].0, "targets");
    assert!(wrong(json!({"targets": [], "train": ["*"]})).is_empty());
    let usual = json!({"targets": [], "train": ["*"], "rank": 8, "alpha": 8.0, "dropout": 0.05});
    assert!(wrong(usual).is_empty(), "defaults are written out before they are checked");
    let set = wrong(json!({"targets": [], "train": ["*"], "rank": 4, "alpha": 16.0, "dropout": 0.0}));
    assert_eq!(set.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["rank", "alpha", "dropout"]);
    assert!(set.iter().all(|(_, what)| what.contains("has no effect with `targets: []`")), "{set:?}");
    // Numbers that are 1 in single precision.
    for (name, value) in [("dropout", 1.0), ("dropout", 0.999_999_99), ("momentum", 0.999_999_99)] {
        let wrong = wrong(json!({"targets": ["query"], name: value}));
        assert!(
            wrong.len() == 1 && wrong[0].0 == name && wrong[0].1.contains("below 1") == (value >= 1.0),
            "{wrong:?}"
        );
    }
    assert!(wrong(json!({"targets": ["query"], "dropout": 0.999, "momentum": 0.999})).is_empty());
}
