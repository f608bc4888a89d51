//! Vectors of cells from a CellLM.

use celldag_shaders::Tensor;
use celldag_shaders::ops::{self, Pool};
use serde::{Deserialize, Serialize};

use super::{LEVELS, NAME, PAD};
use crate::blocks::{PerformerRows, depth};
use crate::encoder::{Batch, CellEncoder, EncoderInfo};
use crate::error::ModelError;
use crate::model::LoadEncoder;
use crate::option::{ModelOption, OptionDefault, OptionType, written_out};
use crate::performer_lm::{self, KEY_MAXIMUM, KeyMaximum, PerformerEncoder, Tables};
use crate::tokens::CellTokens;

/// Rows for the class token and for padding.
const TABLES: Tables = Tables { model: NAME, levels: LEVELS, behind_genes: 2 };

pub(super) const OPTIONS: &[ModelOption] = &[
    KEY_MAXIMUM,
    ModelOption {
        name: "layer",
        ty: OptionType::Int(-99, -1),
        default: OptionDefault::Value("-1"),
        about: "-1: output of the last layer and the final normalisation, -2: of the layer before, and so on",
    },
    ModelOption {
        name: "pooling",
        ty: OptionType::Choice(&["mean", "mean_tokens", "cls"]),
        default: OptionDefault::Value("mean"),
        about: "mean over the padded length with zeros for padding, mean of the tokens alone, or the class token",
    },
];

/// How token states become one vector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Sum over the tokens divided by the padded length: the length of the vector tells how many genes are expressed.
    #[default]
    Mean,
    /// Mean over the tokens, class token included.
    MeanTokens,
    /// The state of the class token.
    Cls,
}

/// What is read, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Readout {
    /// -1 is the output of the last layer, -2 of the one before, and so on down to the embeddings.
    pub layer: i32,
    /// How token states become one vector.
    pub pooling: Pooling,
    /// Over which keys the stabiliser of the attention is taken.
    pub key_maximum: KeyMaximum,
}

impl Default for Readout {
    fn default() -> Self {
        Self { layer: -1, pooling: Pooling::default(), key_maximum: KeyMaximum::default() }
    }
}

/// A CellLM on a device.
#[derive(Debug)]
pub struct Encoder {
    model: PerformerEncoder,
    info: EncoderInfo,
    readout: Readout,
}

impl Encoder {
    /// Loads weights, with options and low-rank adapters over the linear layers.
    ///
    /// # Errors
    /// When a tensor is missing, misshapen, or left over, the gene list does not fit them, an option or an adapter cannot be
    /// used, or the device fails.
    pub fn load(load: LoadEncoder<'_>) -> Result<Self, ModelError> {
        let readout: Readout = load.options.read()?;
        let (model, info) = performer_lm::load(load, &TABLES, readout.layer, readout.key_maximum)?;
        let info = EncoderInfo { vocabulary_size: model.genes(), options: written_out(&readout), ..info };
        Ok(Self { model, info, readout })
    }

    /// What is read.
    #[must_use]
    pub fn readout(&self) -> Readout {
        self.readout
    }

    /// Token states of one cell at a layer, `[tokens, hidden]`, row-major; the row of the padding is zero at layer -1, where
    /// the published code masks it, and is that of each padding token below.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn hidden(&self, cell: &CellTokens, layer: i32) -> Result<Vec<f32>, ModelError> {
        let cells = PaddedCells::new(std::slice::from_ref(cell), self.model.genes())?;
        let (states, rows) = self.states(&cells, Readout { layer, ..self.readout })?;
        Ok(if layer == -1 { rows.without_padding(&states)?.read()? } else { states.read()? })
    }

    /// One vector a cell, `[cells, dim]`, on the device: what a head is trained on.
    ///
    /// # Errors
    /// As [`CellEncoder::embed`].
    pub fn read(&self, cells: &[CellTokens], readout: Readout) -> Result<Tensor, ModelError> {
        let cells = PaddedCells::new(cells, self.model.genes())?;
        let (states, rows) = self.states(&cells, readout)?;
        if readout.pooling == Pooling::Cls {
            return Ok(ops::pool(&states, rows.segments(), Pool::First)?);
        }
        let states = rows.without_padding(&states)?;
        let means = ops::pool(&states, rows.segments(), Pool::Mean { skip_first: 0, skip_last: 0 })?;
        // The mean of the rows that are there, made that of the rows that are meant.
        let factors = cells.factors(readout.pooling);
        Ok(ops::mul_column(&means, &self.model.device().upload(&[factors.len()], &factors)?)?)
    }

    fn states(&self, cells: &PaddedCells, readout: Readout) -> Result<(Tensor, PerformerRows), ModelError> {
        let depth = depth(readout.layer, self.info.layers)?;
        let device = self.model.device();
        let rows = PerformerRows::padded(device, &cells.lengths, &cells.padding, readout.key_maximum.rule())?;
        Ok((self.model.states(&cells.levels, &cells.genes, &rows, depth)?, rows))
    }
}

impl CellEncoder for Encoder {
    fn info(&self) -> &EncoderInfo {
        &self.info
    }

    fn pooled(&self, batch: Batch<'_>) -> Result<Tensor, ModelError> {
        self.read(batch.cells, self.readout)
    }
}

/// Tokens of a batch, taken apart.
struct PaddedCells {
    genes: Vec<u32>,
    levels: Vec<u32>,
    /// Rows of each cell, that of its padding included.
    lengths: Vec<usize>,
    /// Padding rows that the last row of each cell stands for; 0: it is a token.
    padding: Vec<usize>,
}

impl PaddedCells {
    /// `rows` is the number of rows of the table of genes, the last of which is the padding's.
    fn new(cells: &[CellTokens], rows: usize) -> Result<Self, ModelError> {
        let refuse = |what: String| Err(ModelError::Tokens(what));
        let mut all =
            Self { genes: Vec::new(), levels: Vec::new(), lengths: Vec::new(), padding: Vec::new() };
        for cell in cells {
            let of_padding = |&id: &u32| id as usize + 1 == rows;
            if cell.is_empty() || cell.values.len() != cell.len() {
                return refuse(format!("a cell has {} tokens with {} levels", cell.len(), cell.values.len()));
            }
            if cell.ids[..cell.len() - 1].iter().any(of_padding) || cell.ids.first().is_some_and(of_padding) {
                return refuse("there is padding before the end of a cell".to_owned());
            }
            let padded = cell.ids.last().is_some_and(of_padding);
            for (at, &value) in cell.values.iter().enumerate() {
                let of_padding = padded && at + 1 == cell.len();
                let Some(value) = whole(value).filter(|&value| !of_padding || value > 0) else {
                    return refuse(format!("a token has the value {value}"));
                };
                all.levels.push(if of_padding { PAD } else { value });
                if at + 1 == cell.len() {
                    all.padding.push(if of_padding { value as usize } else { 0 });
                }
            }
            all.genes.extend(&cell.ids);
            all.lengths.push(cell.len());
        }
        Ok(all)
    }

    /// For each cell, its rows divided by those that a mean divides by.
    #[expect(clippy::cast_precision_loss, reason = "numbers of rows below 2^24")]
    fn factors(&self, pooling: Pooling) -> Vec<f32> {
        let factor = |(&length, &padding): (&usize, &usize)| {
            let tokens = length - usize::from(padding > 0);
            let meant = if pooling == Pooling::Mean { tokens + padding } else { tokens };
            length as f32 / meant as f32
        };
        self.lengths.iter().zip(&self.padding).map(factor).collect()
    }
}

/// A whole number that f32 holds exactly.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
fn whole(value: f32) -> Option<u32> {
    ((0.0..16_777_216.0).contains(&value) && value.fract() == 0.0).then_some(value as u32)
}
