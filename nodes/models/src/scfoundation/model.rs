//! The encoder: embeddings of values and positions added up, then transformer layers. One definition for every backend.

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Device, Ids, Segments, Tensor};

use super::autobin::AutoBin;
use super::config::Config;
use crate::adapter::Slot;
use crate::blocks::{LayerNorm, PackedNames, TransformerLayer, TransformerShape, extents};
use crate::error::ModelError;
use crate::params::Params;
use crate::sizes::{Size, check};
use crate::tokens::CellTokens;

/// Of all normalisations: torch's default, which no checkpoint records.
pub(super) const EPS: f32 = 1e-5;

/// A scFoundation without its decoder.
#[derive(Debug)]
pub struct TokenEncoder {
    values: AutoBin,
    /// `[positions + 1, hidden]`; the last row is that of padding, which is never computed.
    table: Slot,
    layers: Vec<TransformerLayer>,
    norm: LayerNorm,
    positions: usize,
    widest: usize,
}

impl TokenEncoder {
    /// Takes all tensors that vectors of cells need.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape, or the device fails.
    pub fn load(params: &Params<'_>, config: &Config) -> Result<Self, ModelError> {
        let (positions, hidden) = (config.seq_len, config.encoder.hidden_dim);
        let layers = params.at("encoder").at("transformer_encoder");
        let [feedforward, _] = extents(&layers.at(0).at("linear1"), "weight")?;
        check(&[("the feed-forward part", feedforward, Size::Width)]).map_err(ModelError::Shapes)?;
        let shape = TransformerShape {
            hidden,
            heads: config.encoder.heads,
            feedforward,
            activation: Activation::Relu,
            eps: EPS,
        };
        let layer = |_, params: &Params<'_>| {
            TransformerLayer::load(params, &params.at("self_attn"), PackedNames::TORCH, shape)
        };
        Ok(Self {
            values: AutoBin::load(&params.at("token_emb"), config)?,
            table: params.at("pos_emb").weight("weight", &[positions + 1, hidden])?,
            layers: layers.layers(config.encoder.depth, layer)?,
            norm: LayerNorm::load(&params.at("encoder").at("norm"), hidden, EPS)?,
            positions,
            widest: feedforward.max(hidden).max(config.bin_num),
        })
    }

    /// The embedding of values.
    #[must_use]
    pub fn values(&self) -> &AutoBin {
        &self.values
    }

    /// Positions of a cell: genes, T and S.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// Number of layers.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Floats that the widest intermediate holds for one token.
    #[must_use]
    pub fn widest(&self) -> usize {
        self.widest
    }

    /// The device of the weights.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.table.device()
    }

    /// The vectors of positions, `[places, hidden]`.
    ///
    /// # Errors
    /// When there is no such position, or the device fails.
    pub fn at_positions(&self, places: &[u32]) -> Result<Tensor, ModelError> {
        Ok(ops::embed(&self.table.get(), &Ids::new(self.device(), places)?)?)
    }

    /// Token states after `layers` layers (0: the sum of the embeddings), `[tokens, hidden]`, with the cells' layout; not
    /// normalised by [`TokenEncoder::normalized`]. Later layers are not computed.
    ///
    /// # Errors
    /// When a cell does not end with T and S behind at least one gene, or the device fails.
    pub fn states(&self, cells: &[CellTokens], layers: usize) -> Result<(Tensor, Segments), ModelError> {
        for cell in cells {
            self.check(cell)?;
        }
        let places: Vec<u32> = cells.iter().flat_map(|cell| cell.ids.iter().copied()).collect();
        let values: Vec<f32> = cells.iter().flat_map(|cell| cell.values.iter().copied()).collect();
        let lengths: Vec<usize> = cells.iter().map(CellTokens::len).collect();
        let segments = Segments::new(self.device(), &lengths)?;
        let mut x = ops::add(&self.values.embed(&values)?, &self.at_positions(&places)?)?;
        for layer in self.layers.iter().take(layers) {
            x = layer.forward(&x, &segments)?;
        }
        Ok((x, segments))
    }

    /// The final normalisation, which follows the last layer.
    ///
    /// # Errors
    /// What the device reports.
    pub fn normalized(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.norm.forward(states, None)?)
    }

    fn check(&self, cell: &CellTokens) -> Result<(), ModelError> {
        let refuse = |what: &str| Err(ModelError::Tokens(what.to_owned()));
        if cell.values.len() != cell.len() {
            return refuse("a token has no value");
        }
        if !cell.ids.is_sorted_by(|a, b| a < b) {
            return refuse("the genes of a cell are not in the order of the list");
        }
        // T and S are the last two positions: what is read by place would be read from genes.
        let last = |back: usize| cell.len().checked_sub(back).map(|at| cell.ids[at] as usize + back);
        if cell.len() < 3 || last(1) != Some(self.positions) || last(2) != Some(self.positions) {
            return refuse("a cell is not genes, T and S");
        }
        Ok(())
    }
}
