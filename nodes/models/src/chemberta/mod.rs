//! ChemBERTa (Chithrananda et al. 2020, arXiv 2010.09885; ChemBERTa-2: Ahmad et al. 2022, arXiv 2209.01712): RoBERTa over
//! SMILES.
//!
//! Two families are published. The first (`ChemBERTa-zinc-base-v1` and the like) splits SMILES by byte-pair encoding. The
//! second (`ChemBERTa-77M-MLM`, `-MTR`, ...) has a vocabulary of atoms but no merges, so its tokenizer reads one character at
//! a time and drops those without an entry: chlorine becomes carbon, and chirality, charges and bracket atoms vanish.
//! Practically all published vectors were made that way, which is why it is the default; the option `tokenizer=regex` reads
//! atoms instead.

mod checkpoint;
mod config;
mod embed;
mod model;
mod special;
mod tokenize;

use std::path::{Path, PathBuf};

pub use checkpoint::Checkpoint;
pub use config::Config;
pub use embed::Encoder;
pub use tokenize::{Splitting, Tokenizer};

use crate::drug::{DrugModel, DrugTokenizer, layer_option, pooling_option};
use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::model::LoadEncoder;
use crate::option::{ModelOption, OptionDefault, OptionType, Options};

const OPTIONS: &[ModelOption] = &[
    layer_option(),
    pooling_option("cls"),
    ModelOption {
        name: "tokenizer",
        ty: OptionType::Choice(&["published", "regex"]),
        default: OptionDefault::Value("published"),
        about: "published: as the checkpoint's own tokenizer, which drops characters in the 77M family; regex: bracket atoms, \
                Br, Cl, else single characters, for vocabularies of atoms",
    },
];

/// The registry's entry.
pub struct ChemBerta;

impl DrugModel for ChemBerta {
    fn name(&self) -> &'static str {
        "chemberta"
    }

    fn about(&self) -> &'static str {
        "ChemBERTa: RoBERTa over SMILES, byte-pair (zinc, PubChem10M) and atom vocabularies (5M to 77M)"
    }

    fn licence(&self) -> &'static str {
        "code: MIT; the model cards say little about the weights"
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
