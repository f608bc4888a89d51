//! Adapters as folders of Hugging Face peft: `adapter_config.json` and `adapter_model.safetensors`, whose tensors are called
//! `base_model.model.<layer>.lora_A.weight` `[rank, inputs]` and `.lora_B.weight` `[outputs, rank]`; full
//! weights of modules that were trained as a whole (`modules_to_save`) are called `base_model.model.<module>.weight`, or whatever the
//! model calls them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celldag_data::checkpoint::Weights;
use celldag_shaders::{Device, Tensor};
use indexmap::IndexMap;
use safetensors::tensor::{Dtype, TensorView};

use super::peft_config::{CONFIG, Config};
use super::peft_names::{PREFIX, Role, is_saved, modules_to_save};
use super::{Adapters, Lora, Slot, Tensors, module_of};
use crate::error::ModelError;

const WEIGHTS: &str = "adapter_model.safetensors";
/// What versions of peft before safetensors wrote.
const OLD_WEIGHTS: &str = "adapter_model.bin";
/// What peft itself writes where only modules are saved as a whole.
const NO_TARGETS: &str = "dummy-target-modules";

/// The adapter of one layer, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct PeftLayer {
    /// A, `[rank, inputs]`, row-major.
    pub a: Vec<f32>,
    /// B, `[outputs, rank]`, row-major.
    pub b: Vec<f32>,
    /// Columns of the layer's input.
    pub inputs: usize,
    /// Columns of the layer's output.
    pub outputs: usize,
    /// Columns between A and B.
    pub rank: usize,
    /// Factor of the product: alpha / rank.
    pub scale: f32,
}

/// A PEFT folder.
#[derive(Clone, Debug, PartialEq)]
pub struct PeftAdapter {
    /// By layer, as the model calls it.
    pub layers: BTreeMap<String, PeftLayer>,
    /// Full weights that replace tensors of the model of the same name.
    pub saved: Tensors,
    /// Rank of all layers, if nothing else is said of one.
    pub rank: usize,
    /// alpha of all layers, if nothing else is said of one.
    pub alpha: f64,
    /// Dropout that it was trained with.
    pub dropout: f64,
    /// What peft calls the model below; may be absent.
    pub base_model: Option<String>,
    /// Whether the layers are transformers' `Conv1D`.
    pub fan_in_fan_out: bool,
}

/// Whether a folder holds an adapter.
#[must_use]
pub fn is_peft_folder(folder: &Path) -> bool {
    folder.join(CONFIG).is_file()
}

impl PeftAdapter {
    /// The files of a folder that [`PeftAdapter::read`] reads.
    #[must_use]
    pub fn files(folder: &Path) -> [PathBuf; 2] {
        let weights = folder.join(WEIGHTS);
        [folder.join(CONFIG), if weights.is_file() { weights } else { folder.join(OLD_WEIGHTS) }]
    }

    /// Reads a folder that peft or [`PeftAdapter::write`] wrote.
    ///
    /// # Errors
    /// When a file is missing or damaged, the adapter is no plain LoRA, or a tensor is neither one of its pairs nor of a module that
    /// was trained as a whole.
    pub fn read(folder: &Path) -> Result<Self, ModelError> {
        let config = Config::read(folder)?;
        let [_, file] = Self::files(folder);
        let weights = Weights::open(std::slice::from_ref(&file))?;
        let modules = config.modules_to_save.as_deref().unwrap_or_default();
        let mut pairs: BTreeMap<String, [Option<String>; 2]> = BTreeMap::new();
        let mut saved = Tensors::new();
        for name in weights.names() {
            match Role::of(name) {
                Role::Lora(layer, side) => pairs.entry(layer).or_default()[side] = Some(name.to_owned()),
                Role::Full(tensor) if is_saved(&tensor, modules) => {
                    saved.insert(tensor, weights.take_any(name)?);
                }
                Role::Full(_) => {
                    return Err(ModelError::Adapter(format!(
                        "{} has the tensor {name}, which is no lora_A or lora_B of a linear layer and of none of the \
                         modules_to_save ({})",
                        file.display(),
                        modules.join(", ")
                    )));
                }
            }
        }
        let mut layers = BTreeMap::new();
        for (layer, pair) in pairs {
            let read = read_layer(&weights, &config, (folder, &file), (&layer, pair))?;
            if saved.keys().any(|tensor| module_of(tensor) == layer) {
                let what = "has a low-rank adapter and full weights; one of both can be used";
                return Err(ModelError::Adapter(format!("{}: the layer {layer} {what}", file.display())));
            }
            layers.insert(layer, read);
        }
        if layers.is_empty() && saved.is_empty() {
            return Err(ModelError::Adapter(format!("{} holds no tensors", file.display())));
        }
        let Config { r: rank, lora_alpha: alpha, lora_dropout: dropout, .. } = config;
        let (base_model, fan_in_fan_out) = (config.base_model_name_or_path, config.fan_in_fan_out);
        Ok(Self { layers, saved, rank, alpha, dropout, base_model, fan_in_fan_out })
    }

    /// Writes a folder that peft loads. All layers must have the rank and alpha of the whole.
    ///
    /// # Errors
    /// When the files cannot be written.
    pub fn write(&self, folder: &Path) -> std::io::Result<()> {
        fs_err::create_dir_all(folder)?;
        let targets: Vec<&str> = self.layers.keys().map(String::as_str).collect();
        // peft refuses an empty list; this name it takes for one.
        let targets = if targets.is_empty() { NO_TARGETS.into() } else { targets.into() };
        let modules = Some(modules_to_save(&self.saved)).filter(|modules| !modules.is_empty());
        let config = Config {
            peft_type: "LORA".to_owned(),
            r: self.rank,
            lora_alpha: self.alpha,
            lora_dropout: self.dropout,
            base_model_name_or_path: self.base_model.clone(),
            bias: "none".to_owned(),
            fan_in_fan_out: self.fan_in_fan_out,
            inference_mode: true,
            // Whole names: peft would also put adapters on other layers of the same end.
            target_modules: targets,
            task_type: None,
            use_rslora: false,
            use_dora: false,
            alpha_pattern: IndexMap::new(),
            rank_pattern: IndexMap::new(),
            modules_to_save: modules,
            init_lora_weights: serde_json::Value::Null,
            others: BTreeMap::new(),
        };
        let text = serde_json::to_string_pretty(&config)?;
        fs_err::write(folder.join(CONFIG), text + "\n")?;
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
        for (name, layer) in &self.layers {
            let PeftLayer { rank, inputs, outputs, .. } = *layer;
            tensors.push((format!("{PREFIX}{name}.lora_A.weight"), vec![rank, inputs], bytes(&layer.a)));
            tensors.push((format!("{PREFIX}{name}.lora_B.weight"), vec![outputs, rank], bytes(&layer.b)));
        }
        for (name, (shape, values)) in &self.saved {
            tensors.push((format!("{PREFIX}{name}"), shape.clone(), bytes(values)));
        }
        let views = tensors.iter().map(|(name, shape, bytes)| {
            TensorView::new(Dtype::F32, shape.clone(), bytes).map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>().map_err(std::io::Error::other)?;
        // peft's reader refuses files without this.
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        let bytes = safetensors::serialize(views, Some(metadata)).map_err(std::io::Error::other)?;
        fs_err::write(folder.join(WEIGHTS), bytes)
    }

    /// The adapters on a device, and the full weights.
    ///
    /// # Errors
    /// What the device reports.
    pub fn adapters(&self, device: &Device) -> Result<Adapters, ModelError> {
        let layer = |(name, layer): (&String, &PeftLayer)| -> Result<(String, Lora), ModelError> {
            let a = device.upload(&[layer.rank, layer.inputs], &layer.a)?;
            let b = device.upload(&[layer.outputs, layer.rank], &layer.b)?;
            Ok((name.clone(), Lora::new(Slot::new(a), Slot::new(b), layer.scale)))
        };
        let layers = self.layers.iter().map(layer).collect::<Result<_, _>>()?;
        Ok(Adapters::new(layers).with_saved(self.saved.clone()))
    }
}

impl PeftLayer {
    /// The adapter of a layer whose tensors are A `[rank, inputs]` and B `[outputs, rank]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn of_tensors(a: &Tensor, b: &Tensor, scale: f32) -> Result<Self, ModelError> {
        let (&[rank, inputs], &[outputs, _]) = (a.shape(), b.shape()) else {
            return Err(ModelError::Adapter("lora_A and lora_B are matrices".to_owned()));
        };
        Ok(Self { a: a.read()?, b: b.read()?, inputs, outputs, rank, scale })
    }
}

/// The adapter of a layer, from the names of its A and B.
fn read_layer(
    weights: &Weights,
    config: &Config,
    (folder, file): (&Path, &Path),
    (layer, pair): (&str, [Option<String>; 2]),
) -> Result<PeftLayer, ModelError> {
    let refuse = |what: &str| ModelError::Adapter(format!("{}: the layer {layer} {what}", file.display()));
    let [Some(a), Some(b)] = pair else { return Err(refuse("has lora_A or lora_B only")) };
    let (Some(&[rank, inputs]), Some(&[outputs, same])) = (weights.shape(&a), weights.shape(&b)) else {
        return Err(refuse("has tensors that are no matrices"));
    };
    if rank != same || (rank != config.r && config.rank_pattern.is_empty()) {
        return Err(refuse(&format!(
            "has a lora_A of rank {rank} and a lora_B of rank {same}; the configuration says {}",
            config.r
        )));
    }
    let scale = config.scale(folder, layer, rank)?;
    let a = weights.take(&a, &[rank, inputs])?;
    let b = weights.take(&b, &[outputs, rank])?;
    Ok(PeftLayer { a, b, inputs, outputs, rank, scale })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adapter() -> PeftAdapter {
        let layer = |shift: f32| PeftLayer {
            a: (0..6).map(|i| i as f32 + shift).collect(),
            b: (0..8).map(|i| shift - i as f32).collect(),
            inputs: 3,
            outputs: 4,
            rank: 2,
            scale: 2.0,
        };
        let layers =
            BTreeMap::from([("l.0.query".to_owned(), layer(0.5)), ("l.1.query".to_owned(), layer(-3.0))]);
        PeftAdapter {
            layers,
            saved: Tensors::new(),
            rank: 2,
            alpha: 4.0,
            dropout: 0.05,
            base_model: Some("m".to_owned()),
            fan_in_fan_out: false,
        }
    }

    fn changed(folder: &Path, from: &str, to: &str) -> String {
        changed_from(&adapter(), folder, from, to)
    }

    fn changed_from(adapter: &PeftAdapter, folder: &Path, from: &str, to: &str) -> String {
        adapter.write(folder).unwrap();
        let path = folder.join(CONFIG);
        let text = fs_err::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs_err::write(&path, text.replace(from, to)).unwrap();
        PeftAdapter::read(folder).unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        adapter().write(folder.path()).unwrap();
        assert!(is_peft_folder(folder.path()));
        assert_eq!(PeftAdapter::read(folder.path()).unwrap(), adapter());
    }

    #[test]
    fn full_weights_are_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let of_norm = ("l.0.norm.weight".to_owned(), (vec![2], vec![0.5, -1.0]));
        let of_table = ("l.1.table.emb".to_owned(), (vec![1, 2], vec![2.0, 3.0]));
        let saved = Tensors::from([of_norm, of_table]);
        let both = PeftAdapter { saved: saved.clone(), ..adapter() };
        both.write(folder.path()).unwrap();
        let text = fs_err::read_to_string(folder.path().join(CONFIG)).unwrap();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(config["modules_to_save"], serde_json::json!(["l.0.norm", "l.1.table"]));
        assert_eq!(PeftAdapter::read(folder.path()).unwrap(), both);
        let full = PeftAdapter { layers: BTreeMap::new(), ..both };
        full.write(folder.path()).unwrap();
        assert_eq!(PeftAdapter::read(folder.path()).unwrap(), full);
        let message = changed_from(&full, folder.path(), "l.0.norm", "l.0.other");
        assert!(message.contains("l.0.norm.weight") && message.contains("l.0.other, l.1.table"), "{message}");
        let twice = ("l.0.query.weight".to_owned(), (vec![1], vec![0.0]));
        let twice = PeftAdapter { saved: Tensors::from([twice]), ..adapter() };
        twice.write(folder.path()).unwrap();
        let message = PeftAdapter::read(folder.path()).unwrap_err().to_string();
        assert!(message.contains("l.0.query has a low-rank adapter and full weights"), "{message}");
    }

    #[test]
    fn alpha_may_differ_by_layer_and_be_over_the_root_of_the_rank() {
        let folder = tempfile::tempdir().unwrap();
        adapter().write(folder.path()).unwrap();
        let path = folder.path().join(CONFIG);
        let text = fs_err::read_to_string(&path).unwrap();
        let text = text.replace("\"alpha_pattern\": {}", "\"alpha_pattern\": {\"1.query\": 6}");
        fs_err::write(&path, &text).unwrap();
        let scales = || {
            PeftAdapter::read(folder.path())
                .unwrap()
                .layers
                .into_values()
                .map(|l| l.scale)
                .collect::<Vec<_>>()
        };
        assert_eq!(scales(), [2.0, 3.0]);
        fs_err::write(&path, text.replace("\"use_rslora\": false", "\"use_rslora\": true")).unwrap();
        assert_eq!(scales(), [4.0, 6.0].map(|alpha| (alpha / 2.0_f64.sqrt()) as f32));
    }

    #[test]
    fn adapters_of_other_kinds_are_refused_with_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        assert!(changed(path, "\"LORA\"", "\"IA3\"").contains("peft_type is IA3"));
        assert!(changed(path, "\"use_dora\": false", "\"use_dora\": true").contains("DoRA"));
        assert!(changed(path, "\"bias\": \"none\"", "\"bias\": \"all\"").contains("bias = all"));
        assert!(changed(path, "\"r\": 2", "\"r\": 3").contains("rank 2"));
        assert!(changed(path, "{", "").contains(CONFIG));
        assert!(PeftAdapter::read(&path.join("none")).unwrap_err().to_string().contains(CONFIG));
    }
}
