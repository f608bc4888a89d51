//! A Performer over the genes of a cell: embeddings of expression levels and of genes, pre-norm layers, and a final
//! normalisation. scBERT and CellLM are this network with different sizes.

use celldag_shaders::ops;
use celldag_shaders::{Device, Ids, Tensor};

use crate::adapter::Slot;
use crate::blocks::{LayerNorm, PerformerLayer, PerformerRows, PerformerShape, extents};
use crate::error::ModelError;
use crate::params::Params;
use crate::sizes::{Size, check};

/// Of the final normalisation: torch's default, which no checkpoint records.
const EPS: f32 = 1e-5;

/// The encoder of a `PerformerLM` without its head.
#[derive(Debug)]
pub struct PerformerEncoder {
    levels: Slot,
    genes: Slot,
    layers: Vec<PerformerLayer>,
    norm: LayerNorm,
    shape: PerformerShape,
}

impl PerformerEncoder {
    /// Takes all tensors of the encoder; sizes are those of the tensors.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn load(params: &Params<'_>) -> Result<Self, ModelError> {
        let layers = params.at("performer.net.layers");
        let shape = PerformerShape::of(&layers.at(0))?;
        let depth = (0..).take_while(|&layer: &usize| layers.at(layer).contains("0.fn.to_q.weight")).count();
        let [levels, _] = extents(&params.at("token_emb"), "weight")?;
        let [genes, _] = extents(&params.at("pos_emb.emb"), "weight")?;
        check(&[
            ("the number of layers", depth, Size::Layers),
            ("the number of levels", levels, Size::Rows),
            ("the number of genes", genes, Size::Rows),
        ])
        .map_err(ModelError::Shapes)?;
        Ok(Self {
            levels: params.at("token_emb").tensor("weight", &[levels, shape.hidden])?,
            genes: params.at("pos_emb.emb").tensor("weight", &[genes, shape.hidden])?,
            layers: (0..depth)
                .map(|layer| PerformerLayer::load(&layers.at(layer), shape))
                .collect::<Result<_, _>>()?,
            norm: LayerNorm::load(&params.at("norm"), shape.hidden, EPS)?,
            shape,
        })
    }

    /// Sizes of a layer.
    #[must_use]
    pub fn shape(&self) -> PerformerShape {
        self.shape
    }

    /// Number of layers.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    /// Rows of the table of expression levels.
    #[must_use]
    pub fn levels(&self) -> usize {
        self.levels.shape()[0]
    }

    /// Rows of the table of genes.
    #[must_use]
    pub fn genes(&self) -> usize {
        self.genes.shape()[0]
    }

    /// The device of the weights.
    #[must_use]
    pub fn device(&self) -> &Device {
        self.levels.device()
    }

    /// Token states after `depth` layers (0: the embeddings), `[tokens, hidden]`. After the last layer they are normalised;
    /// below it they are the sums that the next layer reads. Later layers are not computed.
    ///
    /// # Errors
    /// When a token is out of range, or the device fails.
    pub fn states(
        &self,
        levels: &[u32],
        genes: &[u32],
        rows: &PerformerRows,
        depth: usize,
    ) -> Result<Tensor, ModelError> {
        for (ids, count, what) in [(levels, self.levels(), "level"), (genes, self.genes(), "gene")] {
            if let Some(strange) = ids.iter().find(|&&id| id as usize >= count) {
                return Err(ModelError::Tokens(format!("the {what} {strange} is beyond the {count} known")));
            }
        }
        let device = self.device();
        let levels = ops::embed(&self.levels.get(), &Ids::new(device, levels)?)?;
        let genes = ops::embed(&self.genes.get(), &Ids::new(device, genes)?)?;
        let mut x = ops::add(&levels, &genes)?;
        for layer in self.layers.iter().take(depth) {
            x = layer.forward(&x, rows)?;
        }
        Ok(if depth >= self.layers.len() { self.norm.forward(&x, None)? } else { x })
    }
}
