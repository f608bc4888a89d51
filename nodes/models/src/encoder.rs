//! Tokens to vectors: what every model's encoder offers.

use celldag_shaders::Tensor;
use serde_json::{Map, Value};

use crate::adapter::LayerRows;
use crate::error::ModelError;
use crate::tokens::CellTokens;

/// Which cells a model looks at together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Neighbourhood {
    /// Every cell alone: all models but those of tissues.
    #[default]
    Cell,
    /// All cells of the file.
    All,
    /// Cells with the same value in a column of `obs`.
    Column(String),
}

/// What an encoder is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EncoderInfo {
    /// Variant of the model (`V1`).
    pub variant: String,
    /// As in the tokens.
    pub vocabulary: String,
    /// Number of tokens of the vocabulary.
    pub vocabulary_size: usize,
    /// Longest sequence.
    pub context: usize,
    /// Layers of the encoder.
    pub layers: usize,
    /// Length of an embedding.
    pub dim: usize,
    /// Weights that an embedding needs.
    pub parameters: usize,
    /// Floats that the widest intermediate holds for one token: what a batch must fit into the device's memory.
    pub widest: usize,
    /// Which cells are looked at together.
    pub neighbourhood: Neighbourhood,
    /// The options as they are, defaults written out: what is read, and how.
    pub options: Map<String, Value>,
}

/// Cells that are embedded at once.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Tokens; no cell is empty.
    pub cells: &'a [CellTokens],
    /// Cells of each neighbourhood, which lie behind each other. Models of single cells need not look.
    pub neighbourhoods: &'a [usize],
}

/// Weights on a device that turn tokens into vectors. Its readout was chosen when it was loaded.
pub trait CellEncoder: Send + Sync {
    /// What this encoder is.
    fn info(&self) -> &EncoderInfo;

    /// Vectors of a batch of cells on the device, `[cells, dim]`. The result of a cell does not depend on the cells outside
    /// of its neighbourhood.
    ///
    /// # Errors
    /// When tokens are out of range or the device fails.
    fn pooled(&self, batch: Batch<'_>) -> Result<Tensor, ModelError>;

    /// What the rows are that go into the linear layer `layer` (its name in the checkpoint) for these cells, for each of the
    /// inputs that it has in a pass: the noise of a training belongs to it. Most models have rows of tokens, or one a cell.
    fn layer_rows(&self, _layer: &str, cells: &[CellTokens]) -> Vec<LayerRows> {
        let tokens = cells.iter().map(CellTokens::len).collect();
        vec![LayerRows::OfCells(tokens), LayerRows::OfCells(vec![1; cells.len()])]
    }

    /// As [`CellEncoder::pooled`], read back, row-major.
    ///
    /// # Errors
    /// As [`CellEncoder::pooled`].
    fn embed(&self, batch: Batch<'_>) -> Result<Vec<f32>, ModelError> {
        Ok(self.pooled(batch)?.read()?)
    }
}
