//! MoLFormer (Ross et al. 2022, 10.1038/s42256-022-00580-7): an encoder of SMILES with linear attention over random features
//! and rotary positions, pre-trained on PubChem and ZINC.
//!
//! The published configuration asks for new random features at every run, so that two runs on one drug differ. The trained
//! features are in the checkpoint; they, and only they, are used here.

mod checkpoint;
mod config;
mod embed;
mod layer;
mod model;
mod names;
mod tokenize;

use std::path::{Path, PathBuf};

pub use checkpoint::Checkpoint;
pub use config::Config;
pub use embed::Encoder;
pub use tokenize::{Tokenizer, Unknown};

use crate::drug::{DrugModel, DrugTokenizer, layer_option, pooling_option};
use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::model::LoadEncoder;
use crate::option::{ModelOption, OptionDefault, OptionType, Options};

const OPTIONS: &[ModelOption] = &[
    layer_option(),
    pooling_option("mean"),
    ModelOption {
        name: "unknown",
        ty: OptionType::Choice(&["unk", "pad"]),
        default: OptionDefault::Value("unk"),
        about: "the token for pieces that the vocabulary lacks: <unk> as the hub's tokenizer, <pad> as the original's",
    },
];

/// The registry's entry.
pub struct Molformer;

impl DrugModel for Molformer {
    fn name(&self) -> &'static str {
        "molformer"
    }

    fn about(&self) -> &'static str {
        "MoLFormer: linear attention over SMILES, with the random features of the checkpoint"
    }

    fn licence(&self) -> &'static str {
        "Apache-2.0"
    }

    fn options(&self) -> &'static [ModelOption] {
        OPTIONS
    }

    fn files(&self, checkpoint: &Path) -> Result<Vec<PathBuf>, ModelError> {
        Ok(Checkpoint::find(checkpoint)?.files)
    }

    fn tokenizer(&self, checkpoint: &Path, options: &Options) -> Result<Box<dyn DrugTokenizer>, ModelError> {
        Ok(Box::new(Tokenizer::new(&Checkpoint::find(checkpoint)?, options)?))
    }

    fn encoder(&self, load: LoadEncoder<'_>) -> Result<Box<dyn CellEncoder>, ModelError> {
        let found = Checkpoint::find(load.checkpoint)?;
        Ok(Box::new(Encoder::load(&found, load.device, load.options, load.adapters)?))
    }
}
