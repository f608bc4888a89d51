//! From labelled cells to a report: `split`, `mlp-head` and `evaluate` on real cells, one kind after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use celldag_data::{CellsFile, Column, CountsSource, Csr, Dtype, H5adWriter, Table, WriteOptions};
use celldag_engine::alone::run_alone;
use celldag_engine::document::ReportDocument;
use celldag_engine::{FailureCause, NodeError, Summary};
use celldag_nodes::evaluate::Evaluate;
use celldag_nodes::learn::mlp::MlpHead;
use celldag_nodes::learn::predictions::Predictions;
use celldag_nodes::learn::split::{Role, Split, SplitInfo, SplitRow, SplitTable};
use serde_json::{Map, Value, json};

type Ran = Result<(Summary, BTreeMap<String, PathBuf>), NodeError>;

fn with(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("parameters are an object") };
    map
}

fn folder(root: &Path, name: &str) -> PathBuf {
    let path = root.join(name);
    fs_err::create_dir_all(&path).expect("folder");
    path
}

fn split(root: &Path, name: &str, cells: &Path, assignment: Option<&Path>, params: Value) -> Ran {
    let mut inputs = vec![("cells", "", cells)];
    inputs.extend(assignment.map(|path| ("assignment", "", path)));
    run_alone(&Split, with(params), &inputs, &folder(root, name), "cpu")
}

fn head(root: &Path, name: &str, embedding: &Path, split: &Path, params: Value) -> Ran {
    let inputs = [("embedding", "", embedding), ("split", "", split)];
    run_alone(&MlpHead, with(params), &inputs, &folder(root, name), "cpu")
}

/// An embedding that needs no model: log counts of the `genes` genes with the most counts.
fn write_embedding(cells: &Path, path: &Path, genes: usize) {
    let loaded = CellsFile::open(cells).and_then(|f| f.read_counts(&CountsSource::Auto)).expect("cells");
    let mut totals = vec![0.0_f64; loaded.x.n_cols()];
    for (columns, values) in loaded.x.iter() {
        columns.iter().zip(values).for_each(|(&c, &v)| totals[c as usize] += f64::from(v));
    }
    let mut order: Vec<usize> = (0..totals.len()).collect();
    order.sort_by(|&a, &b| totals[b].total_cmp(&totals[a]));
    order.truncate(genes);
    let top = loaded.x.select_columns(&order);
    let values: Vec<f32> = (0..top.rows())
        .flat_map(|i| {
            let size = loaded.x.row_sum(i).max(1.0) as f32;
            top.to_dense_row(i).into_iter().map(move |v| (v / size * 1e4).ln_1p())
        })
        .collect();
    let none = Table::new(Vec::new());
    let mut writer = H5adWriter::create(path, &loaded.obs, &none, &WriteOptions::default()).expect("file");
    writer.obsm("X_top", genes, &values).expect("obsm");
    writer.finish().expect("finish");
}

fn report(outputs: &BTreeMap<String, PathBuf>) -> ReportDocument {
    serde_json::from_str(&fs_err::read_to_string(&outputs["report"]).expect("report"))
        .expect("a report document")
}

#[test]
fn patients_left_out_one_by_one() {
    let Some(data) = crate::common::fixtures().map(|f| f.join("data")) else { return };
    let cells = data.join("gbm_panobinostat_300g/gbm_panobinostat_300g.h5ad");
    let temporary = tempfile::tempdir().expect("folder");
    let root = temporary.path();
    let embedding = root.join("embedding.h5ad");
    write_embedding(&cells, &embedding, 120);

    let params = json!({"kind": "leave-group-out", "label": "condition", "positive": "panobinostat",
        "group": "patient_id", "validation_fraction": 0.25, "seed": 3});
    let (summary, parts) = split(root, "split", &cells, None, params).expect("split");
    assert_eq!(summary.facts["positive"], "panobinostat");
    let table = SplitTable::read(&parts["split"]).expect("table");
    let info = SplitInfo::read(&parts["info"]).expect("info");
    assert_eq!((info.folds, info.groups.len(), info.cells), (5, 5, 5000));
    for members in table.folds().values() {
        let side = |test: bool| -> BTreeSet<&str> {
            members.iter().filter(|r| (r.role == Role::Test) == test).map(|r| r.group.as_str()).collect()
        };
        assert!(side(true).len() == 1 && side(true).is_disjoint(&side(false)), "patients are on one side");
        assert!(members.iter().any(|r| r.role == Role::Validation));
    }
    let doubts = |w: &String| w.contains("say the same as the label `condition`");
    assert!(info.warnings.iter().all(doubts), "balanced patients, left out whole: {:?}", info.warnings);

    let params = json!({"hidden": [32], "epochs": 6, "learning_rate": 1e-3, "dataset": "gbm"});
    let (_, all) = head(root, "head", &embedding, &parts["split"], params.clone()).expect("head");
    let predictions = Predictions::read(&all["predictions"]).expect("predictions");
    let tested: BTreeSet<&str> = predictions.rows.iter().map(|r| r.cell_id.as_str()).collect();
    assert_eq!((tested.len(), predictions.rows.len()), (5000, 5000), "every cell is tested once");
    assert!(predictions.rows.iter().all(|r| r.dataset == "gbm" && !r.group.is_empty()));
    assert!(all["head"].join("head.safetensors").is_file() && all["head"].join("head.json").is_file());

    // One fold alone gives the bytes of the same fold among all: nothing leaks between folds, nothing depends on order.
    let mut only = params;
    only["fold"] = json!(2);
    let (_, one) = head(root, "one", &embedding, &parts["split"], only.clone()).expect("one fold");
    let single = Predictions::read(&one["predictions"]).expect("predictions");
    let same: Vec<_> = predictions.rows.iter().filter(|r| r.fold == 2).cloned().collect();
    assert_eq!(single.rows, same);
    let (_, again) = head(root, "again", &embedding, &parts["split"], only.clone()).expect("again");
    for (a, b) in [(&one["predictions"], &again["predictions"]), (&one["history"], &again["history"])] {
        assert_eq!(fs_err::read(a).expect("file"), fs_err::read(b).expect("file"), "the same bytes");
    }
    let weights = |ran: &BTreeMap<String, PathBuf>| {
        fs_err::read(ran["head"].join("head.safetensors")).expect("weights")
    };
    assert_eq!(weights(&one), weights(&again));
    only["fold"] = json!(9);
    let refused = head(root, "none", &embedding, &parts["split"], only).expect_err("no such fold");
    assert_eq!(refused.cause, FailureCause::Parameter);

    // Measured: per patient, merged, beside the baselines.
    let inputs = [
        ("predictions", "", all["predictions"].as_path()),
        ("cells", "", cells.as_path()),
        ("split", "", parts["split"].as_path()),
        ("split_info", "", parts["info"].as_path()),
        ("embedding", "", embedding.as_path()),
    ];
    let (summary, measured) =
        run_alone(&Evaluate, with(json!({"name": "mlp"})), &inputs, &folder(root, "evaluate"), "cpu")
            .expect("report");
    let document = report(&measured);
    let merged =
        |model: &str, metric: &str| document.metrics[model]["merged"][metric].as_f64().expect("number");
    assert!(merged("mlp", "auroc") > 0.7, "{}", merged("mlp", "auroc"));
    // Half of the cells are positive: 2p / (1 + p).
    assert!((merged("all positive", "f1") - 2.0 / 3.0).abs() < 1e-12);
    assert!((merged("majority class", "accuracy") - 0.5).abs() < 1e-12);
    // 0.841 with a truncated SVD in the data's own description.
    let logistic = merged("logistic regression (PCA 50)", "auroc");
    assert!((0.78..0.95).contains(&logistic), "{logistic}");
    assert_eq!(document.metrics["mlp"]["folds"].as_object().expect("folds").len(), 5);
    assert_eq!(document.figures.len(), 6, "ROC, PR, histogram, confusion, calibration, map");
    assert!(
        document.headline.iter().any(|(name, value)| name == "auroc (mean of 5 folds)" && value.is_some())
    );
    assert!(document.notes.iter().any(|n| n.contains("“panobinostat”")));
    if merged("mlp", "f1") < merged("all positive", "f1") {
        assert!(document.warnings.iter().any(|w| w.contains("not better")));
    }
    assert_eq!(summary.warnings, document.warnings);
    let table = fs_err::read_to_string(&measured["metrics"]).expect("table");
    assert!(table.starts_with("model,scope,fold,metric,value\n") && table.contains("\nmlp,merged,,auroc,0."));

    // The same folds in separate files are the same study.
    let files: Vec<PathBuf> = (0..5)
        .map(|fold| {
            let part = Predictions {
                classes: predictions.classes.clone(),
                rows: predictions.rows.iter().filter(|r| r.fold == fold).cloned().collect(),
            };
            let path = root.join(format!("part{fold}.csv"));
            part.write(&path).expect("part");
            path
        })
        .collect();
    let labels: Vec<String> = (0..5).map(|fold| format!("fold={fold}")).collect();
    let gathered: Vec<(&str, &str, &Path)> =
        files.iter().zip(&labels).map(|(f, l)| ("predictions", l.as_str(), f.as_path())).collect();
    let params = json!({"name": "mlp", "baselines": ["majority"]});
    let (_, parts) =
        run_alone(&Evaluate, with(params), &gathered, &folder(root, "parts"), "cpu").expect("report");
    // Names of groups come from `split_info`, and tests against baselines from those there are.
    for part in ["role", "over_folds", "merged", "folds", "intervals"] {
        assert_eq!(report(&parts).metrics["mlp"][part], document.metrics["mlp"][part], "{part}");
    }
    let twice = [gathered[0], ("predictions", "repeat=0", files[0].as_path())];
    let refused =
        run_alone(&Evaluate, with(json!({})), &twice, &folder(root, "twice"), "cpu").expect_err("twice");
    assert!(refused.message.contains("predicted twice"), "{}", refused.message);
}

/// Forty cells with a label and a patient each, and an embedding in which `empty` are NaN.
fn small_cells(path: &Path, empty: &[usize]) {
    let mut obs = Table::new((0..40).map(|i| format!("c{i:02}")).collect());
    let text = |of: fn(usize) -> String| Column::Text((0..40).map(|i| Some(of(i))).collect());
    obs.insert("response", text(|i| ["resistant", "sensitive"][i % 2].to_owned())).expect("length");
    obs.insert("patient", text(|i| format!("p{}", i / 10))).expect("length");
    let genes = Table::new((0..12).map(|g| format!("g{g}")).collect());
    let counts: Vec<f32> = (0..40 * 12).map(|i| (i / 12 + i % 12 + 1) as f32).collect();
    let values: Vec<f32> = (0..80)
        .map(|i| if empty.contains(&(i / 2)) { f32::NAN } else { (i / 2 % 2) as f32 + i as f32 / 100.0 })
        .collect();
    let mut writer = H5adWriter::create(path, &obs, &genes, &WriteOptions::default()).expect("file");
    writer.begin_matrix("X", Dtype::F32).expect("counts");
    writer.append(&Csr::from_dense(12, &counts)).expect("counts");
    writer.obsm("X_toy", 2, &values).expect("obsm");
    writer.finish().expect("finish");
}

#[test]
fn groups_that_a_split_tears_apart_are_refused_under_strict() {
    let temporary = tempfile::tempdir().expect("folder");
    let root = temporary.path();
    let cells = root.join("cells.h5ad");
    small_cells(&cells, &[]);
    let params = |kind: &str, strict: bool| json!({"kind": kind, "label": "response", "group": "patient", "folds": 2, "strict": strict});
    for kind in ["k-fold", "stratified-k-fold"] {
        let (summary, _) = split(root, kind, &cells, None, params(kind, false)).expect("a warning");
        let torn =
            summary.warnings.iter().find(|w| w.contains("does not keep the values of `group: patient`"));
        assert!(torn.expect("torn").contains("`leave-group-out`"), "{:?}", summary.warnings);
        let refused = split(root, kind, &cells, None, params(kind, true)).expect_err("strict");
        assert!(refused.cause == FailureCause::Data && refused.message.contains("group-k-fold"));
    }
    for kind in ["holdout", "group-k-fold", "leave-group-out"] {
        let (summary, _) = split(root, kind, &cells, None, params(kind, true)).expect(kind);
        assert!(summary.warnings.is_empty(), "{kind}: {:?}", summary.warnings);
    }
}

#[test]
fn only_cells_of_the_split_need_a_vector() {
    let temporary = tempfile::tempdir().expect("folder");
    let root = temporary.path();
    let embedding = root.join("embedding.h5ad");
    small_cells(&embedding, &[3, 17]);
    let rows = |without: &[usize]| {
        let row = |i: usize| SplitRow {
            cell_id: format!("c{i:02}"),
            repeat: 0,
            fold: 0,
            role: if i < 10 { Role::Test } else { Role::Train },
            label: ["resistant", "sensitive"][i % 2].to_owned(),
            class: i % 2,
            group: String::new(),
        };
        SplitTable { rows: (0..40).filter(|i| !without.contains(i)).map(row).collect() }
    };
    let path = root.join("split.csv");
    let params = json!({"hidden": [4], "epochs": 2});
    rows(&[3, 17]).write(&path).expect("split");
    head(root, "without", &embedding, &path, params.clone()).expect("the empty cells are not in the split");
    rows(&[]).write(&path).expect("split");
    let refused = head(root, "with", &embedding, &path, params).expect_err("empty cells");
    assert_eq!(refused.cause, FailureCause::Data);
    assert!(
        refused.message.contains("2 of 40") && refused.message.contains("`c03`, `c17`"),
        "{}",
        refused.message
    );
    assert!(refused.help.expect("help").contains("min_genes"));
}

#[test]
fn a_line_level_label_is_called_out() {
    let Some(data) = crate::common::fixtures().map(|f| f.join("data")) else { return };
    let cells = data.join("lung5_mixology/lung5_mixology.h5ad");
    let folds = data.join("folds/lung5_folds.json");
    let temporary = tempfile::tempdir().expect("folder");
    let root = temporary.path();
    let base = |name: &str, strict: bool| {
        json!({"kind": "from-file", "label": "response_afatinib", "assignment_name": name, "strict": strict,
            "validation_fraction": 0.0})
    };
    let (summary, parts) =
        split(root, "random", &cells, Some(&folds), base("random 10-fold", false)).expect("split");
    assert_eq!(summary.facts["positive"], "sensitive");
    let leaks: Vec<&String> = summary.warnings.iter().filter(|w| w.contains("fixed by column")).collect();
    assert_eq!(leaks.len(), 1, "{leaks:?}");
    assert!(leaks[0].contains("`cell_line`"));
    let table = SplitTable::read(&parts["split"]).expect("table");
    assert_eq!((table.rows.len(), table.folds().len()), (9920, 10));
    let refused =
        split(root, "strict", &cells, Some(&folds), base("random 10-fold", true)).expect_err("strict");
    assert_eq!(refused.cause, FailureCause::Data);
    let (summary, _) =
        split(root, "line", &cells, Some(&folds), base("leave one cell line out", false)).expect("split");
    assert!(summary.warnings.iter().all(|w| !w.contains("fixed by column")), "{:?}", summary.warnings);
    assert!(summary.warnings.iter().any(|w| w.contains("no test cell of class")), "one class a fold");

    let refused =
        split(root, "typo", &cells, None, json!({"label": "response_afatinb"})).expect_err("no column");
    assert_eq!(
        (refused.cause, refused.help.as_deref()),
        (FailureCause::Data, Some("did you mean `label: response_afatinib`?"))
    );
    let constant =
        split(root, "constant", &cells, None, json!({"label": "qc_outlier"})).expect_err("constant");
    assert!(constant.cause == FailureCause::Data && constant.message.contains("constant"));
    let unsaid = split(root, "unsaid", &cells, None, json!({"label": "protocol"})).expect_err("positive");
    assert!(unsaid.cause == FailureCause::Parameter && unsaid.help.expect("help").contains("positive:"));
}

#[test]
fn five_cell_types_without_a_positive_class() {
    let Some(data) = crate::common::fixtures().map(|f| f.join("data")) else { return };
    let cells = data.join("pbmc4k_annotated/pbmc4k_annotated.h5ad");
    let temporary = tempfile::tempdir().expect("folder");
    let root = temporary.path();
    let embedding = root.join("embedding.h5ad");
    write_embedding(&cells, &embedding, 100);
    let params =
        json!({"kind": "holdout", "label": "cell_type", "exclude_labels": ["?"], "test_fraction": 0.3});
    let (summary, parts) = split(root, "split", &cells, None, params).expect("split");
    assert_eq!((&summary.facts["positive"], &summary.facts["left_out"]), (&Value::Null, &json!(20)));
    let params = json!({"hidden": [32], "epochs": 30, "learning_rate": 3e-3, "class_weight": "balanced"});
    let (_, trained) = head(root, "head", &embedding, &parts["split"], params).expect("head");
    let predictions = Predictions::read(&trained["predictions"]).expect("predictions");
    assert_eq!(predictions.classes, ["B", "MNP", "NK", "T_CD4", "T_CD8"]);
    assert!(predictions.rows.iter().all(|r| (r.class_scores.iter().sum::<f64>() - 1.0).abs() < 1e-9));
    let inputs = [
        ("predictions", "model=toy", trained["predictions"].as_path()),
        ("split", "", parts["split"].as_path()),
        ("embedding", "", embedding.as_path()),
    ];
    let (summary, measured) =
        run_alone(&Evaluate, Map::new(), &inputs, &folder(root, "evaluate"), "cpu").expect("report");
    let document = report(&measured);
    let accuracy = document.metrics["toy"]["merged"]["accuracy"].as_f64().expect("number");
    assert!(accuracy > 0.8, "{accuracy}");
    assert!(
        summary.warnings.iter().any(|w| w.contains("no baseline “logistic-regression”")),
        "{:?}",
        summary.warnings
    );
    assert!(document.tables.iter().any(|t| t.title.contains("classes, all test cells") && t.rows.len() == 5));
    let refused =
        head(root, "bce", &embedding, &parts["split"], json!({"loss": "bce"})).expect_err("five classes");
    assert_eq!(refused.cause, FailureCause::Parameter);
}

#[test]
fn the_scdrugmap_head_is_measured_both_ways() {
    let Some(data) = crate::common::fixtures().map(|f| f.join("data")) else { return };
    let cells = data.join("folds/kang_thin10.h5ad");
    let temporary = tempfile::tempdir().expect("folder");
    let root = temporary.path();
    let embedding = root.join("embedding.h5ad");
    write_embedding(&cells, &embedding, 100);
    let label = CellsFile::open(&cells).expect("cells").obs().columns.keys().cloned().collect::<Vec<_>>();
    assert!(label.contains(&"label".to_owned()), "{label:?}");
    let params = json!({"kind": "stratified-k-fold", "folds": 3, "label": "label"});
    let (_, parts) = split(root, "split", &cells, None, params).expect("split");
    let params =
        json!({"hidden": [32], "epochs": 5, "learning_rate": 1e-3, "loss": "scdrugmap-two-logit", "fold": 1});
    let (_, trained) = head(root, "head", &embedding, &parts["split"], params).expect("head");
    let inputs = [("predictions", "", trained["predictions"].as_path())];
    let (_, measured) =
        run_alone(&Evaluate, Map::new(), &inputs, &folder(root, "evaluate"), "cpu").expect("report");
    let document = report(&measured);
    let table = document.tables.iter().find(|t| t.title.contains("scDrugMap")).expect("its table");
    let consistent =
        table.rows.iter().find(|r| r[0].as_str().is_some_and(|n| n.contains("difference"))).expect("row");
    let auroc = document.metrics["model"]["merged"]["auroc"].as_f64().expect("number");
    assert!((consistent[1].as_f64().expect("number") - auroc).abs() < 1e-9, "scores rank by the difference");
}
