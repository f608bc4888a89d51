//! The layer behind the encoder: the mean of a Gaussian, or of the Gaussian of the cluster that the cell belongs to.
//!
//! The original draws the cluster with random noise, also when it only embeds, so two runs differ. Here the most likely
//! cluster is taken, or the expectation over all.

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Result, Tensor};

use super::config::{Config, LatentKind};
use crate::blocks::Linear;
use crate::error::ModelError;
use crate::params::Params;

/// Width of the layer between a state with its cluster and the mean.
const INNER: usize = 512;
/// Added inside of the logarithms of Gumbel noise.
const TINY: f32 = 1e-20;

/// Means of cells in the latent space.
#[derive(Debug)]
pub struct LatentLayer {
    /// From a state, or from what lies behind a state and its cluster.
    mean: Linear,
    clusters: Option<Clusters>,
}

/// What makes a mixture of one Gaussian.
#[derive(Debug)]
struct Clusters {
    /// How much a cell belongs to each cluster.
    logits: Linear,
    /// Of a state and its cluster.
    inner: Linear,
    number: usize,
}

impl LatentLayer {
    /// Takes the tensors that means need.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape, or the device fails.
    pub fn load(params: &Params<'_>, config: &Config) -> std::result::Result<Self, ModelError> {
        let params = params.at("latent").at("layers").at(1);
        let (hidden, outputs, number) = (config.enc_hid, config.post_latent_dim, config.num_clusters);
        if config.latent_mod == LatentKind::Vae {
            return Ok(Self { mean: Linear::load(&params.at("hid_2mu"), hidden, outputs)?, clusters: None });
        }
        let params = params.at("inference");
        let given = params.at("inference_qzyx");
        let logits = Linear::load(&params.at("inference_qyx").at(0).at("logits"), hidden, number)?;
        let inner = Linear::load(&given.at(0), hidden + number, INNER)?;
        let mean = Linear::load(&given.at(2).at("mu"), INNER, outputs)?;
        Ok(Self { mean, clusters: Some(Clusters { logits, inner, number }) })
    }

    /// Means `[cells, outputs]` of normalised states, each of the cluster with the largest logit. With `uniforms`
    /// `[cells, clusters]`, row-major, logits have the Gumbel noise that the original makes of them. For training, the
    /// gradient of the choice is that of the softmax of the noisy logits (Jang et al. 2017, arXiv 1611.01144).
    ///
    /// # Errors
    /// What the device reports.
    pub fn chosen(&self, states: &Tensor, uniforms: Option<&[f32]>) -> Result<Tensor> {
        let Some(clusters) = &self.clusters else { return self.mean.forward(states, Activation::None) };
        let mut logits = clusters.logits.forward(states, Activation::None)?;
        if let Some(uniforms) = uniforms {
            let noise: Vec<f32> = uniforms.iter().map(|u| -(-(u + TINY).ln() + TINY).ln()).collect();
            logits = ops::add(&logits, &states.device().upload(logits.shape(), &noise)?)?;
        }
        let mut choice = one_hot(&logits.read()?, clusters.number);
        if !logits.is_traced() {
            let choice = states.device().upload(logits.shape(), &choice)?;
            return self.of(clusters, states, &choice);
        }
        let soft = ops::softmax(&logits)?;
        for (choice, soft) in choice.iter_mut().zip(soft.read()?) {
            *choice -= soft;
        }
        let rest = states.device().upload(logits.shape(), &choice)?;
        self.of(clusters, states, &ops::add(&soft, &rest)?)
    }

    /// The mean over all clusters, by how much the cell belongs to each.
    ///
    /// # Errors
    /// What the device reports.
    pub fn expected(&self, states: &Tensor) -> Result<Tensor> {
        let Some(clusters) = &self.clusters else { return self.mean.forward(states, Activation::None) };
        let shares = ops::softmax(&clusters.logits.forward(states, Activation::None)?)?;
        let (cells, number) = (states.shape()[0], clusters.number);
        let mut sum: Option<Tensor> = None;
        for cluster in 0..number {
            let mut choice = vec![0.0; cells * number];
            choice.chunks_exact_mut(number).for_each(|row| row[cluster] = 1.0);
            let mean = self.of(clusters, states, &states.device().upload(&[cells, number], &choice)?)?;
            let share = ops::slice_columns(&shares, cluster..cluster + 1)?.reshape(&[cells])?;
            let term = ops::mul_column(&mean, &share)?;
            sum = Some(match sum {
                Some(sum) => ops::add(&sum, &term)?,
                None => term,
            });
        }
        // A configuration without clusters is refused when it is read.
        sum.map_or_else(|| self.mean.forward(states, Activation::None), Ok)
    }

    /// The means of states whose clusters are `choice` `[cells, clusters]`.
    fn of(&self, clusters: &Clusters, states: &Tensor, choice: &Tensor) -> Result<Tensor> {
        let joined = ops::concat_columns([states, choice])?;
        self.mean.forward(&clusters.inner.forward(&joined, Activation::Relu)?, Activation::None)
    }
}

/// 1 at the first largest value of each row, else 0.
fn one_hot(values: &[f32], columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for (row, out) in values.chunks_exact(columns).zip(out.chunks_exact_mut(columns)) {
        let mut best = 0;
        for (column, value) in row.iter().enumerate() {
            if *value > row[best] {
                best = column;
            }
        }
        out[best] = 1.0;
    }
    out
}
