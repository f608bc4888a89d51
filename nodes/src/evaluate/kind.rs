//! The kind `evaluate` itself: files, parameters, and the order in which a report says things.

use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, Param, ParamType, Params, Step};
use serde::Deserialize;
use serde_json::{Value, json};

use super::files::outputs;
use super::models::NAME;
use super::reference;
use crate::artifacts::{CELLS, EMBEDDING, PREDICTIONS, SPLIT, SPLIT_INFO};

/// Measures predictions beside baselines.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evaluate;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) threshold: f64,
    pub(super) calibration_bins: usize,
    pub(super) baselines: Vec<String>,
    pub(super) key: Option<String>,
    pub(super) by: Vec<String>,
    pub(super) bootstrap: usize,
    pub(super) confidence: f64,
    pub(super) seed: u64,
}

impl Kind for Evaluate {
    fn spec(&self) -> KindSpec {
        let optional = |name, ty, about| InPort { name, ty, many: Multiplicity::Optional, about };
        KindSpec {
            name: "evaluate",
            epoch: 5,
            about: "measures predictions per fold and over all test cells, beside trivial baselines",
            inputs: vec![
                InPort {
                    name: "predictions",
                    ty: PREDICTIONS,
                    many: Multiplicity::Many,
                    about: "scores of test cells; folds of one model are joined, nodes and other axes tell models apart",
                },
                optional("cells", CELLS, "counts of the same cells, for the baselines that learn and for `by`"),
                optional("external", CELLS, "the same of the external cells of a split of `kind: external`"),
                optional(
                    "split",
                    SPLIT,
                    "the split that was trained on, for the baselines and to see that its test cells were predicted",
                ),
                optional(
                    "split_info",
                    SPLIT_INFO,
                    "second output of `split`: its leaks appear among the warnings",
                ),
                optional("embedding", EMBEDDING, "vectors of the cells, for the map"),
                optional("external_embedding", EMBEDDING, "vectors of the external cells, for the map"),
            ],
            outputs: outputs(
                "all metrics, tables, figures and warnings (celldag.report/1)",
                "model, scope (fold, mean, sd, se, merged, as_published), fold, metric, value",
            ),
            params: vec![
                Param::text("name", "name of the model in tables when there is one only; several are named by their nodes and axes")
                    .default(NAME),
                Param::text("title", "heading of the report").default("Evaluation"),
                Param::float("threshold", -1e300, 1e300, "two classes: positive from this score on")
                    .default(0.5),
                Param::int("calibration_bins", "bins of the calibration curve").range(2, 1000).default(10),
                Param::list(
                    "baselines",
                    ParamType::Choice(reference::NAMES.to_vec()),
                    "what the model is compared with",
                )
                .default(json!(reference::DEFAULT)),
                Param::list("by", ParamType::Text, "columns of obs of `cells` to measure by (tissue, drug ...); the groups of the split always are")
                    .default(json!([])),
                Param::int("bootstrap", "draws behind the intervals; 0: none").range(0, 100_000).default(1000),
                Param::float("confidence", 0.5, 0.999, "share of draws that an interval holds").default(0.95),
                Param::int("seed", "seed of the draws, of the bootstrap and of baselines").default(0),
                Param::text("key", "array of obsm for the map; default: the only one there is").optional(),
            ],
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let listed = params.get("baselines").and_then(Value::as_array);
        let unknown = listed.into_iter().flatten().filter_map(Value::as_str);
        unknown
            .filter(|b| !reference::NAMES.contains(b))
            .map(|b| ("baselines".to_owned(), format!("`{b}` is none of {}", reference::NAMES.join(", "))))
            .collect()
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        super::run::run(step, &step.read_params()?)
    }
}
