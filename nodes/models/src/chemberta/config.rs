//! `config.json` of a ChemBERTa: the fields of transformers' `RobertaConfig` that change numbers.

use std::path::Path;

use celldag_data::vocabulary::read_json;
use celldag_shaders::ops::Activation;
use serde::Deserialize;

use crate::blocks::{BertShape, BertSizes};
use crate::error::ModelError;

/// Sizes of a ChemBERTa. Fields that files leave out have the defaults of transformers.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Rows of the embedding; vocabularies may have fewer entries.
    pub vocab_size: usize,
    /// Width of the token states.
    pub hidden_size: usize,
    /// Encoder layers.
    pub num_hidden_layers: usize,
    /// Attention heads.
    pub num_attention_heads: usize,
    /// Width of the feed-forward part.
    pub intermediate_size: usize,
    /// Rows of the table of positions. The first `pad_token_id + 1` of them are never a token's place.
    pub max_position_embeddings: usize,
    /// Positions are counted from the one behind it. Tokenizers may pad with another token.
    #[serde(default = "pad")]
    pub pad_token_id: usize,
    /// Activation of the feed-forward part.
    #[serde(default = "gelu")]
    pub hidden_act: String,
    /// Of all normalisations.
    #[serde(default = "eps")]
    pub layer_norm_eps: f32,
    /// Rows of the token type table; only the first is used.
    #[serde(default = "types")]
    pub type_vocab_size: usize,
    #[serde(default)]
    model_type: Option<String>,
    #[serde(default)]
    position_embedding_type: Option<String>,
}

fn pad() -> usize {
    1
}

fn gelu() -> String {
    "gelu".to_owned()
}

fn eps() -> f32 {
    1e-12
}

fn types() -> usize {
    2
}

impl Config {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// When the file cannot be read or describes something other than a ChemBERTa.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let config: Self = read_json(path)?;
        let refuse = |reason: String| ModelError::Config { path: path.to_path_buf(), reason };
        config.check().map_err(refuse)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        if let Some(other) = self.model_type.as_deref().filter(|name| *name != "roberta") {
            return Err(format!("the model type is `{other}`; every ChemBERTa is a `roberta`"));
        }
        if let Some(other) = self.position_embedding_type.as_deref().filter(|name| *name != "absolute") {
            return Err(format!(
                "position embeddings of type `{other}` are not those of a ChemBERTa (absolute)"
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
        if self.places() < 3 {
            return Err(format!(
                "{} positions behind the padding's ({}) hold no drug",
                self.places(),
                self.pad_token_id
            ));
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "{} attention heads do not divide the width {}",
                self.num_attention_heads, self.hidden_size
            ));
        }
        self.activation().map(drop)
    }

    /// Longest sequence that the table of positions has room for.
    #[must_use]
    pub fn places(&self) -> usize {
        self.max_position_embeddings.saturating_sub(self.pad_token_id + 1)
    }

    fn activation(&self) -> Result<Activation, String> {
        match self.hidden_act.as_str() {
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            other => {
                Err(format!("the activation `{other}` is none of gelu (ChemBERTa's), gelu_new and relu"))
            }
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
            layer: BertShape {
                hidden: self.hidden_size,
                heads: self.num_attention_heads,
                intermediate: self.intermediate_size,
                activation: self.activation().unwrap_or(Activation::Gelu),
                eps: self.layer_norm_eps,
            },
        }
    }
}
