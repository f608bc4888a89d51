//! The models that turn cells into vectors, and what each of them must offer. A new model is one line here.

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;
use celldag_shaders::Device;

use crate::adapter::Adapters;
use crate::bert_text::BertText;
use crate::celllm::CellLm;
use crate::cellplm::CellPlm;
use crate::encoder::CellEncoder;
use crate::error::ModelError;
use crate::gene_encoder::{GeneEncoder, not_offered};
use crate::geneformer::Geneformer;
use crate::llama::Llama;
use crate::option::{ModelOption, Options};
use crate::scbert::ScBert;
use crate::scfoundation::ScFoundation;
use crate::scgpt::Scgpt;
use crate::tgpt::Tgpt;
use crate::tokens::CellTokenizer;
use crate::uce::Uce;

/// All models of cells, sorted by name.
#[must_use]
pub fn cell_models() -> &'static [&'static dyn CellModel] {
    &[&BertText, &CellLm, &CellPlm, &Geneformer, &Llama, &ScBert, &ScFoundation, &Scgpt, &Tgpt, &Uce]
}

/// The model of this name.
#[must_use]
pub fn cell_model(name: &str) -> Option<&'static dyn CellModel> {
    cell_models().iter().find(|model| model.name() == name).copied()
}

/// What a checkpoint is opened for; decides which of its files are read, and so belong into a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Counts to tokens: vocabularies and configuration, no weights.
    Tokenize,
    /// Tokens to vectors: weights and what is needed to check that they fit the tokens.
    Embed,
}

/// Where the weights of an encoder go, and how they are read.
#[derive(Clone, Copy, Debug)]
pub struct LoadEncoder<'a> {
    /// The published folder or file.
    pub checkpoint: &'a Path,
    /// Where the weights go.
    pub device: &'a Device,
    /// What the user chose.
    pub options: &'a Options,
    /// Laid over the linear layers; they belong to layers by name.
    pub adapters: &'a Adapters,
}

/// A kind of model: how to find and open its checkpoints.
pub trait CellModel: Sync {
    /// Name as users write it.
    fn name(&self) -> &'static str;

    /// One line.
    fn about(&self) -> &'static str;

    /// What its vocabulary consists of: `gene symbols`, `Ensembl ids`.
    fn vocabulary(&self) -> &'static str;

    /// What the authors allow to do with the published weights.
    fn licence(&self) -> &'static str;

    /// What a user may choose for a purpose.
    fn options(&self, purpose: Purpose) -> &'static [ModelOption];

    /// Whether tokens are made of raw counts. If an option says otherwise, any finite values are read.
    fn reads_counts(&self, _options: &Options) -> bool {
        true
    }

    /// The linear layers that an adapter is laid over unless the user names others, as the published fine-tuning of this model
    /// does it: ends of layer names ([`is_target`](crate::is_target)).
    fn lora_targets(&self) -> &'static [&'static str];

    /// Bumped when tokens, vectors or a default of an option may change: it is in the keys of this model's results, those of
    /// other models stay valid.
    fn epoch(&self) -> u32 {
        1
    }

    /// Exactly the files that [`CellModel::tokenizer`] or [`CellModel::encoder`] reads with these options, sorted. Options of
    /// other models may be among them.
    ///
    /// # Errors
    /// When the folder does not hold a complete checkpoint.
    fn files(
        &self,
        checkpoint: &Path,
        purpose: Purpose,
        options: &Options,
    ) -> Result<Vec<PathBuf>, ModelError>;

    /// Opens the vocabulary for a matrix whose columns have these names.
    ///
    /// # Errors
    /// When the checkpoint is incomplete or damaged, none of the genes is known, or an option cannot be used.
    fn tokenizer(
        &self,
        checkpoint: &Path,
        genes: &GeneIds,
        options: &Options,
    ) -> Result<Box<dyn CellTokenizer>, ModelError>;

    /// Loads the weights onto a device.
    ///
    /// # Errors
    /// When the checkpoint is incomplete or damaged, an adapter or an option cannot be used, or the device fails.
    fn encoder(&self, load: LoadEncoder<'_>) -> Result<Box<dyn CellEncoder>, ModelError>;

    /// What a user may choose about vectors of genes; `None` for models that give none.
    fn gene_options(&self) -> Option<&'static [ModelOption]> {
        None
    }

    /// Loads what gives vectors of genes, from the files of [`Purpose::Embed`].
    ///
    /// # Errors
    /// As [`CellModel::encoder`]; [`ModelError::Option`] naming the models that have them, for those that have none.
    fn gene_encoder(&self, _load: LoadEncoder<'_>) -> Result<Box<dyn GeneEncoder>, ModelError> {
        Err(not_offered(self.name()))
    }
}
