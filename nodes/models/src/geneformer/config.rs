//! `config.json` of a published Geneformer: the fields of transformers' `BertConfig` that change numbers.

use std::path::Path;

use celldag_data::checkpoint::CheckpointError;
use celldag_shaders::ops::Activation;
use serde::Deserialize;

use crate::blocks::{BertShape, BertSizes};
use crate::error::ModelError;

/// Sizes of a Geneformer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Tokens of the vocabulary.
    pub vocab_size: usize,
    /// Width of the token states.
    pub hidden_size: usize,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Activation of the feed-forward part.
    pub hidden_act: String,
    /// Of all normalisations.
    #[serde(default = "default_eps")]
    pub layer_norm_eps: f32,
    /// Rows of the token type table; Geneformer only uses the first.
    #[serde(default = "default_types")]
    pub type_vocab_size: usize,
    /// `bert`.
    #[serde(default)]
    model_type: Option<String>,
    /// `absolute`, where it is given.
    #[serde(default)]
    position_embedding_type: Option<String>,
}

fn default_eps() -> f32 {
    1e-12
}

fn default_types() -> usize {
    2
}

impl Config {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// When the file cannot be read or describes something other than a Geneformer.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let bytes = fs_err::read(path).map_err(CheckpointError::from)?;
        let refuse = |reason: String| ModelError::Config { path: path.to_path_buf(), reason };
        let config: Self = serde_json::from_slice(&bytes)
            .map_err(|e| refuse(format!("not the configuration of a Geneformer: {e}")))?;
        config.check().map_err(refuse)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(other) = self.model_type.as_deref().filter(|t| *t != "bert") {
            return Err(format!("the model type is `{other}`; every Geneformer is a `bert`"));
        }
        if let Some(other) = self.position_embedding_type.as_deref().filter(|t| *t != "absolute") {
            return Err(format!(
                "position embeddings of type `{other}` are not those of a Geneformer (absolute)"
            ));
        }
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("intermediate_size", self.intermediate_size),
            ("type_vocab_size", self.type_vocab_size),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(format!("`{name}` is 0"));
        }
        if self.max_position_embeddings < 3 {
            return Err(format!("a context of {} tokens holds no cell", self.max_position_embeddings));
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
            "relu" => Ok(Activation::Relu),
            "gelu" => Ok(Activation::Gelu),
            other => Err(format!("the activation `{other}` is none of relu (Geneformer's) and gelu")),
        }
    }

    /// Sizes of the encoder.
    #[must_use]
    pub fn sizes(&self) -> BertSizes {
        BertSizes {
            vocabulary: self.vocab_size,
            context: self.max_position_embeddings,
            types: self.type_vocab_size,
            layers: self.num_hidden_layers,
            layer: self.layer_shape(),
        }
    }

    /// Sizes of one layer.
    #[must_use]
    pub fn layer_shape(&self) -> BertShape {
        BertShape {
            hidden: self.hidden_size,
            heads: self.num_attention_heads,
            intermediate: self.intermediate_size,
            activation: self.activation().unwrap_or(Activation::Relu),
            eps: self.layer_norm_eps,
        }
    }
}
