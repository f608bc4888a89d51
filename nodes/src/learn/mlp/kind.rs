//! The kind `mlp-head` itself: parameters, files, one training a fold.

use celldag_engine::{Kind, KindSpec, NodeError, Param, Params, Step};
use serde::Deserialize;

use crate::learn::params::{self, Training, Usual};
use crate::learn::ports;

/// Trains a perceptron per fold.
#[derive(Clone, Copy, Debug, Default)]
pub struct MlpHead;

#[derive(Deserialize)]
pub(super) struct Options {
    pub(super) key: Option<String>,
    pub(super) standardize: bool,
    #[serde(flatten)]
    pub(super) training: Training,
}

const USUAL: Usual =
    Usual { epochs: 50, batch_size: 128, early_stopping: 5, seed: "seed of initial weights and batch order" };

impl Kind for MlpHead {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "mlp-head",
            epoch: 3,
            about: "trains a multilayer perceptron on frozen embeddings per fold and scores the test cells",
            inputs: ports::inputs_of_frozen(),
            outputs: ports::outputs("training and validation loss of every epoch"),
            params: params::training(USUAL)
                .into_iter()
                .chain([
                    Param::text("key", "array of obsm to use; default: the only one there is").optional(),
                    Param::bool(
                        "standardize",
                        "scale features to mean 0 and sd 1, fitted on the training cells of the fold",
                    )
                    .default(true),
                ])
                .collect(),
            uses_device: true,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        params::check(params)
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        super::run::run(step, &step.read_params()?)
    }
}
