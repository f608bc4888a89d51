//! Splits that the user names: held-out groups, few shots of them, another study, 8:1:1, and copies of cells.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::common::cells::{Made, several, write, write_made_by};
use celldag_engine::alone::run_alone;
use celldag_engine::{FailureCause, Kind, NodeError, Params, Summary};
use celldag_nodes::evaluate::Evaluate;
use celldag_nodes::learn::linear::LinearHead;
use celldag_nodes::learn::mlp::MlpHead;
use celldag_nodes::learn::predictions::Predictions;
use celldag_nodes::learn::split::{Role, Split, SplitInfo, SplitRow, SplitTable};
use celldag_nodes::prompt::PromptClassify;
use serde_json::{Map, Value, json};

type Ran = Result<(Summary, BTreeMap<String, PathBuf>), NodeError>;

fn with(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("parameters are an object") };
    map
}

struct Place {
    folder: tempfile::TempDir,
    cells: PathBuf,
}

impl Place {
    fn with(cells: &[Made]) -> Self {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("cells.h5ad");
        write(&path, cells);
        Self { folder, cells: path }
    }

    fn out(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs_err::create_dir_all(&path).expect("folder");
        path
    }

    fn split(&self, name: &str, params: Value, more: &[(&str, &str, &Path)]) -> Ran {
        let mut params = with(params);
        params.insert("label".to_owned(), json!("response"));
        let mut inputs = vec![("cells", "", self.cells.as_path())];
        inputs.extend(more);
        run_alone(&Split, params, &inputs, &self.out(name), "cpu")
    }

    fn table(&self, name: &str, params: Value) -> (Summary, SplitTable) {
        let (summary, outputs) = self.split(name, params, &[]).unwrap_or_else(|e| panic!("{name}: {e}"));
        (summary, SplitTable::read(&outputs["split"]).expect("table"))
    }
}

fn in_role<'a>(rows: &[&'a SplitRow], role: Role) -> Vec<&'a SplitRow> {
    rows.iter().copied().filter(|r| r.role == role).collect()
}

fn groups(rows: &[&SplitRow]) -> BTreeSet<String> {
    rows.iter().map(|r| r.group.clone()).collect()
}

#[test]
fn named_groups_test_and_nothing_else() {
    let place = Place::with(&several("a", 120, 6, 0));
    let base =
        json!({"kind": "leave-group-out", "group": "study", "test_groups": ["as4", "as1"], "strict": true});
    let (_, table) = place.table("donors", base.clone());
    let folds = table.folds();
    assert_eq!(folds.len(), 2);
    let tested: Vec<_> = folds.values().map(|rows| groups(&in_role(rows, Role::Test))).collect();
    assert_eq!(tested, [BTreeSet::from(["as4".to_owned()]), BTreeSet::from(["as1".to_owned()])]);
    for rows in folds.values() {
        assert!(!in_role(rows, Role::Validation).is_empty());
        assert!(groups(&in_role(rows, Role::Test)).is_disjoint(&groups(&in_role(rows, Role::Train))));
        assert!(groups(&in_role(rows, Role::Validation)).is_disjoint(&groups(&in_role(rows, Role::Train))));
    }
    let mut together = base.clone();
    together["kind"] = json!("holdout");
    let (_, table) = place.table("together", together.clone());
    let folds = table.folds();
    assert_eq!(folds.len(), 1);
    assert_eq!(groups(&in_role(&folds[&(0, 0)], Role::Test)).len(), 2);

    together["test_groups"] = json!(["as0", "as1", "as2", "as3", "as4", "as5"]);
    let refused = place.split("all", together, &[]).expect_err("nothing left");
    assert!(
        refused.cause == FailureCause::Parameter && refused.message.contains("nothing is left to train on")
    );
    let mut typo = base;
    typo["test_groups"] = json!(["as44"]);
    let refused = place.split("typo", typo, &[]).expect_err("no such group");
    assert_eq!(
        (refused.cause, refused.help.as_deref()),
        (FailureCause::Parameter, Some("did you mean `as4`?"))
    );
}

#[test]
fn few_shots_of_a_held_out_group_train_and_the_report_says_so() {
    let place = Place::with(&several("a", 200, 4, 0));
    let params = |fraction: f64| json!({"kind": "leave-group-out", "group": "study", "few_shot_fraction": fraction, "seed": 5, "strict": true});
    let (zero, none) = place.table("zero", params(0.0));
    let (few, some) = place.table("few", params(0.1));
    assert!(zero.warnings.is_empty(), "{:?}", zero.warnings);
    assert!(
        few.warnings.iter().any(|w| w.contains("adaptation") && w.contains("10.0 %")),
        "{:?}",
        few.warnings
    );
    for (fold, rows) in some.folds() {
        let own = &none.folds()[&fold];
        let (all, left) = (in_role(own, Role::Test), in_role(&rows, Role::Test));
        assert_eq!((all.len(), left.len()), (50, 44), "a tenth of 25 cells of each class, rounded: 3 each");
        let shots: Vec<_> =
            in_role(&rows, Role::Train).into_iter().filter(|r| r.group == all[0].group).collect();
        assert_eq!(shots.len() + left.len(), all.len());
        assert_eq!(shots.iter().filter(|r| r.class == 1).count() * 2, shots.len(), "class by class");
        let unchanged = |role| {
            let names = |rows: &[&SplitRow]| {
                in_role(rows, role).iter().map(|r| r.cell_id.clone()).collect::<Vec<_>>()
            };
            names(own) == names(&rows)
        };
        assert!(unchanged(Role::Validation), "shots never validate");
    }
    let info = |name: &str| SplitInfo::read(&place.out(name).join("split.json")).expect("info");
    assert_eq!((info("few").few_shot_fraction, info("zero").few_shot_fraction), (Some(0.1), None));
    let wrong =
        Split.check(&Params(with(json!({"kind": "k-fold", "few_shot_fraction": 0.1, "test_groups": ["x"]}))));
    let names: BTreeSet<&str> = wrong.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["few_shot_fraction", "test_groups"]));
}

#[test]
fn eight_to_one_to_one() {
    let place = Place::with(&several("a", 200, 4, 0));
    let params =
        json!({"kind": "holdout", "test_fraction": 0.1, "validation_fraction": 0.1112, "repeats": 3});
    let (_, table) = place.table("811", params);
    let folds = table.folds();
    assert_eq!(folds.len(), 3);
    let mut tests = BTreeSet::new();
    for rows in folds.values() {
        let sizes = [Role::Train, Role::Validation, Role::Test].map(|role| in_role(rows, role).len());
        assert_eq!(sizes, [160, 20, 20]);
        tests.insert(in_role(rows, Role::Test).iter().map(|r| r.cell_id.clone()).collect::<Vec<_>>());
    }
    assert_eq!(tests.len(), 3, "repeats are drawn anew");
}

#[test]
fn copies_are_dropped_and_contradictions_too() {
    let mut cells = several("a", 100, 5, 0);
    // Ten sensitive cells occur again in another study, as untreated cells do in several data sets.
    for i in 0..10 {
        let copied = Made { name: format!("copy{i}"), study: "as9".to_owned(), ..cells[2 * i + 1].clone() };
        cells.push(copied);
    }
    cells.push(Made { name: "other".to_owned(), label: "sensitive", ..cells[40].clone() });
    let place = Place::with(&cells);
    let params = |copies: &str, strict: bool| json!({"kind": "group-k-fold", "group": "study", "folds": 3, "copies": copies, "strict": strict, "positive": "sensitive"});
    let refused = place.split("strict", params("warn", true), &[]).expect_err("copies on both sides");
    assert!(refused.message.contains("the same cell is on both sides"), "{}", refused.message);
    let (summary, table) = place.table("drop", params("drop", false));
    assert!(summary.warnings.iter().any(|w| w.starts_with("10 cells are copies")), "{:?}", summary.warnings);
    assert!(
        summary.warnings.iter().any(|w| w.starts_with("2 cells have identical counts but different labels"))
    );
    assert!(!summary.warnings.iter().any(|w| w.contains("on both sides: ")), "{:?}", summary.warnings);
    let names: BTreeSet<&str> = table.rows.iter().map(|r| r.cell_id.as_str()).collect();
    assert_eq!(names.len(), 99);
    assert!(names.iter().all(|n| !n.starts_with("copy") && !["other", "a040"].contains(n)));
    assert_eq!(summary.facts["left_out"], json!(12));
}

#[test]
fn another_study_validates_what_this_one_taught() {
    let cells = several("a", 120, 4, 0);
    let mut other = several("b", 40, 2, 500);
    other[3].counts = cells[7].counts;
    let place = Place::with(&cells);
    let external = place.folder.path().join("external.h5ad");
    write(&external, &other);
    let more = [("external", "", external.as_path())];
    let params = |extra: Value| {
        let mut params = json!({"kind": "external", "group": "study", "validation_fraction": 0.2});
        params.as_object_mut().expect("object").extend(with(extra));
        params
    };
    let (summary, outputs) = place.split("external", params(json!({})), &more).expect("split");
    assert!(
        summary.warnings.iter().any(|w| w.contains("the same cell is on both sides: 1 test")),
        "{:?}",
        summary.warnings
    );
    let table = SplitTable::read(&outputs["split"]).expect("table");
    let folds = table.folds();
    let rows = &folds[&(0, 0)];
    assert!(in_role(rows, Role::Test).iter().all(|r| r.cell_id.starts_with('b')));
    assert_eq!(in_role(rows, Role::Test).len(), 40);
    assert_eq!(in_role(rows, Role::Train).len() + in_role(rows, Role::Validation).len(), 120);
    assert!(groups(&in_role(rows, Role::Validation)).is_disjoint(&groups(&in_role(rows, Role::Train))));
    assert!(place.split("leak", params(json!({"strict": true})), &more).is_err(), "the copy leaks");
    let (_, clean) =
        place.split("clean", params(json!({"strict": true, "copies": "drop"})), &more).expect("clean");
    let clean = SplitTable::read(&clean["split"]).expect("table");
    assert!(clean.rows.iter().all(|r| r.cell_id != "a007"), "the training copy goes, the test cell stays");
    assert!(clean.rows.iter().any(|r| r.cell_id == "b003"));

    // Both heads take the vectors of both files.
    let inputs = [
        ("embedding", "", place.cells.as_path()),
        ("external", "", external.as_path()),
        ("split", "", outputs["split"].as_path()),
    ];
    let (_, linear) =
        run_alone(&LinearHead, Map::new(), &inputs, &place.out("linear"), "cpu").expect("linear head");
    let mlp = with(json!({"hidden": [4], "epochs": 3}));
    let (_, mlp) = run_alone(&MlpHead, mlp, &inputs, &place.out("mlp"), "cpu").expect("mlp head");
    for outputs in [linear, mlp] {
        let predictions = Predictions::read(&outputs["predictions"]).expect("predictions");
        assert_eq!(predictions.rows.len(), 40);
        assert!(predictions.rows.iter().all(|r| r.cell_id.starts_with('b')));
    }
    let refused = run_alone(&LinearHead, Map::new(), &inputs[..1], &place.out("none"), "cpu");
    assert!(refused.is_err());
    measured_with_external_cells(&place, &external, &outputs["split"]);

    let missing = place.split("missing", params(json!({})), &[]).expect_err("no external cells");
    assert!(missing.message.contains("needs cells on the port `external`"));
    let unread = place.split("unread", json!({"kind": "k-fold"}), &more).expect_err("not read");
    assert!(unread.message.contains("does not read them"));
    let same = [("external", "", place.cells.as_path())];
    let twice = place.split("twice", params(json!({})), &same).expect_err("the same names");
    assert!(twice.cause == FailureCause::Data && twice.message.contains("`a000`"));
}

/// Baselines and tables read the cells of both files.
fn measured_with_external_cells(place: &Place, external: &Path, split: &Path) {
    let predictions = place.out("linear").join("predictions.csv");
    let inputs = [
        ("predictions", "", predictions.as_path()),
        ("split", "", split),
        ("cells", "", place.cells.as_path()),
        ("external", "", external),
        ("embedding", "", place.cells.as_path()),
        ("external_embedding", "", external),
    ];
    let params =
        with(json!({"by": ["study"], "bootstrap": 0, "baselines": ["majority", "logistic-regression"]}));
    let (summary, outputs) =
        run_alone(&Evaluate, params.clone(), &inputs, &place.out("measured"), "cpu").expect("report");
    let report: Value =
        serde_json::from_str(&fs_err::read_to_string(&outputs["report"]).expect("report")).expect("json");
    let logistic = &report["metrics"]["logistic regression (PCA 50)"];
    assert_eq!(logistic["merged"]["n"], json!(40.0), "{:?}", summary.warnings);
    assert_eq!(report["metrics"]["model"]["by"]["study"].as_object().expect("studies").len(), 2);
    assert!(
        report["figures"].to_string().contains("test cells in the space of"),
        "the map shows external cells"
    );

    // A language model is asked about the external cells; nothing is sent in a dry run.
    let asked = [inputs[1], inputs[2], inputs[3]];
    let dry = with(json!({"dry_run": true, "endpoint": "http://127.0.0.1:9", "model": "none", "genes": 3}));
    let (summary, outputs) =
        run_alone(&PromptClassify, dry.clone(), &asked, &place.out("asked"), "cpu").expect("dry run");
    assert_eq!(summary.facts["requests"], json!(4), "40 cells, ten at a time");
    let rows = fs_err::read_to_string(&outputs["predictions"]).expect("predictions");
    assert_eq!(rows.lines().skip(1).filter(|line| line.starts_with('b')).count(), 40, "{rows}");
    let refused = run_alone(&PromptClassify, dry, &asked[..2], &place.out("half"), "cpu").expect_err("half");
    assert!(refused.message.contains("is not among the cells"), "{}", refused.message);

    let without: Vec<_> = inputs.iter().copied().filter(|(port, ..)| *port != "external").collect();
    let refused =
        run_alone(&Evaluate, params.clone(), &without, &place.out("half"), "cpu").expect_err("half");
    assert!(refused.message.contains("is not in the cells file"), "{}", refused.message);
    let without: Vec<_> = inputs.iter().copied().filter(|(port, ..)| *port != "cells").collect();
    let refused =
        run_alone(&Evaluate, params, &without, &place.out("only"), "cpu").expect_err("only external");
    assert!(refused.message.contains("none on `cells`"), "{}", refused.message);
}

#[test]
fn vectors_of_other_weights_are_not_joined() {
    let place = Place::with(&several("a", 60, 3, 0));
    let others = several("b", 20, 2, 500);
    let external = place.folder.path().join("external.h5ad");
    write(&external, &others);
    let more = [("external", "", external.as_path())];
    let (_, split) = place.split("split", json!({"kind": "external"}), &more).expect("split");
    let record = |checkpoint: &str| json!({"model": "toy", "checkpoint": checkpoint, "dimensions": 2});
    let head = |name: &str, own: Value, other: Value| {
        let [a, b] = ["own.h5ad", "other.h5ad"].map(|file| place.out(name).join(file));
        write_made_by(&a, &several("a", 60, 3, 0), &own);
        write_made_by(&b, &others, &other);
        let inputs = [
            ("embedding", "", a.as_path()),
            ("external", "", b.as_path()),
            ("split", "", split["split"].as_path()),
        ];
        run_alone(&LinearHead, Map::new(), &inputs, &place.out(name), "cpu")
    };
    let (same, _) = head("same", record("w1"), record("w1")).expect("the same weights");
    assert!(same.warnings.iter().all(|w| !w.contains("cannot be checked")), "{:?}", same.warnings);
    let refused = head("other", record("w1"), record("w2")).expect_err("other weights");
    assert!(
        refused.cause == FailureCause::Data && refused.message.contains("checkpoint is w1 and w2"),
        "{}",
        refused.message
    );
    let refused = head("silent", record("w1"), Value::Null).expect_err("one does not say");
    assert!(refused.message.contains("does not say what made its vectors"), "{}", refused.message);
    let (unknown, _) = head("unknown", Value::Null, Value::Null).expect("foreign embeddings");
    assert!(unknown.warnings.iter().any(|w| w.contains("cannot be checked")), "{:?}", unknown.warnings);
}

#[test]
fn one_random_split_as_the_published_code_draws_it() {
    let place = Place::with(&several("a", 101, 4, 0));
    let params = |seed: u64| json!({"kind": "random-holdout", "validation_fraction": 0.0, "group": "study", "seed": seed});
    let (summary, table) = place.table("one", params(24));
    let folds = table.folds();
    assert_eq!(folds.len(), 1);
    let sizes = [Role::Train, Role::Test].map(|role| in_role(&folds[&(0, 0)], role).len());
    assert_eq!(sizes, [80, 21], "int(0.8 x 101) cells train");
    assert!(
        summary.warnings.iter().any(|w| w.contains("does not keep the values of")),
        "{:?}",
        summary.warnings
    );
    // Neither stratified nor the same for every seed.
    let positive = |seed: u64| {
        let (_, table) = place.table(&format!("seed{seed}"), params(seed));
        in_role(&table.folds()[&(0, 0)], Role::Test).iter().filter(|r| r.class == 1).count()
    };
    let counts: BTreeSet<usize> = (0..6).map(positive).collect();
    assert!(counts.len() > 1, "{counts:?}");
}

#[test]
fn shots_that_round_to_nothing_are_said() {
    // 20 cells a study, 10 of each class, and a small one with 4.
    let mut cells = several("a", 60, 3, 0);
    cells.extend(several("small", 4, 1, 900));
    let place = Place::with(&cells);
    let params =
        |fraction: f64| json!({"kind": "leave-group-out", "group": "study", "few_shot_fraction": fraction});
    let refused = place.split("none", params(0.01), &[]).expect_err("no cell anywhere");
    assert!(
        refused.cause == FailureCause::Parameter && refused.message.contains("rounds to no cell"),
        "{}",
        refused.message
    );
    let (summary, _) = place.table("some", params(0.1));
    let zero: Vec<&String> =
        summary.warnings.iter().filter(|w| w.contains("whose test is zero-shot")).collect();
    assert!(zero.len() == 1 && zero[0].contains("in fold 3,"), "{:?}", summary.warnings);
}

#[test]
fn predictions_must_be_of_the_test_cells_of_the_split() {
    let place = Place::with(&several("a", 80, 4, 0));
    let split = |name: &str, seed: u64| {
        let params = json!({"kind": "stratified-k-fold", "folds": 4, "seed": seed});
        place.split(name, params, &[]).expect("split").1["split"].clone()
    };
    let (own, other) = (split("own", 1), split("other", 2));
    let inputs = [("embedding", "", place.cells.as_path()), ("split", "", own.as_path())];
    let one = with(json!({"fold": 2}));
    let (_, head) = run_alone(&LinearHead, one, &inputs, &place.out("head"), "cpu").expect("head");
    let measured = |name: &str, split: &Path| {
        let inputs = [("predictions", "", head["predictions"].as_path()), ("split", "", split)];
        let params = with(json!({"bootstrap": 0, "baselines": ["majority"]}));
        run_alone(&Evaluate, params, &inputs, &place.out(name), "cpu")
    };
    let (summary, _) = measured("right", &own).expect("report");
    let missing = "60 test cells of the split have no prediction and count nowhere: all 60 of fold 0, 1, 3";
    assert!(summary.warnings.iter().any(|w| w.contains(missing)), "{:?}", summary.warnings);
    let refused = measured("wrong", &other).expect_err("cells that train there");
    assert!(
        refused.cause == FailureCause::Data && refused.message.contains("does not test in their fold"),
        "{}",
        refused.message
    );
}
