//! `adapter_config.json` of Hugging Face peft, as far as it decides what an adapter computes.

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;
use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::error::ModelError;

pub(super) const CONFIG: &str = "adapter_config.json";

/// The fields that change results, and those without which peft does not read the file.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Config {
    pub(super) peft_type: String,
    pub(super) r: usize,
    pub(super) lora_alpha: f64,
    #[serde(default)]
    pub(super) lora_dropout: f64,
    #[serde(default)]
    pub(super) base_model_name_or_path: Option<String>,
    #[serde(default = "none")]
    pub(super) bias: String,
    /// Whether the layers are transformers' `Conv1D`; the shapes of the adapter are the same.
    #[serde(default)]
    pub(super) fan_in_fan_out: bool,
    #[serde(default)]
    pub(super) inference_mode: bool,
    #[serde(default)]
    pub(super) target_modules: serde_json::Value,
    #[serde(default)]
    pub(super) task_type: Option<String>,
    #[serde(default)]
    pub(super) use_rslora: bool,
    #[serde(default)]
    pub(super) use_dora: bool,
    #[serde(default)]
    pub(super) alpha_pattern: IndexMap<String, f64>,
    #[serde(default)]
    pub(super) rank_pattern: IndexMap<String, usize>,
    #[serde(default)]
    pub(super) modules_to_save: Option<Vec<String>>,
    /// Read only: some starts change the weights of the model when peft loads the adapter.
    #[serde(default, skip_serializing)]
    pub(super) init_lora_weights: serde_json::Value,
    /// Whatever else the file says.
    #[serde(flatten, skip_serializing)]
    pub(super) others: BTreeMap<String, serde_json::Value>,
}

/// Starts that only draw A and B, which the file has.
const PLAIN_STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];
/// Fields with which peft computes something else than `scale · (x Aᵀ) Bᵀ`.
const OTHER_METHODS: [&str; 9] = [
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "loftq_config",
    "monteclora_config",
    "use_bdlora",
    "use_qalora",
    "velora_config",
];

/// Whether a field says more than that it is not used.
fn is_set(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Null | serde_json::Value::Bool(false) => false,
        serde_json::Value::Object(map) => !map.is_empty(),
        serde_json::Value::Array(list) => !list.is_empty(),
        _ => true,
    }
}

fn none() -> String {
    "none".to_owned()
}

impl Config {
    /// Reads the configuration of a folder.
    ///
    /// # Errors
    /// When it is missing, no JSON of this form, or asks for something that is no plain LoRA.
    pub(super) fn read(folder: &Path) -> Result<Self, ModelError> {
        let path = folder.join(CONFIG);
        let refuse = |reason: String| ModelError::Config { path: path.clone(), reason };
        let text = fs_err::read_to_string(&path).map_err(|error| refuse(error.to_string()))?;
        let config: Self = serde_json::from_str(&text)
            .map_err(|error| refuse(format!("it is no configuration of a LoRA adapter: {error}")))?;
        let unusable = [
            (config.peft_type != "LORA", format!("peft_type is {}, not LORA", config.peft_type)),
            (config.use_dora, "it is a DoRA adapter (use_dora)".to_owned()),
            (config.bias != "none", format!("it trained biases (bias = {})", config.bias)),
            (config.r == 0, "its rank is 0".to_owned()),
            (!config.lora_alpha.is_finite(), "lora_alpha is no number".to_owned()),
        ];
        if let Some(start) = config.init_lora_weights.as_str().filter(|start| !PLAIN_STARTS.contains(start)) {
            return Err(refuse(format!(
                "its start `{start}` (init_lora_weights) changes the weights of the model"
            )));
        }
        if let Some(method) = OTHER_METHODS.iter().find(|name| config.others.get(**name).is_some_and(is_set))
        {
            return Err(refuse(format!("it asks for `{method}`; plain LoRA adapters can be used")));
        }
        match unusable.into_iter().find(|(wrong, _)| *wrong) {
            None => Ok(config),
            Some((_, what)) => Err(refuse(format!("{what}; plain LoRA adapters without biases can be used"))),
        }
    }

    /// The factor of the layer `name`, whose adapter has rank `rank`: alpha / rank, or alpha / √rank with `use_rslora`.
    ///
    /// # Errors
    /// When a pattern of `alpha_pattern` cannot be read.
    pub(super) fn scale(&self, folder: &Path, name: &str, rank: usize) -> Result<f32, ModelError> {
        let mut alpha = self.lora_alpha;
        for (pattern, of_pattern) in &self.alpha_pattern {
            // As peft: the pattern is the end of the name, behind a dot.
            let pattern = Regex::new(&format!(r"^(.*\.)?({pattern})$")).map_err(|error| {
                ModelError::Config { path: folder.join(CONFIG), reason: format!("alpha_pattern: {error}") }
            })?;
            if pattern.is_match(name) {
                alpha = *of_pattern;
                break;
            }
        }
        let divisor = rank as f64;
        let scale = (alpha / if self.use_rslora { divisor.sqrt() } else { divisor }) as f32;
        if rank == 0 || !scale.is_finite() {
            let reason =
                format!("the adapter of {name} has rank {rank} and alpha {alpha}, which give no factor");
            return Err(ModelError::Config { path: folder.join(CONFIG), reason });
        }
        Ok(scale)
    }
}
