//! The kind `split` itself: parameters, files, and what it tells the user.

use celldag_engine::{
    InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, ParamType, Params, Step,
};
use serde::Deserialize;

use crate::artifacts::{CELLS, SPLIT, SPLIT_INFO};

/// Divides cells into folds.
#[derive(Clone, Copy, Debug, Default)]
pub struct Split;

const KINDS: &[&str] = &[
    "holdout",
    "random-holdout",
    "k-fold",
    "stratified-k-fold",
    "group-k-fold",
    "stratified-group-k-fold",
    "leave-group-out",
    "external",
    "from-file",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    pub(super) kind: String,
    pub(super) label: String,
    pub(super) positive: Option<String>,
    pub(super) group: Option<String>,
    pub(super) test_groups: Vec<String>,
    pub(super) few_shot_fraction: f64,
    pub(super) copies: String,
    pub(super) exclude_labels: Vec<String>,
    pub(super) folds: u32,
    pub(super) repeats: u32,
    pub(super) test_fraction: f64,
    pub(super) validation_fraction: f64,
    pub(super) assignment_name: Option<String>,
    pub(super) seed: u64,
    pub(super) strict: bool,
}

impl Kind for Split {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "split",
            epoch: 4,
            about: "divides labelled cells into training, validation and test cells and looks for leaks",
            inputs: vec![
                InPort {
                    name: "cells",
                    ty: CELLS,
                    many: Multiplicity::One,
                    about: "cells with labels in obs; their counts are only compared to find copies of a cell",
                },
                InPort {
                    name: "external",
                    ty: CELLS,
                    many: Multiplicity::Optional,
                    about: "for `kind: external`: cells of another study; all of them test, and none of them trains or validates",
                },
                InPort {
                    name: "assignment",
                    ty: celldag_engine::ArtifactType::FILE,
                    many: Multiplicity::Optional,
                    about: "for `kind: from-file`: .csv (cell_id, fold, and optionally repeat, role) or .json (cell, fold)",
                },
            ],
            outputs: vec![
                OutPort {
                    name: "split",
                    ty: SPLIT,
                    file: "split.csv",
                    about: "cell_id, repeat, fold, role (train, validation, test), label, class, group",
                },
                OutPort {
                    name: "info",
                    ty: SPLIT_INFO,
                    file: "split.json",
                    about: "classes in order, positive class, groups, cells per fold, leaks found",
                },
            ],
            params: vec![
                Param::choice("kind", KINDS, "how cells are divided; only the kinds with group in their name, and holdout, keep the values of `group` together. random-holdout draws cells whatever their label and group, as the public scDrugMap code does")
                    .default("stratified-k-fold"),
                Param::text("label", "column of obs with the labels"),
                Param::text("positive", "the positive class; needed unless the labels are 0/1, false/true or resistant/sensitive")
                    .optional(),
                Param::text("group", "column of obs that says where a cell comes from (sample, patient, study); kept together by group-k-fold, stratified-group-k-fold, leave-group-out and holdout, checked for all others").optional(),
                Param::list("test_groups", ParamType::Text, "values of `group` that test (held-out donors, studies): one fold each with leave-group-out, together with holdout; empty: as the kind says")
                    .default(serde_json::json!([])),
                Param::float(
                    "few_shot_fraction",
                    0.0,
                    0.9,
                    "share of the cells of a held-out group that train all the same (few-shot), class by class; 0: zero-shot",
                )
                .default(0.0),
                Param::choice("copies", &["warn", "drop"], "cells with identical counts: look whether they are on both sides, or keep one of them")
                    .default("warn"),
                Param::list("exclude_labels", ParamType::Text, "labels whose cells are left out")
                    .default(serde_json::json!([])),
                Param::int("folds", "number of folds; leave-group-out has one for each group").range(2, 1000).default(5),
                Param::int("repeats", "how often everything is divided anew").range(1, 1000).default(1),
                Param::float("test_fraction", 0.001, 0.999, "share of test cells of a holdout, random or not").default(0.2),
                Param::float(
                    "validation_fraction",
                    0.0,
                    0.9,
                    "share of the training cells of a fold that validates; whole groups where folds are whole groups",
                )
                .default(0.1),
                Param::text("assignment_name", "which assignment of the file, when it holds several").optional(),
                Param::int("seed", "seed of all draws").default(0),
                Param::bool("strict", "fail when a leak is found or a fold lacks a class, instead of warning")
                    .default(false),
            ],
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let given = |name: &str| params.get(name).is_some_and(|v| !v.is_null());
        let kind = params.get("kind").and_then(|k| k.as_str()).unwrap_or_default();
        let mut wrong = Vec::new();
        if matches!(kind, "group-k-fold" | "stratified-group-k-fold" | "leave-group-out") && !given("group") {
            wrong.push(("group".to_owned(), format!("`kind: {kind}` needs `group: COLUMN`")));
        }
        let listed = params.get("test_groups").and_then(|v| v.as_array()).is_some_and(|v| !v.is_empty());
        if listed && !matches!(kind, "leave-group-out" | "holdout") {
            wrong.push((
                "test_groups".to_owned(),
                "only `kind: leave-group-out` and `kind: holdout` test named groups".to_owned(),
            ));
        }
        if listed && !given("group") {
            wrong
                .push(("test_groups".to_owned(), "names values of a column: set `group: COLUMN`".to_owned()));
        }
        let repeats = params.get("repeats").and_then(serde_json::Value::as_u64).unwrap_or(1);
        if repeats > 1 && (listed || matches!(kind, "leave-group-out" | "external" | "from-file")) {
            let message =
                "would test the same cells again, as if they were new ones: such tests have nothing to draw"
                    .to_owned();
            wrong.push(("repeats".to_owned(), message));
        }
        let shots = params.get("few_shot_fraction").and_then(serde_json::Value::as_f64).unwrap_or(0.0);
        let whole = kind == "leave-group-out" || (kind == "holdout" && given("group"));
        if shots > 0.0 && !whole {
            wrong.push((
                "few_shot_fraction".to_owned(),
                "needs groups that are held out: `kind: leave-group-out`, or `kind: holdout` with `group: COLUMN`"
                    .to_owned(),
            ));
        }
        if kind != "from-file" && given("assignment_name") {
            wrong.push((
                "assignment_name".to_owned(),
                "only `kind: from-file` reads a file of folds".to_owned(),
            ));
        }
        wrong
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        super::run::run(step, &step.read_params()?)
    }
}
