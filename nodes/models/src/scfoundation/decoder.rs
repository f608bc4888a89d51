//! The decoder: a Performer over all genes, expressed or not, which gives each a vector and an expression.

use celldag_shaders::Tensor;
use celldag_shaders::ops::{self, Activation, KeyMaximum};
use celldag_shaders::{Ids, Segments};

use super::config::Config;
use super::model::{EPS, TokenEncoder};
use crate::blocks::{LayerNorm, Linear, PerformerLayer, PerformerRows, PerformerShape};
use crate::error::ModelError;
use crate::params::Params;
use crate::tokens::CellTokens;

/// What stands behind the encoder in the checkpoint.
#[derive(Debug)]
pub struct Decoder {
    embed: Linear,
    layers: Vec<PerformerLayer>,
    /// Two normalisations follow each other: the decoder's and the model's.
    norms: [LayerNorm; 2],
    to_final: Linear,
    shape: PerformerShape,
}

impl Decoder {
    /// Takes all tensors that the encoder leaves.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn load(params: &Params<'_>, config: &Config) -> Result<Self, ModelError> {
        let (inputs, hidden) = (config.encoder.hidden_dim, config.decoder.hidden_dim);
        let decoder = params.at("decoder");
        let layers = decoder.at("performer.net.layers");
        let shape = PerformerShape { hidden, ..PerformerShape::of(&layers.at(0))? };
        let layer = |_, params: &Params<'_>| PerformerLayer::load(params, shape);
        Ok(Self {
            embed: Linear::load(&params.at("decoder_embed"), inputs, hidden)?,
            layers: layers.layers(config.decoder.depth, layer)?,
            norms: [
                LayerNorm::load(&decoder.at("norm"), hidden, EPS)?,
                LayerNorm::load(&params.at("norm"), hidden, EPS)?,
            ],
            to_final: Linear::load(&params.at("to_final"), hidden, 1)?,
            shape,
        })
    }

    /// Sizes of a layer.
    #[must_use]
    pub fn shape(&self) -> PerformerShape {
        self.shape
    }

    /// Vectors of all positions of each cell, `[cells · positions, hidden]`, from the normalised states of its tokens. Every
    /// cell has its own maximum of the keys, so it does not depend on the others, unlike in the authors' batches.
    ///
    /// # Errors
    /// What the device reports.
    pub fn states(
        &self,
        encoder: &TokenEncoder,
        cells: &[CellTokens],
        (encoded, segments): (&Tensor, &Segments),
    ) -> Result<Tensor, ModelError> {
        let device = encoder.device();
        let positions = encoder.positions();
        let all = cells.len() * positions;
        // The row of each position among the tokens, for those that the cell has.
        let (mut rows, mut kept, mut left) = (vec![0_u32; all], vec![0.0_f32; all], vec![1.0_f32; all]);
        for ((number, cell), range) in cells.iter().enumerate().zip(segments.ranges()) {
            for (&place, row) in cell.ids.iter().zip(range) {
                let at = number * positions + place as usize;
                rows[at] = u32::try_from(row)
                    .map_err(|_| ModelError::Tokens("the batch has too many tokens".to_owned()))?;
                (kept[at], left[at]) = (1.0, 0.0);
            }
        }
        let places: Vec<u32> = (0..cells.len()).flat_map(|_| (0_u32..).take(positions)).collect();
        let expressed = ops::embed(encoded, &Ids::new(device, &rows)?)?;
        let expressed = ops::mask_rows(&expressed, &device.upload(&[all], &kept)?, 0.0)?;
        let zero = ops::embed(&encoder.values().embed(&[0.0])?, &Ids::new(device, &vec![0; all])?)?;
        let zero = ops::mask_rows(&zero, &device.upload(&[all], &left)?, 0.0)?;
        let x = ops::add(&ops::add(&expressed, &zero)?, &encoder.at_positions(&places)?)?;
        let mut x = self.embed.forward(&x, Activation::None)?;
        let layout = PerformerRows::new(device, &vec![positions; cells.len()], KeyMaximum::PerSegment)?;
        for layer in &self.layers {
            x = layer.forward(&x, &layout)?;
        }
        for norm in &self.norms {
            x = norm.forward(&x, None)?;
        }
        Ok(x)
    }

    /// Predicted expression for each row of [`Decoder::states`], `[rows, 1]`: ln(1 + counts per 10⁴) of the gene.
    ///
    /// # Errors
    /// What the device reports.
    pub fn expression(&self, states: &Tensor) -> Result<Tensor, ModelError> {
        Ok(self.to_final.forward(states, Activation::None)?)
    }
}
