//! The configuration inside of `models.ckpt`: the fields that change numbers.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::error::ModelError;
use crate::sizes::{Size, check, head_width};

/// What the published models are called.
const KIND: &str = "mae_autobin";

/// Sizes of a scFoundation. Fields that copies of the file lack have the value of the published models, but never a size.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Config {
    /// The encoder.
    pub encoder: Part,
    /// The decoder.
    pub decoder: Part,
    /// Positions: genes, T and S.
    pub seq_len: usize,
    /// Vectors that the embedding of a value is mixed from.
    pub bin_num: usize,
    /// Weight of the inner layer of the value embedding in its second one.
    #[serde(default = "default_alpha")]
    pub bin_alpha: f32,
    /// The value that stands for padding.
    #[serde(default = "default_pad")]
    pub pad_token_id: f32,
    /// The value that stands for a masked gene.
    #[serde(default = "default_mask")]
    pub mask_token_id: f32,
    #[serde(default)]
    bin_type: Option<String>,
}

/// Sizes of the encoder or the decoder. The flag `norm_first` is in the file but never reached the models: both are as they
/// were trained whatever it says.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Part {
    /// Width of the token states.
    pub hidden_dim: usize,
    /// Layers.
    pub depth: usize,
    /// Attention heads.
    pub heads: usize,
    #[serde(default)]
    module_type: Option<String>,
}

fn default_alpha() -> f32 {
    1.0
}

fn default_pad() -> f32 {
    103.0
}

fn default_mask() -> f32 {
    102.0
}

impl Config {
    /// Of what is saved beside the weights in `file`: as published, or merged to one level as the authors' loader does it.
    ///
    /// # Errors
    /// When a size is missing, or the model is of another kind.
    pub fn of(saved: &Value, file: &Path) -> Result<Self, ModelError> {
        let refuse = |reason: String| ModelError::Config { path: file.to_path_buf(), reason };
        let kind = ["model", "model_type"].iter().find_map(|name| saved.get(name)?.as_str());
        if let Some(other) = kind.filter(|kind| *kind != KIND) {
            return Err(refuse(format!("this is a model of the kind `{other}`; scFoundation is `{KIND}`")));
        }
        let config: Self = serde_json::from_value(Value::Object(merged(saved)))
            .map_err(|e| refuse(format!("not the configuration of a scFoundation: {e}")))?;
        config.check().map_err(refuse)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        for (name, part, kind) in
            [("encoder", &self.encoder, "transformer"), ("decoder", &self.decoder, "performer")]
        {
            check(&[
                ("hidden_dim", part.hidden_dim, Size::Width),
                ("heads", part.heads, Size::Heads),
                ("depth", part.depth, Size::Layers),
            ])
            .map_err(|reason| format!("the {name}: {reason}"))?;
            if let Some(other) = part.module_type.as_deref().filter(|module| *module != kind) {
                return Err(format!("the {name} is a `{other}`; published models have a `{kind}`"));
            }
        }
        head_width(self.encoder.hidden_dim, self.encoder.heads)?;
        if let Some(other) = self.bin_type.as_deref().filter(|kind| *kind != "auto_bin") {
            return Err(format!("values are embedded by `{other}`; published models have `auto_bin`"));
        }
        if self.seq_len < 3 {
            return Err("there is no room for a gene".to_owned());
        }
        check(&[("bin_num", self.bin_num, Size::Width), ("seq_len", self.seq_len, Size::Positions)])
    }
}

/// All fields on one level; those of the data win, as in the authors' loader.
fn merged(saved: &Value) -> Map<String, Value> {
    let fields = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let Some(models) = saved.get("model_config") else { return fields(Some(saved)) };
    let mut all = fields(models.get(KIND));
    all.extend(fields(saved.get("dataset_config").and_then(|data| data.get("rnaseq"))));
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn part(kind: &str) -> Value {
        json!({"hidden_dim": 16, "depth": 3, "heads": 4, "dim_head": 4, "module_type": kind, "norm_first": true})
    }

    fn flat() -> Value {
        json!({"encoder": part("transformer"), "decoder": part("performer"), "seq_len": 12, "bin_num": 7})
    }

    fn of(saved: &Value) -> Result<Config, String> {
        Config::of(saved, Path::new("models.ckpt")).map_err(|e| e.to_string())
    }

    #[test]
    fn fields_of_the_data_win_over_those_of_the_model() {
        let saved = json!({
            "model": "mae_autobin",
            "model_config": {"mae_autobin": flat(), "other": {}},
            "dataset_config": {"rnaseq": {"bin_num": 9, "bin_type": "auto_bin"}},
        });
        let config = of(&saved).unwrap();
        assert_eq!((config.bin_num, config.bin_alpha, config.pad_token_id), (9, 1.0, 103.0));
        let config = of(&flat()).unwrap();
        assert_eq!((config.bin_num, config.seq_len, config.encoder.heads), (7, 12, 4));
    }

    #[test]
    fn other_models_are_refused() {
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut saved = flat();
            change(&mut saved);
            of(&saved).unwrap_err()
        };
        assert!(refused(&|v| v["model_type"] = json!("flash_all")).contains("flash_all"));
        assert!(refused(&|v| v["encoder"]["module_type"] = json!("performer")).contains("encoder"));
        assert!(refused(&|v| v["encoder"]["heads"] = json!(5)).contains("5 attention heads"));
        assert!(refused(&|v| v["bin_type"] = json!("fixed")).contains("auto_bin"));
        assert!(refused(&|v| v["seq_len"] = Value::Null).contains("not the configuration"));
    }
}
