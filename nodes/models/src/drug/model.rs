//! The registry of drug models, and the two halves of each: SMILES to tokens, tokens to vectors.

use std::path::{Path, PathBuf};

use super::Remark;
use crate::chemberta::ChemBerta;
use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::model::LoadEncoder;
use crate::molformer::Molformer;
use crate::option::{ModelOption, Options};
use crate::tokens::{CellTokens, TokenizerInfo};

/// All models of drugs, sorted by name.
#[must_use]
pub fn drug_models() -> &'static [&'static dyn DrugModel] {
    &[&ChemBerta, &Molformer]
}

/// The model of this name.
#[must_use]
pub fn drug_model(name: &str) -> Option<&'static dyn DrugModel> {
    drug_models().iter().find(|model| model.name() == name).copied()
}

/// A kind of model of drugs: how to find and open its checkpoints.
pub trait DrugModel: Sync {
    /// Name as users write it.
    fn name(&self) -> &'static str;

    /// One line.
    fn about(&self) -> &'static str;

    /// What the authors allow to do with the published weights.
    fn licence(&self) -> &'static str;

    /// What a user may choose.
    fn options(&self) -> &'static [ModelOption];

    /// Bumped when tokens, vectors or a default of an option may change: it is in the keys of this model's results.
    fn epoch(&self) -> u32 {
        1
    }

    /// Exactly the files that [`DrugModel::tokenizer`] and [`DrugModel::encoder`] read, sorted.
    ///
    /// # Errors
    /// When the folder does not hold a complete checkpoint.
    fn files(&self, checkpoint: &Path) -> Result<Vec<PathBuf>, ModelError>;

    /// Opens the vocabulary.
    ///
    /// # Errors
    /// When the checkpoint is incomplete or damaged, its vocabulary does not fit its weights, or an option cannot be used.
    fn tokenizer(&self, checkpoint: &Path, options: &Options) -> Result<Box<dyn DrugTokenizer>, ModelError>;

    /// Loads the weights onto a device.
    ///
    /// # Errors
    /// When the checkpoint is incomplete or damaged, an adapter or an option cannot be used, or the device fails.
    fn encoder(&self, load: LoadEncoder<'_>) -> Result<Box<dyn CellEncoder>, ModelError>;
}

/// SMILES to tokens, each text by itself. Nothing is canonicalised: another spelling of a drug gives another vector.
pub trait DrugTokenizer: Send + Sync {
    /// What this tokenizer is.
    fn info(&self) -> &TokenizerInfo;

    /// Tokens of one text, special ones included, and what happened to it.
    fn tokenize(&self, smiles: &str) -> DrugTokens;
}

/// Tokens of one drug.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DrugTokens {
    /// Token ids. Empty, without even the special tokens, when nothing of the text is known: such a drug has no vector.
    pub tokens: CellTokens,
    /// What the model does not see of the text.
    pub remarks: Vec<Remark>,
}
