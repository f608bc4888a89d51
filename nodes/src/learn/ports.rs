//! Files that all kinds of trained heads have in common.

use celldag_engine::{ArtifactType, InPort, Multiplicity, OutPort};

use crate::artifacts::{EMBEDDING, HEAD, HISTORY, PREDICTIONS, SPLIT};

/// What a head on frozen embeddings reads.
pub(super) fn inputs_of_frozen() -> Vec<InPort> {
    vec![
        InPort {
            name: "embedding",
            ty: EMBEDDING,
            many: Multiplicity::One,
            about: "one vector a cell in obsm",
        },
        split(),
        external(EMBEDDING, "vectors of the external cells of a split of `kind: external`"),
    ]
}

/// The split that says which cells train.
pub(super) fn split() -> InPort {
    InPort { name: "split", ty: SPLIT, many: Multiplicity::One, about: "output of `split`" }
}

/// The cells of another study, where a split has them.
pub(super) fn external(ty: ArtifactType, about: &'static str) -> InPort {
    InPort { name: "external", ty, many: Multiplicity::Optional, about }
}

/// What every training of heads writes; `of_history` says what its learning curves are over.
pub(super) fn outputs(of_history: &'static str) -> Vec<OutPort> {
    vec![
        OutPort {
            name: "predictions",
            ty: PREDICTIONS,
            file: "predictions.csv",
            about: "test cells only: cell_id, dataset, group, repeat, fold, label, positive, score, prediction",
        },
        OutPort {
            name: "head",
            ty: HEAD,
            file: "head/",
            about: "head.safetensors (weights of every fold) and head.json (classes, architecture)",
        },
        OutPort { name: "history", ty: HISTORY, file: "history.json", about: of_history },
    ]
}
