//! `config.json` of a published tGPT: the fields of transformers' `GPT2Config` that change numbers.

use std::path::Path;

use celldag_data::vocabulary::read_json;
use celldag_shaders::ops::{Activation, Attention};
use serde::Deserialize;

use crate::error::ModelError;
use crate::sizes::{Size, check, check_eps, head_width};

/// Sizes of a tGPT.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Tokens of the vocabulary.
    pub vocab_size: usize,
    /// Width of the token states.
    pub n_embd: usize,
    /// Layers.
    pub n_layer: usize,
    /// Attention heads.
    pub n_head: usize,
    /// Longest sequence.
    pub n_positions: usize,
    /// Width of the feed-forward part; if none, four times the width.
    #[serde(default)]
    n_inner: Option<usize>,
    /// Activation of the feed-forward part.
    #[serde(default = "default_activation")]
    activation_function: String,
    /// Of all normalisations.
    #[serde(default = "default_eps")]
    pub layer_norm_epsilon: f32,
    #[serde(default = "yes")]
    scale_attn_weights: bool,
    #[serde(default)]
    scale_attn_by_inverse_layer_idx: bool,
    #[serde(default)]
    add_cross_attention: bool,
    #[serde(default)]
    model_type: Option<String>,
}

fn default_activation() -> String {
    "gelu_new".to_owned()
}

fn default_eps() -> f32 {
    1e-5
}

fn yes() -> bool {
    true
}

impl Config {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// When the file cannot be read or describes something other than a GPT-2.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let refuse = |reason: String| ModelError::Config { path: path.to_path_buf(), reason };
        let fields: serde_json::Value = read_json(path)?;
        let config: Self = serde_json::from_value(fields)
            .map_err(|e| refuse(format!("not the configuration of a tGPT: {e}")))?;
        config.check().map_err(refuse)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(other) = self.model_type.as_deref().filter(|t| *t != "gpt2") {
            return Err(format!("the model type is `{other}`; every tGPT is a `gpt2`"));
        }
        if self.add_cross_attention {
            return Err("a decoder that looks at an encoder is no tGPT".to_owned());
        }
        check(&[
            ("vocab_size", self.vocab_size, Size::Rows),
            ("n_embd", self.n_embd, Size::Width),
            ("n_layer", self.n_layer, Size::Layers),
            ("n_head", self.n_head, Size::Heads),
            ("n_inner", self.inner(), Size::Width),
            ("n_positions", self.n_positions, Size::Positions),
        ])?;
        head_width(self.n_embd, self.n_head)?;
        check_eps("layer_norm_epsilon", self.layer_norm_epsilon)?;
        if self.n_positions < 3 {
            return Err(format!("a context of {} tokens holds no cell", self.n_positions));
        }
        self.activation().map(drop)
    }

    /// Width of the feed-forward part.
    #[must_use]
    pub fn inner(&self) -> usize {
        self.n_inner.unwrap_or(self.n_embd.saturating_mul(4))
    }

    /// Activation of the feed-forward part.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn activation(&self) -> Result<Activation, String> {
        match self.activation_function.as_str() {
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "gelu" => Ok(Activation::Gelu),
            "relu" => Ok(Activation::Relu),
            other => Err(format!("the activation `{other}` is none of gelu_new (tGPT's), gelu and relu")),
        }
    }

    /// Attention of the layer `index`, counted from 0.
    #[must_use]
    pub fn attention(&self, index: usize) -> Attention {
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let [width, layer] = [self.n_embd / self.n_head, index + 1].map(|size| size as f32);
        let by_width = if self.scale_attn_weights { 1.0 / width.sqrt() } else { 1.0 };
        let by_layer = if self.scale_attn_by_inverse_layer_idx { 1.0 / layer } else { 1.0 };
        Attention { scale: Some(by_width * by_layer), ..Attention::multi_head(self.n_head, true) }
    }

    /// Layers and width in one word, by which models are told apart in reports.
    #[must_use]
    pub fn variant(&self) -> String {
        format!("{}x{}", self.n_layer, self.n_embd)
    }
}
