//! Sums of genes, then layers of flow attention over the cells of a neighbourhood. One definition for every backend.

use celldag_shaders::ops::{self, Activation, Csr};
use celldag_shaders::{Result, Segments, Tensor, segment};

use super::config::{Config, GROUPS};
use crate::adapter::Slot;
use crate::blocks::{LayerNorm, Linear};
use crate::error::ModelError;
use crate::params::Params;

/// Of all normalisations: PyTorch's default.
const EPS: f32 = 1e-5;

/// A CellPLM up to the normalisation in front of its latent layer.
#[derive(Debug)]
pub struct Flowformer {
    /// `[genes, hidden]`.
    genes: Slot,
    linear: Linear,
    /// Scale and shift of the normalisation of groups of channels.
    norm: (Slot, Slot),
    layers: Vec<Layer>,
    last: LayerNorm,
}

impl Flowformer {
    /// Takes the tensors of the gene table, the layers and the last normalisation.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape, or the device fails.
    pub fn load(params: &Params<'_>, config: &Config) -> std::result::Result<Self, ModelError> {
        let hidden = config.enc_hid;
        let embedder = params.at("embedder");
        let norm = embedder.at("extra_linear").at(3);
        let layer = |_, params: &Params<'_>| Layer::load(params, hidden, config.heads());
        Ok(Self {
            genes: embedder.at("feat_enc").tensor("emb", &[config.gene_list.len(), hidden])?,
            linear: Linear::load(&embedder.at("extra_linear").at(0), hidden, hidden)?,
            norm: (norm.tensor("weight", &[hidden])?, norm.tensor("bias", &[hidden])?),
            layers: params.at("encoder").at("layers").layers(config.enc_layers, layer)?,
            last: LayerNorm::load(&params.at("pre_latent_norm").at("norm"), hidden, EPS)?,
        })
    }

    /// Sums of the vectors of each cell's genes by their expression, `[cells, hidden]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn gene_sums(&self, values: &Tensor, genes: &Csr) -> Result<Tensor> {
        ops::csr_matmul(values, genes, &self.genes.get())
    }

    /// States of cells in front of the first layer.
    ///
    /// # Errors
    /// What the device reports.
    pub fn embedded(&self, sums: &Tensor) -> Result<Tensor> {
        let x = self.linear.forward(sums, Activation::Relu)?;
        ops::group_norm(&x, GROUPS, &self.norm.0.get(), &self.norm.1.get(), EPS)
    }

    /// States `[cells, hidden]` after `layers` layers. `neighbourhoods` divides the cells.
    ///
    /// # Errors
    /// What the device reports.
    pub fn states(&self, embedded: &Tensor, neighbourhoods: &Segments, layers: usize) -> Result<Tensor> {
        let mut x = embedded.clone();
        for layer in self.layers.iter().take(layers) {
            x = layer.forward(&x, neighbourhoods)?;
        }
        Ok(x)
    }

    /// The last normalisation.
    ///
    /// # Errors
    /// What the device reports.
    pub fn normalized(&self, states: &Tensor) -> Result<Tensor> {
        self.last.forward(states, None)
    }
}

/// A layer: attention and a feed-forward part, each with a normalisation in front.
#[derive(Clone, Debug)]
struct Layer {
    heads: usize,
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm2: LayerNorm,
    wide: Linear,
    narrow: Linear,
}

impl Layer {
    fn load(params: &Params<'_>, hidden: usize, heads: usize) -> std::result::Result<Self, ModelError> {
        let projection = |name| Linear::load(&params.at("self_attn").at(name), hidden, hidden);
        let feedforward = params.at("_ff_block");
        Ok(Self {
            heads,
            norm1: LayerNorm::load(&params.at("norm1"), hidden, EPS)?,
            query: projection("query_projection")?,
            key: projection("key_projection")?,
            value: projection("value_projection")?,
            out: projection("out_projection")?,
            norm2: LayerNorm::load(&params.at("norm2"), hidden, EPS)?,
            wide: Linear::load(&feedforward.at(0), hidden, 2 * hidden)?,
            narrow: Linear::load(&feedforward.at(3), 2 * hidden, hidden)?,
        })
    }

    /// A segment of the tape: a training that is short of memory keeps only `x`.
    fn forward(&self, x: &Tensor, neighbourhoods: &Segments) -> Result<Tensor> {
        let (layer, neighbourhoods) = (self.clone(), neighbourhoods.clone());
        segment([x], move |[x]| layer.states(x, &neighbourhoods))
    }

    fn states(&self, x: &Tensor, neighbourhoods: &Segments) -> Result<Tensor> {
        let normed = self.norm1.forward(x, None)?;
        let q = self.query.forward(&normed, Activation::None)?;
        let k = self.key.forward(&normed, Activation::None)?;
        let v = self.value.forward(&normed, Activation::None)?;
        let attended = ops::flow_attention(&q, &k, &v, neighbourhoods, self.heads)?;
        let x = ops::add(x, &self.out.forward(&attended, Activation::None)?)?;
        let inner = self.wide.forward(&self.norm2.forward(&x, None)?, Activation::Gelu)?;
        ops::add(&x, &self.narrow.forward(&inner, Activation::None)?)
    }
}
