//! `config.json` of a BERT: the fields of transformers' `BertConfig` that change numbers.

use std::path::Path;

use celldag_data::checkpoint::CheckpointError;
use celldag_shaders::ops::Activation;
use serde::Deserialize;

use crate::blocks::{BertShape, BertSizes};
use crate::error::ModelError;

/// Sizes of a BERT. Fields that a file does not have are what transformers takes for them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Rows of the table of tokens.
    pub vocab_size: usize,
    /// Width of the token states.
    pub hidden_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    #[serde(default = "default_types")]
    type_vocab_size: usize,
    #[serde(default = "default_eps")]
    layer_norm_eps: f32,
    #[serde(default = "default_activation")]
    hidden_act: String,
    #[serde(default)]
    model_type: Option<String>,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

fn default_types() -> usize {
    2
}

fn default_eps() -> f32 {
    1e-12
}

fn default_activation() -> String {
    "gelu".to_owned()
}

impl Config {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// When the file cannot be read or describes something other than a BERT encoder.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let bytes = fs_err::read(path).map_err(CheckpointError::from)?;
        let refuse = |reason: String| ModelError::Config { path: path.to_path_buf(), reason };
        let config: Self = serde_json::from_slice(&bytes)
            .map_err(|e| refuse(format!("not the configuration of a BERT: {e}")))?;
        config.check().map_err(refuse)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(other) = self.model_type.as_deref().filter(|t| *t != "bert") {
            return Err(format!("the model type is `{other}`; `bert-text` reads the type `bert`"));
        }
        if let Some(other) = self.position_embedding_type.as_deref().filter(|t| *t != "absolute") {
            return Err(format!("position embeddings of type `{other}` cannot be read (absolute)"));
        }
        if self.is_decoder {
            return Err("it is a decoder, in which a token does not see those behind it".to_owned());
        }
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("max_position_embeddings", self.max_position_embeddings),
            ("type_vocab_size", self.type_vocab_size),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(format!("`{name}` is 0"));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "{} attention heads do not divide the width {}",
                self.num_attention_heads, self.hidden_size
            ));
        }
        self.activation().map(drop)
    }

    fn activation(&self) -> Result<Activation, String> {
        match self.hidden_act.as_str() {
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            "silu" | "swish" => Ok(Activation::Silu),
            other => Err(format!("the activation `{other}` is none of gelu, gelu_new, relu and silu")),
        }
    }

    /// Sizes of the encoder.
    ///
    /// # Errors
    /// When the activation is unknown.
    pub fn sizes(&self) -> Result<BertSizes, String> {
        Ok(BertSizes {
            vocabulary: self.vocab_size,
            context: self.max_position_embeddings,
            types: self.type_vocab_size,
            layers: self.num_hidden_layers,
            layer: BertShape {
                hidden: self.hidden_size,
                heads: self.num_attention_heads,
                intermediate: self.intermediate_size,
                activation: self.activation()?,
                eps: self.layer_norm_eps,
            },
        })
    }

    /// What this model is called in records.
    #[must_use]
    pub fn variant(&self) -> String {
        format!("{} layers of {}", self.num_hidden_layers, self.hidden_size)
    }
}
