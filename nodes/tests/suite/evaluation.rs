//! Two heads on the same folds, measured together: intervals, groups, paired tests; and embeddings measured before any
//! training.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::cells::{several, write};
use celldag_engine::alone::run_alone;
use celldag_engine::document::{ReportDocument, Table};
use celldag_engine::{FailureCause, Kind};
use celldag_nodes::evaluate::Evaluate;
use celldag_nodes::evaluate::embedding::EvaluateEmbedding;
use celldag_nodes::learn::linear::LinearHead;
use celldag_nodes::learn::mlp::MlpHead;
use celldag_nodes::learn::split::Split;
use serde_json::{Map, Value, json};

fn with(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("parameters are an object") };
    map
}

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn run(
        &self,
        kind: &dyn Kind,
        name: &str,
        params: Value,
        inputs: &[(&str, &str, &Path)],
    ) -> BTreeMap<String, PathBuf> {
        let folder = self.folder.path().join(name);
        fs_err::create_dir_all(&folder).expect("folder");
        run_alone(kind, with(params), inputs, &folder, "cpu").unwrap_or_else(|e| panic!("{name}: {e}")).1
    }
}

fn report(outputs: &BTreeMap<String, PathBuf>) -> ReportDocument {
    serde_json::from_str(&fs_err::read_to_string(&outputs["report"]).expect("report"))
        .expect("a report document")
}

fn table<'a>(document: &'a ReportDocument, title: &str) -> &'a Table {
    let titles: Vec<&str> = document.tables.iter().map(|t| t.title.as_str()).collect();
    document.tables.iter().find(|t| t.title.contains(title)).unwrap_or_else(|| panic!("{title}: {titles:?}"))
}

#[test]
fn two_models_with_intervals_groups_and_tests() {
    let place = Place { folder: tempfile::tempdir().expect("folder") };
    let cells = place.folder.path().join("cells.h5ad");
    write(&cells, &several("a", 240, 8, 0));
    let split = place.run(
        &Split,
        "split",
        json!({"kind": "leave-group-out", "label": "response", "group": "study"}),
        &[("cells", "", &cells)],
    );
    let inputs = [("embedding", "", cells.as_path()), ("split", "", split["split"].as_path())];
    let linear = place.run(&LinearHead, "linear", json!({"c": [0.001, 1.0]}), &inputs);
    let mlp = place.run(&MlpHead, "mlp", json!({"hidden": [4], "epochs": 2}), &inputs);
    let inputs = [
        // As a list of two nodes, the second of which is gathered, labels them.
        ("predictions", "linear", linear["predictions"].as_path()),
        ("predictions", "mlp[fold=0]", mlp["predictions"].as_path()),
        ("cells", "", cells.as_path()),
        ("split", "", split["split"].as_path()),
        ("split_info", "", split["info"].as_path()),
    ];
    let params = json!({"bootstrap": 200, "by": ["response"], "baselines": ["majority", "all-positive"]});
    let document = report(&place.run(&Evaluate, "evaluate", params.clone(), &inputs));

    let intervals = &document.metrics["linear"]["intervals"];
    let merged = document.metrics["linear"]["merged"]["auroc"].as_f64().expect("defined");
    for unit in ["by_cell", "by_group"] {
        let [low, high] = ["low", "high"].map(|end| intervals[unit]["auroc"][end].as_f64().expect("defined"));
        assert!(low <= merged && merged <= high, "{unit}: {low} {merged} {high}");
    }
    let rows = &table(&document, "95 % intervals").rows;
    assert_eq!(rows.len(), 4 * 9, "four models, nine metrics");
    assert!(
        rows.iter().all(|r| r[1] == "mcc"
            || r[1] == "precision"
            || r[3].as_str().is_some_and(|t| t.contains(" to "))),
        "{rows:?}"
    );
    let first = &document.tables[0];
    assert_eq!(first.title, "Models and baselines");
    assert_eq!(first.rows.len(), 4 * 2, "models and baselines in two metrics");
    for row in &first.rows {
        assert!(row[2].as_str().is_some_and(|t| t.contains(" ± ")), "{row:?}");
        assert!(row[3].is_number() && row[4].is_string() && row[5].is_string(), "{row:?}");
        if row[0] == "linear" || row[0] == "mlp" {
            assert!(
                row[6].is_string() && row[7].is_number(),
                "the best baseline and the difference: {row:?}"
            );
        } else {
            assert!(row[6..].iter().all(Value::is_null), "{row:?}");
        }
    }
    // The linear head is right about every cell, so that its difference to a constant does not vary: no test.
    let p =
        |model: &str| first.rows.iter().filter(|r| r[0] == model).map(|r| r[8].clone()).collect::<Vec<_>>();
    assert!(
        p("linear").iter().all(Value::is_null) && p("mlp").iter().any(Value::is_string),
        "{:?}",
        first.rows
    );

    let by = document.metrics["linear"]["by"].as_object().expect("groups");
    assert_eq!(by["study"].as_object().expect("studies").len(), 8);
    assert_eq!(by["response"]["sensitive"]["auroc"], Value::Null, "one class: undefined, not 0");
    assert_eq!(by["response"]["sensitive"]["prevalence"], json!(1.0));
    let studies = table(&document, "Metrics by “study”");
    assert_eq!(studies.rows.len(), 9, "eight studies and their mean");
    assert!(studies.rows[8][3].as_str().is_some_and(|t| t.contains("(8 of 8)")), "{:?}", studies.rows[8]);

    let tests = table(&document, "Difference of two models");
    assert_eq!(
        (&tests.rows[0][0], &tests.rows[0][1], &tests.rows[0][4]),
        (&json!("linear"), &json!("mlp"), &json!("8"))
    );
    let compared = &document.metrics["linear"]["compared"]["mlp"]["auroc"];
    let [corrected, adjusted, plain] =
        ["p_corrected", "p_adjusted", "p_paired_t"].map(|p| compared[p].as_f64().expect("varies"));
    assert!(plain < corrected && corrected <= adjusted, "{compared}");
    assert!(compared["p_wilcoxon"].is_number());
    assert!(table(&document, "Difference of model and baseline").rows.len() >= 4);

    // The same bytes again, and none of it without draws.
    let again = place.run(&Evaluate, "again", params, &inputs);
    assert_eq!(report(&again), document);
    let plain =
        report(&place.run(&Evaluate, "plain", json!({"bootstrap": 0, "baselines": ["majority"]}), &inputs));
    assert!(plain.metrics["linear"].get("intervals").is_none());
    assert!(plain.tables.iter().all(|t| !t.title.contains("intervals")));
    assert_eq!(plain.metrics["linear"]["merged"], document.metrics["linear"]["merged"]);

    // The penalty was chosen, and is told.
    let history: Value =
        serde_json::from_str(&fs_err::read_to_string(&linear["history"]).expect("history")).expect("json");
    let folds = history["folds"].as_array().expect("folds");
    assert!(folds.iter().all(|f| f["tried"].as_array().is_some_and(|t| t.len() == 2) && f["c"].is_number()));
}

#[test]
fn embeddings_beside_principal_components() {
    let place = Place { folder: tempfile::tempdir().expect("folder") };
    let cells = place.folder.path().join("cells.h5ad");
    write(&cells, &several("a", 160, 4, 0));
    let inputs = [("embedding", "model=toy", cells.as_path()), ("cells", "", cells.as_path())];
    let params = json!({"label": "response", "batch": "study", "neighbors": 30});
    let outputs = place.run(&EvaluateEmbedding, "both", params.clone(), &inputs);
    let document = report(&outputs);
    let toy = document.metrics["toy"]["merged"].as_object().expect("numbers");
    assert!(toy.values().all(|v| v.as_f64().is_some_and(f64::is_finite)), "{toy:?}");
    let of = |name: &str| toy[name].as_f64().expect("number");
    assert!((of("avg_bio") - (of("nmi") + of("ari") + of("asw_label")) / 3.0).abs() < 1e-12);
    assert!((of("avg_batch") - (of("asw_batch") + of("graph_connectivity")) / 2.0).abs() < 1e-12);
    assert!(of("ilisi") > 0.3 && of("asw_batch") > 0.8, "studies are mixed: {toy:?}");
    assert_eq!(document.metrics["PCA 50"]["role"], json!("baseline"));
    assert_eq!(document.metrics["HVG 2000"]["role"], json!("baseline"));
    assert!(fs_err::read_to_string(&outputs["metrics"]).expect("table").contains("\ntoy,merged,,avg_bio,0."));
    assert_eq!(report(&place.run(&EvaluateEmbedding, "again", params, &inputs)), document);

    // Without a batch column what needs one is undefined, with a reason; fewer cells are measured when asked.
    let alone = place.run(
        &EvaluateEmbedding,
        "alone",
        json!({"label": "response", "max_cells": 50, "neighbors": 20}),
        &inputs[..1],
    );
    let document = report(&alone);
    assert_eq!(document.metrics["toy"]["merged"]["ilisi"], Value::Null);
    assert_eq!(document.metrics["toy"]["undefined"]["ilisi"], json!("no batch column is named"));
    assert!(document.warnings.iter().any(|w| w.starts_with("50 of 160 cells")), "{:?}", document.warnings);
    assert!(document.warnings.iter().any(|w| w.contains("no baselines")));
    let folder = place.folder.path().join("typo");
    fs_err::create_dir_all(&folder).expect("folder");
    let refused =
        run_alone(&EvaluateEmbedding, with(json!({"label": "cell_type"})), &inputs[..1], &folder, "cpu");
    let refused = refused.expect_err("no such column");
    assert!(
        refused.cause == FailureCause::Data && refused.message.contains("response, study"),
        "{}",
        refused.message
    );
}

#[test]
fn a_model_called_like_another_row_is_refused() {
    let place = Place { folder: tempfile::tempdir().expect("folder") };
    let cells = place.folder.path().join("cells.h5ad");
    write(&cells, &several("a", 60, 3, 0));
    let folder = place.folder.path().join("out");
    fs_err::create_dir_all(&folder).expect("folder");
    let inputs = [("embedding", "fold=0", cells.as_path()), ("embedding", "fold=1", cells.as_path())];
    let params = with(json!({"label": "response", "neighbors": 20}));
    let refused =
        run_alone(&EvaluateEmbedding, params, &inputs, &folder, "cpu").expect_err("one name for two");
    assert!(
        refused.cause == FailureCause::Parameter && refused.message.contains("`model`"),
        "{}",
        refused.message
    );
    let split =
        place.run(&Split, "split", json!({"kind": "k-fold", "label": "response"}), &[("cells", "", &cells)]);
    let inputs = [("embedding", "", cells.as_path()), ("split", "", split["split"].as_path())];
    let head = place.run(&LinearHead, "head", json!({}), &inputs);
    let inputs = [("predictions", "", head["predictions"].as_path())];
    let params = with(json!({"name": "majority class", "bootstrap": 0}));
    let refused = run_alone(&Evaluate, params, &inputs, &folder, "cpu").expect_err("a baseline's name");
    assert!(refused.message.contains("`majority class`"), "{}", refused.message);
}

#[test]
fn every_baseline_is_made_and_nothing_but_the_seed_moves_it() {
    let place = Place { folder: tempfile::tempdir().expect("folder") };
    let cells = place.folder.path().join("cells.h5ad");
    write(&cells, &several("a", 90, 3, 0));
    let params = json!({"kind": "stratified-k-fold", "folds": 3, "label": "response", "copies": "drop"});
    let split = place.run(&Split, "split", params, &[("cells", "", &cells)]);
    let inputs = [("embedding", "", cells.as_path()), ("split", "", split["split"].as_path())];
    let head = place.run(&LinearHead, "head", json!({}), &inputs);
    let inputs = [
        ("predictions", "", head["predictions"].as_path()),
        ("cells", "", cells.as_path()),
        ("split", "", split["split"].as_path()),
    ];
    let all = json!([
        "majority",
        "all-positive",
        "all-negative",
        "random",
        "logistic-regression",
        "random-forest",
        "mlp"
    ]);
    let run = |name: &str, seed: u64| {
        let params = json!({"bootstrap": 0, "baselines": all, "seed": seed});
        report(&place.run(&Evaluate, name, params, &inputs))
    };
    let document = run("all", 0);
    let baselines = document.metrics.values().filter(|m| m["role"] == "baseline").count();
    assert_eq!(baselines, 7, "{:?}", document.warnings);
    assert_eq!(document.metrics["all negative"]["merged"]["recall"], json!(0.0));
    assert_eq!(document.metrics["all negative"]["merged"]["mcc"], Value::Null, "undefined, not 0");
    let cells = document.metrics["all positive"]["merged"]["n"].as_f64().expect("cells");
    let drawn = &document.metrics["random (training shares)"]["merged"];
    let predicted = ["tp", "fp"].map(|name| drawn[name].as_f64().expect("count")).iter().sum::<f64>();
    assert!((predicted / cells - 0.5).abs() < 0.2, "{predicted} of {cells} with equal shares");
    assert_eq!(run("again", 0), document);
    let other = run("other", 1);
    for name in ["random (training shares)", "random forest (PCA 50)", "MLP 512-512 (PCA 50)"] {
        assert_ne!(other.metrics[name]["merged"], document.metrics[name]["merged"], "{name}");
    }
}
