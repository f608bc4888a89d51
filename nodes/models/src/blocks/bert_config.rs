//! `config.json` of a BERT or RoBERTa: the fields of transformers' `BertConfig` that change numbers.

use std::path::Path;

use celldag_data::vocabulary::read_json;
use celldag_shaders::ops::Activation;
use serde::Deserialize;
use serde_json::Value;

use super::{BertShape, BertSizes};
use crate::error::ModelError;
use crate::sizes::{Size, check, check_eps, head_width};

/// Sizes of a BERT. Fields that a file does not have are what transformers takes for them, but never a size.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BertConfig {
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
    /// Rows of the table of positions.
    pub max_position_embeddings: usize,
    /// Token of padding; RoBERTa counts positions from the one behind it.
    #[serde(default)]
    pub pad_token_id: Option<usize>,
    /// Rows of the token type table; only the first is used.
    #[serde(default = "types")]
    pub type_vocab_size: usize,
    /// Of all normalisations.
    #[serde(default = "eps")]
    pub layer_norm_eps: f32,
    /// Activation of the feed-forward part.
    #[serde(default = "gelu")]
    pub hidden_act: String,
    #[serde(default)]
    model_type: Option<String>,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

fn types() -> usize {
    2
}

fn eps() -> f32 {
    1e-12
}

fn gelu() -> String {
    "gelu".to_owned()
}

impl BertConfig {
    /// Reads and checks a `config.json` of the model type `model_type` (`bert`); messages call the model `model`.
    ///
    /// # Errors
    /// When the file cannot be read, a size is not one that a model can have, or it describes something else.
    pub fn read(path: &Path, model: &str, model_type: &str) -> Result<Self, ModelError> {
        let refuse = |reason: String| ModelError::Config { path: path.to_path_buf(), reason };
        Self::of(read_json::<Value>(path)?, model, model_type).map_err(refuse)
    }

    /// As [`BertConfig::read`], of values that stand in no file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn of(values: Value, model: &str, model_type: &str) -> Result<Self, String> {
        let config: Self =
            serde_json::from_value(values).map_err(|e| format!("not the configuration of a {model}: {e}"))?;
        config.check(model, model_type)?;
        Ok(config)
    }

    fn check(&self, model: &str, model_type: &str) -> Result<(), String> {
        if let Some(other) = self.model_type.as_deref().filter(|name| *name != model_type) {
            return Err(format!("the model type is `{other}`; every {model} is a `{model_type}`"));
        }
        if let Some(other) = self.position_embedding_type.as_deref().filter(|name| *name != "absolute") {
            return Err(format!(
                "position embeddings of type `{other}` are not those of a {model} (absolute)"
            ));
        }
        if self.is_decoder {
            return Err("it is a decoder, in which a token does not see those behind it".to_owned());
        }
        check(&[
            ("vocab_size", self.vocab_size, Size::Rows),
            ("hidden_size", self.hidden_size, Size::Width),
            ("num_hidden_layers", self.num_hidden_layers, Size::Layers),
            ("num_attention_heads", self.num_attention_heads, Size::Heads),
            ("intermediate_size", self.intermediate_size, Size::Width),
            ("max_position_embeddings", self.max_position_embeddings, Size::Positions),
            ("type_vocab_size", self.type_vocab_size, Size::Rows),
        ])?;
        head_width(self.hidden_size, self.num_attention_heads)?;
        check_eps("layer_norm_eps", self.layer_norm_eps)?;
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
    pub fn sizes(&self) -> Result<BertSizes, ModelError> {
        Ok(BertSizes {
            vocabulary: self.vocab_size,
            context: self.max_position_embeddings,
            types: self.type_vocab_size,
            layers: self.num_hidden_layers,
            layer: BertShape {
                hidden: self.hidden_size,
                heads: self.num_attention_heads,
                intermediate: self.intermediate_size,
                activation: self.activation().map_err(ModelError::Option)?,
                eps: self.layer_norm_eps,
            },
        })
    }

    /// Floats that the widest intermediate holds for one token.
    #[must_use]
    pub fn widest(&self) -> usize {
        self.intermediate_size.max(self.hidden_size)
    }

    /// What this model is called in records where it has no other name.
    #[must_use]
    pub fn variant(&self) -> String {
        format!("{} layers of {}", self.num_hidden_layers, self.hidden_size)
    }
}
