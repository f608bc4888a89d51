//! The option `key_maximum`: which keys share the stabiliser of a Performer's features.

use celldag_shaders::ops;
use serde::{Deserialize, Serialize};

use crate::encoder::Neighbourhood;
use crate::option::{ModelOption, OptionDefault, OptionType};

pub(crate) const OPTION: ModelOption = ModelOption {
    name: "key_maximum",
    ty: OptionType::Choice(&["cell", "batch"]),
    default: OptionDefault::Value("cell"),
    about: "keys under one stabiliser: those of a cell, or of all cells of the file as in one batch of the authors' code",
};

/// Over which keys the largest projection is taken that is subtracted before the exponentials. A constant is added after
/// them, so the choice changes results (by about 1e-2 in published sizes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum KeyMaximum {
    /// Of each cell alone: what the authors' code gives for batches of one cell.
    #[default]
    Cell,
    /// Of all cells, which are computed at once: what the authors' code gives for one batch of all cells.
    Batch,
}

impl KeyMaximum {
    /// As the attention takes it.
    #[must_use]
    pub fn rule(self) -> ops::KeyMaximum {
        match self {
            Self::Cell => ops::KeyMaximum::PerSegment,
            Self::Batch => ops::KeyMaximum::WholeBatch,
        }
    }

    /// Which cells must be computed together.
    #[must_use]
    pub fn neighbourhood(self) -> Neighbourhood {
        match self {
            Self::Cell => Neighbourhood::Cell,
            Self::Batch => Neighbourhood::All,
        }
    }
}
