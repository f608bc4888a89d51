//! The embedding of a value: a mixture of vectors, with weights that a small network finds for the number.

use celldag_shaders::ops::{self, Activation, Layout};
use celldag_shaders::{Device, Ids, Tensor};

use super::config::Config;
use crate::adapter::Slot;
use crate::blocks::Linear;
use crate::error::ModelError;
use crate::params::Params;

/// Slope of the rectifier for negative values.
const SLOPE: f32 = 0.1;

/// The authors' "auto-bin": e(x) = softmax(W₂ h + b₂ + α h) E with h = LeakyReLU(W₁ x + b₁). Nothing is cut into bins.
#[derive(Debug)]
pub struct AutoBin {
    inner: Linear,
    outer: Linear,
    alpha: f32,
    /// `[bins, hidden]`.
    vectors: Slot,
    /// The values that stand for something else, and the vector `[1, hidden]` of each.
    special: [(f32, Slot); 2],
}

impl AutoBin {
    /// Takes the tensors below `token_emb`.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn load(params: &Params<'_>, config: &Config) -> Result<Self, ModelError> {
        let (bins, hidden) = (config.bin_num, config.encoder.hidden_dim);
        let special = |name| params.at(name).tensor("weight", &[1, hidden]);
        Ok(Self {
            inner: Linear::load(&params.at("mlp"), 1, bins)?,
            outer: Linear::load(&params.at("mlp2"), bins, bins)?,
            alpha: config.bin_alpha,
            vectors: params.at("emb").weight("weight", &[bins, hidden])?,
            special: [
                (config.mask_token_id, special("emb_mask")?),
                (config.pad_token_id, special("emb_pad")?),
            ],
        })
    }

    /// The share of each vector in each value, `[values, bins]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn weights(&self, values: &[f32]) -> Result<Tensor, ModelError> {
        let x = self.device().upload(&[values.len(), 1], values)?;
        let inner = self.inner.forward(&x, Activation::leaky_relu(SLOPE))?;
        let outer = self.outer.forward(&inner, Activation::None)?;
        Ok(ops::softmax(&ops::add(&outer, &ops::scale(&inner, self.alpha)?)?)?)
    }

    /// The vector of each value, `[values, hidden]`. As in the authors' code, a value that is exactly the number that stands
    /// for a masked gene or for padding (102 and 103) has the vector of these.
    ///
    /// # Errors
    /// What the device reports.
    pub fn embed(&self, values: &[f32]) -> Result<Tensor, ModelError> {
        let mut x = ops::matmul(&self.weights(values)?, &self.vectors.get(), Layout::NN)?;
        for (number, vector) in &self.special {
            #[expect(clippy::float_cmp, reason = "the authors compare so")]
            let is = |value: &f32| value == number;
            if values.iter().any(is) {
                let rows: Vec<bool> = values.iter().map(is).collect();
                let others = ops::mask_rows(&x, &self.mask(rows.iter().map(|&is| !is))?, 0.0)?;
                let these = ops::embed(&vector.get(), &Ids::new(self.device(), &vec![0; rows.len()])?)?;
                x = ops::add(&others, &ops::mask_rows(&these, &self.mask(rows.into_iter())?, 0.0)?)?;
            }
        }
        Ok(x)
    }

    fn mask(&self, keep: impl Iterator<Item = bool>) -> Result<Tensor, ModelError> {
        let keep: Vec<f32> = keep.map(|keep| f32::from(u8::from(keep))).collect();
        Ok(self.device().upload(&[keep.len()], &keep)?)
    }

    fn device(&self) -> &Device {
        self.vectors.device()
    }
}
