//! `args.json` of a published scGPT: the fields that change numbers.

use std::path::Path;

use celldag_data::vocabulary::read_json;
use celldag_shaders::ops::Activation;
use serde::Deserialize;

use crate::blocks::TransformerShape;
use crate::error::ModelError;
use crate::sizes::{Size, check, head_width};

/// Of all normalisations; torch's default, which scGPT never changes.
pub(super) const EPS: f32 = 1e-5;

/// Sizes of a scGPT, and how its values are binned. Copies of the file that lack a field get the value of the published
/// models, but never for a size.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// Width of the token states.
    pub embsize: usize,
    /// Attention heads.
    pub nheads: usize,
    /// Width of the feed-forward part.
    pub d_hid: usize,
    /// Encoder layers.
    pub nlayers: usize,
    /// Bins of expression, the bin 0 of genes without counts included.
    #[serde(default = "default_bins")]
    pub n_bins: usize,
    /// The value beside `<cls>` (and beside padding, which is never computed here).
    #[serde(default = "default_pad_value")]
    pub pad_value: f32,
    /// Name of the padding token.
    #[serde(default = "default_pad_token")]
    pub pad_token: String,
    /// Tokens of the longest cells in training, `<cls>` included.
    #[serde(default = "default_length")]
    pub max_seq_len: usize,
    #[serde(default)]
    input_style: Option<String>,
    #[serde(default)]
    input_emb_style: Option<String>,
}

fn default_bins() -> usize {
    51
}

fn default_pad_value() -> f32 {
    -2.0
}

fn default_pad_token() -> String {
    "<pad>".to_owned()
}

fn default_length() -> usize {
    1200
}

impl Config {
    /// Reads and checks an `args.json`.
    ///
    /// # Errors
    /// When the file cannot be read, lacks a size, or describes a model that reads something other than binned counts.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let refuse = |reason: String| ModelError::Config { path: path.to_path_buf(), reason };
        let mut fields: serde_json::Value = read_json(path)?;
        // What Python wrote as None is as good as not there.
        if let Some(fields) = fields.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        let config: Self = serde_json::from_value(fields)
            .map_err(|e| refuse(format!("not the configuration of a scGPT: {e}")))?;
        config.check().map_err(refuse)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        check(&[
            ("embsize", self.embsize, Size::Width),
            ("nheads", self.nheads, Size::Heads),
            ("d_hid", self.d_hid, Size::Width),
            ("nlayers", self.nlayers, Size::Layers),
            ("n_bins", self.n_bins, Size::Rows),
            ("max_seq_len", self.max_seq_len, Size::Positions),
        ])?;
        head_width(self.embsize, self.nheads)?;
        if self.n_bins < 3 {
            return Err(format!("{} bins leave no difference between expressed genes", self.n_bins));
        }
        if self.max_seq_len < 2 {
            return Err(format!("a context of {} tokens holds no cell", self.max_seq_len));
        }
        if !self.pad_value.is_finite() {
            return Err("`pad_value` is no number".to_owned());
        }
        let styles = [
            ("input_style", &self.input_style, "binned"),
            ("input_emb_style", &self.input_emb_style, "continuous"),
        ];
        for (name, style, wanted) in styles {
            if let Some(other) = style.as_deref().filter(|style| *style != wanted) {
                return Err(format!(
                    "`{name}` is `{other}`; all published models have `{wanted}`, and only that is read"
                ));
            }
        }
        Ok(())
    }

    /// Layers and width in one word, by which models are told apart in reports: the file does not name the organ.
    #[must_use]
    pub fn variant(&self) -> String {
        format!("{}x{}", self.nlayers, self.embsize)
    }

    /// Sizes of one layer.
    #[must_use]
    pub fn layer_shape(&self) -> TransformerShape {
        TransformerShape {
            hidden: self.embsize,
            heads: self.nheads,
            feedforward: self.d_hid,
            activation: Activation::Relu,
            eps: EPS,
        }
    }
}
