//! `config.json` of a published Llama: the fields of transformers' `LlamaConfig` that change numbers.

use std::path::Path;

use celldag_data::checkpoint::CheckpointError;
use celldag_shaders::ops::Activation;
use serde::Deserialize;

use super::rope::Rope;
use crate::error::ModelError;
use crate::sizes::{Size, check, check_eps, head_width};

/// Sizes of a Llama. Fields that a file does not have are what transformers takes for them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Rows of the table of tokens.
    pub vocab_size: usize,
    /// Width of the token states.
    pub hidden_size: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Heads of the queries.
    pub num_attention_heads: usize,
    /// Heads of the keys and values; as many as of the queries if not given.
    #[serde(default)]
    num_key_value_heads: Option<usize>,
    /// Columns of a head.
    #[serde(default)]
    head_dim: Option<usize>,
    /// Longest sequence.
    #[serde(default = "default_positions")]
    pub max_position_embeddings: usize,
    /// Of all normalisations.
    #[serde(default = "default_eps")]
    pub rms_norm_eps: f32,
    /// Whether the four projections of attention have biases.
    #[serde(default)]
    pub attention_bias: bool,
    /// Whether the three projections of the feed-forward part have biases.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Activation of the gate.
    #[serde(default = "default_activation")]
    hidden_act: String,
    #[serde(default)]
    model_type: Option<String>,
    /// Files before transformers 5.
    #[serde(default)]
    rope_theta: Option<f64>,
    #[serde(default)]
    rope_scaling: Option<Rope>,
    /// Files since transformers 5.
    #[serde(default)]
    rope_parameters: Option<Rope>,
}

fn default_positions() -> usize {
    2048
}

fn default_eps() -> f32 {
    1e-6
}

fn default_activation() -> String {
    "silu".to_owned()
}

impl Config {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// When the file cannot be read or describes something other than a Llama.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let bytes = fs_err::read(path).map_err(CheckpointError::from)?;
        let refuse = |reason: String| ModelError::Config { path: path.to_path_buf(), reason };
        let config: Self = serde_json::from_slice(&bytes)
            .map_err(|e| refuse(format!("not the configuration of a Llama: {e}")))?;
        config.check().map_err(refuse)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(other) = self.model_type.as_deref().filter(|t| *t != "llama") {
            return Err(format!("the model type is `{other}`, not `llama`"));
        }
        check(&[
            ("vocab_size", self.vocab_size, Size::Rows),
            ("hidden_size", self.hidden_size, Size::Width),
            ("intermediate_size", self.intermediate_size, Size::Width),
            ("num_hidden_layers", self.num_hidden_layers, Size::Layers),
            ("num_attention_heads", self.num_attention_heads, Size::Heads),
            ("num_key_value_heads", self.kv_heads(), Size::Heads),
            ("head_dim", self.head_width(), Size::Width),
            ("max_position_embeddings", self.max_position_embeddings, Size::Positions),
        ])?;
        let (heads, kv_heads) = (self.num_attention_heads, self.kv_heads());
        if !heads.is_multiple_of(kv_heads) {
            return Err(format!("{heads} heads of queries cannot share {kv_heads} heads of keys and values"));
        }
        // Where the width of a head is given, all heads together may be wider or narrower than the states.
        let all = self.head_dim.map_or(self.hidden_size, |columns| columns * heads);
        let columns = head_width(all, heads)?;
        if !columns.is_multiple_of(2) {
            return Err(format!("heads of {columns} columns have no two halves to turn by positions"));
        }
        check_eps("rms_norm_eps", self.rms_norm_eps)?;
        if self.hidden_act != "silu" {
            return Err(format!("the activation `{}` is not that of a Llama (silu)", self.hidden_act));
        }
        self.frequencies().map(drop)
    }

    /// Heads of the keys and values.
    #[must_use]
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Columns of a head.
    #[must_use]
    pub fn head_width(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Activation of the gate.
    #[must_use]
    pub fn activation(&self) -> Activation {
        Activation::Silu
    }

    /// Angles by which the pairs of a head turn from one position to the next.
    ///
    /// # Errors
    /// What is wrong with the settings.
    pub fn frequencies(&self) -> Result<Vec<f64>, String> {
        let settings = self.rope_parameters.clone().or_else(|| self.rope_scaling.clone()).unwrap_or_default();
        settings.frequencies(self.rope_theta, self.head_width())
    }

    /// What this model is called in records.
    #[must_use]
    pub fn variant(&self) -> String {
        format!("{} layers of {}", self.num_hidden_layers, self.hidden_size)
    }
}
