//! How the token states of a drug become one vector: the same choices for every drug model, with its own default.

use celldag_shaders::ops::{self, Pool};
use celldag_shaders::{Segments, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::option::{ModelOption, OptionDefault, OptionType, Options};

/// The option `layer`.
pub(crate) const fn layer_option() -> ModelOption {
    ModelOption {
        name: "layer",
        ty: OptionType::Int(-99, -1),
        default: OptionDefault::Value("-1"),
        about: "-1: output of the last layer, -2: of the one before, and so on",
    }
}

/// The option `pooling` with a model's default.
pub(crate) const fn pooling_option(default: &'static str) -> ModelOption {
    ModelOption {
        name: "pooling",
        ty: OptionType::Choice(&["cls", "mean", "mean_without_special"]),
        default: OptionDefault::Value(default),
        about: "the first token, the mean of all tokens, or the mean without the first and last token",
    }
}

/// Which token states become the vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DrugPooling {
    /// The state of the first token (`<s>`, `[CLS]`, `<bos>`).
    Cls,
    /// The mean of all tokens, special ones included, without padding.
    Mean,
    /// The mean of the tokens of the text.
    MeanWithoutSpecial,
}

impl DrugPooling {
    /// Token states `[tokens, dim]` to `[drugs, dim]`.
    pub(crate) fn of(self, states: &Tensor, drugs: &Segments) -> Result<Tensor, ModelError> {
        let pool = match self {
            Self::Cls => Pool::First,
            Self::Mean => Pool::Mean { skip_first: 0, skip_last: 0 },
            Self::MeanWithoutSpecial => Pool::Mean { skip_first: 1, skip_last: 1 },
        };
        Ok(ops::pool(states, drugs, pool)?)
    }
}

/// Which layer is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DrugReadout {
    /// -1 is the output of the last layer, -2 of the one before, and so on down to the embeddings.
    pub layer: i32,
    /// Which token states become the vector.
    pub pooling: DrugPooling,
}

impl DrugReadout {
    /// What the options say, with the model's own pooling where they say nothing.
    ///
    /// # Errors
    /// When a value is of the wrong kind.
    pub(crate) fn chosen(options: &Options, default: DrugPooling) -> Result<Self, ModelError> {
        #[derive(Deserialize)]
        struct Chosen {
            layer: Option<i32>,
            pooling: Option<DrugPooling>,
        }
        let Chosen { layer, pooling } = options.read()?;
        Ok(Self { layer: layer.unwrap_or(-1), pooling: pooling.unwrap_or(default) })
    }
}
