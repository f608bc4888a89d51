//! Sizes of a model that is to be trained, and the `config.json` that says them.

use std::path::Path;

use celldag_data::checkpoint::CheckpointError;
use serde_json::{Value, json};

use crate::blocks::BertConfig;
use crate::error::ModelError;

/// Standard deviation of the initial weights, transformers' default for a BERT.
pub(super) const INITIALIZER_RANGE: f64 = 0.02;
const CONFIG: &str = "config.json";

/// What a Geneformer-style model is, but for its vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelShape {
    /// Layers of the encoder.
    pub layers: usize,
    /// Width of the token states.
    pub hidden: usize,
    /// Attention heads; divides `hidden`.
    pub heads: usize,
    /// Width of the feed-forward part.
    pub feedforward: usize,
    /// Most tokens of a cell.
    pub context: usize,
    /// Activation of the feed-forward part and of the head, as transformers calls it.
    pub activation: String,
}

impl ModelShape {
    /// The configuration of a model with `vocabulary` tokens. Dropout is 0: none was used in training.
    fn json(&self, vocabulary: usize) -> Value {
        json!({
            "architectures": ["BertForMaskedLM"],
            "attention_probs_dropout_prob": 0.0,
            "hidden_act": self.activation,
            "hidden_dropout_prob": 0.0,
            "hidden_size": self.hidden,
            "initializer_range": INITIALIZER_RANGE,
            "intermediate_size": self.feedforward,
            "layer_norm_eps": 1e-12,
            "max_position_embeddings": self.context,
            "model_type": "bert",
            "num_attention_heads": self.heads,
            "num_hidden_layers": self.layers,
            "pad_token_id": 0,
            "tie_word_embeddings": true,
            "type_vocab_size": 2,
            "vocab_size": vocabulary,
        })
    }

    /// The configuration, checked.
    ///
    /// # Errors
    /// [`ModelError::Option`] when a size is none that a model can have.
    pub fn config(&self, vocabulary: usize) -> Result<BertConfig, ModelError> {
        BertConfig::of(self.json(vocabulary), "Geneformer", "bert").map_err(ModelError::Option)
    }

    /// Writes `config.json` into `folder`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, vocabulary: usize, folder: &Path) -> Result<(), ModelError> {
        let text = serde_json::to_string_pretty(&self.json(vocabulary)).map_err(std::io::Error::from);
        let written = text.and_then(|text| fs_err::write(folder.join(CONFIG), text + "\n"));
        Ok(written.map_err(CheckpointError::from)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_that_no_model_can_have_is_refused() {
        let shape = ModelShape {
            layers: 2,
            hidden: 12,
            heads: 3,
            feedforward: 8,
            context: 16,
            activation: "relu".to_owned(),
        };
        let config = shape.config(100).unwrap();
        assert_eq!((config.vocab_size, config.hidden_size, config.max_position_embeddings), (100, 12, 16));
        let folder = tempfile::tempdir().unwrap();
        shape.write(100, folder.path()).unwrap();
        assert_eq!(BertConfig::read(&folder.path().join(CONFIG), "Geneformer", "bert").unwrap(), config);
        let refused = |shape: ModelShape| shape.config(100).unwrap_err().to_string();
        assert!(refused(ModelShape { heads: 5, ..shape.clone() }).contains("5 attention heads"));
        assert!(refused(ModelShape { layers: 0, ..shape.clone() }).contains("num_hidden_layers is 0"));
        assert!(refused(ModelShape { activation: "tanh".to_owned(), ..shape }).contains("tanh"));
    }
}
