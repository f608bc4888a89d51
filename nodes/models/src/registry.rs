//! The models that turn cells into vectors, and what each of them must offer. A new model is one line here.

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;
use celldag_shaders::Device;

use crate::error::ModelError;
use crate::geneformer::Geneformer;

/// All models of cells, sorted by name.
#[must_use]
pub fn cell_models() -> &'static [&'static dyn CellModel] {
    &[&Geneformer]
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

/// A kind of model: how to find and open its checkpoints.
pub trait CellModel: Sync {
    /// Name as users write it.
    fn name(&self) -> &'static str;

    /// One line.
    fn about(&self) -> &'static str;

    /// Exactly the files that [`CellModel::tokenizer`] or [`CellModel::encoder`] reads, sorted.
    ///
    /// # Errors
    /// When the folder does not hold a complete checkpoint.
    fn files(&self, checkpoint: &Path, purpose: Purpose) -> Result<Vec<PathBuf>, ModelError>;

    /// Opens the vocabulary for a matrix whose columns have these names.
    ///
    /// # Errors
    /// When the checkpoint is incomplete or damaged, or none of the genes is known.
    fn tokenizer(&self, checkpoint: &Path, genes: &GeneIds) -> Result<Box<dyn CellTokenizer>, ModelError>;

    /// Loads the weights onto a device.
    ///
    /// # Errors
    /// When the checkpoint is incomplete or damaged, or the device fails.
    fn encoder(&self, checkpoint: &Path, device: &Device) -> Result<Box<dyn CellEncoder>, ModelError>;
}

/// What a tokenizer is; goes into the tokens artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenizerInfo {
    /// Variant of the model (`V1`).
    pub variant: String,
    /// BLAKE3 of the vocabulary (sorted lines `name<TAB>id`), hex: tokens and weights must agree on it.
    pub vocabulary: String,
    /// Number of tokens of the vocabulary.
    pub vocabulary_size: usize,
    /// Longest sequence, special tokens included.
    pub context: usize,
}

/// How the genes of a file are covered by a vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Genes in the file.
    pub genes: usize,
    /// Genes of the file that the vocabulary knows.
    pub matched: usize,
    /// Distinct tokens that the file can give.
    pub tokens: usize,
    /// Genes of the vocabulary.
    pub vocabulary_genes: usize,
    /// Columns that were added up because they are the same gene under old and new ids.
    pub summed: usize,
    /// Whether ids were looked up by symbol because the file has no ids.
    pub by_symbol: bool,
    /// A few genes of the file that the vocabulary does not know.
    pub unmatched_examples: Vec<String>,
}

/// A value that is no count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnusableCount {
    /// Column of the matrix.
    pub column: usize,
    /// The value.
    pub value: f32,
}

/// Counts of a cell to tokens. Holds no state between cells, so cells can be done in any order and in parallel.
pub trait CellTokenizer: Send + Sync {
    /// What this tokenizer is.
    fn info(&self) -> &TokenizerInfo;

    /// How the genes of the file are covered.
    fn coverage(&self) -> &Coverage;

    /// Tokens of one cell, given its stored columns in ascending order. Empty when no gene of the cell is known.
    ///
    /// # Errors
    /// When a value is negative, infinite or not a number.
    fn tokenize(&self, columns: &[u32], counts: &[f32]) -> Result<Vec<u32>, UnusableCount>;
}

/// How token states become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Mean over the gene tokens.
    Mean,
    /// The state of the `<cls>` token.
    Cls,
}

/// Which layer is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readout {
    /// -1 is the output of the last layer, -2 of the one before, and so on down to the embedding output.
    pub layer: i32,
    /// How token states become one vector.
    pub pooling: Pooling,
}

/// What an encoder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncoderInfo {
    /// Variant of the model (`V1`).
    pub variant: String,
    /// As [`TokenizerInfo::vocabulary`].
    pub vocabulary: String,
    /// Number of tokens of the vocabulary.
    pub vocabulary_size: usize,
    /// Longest sequence.
    pub context: usize,
    /// Layers of the encoder.
    pub layers: usize,
    /// Length of an embedding.
    pub dim: usize,
    /// Floats that the widest intermediate holds for one token: what a batch must fit into the device's memory.
    pub widest: usize,
    /// What the model's authors read.
    pub default_readout: Readout,
}

/// Weights on a device that turn tokens into vectors.
pub trait CellEncoder: Send + Sync {
    /// What this encoder is.
    fn info(&self) -> &EncoderInfo;

    /// Whether the readout exists. Called before any work.
    ///
    /// # Errors
    /// [`ModelError::Readout`] naming what exists.
    fn check(&self, readout: Readout) -> Result<(), ModelError>;

    /// Vectors of a batch of cells, row-major `[cells, dim]`. No cell may be empty. The result of a cell does not depend
    /// on the other cells of its batch.
    ///
    /// # Errors
    /// When tokens are out of range or the device fails.
    fn embed(&self, cells: &[Vec<u32>], readout: Readout) -> Result<Vec<f32>, ModelError>;
}
