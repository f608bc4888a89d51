//! Sizes of a MoLFormer: `config.json` of the hub, or the shapes of an original checkpoint, which has no configuration.

use std::path::Path;

use celldag_data::checkpoint::{CheckpointError, Weights};
use celldag_data::vocabulary::read_json;
use celldag_shaders::ops::{Activation, Denominator};
use serde::Deserialize;

use crate::error::ModelError;
use crate::sizes::{Size, check, check_eps, head_width};

/// Longest sequence of the authors' notebooks, special tokens included.
const CONTEXT: usize = 202;

/// Sizes and constants of a MoLFormer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// Rows of the embedding.
    pub vocabulary: usize,
    /// Width of the token states.
    pub hidden: usize,
    /// Encoder layers.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Width of the feed-forward part; the published models have `hidden` itself.
    pub intermediate: usize,
    /// Random features of a head.
    pub features: usize,
    /// Longest sequence, special tokens included.
    pub context: usize,
    /// Of all normalisations.
    pub eps: f32,
    /// What attention divides by.
    pub denominator: Denominator,
    /// Activation of the feed-forward part.
    pub activation: Activation,
}

/// The fields of the hub's `config.json` that change numbers. `deterministic_eval` is not among them: it asks for random
/// features that are drawn anew, and the stored ones are always used here.
#[derive(Deserialize)]
struct Published {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    num_random_features: usize,
    max_position_embeddings: usize,
    #[serde(default = "hub_eps")]
    layer_norm_eps: f32,
    #[serde(default = "attention_eps")]
    linear_attention_eps: f32,
    hidden_act: String,
    #[serde(default)]
    feature_map_kernel: Option<String>,
    #[serde(default)]
    model_type: Option<String>,
}

fn hub_eps() -> f32 {
    1e-12
}

fn attention_eps() -> f32 {
    1e-6
}

impl Config {
    /// Reads and checks the `config.json` of the hub.
    ///
    /// # Errors
    /// When the file cannot be read or describes something other than a MoLFormer.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let published: Published = read_json(path)?;
        let refuse = |reason: String| ModelError::Config { path: path.to_path_buf(), reason };
        if let Some(other) = published.model_type.as_deref().filter(|name| *name != "molformer") {
            return Err(refuse(format!("the model type is `{other}`, not `molformer`")));
        }
        if let Some(other) = published.feature_map_kernel.as_deref().filter(|name| *name != "relu") {
            return Err(refuse(format!(
                "the feature map `{other}` is not that of the published models (relu)"
            )));
        }
        let activation = match published.hidden_act.as_str() {
            "gelu" => Activation::Gelu,
            "relu" => Activation::Relu,
            other => return Err(refuse(format!("the activation `{other}` is neither gelu nor relu"))),
        };
        let config = Self {
            vocabulary: published.vocab_size,
            hidden: published.hidden_size,
            layers: published.num_hidden_layers,
            heads: published.num_attention_heads,
            intermediate: published.intermediate_size,
            features: published.num_random_features,
            context: published.max_position_embeddings,
            eps: published.layer_norm_eps,
            denominator: Denominator::AtLeast(published.linear_attention_eps),
            activation,
        };
        config.check().map_err(refuse)?;
        Ok(config)
    }

    /// Sizes of an original checkpoint whose tensors have the hub's names; its constants are those of the training code.
    ///
    /// # Errors
    /// When a tensor that tells a size is missing or has another number of axes.
    pub(super) fn of_shapes(weights: &Weights, file: &Path) -> Result<Self, ModelError> {
        let matrix = |name: &str| match weights.shape(name) {
            Some(&[rows, columns]) => Ok([rows, columns]),
            _ => Err(CheckpointError::MissingTensor {
                name: name.to_owned(),
                files: file.to_path_buf(),
                close: None,
            }),
        };
        let [vocabulary, hidden] = matrix("embeddings.word_embeddings.weight")?;
        let [head_width, features] = matrix("encoder.layer.0.attention.self.feature_map.weight")?;
        let [intermediate, _] = matrix("encoder.layer.0.intermediate.dense.weight")?;
        let layers = (0..).take_while(|layer| weights.has_prefix(&format!("encoder.layer.{layer}."))).count();
        let refuse = |reason: String| ModelError::Config { path: file.to_path_buf(), reason };
        if head_width == 0 || !hidden.is_multiple_of(head_width) {
            return Err(refuse(format!("heads of {head_width} columns do not divide the width {hidden}")));
        }
        let config = Self {
            vocabulary,
            hidden,
            layers,
            heads: hidden / head_width,
            intermediate,
            features,
            context: CONTEXT,
            eps: 1e-5,
            denominator: Denominator::Plus(1e-6),
            activation: Activation::Gelu,
        };
        config.check().map_err(refuse)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        check(&[
            ("the vocabulary", self.vocabulary, Size::Rows),
            ("the width", self.hidden, Size::Width),
            ("the number of layers", self.layers, Size::Layers),
            ("the number of heads", self.heads, Size::Heads),
            ("the feed-forward part", self.intermediate, Size::Width),
            ("the number of random features", self.features, Size::Width),
            ("the context", self.context, Size::Positions),
        ])?;
        if self.context < 3 {
            return Err(format!("a context of {} tokens holds no drug", self.context));
        }
        if !head_width(self.hidden, self.heads)?.is_multiple_of(2) {
            return Err(format!(
                "heads of {} columns have no two halves to turn by positions",
                self.head_width()
            ));
        }
        check_eps("layer_norm_eps", self.eps)?;
        match self.denominator {
            Denominator::AtLeast(eps) | Denominator::Plus(eps) => check_eps("linear_attention_eps", eps),
        }
    }

    /// Columns of a head.
    #[must_use]
    pub fn head_width(&self) -> usize {
        self.hidden / self.heads
    }
}
