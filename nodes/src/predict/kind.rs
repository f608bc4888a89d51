//! The kind `predict` itself: ports and parameters.

use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Step};
use serde::Deserialize;

use crate::artifacts::{EMBEDDING, HEAD, SCORES};

/// Scores cells with trained heads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Predict;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    pub(super) checkpoint: Option<String>,
    pub(super) training_genes: Option<u64>,
}

impl Kind for Predict {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "predict",
            epoch: 1,
            about: "scores cells without labels with trained heads: the mean over the folds, and each fold",
            inputs: vec![
                InPort {
                    name: "embedding",
                    ty: EMBEDDING,
                    many: Multiplicity::One,
                    about: "vectors of the cells, made as those that the head was trained on",
                },
                InPort {
                    name: "head",
                    ty: HEAD,
                    many: Multiplicity::Many,
                    about: "output of `mlp-head` or `linear-head`; of a training with one node a fold, all of them",
                },
            ],
            outputs: vec![OutPort {
                name: "predictions",
                ty: SCORES,
                file: "predictions.csv",
                about: "cell_id, score, prediction, one column `score[CLASS]` a class and one column `fold[N]` a fold; empty \
                        for cells without a vector",
            }],
            params: vec![
                Param::text(
                    "checkpoint",
                    "digest of the checkpoint whose vectors the head was trained on; vectors of another one are refused",
                )
                .optional(),
                Param::int("training_genes", "genes of the vocabulary that the training cells had; another number is warned about")
                    .unit("genes")
                    .optional(),
            ],
            uses_device: false,
            // How many genes the tokenizer found is a fact of another node.
            wants_lineage: true,
        }
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        super::run::run(step, &step.read_params()?)
    }
}
