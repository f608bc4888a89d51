//! The kind `linear-head` itself: parameters and files.

use celldag_engine::{Kind, KindSpec, NodeError, Param, ParamType, Params, Step};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::learn::ports;

/// Fits a logistic regression per fold.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinearHead;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    pub(super) fold: Option<u32>,
    pub(super) key: Option<String>,
    pub(super) c: Vec<f64>,
    pub(super) standardize: bool,
    pub(super) class_weight: String,
    pub(super) dataset: String,
}

impl Kind for LinearHead {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "linear-head",
            epoch: 2,
            about: "fits a logistic regression on frozen embeddings per fold (linear probe) and scores the test cells",
            inputs: ports::inputs_of_frozen(),
            outputs: ports::outputs("training and validation loss of every value of `c`"),
            params: vec![
                Param::int("fold", "fit this fold only; default: all").range(0, 100_000).optional(),
                Param::text("key", "array of obsm to use; default: the only one there is").optional(),
                Param::list(
                    "c",
                    ParamType::Float { min: 1e-12, max: 1e12 },
                    "inverse strength of the L2 penalty, as in scikit-learn; of several values the one with the lowest loss on the validation cells is kept",
                )
                .default(json!([1.0])),
                Param::bool("standardize", "scale features to mean 0 and sd 1, fitted on the training cells of the fold")
                    .default(true),
                Param::choice("class_weight", &["none", "balanced"], "balanced: every class counts the same in the loss")
                    .default("none"),
                Param::text("dataset", "name written into the predictions").default(""),
            ],
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        if params.get("c").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            return vec![(
                "c".to_owned(),
                "names no value; write for example `c: [0.01, 1, 100]`".to_owned(),
            )];
        }
        Vec::new()
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        super::run::run(step, &step.read_params()?)
    }
}
