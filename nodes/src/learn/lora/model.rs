//! The model of a run: loaded once, with a place for everything that is to be trained.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use celldag_engine::{NodeError, Step};
use celldag_models::training::TunedLayer;
use celldag_models::{
    Adapters, CellModel, EncoderInfo, InputDropout, LoadEncoder, Loaded, Lora, ModelError, Neighbourhood,
    Options as ModelOptions, Purpose, Slot, TrainedWeight, chosen_layers, initial_lora,
};
use celldag_shaders::{Device, DeviceError, Error as ShaderError, Precision, Tensor};

use super::kind::Options;
use crate::device;
use crate::embed::TokensFile;
use crate::embed::embed_cells::{check_vocabulary, model};
use crate::embed::failure::Failure;
use crate::embed::options;

/// A model whose adapters and trained weights can be set to other values for every fold.
pub(super) struct Adapted<'a> {
    pub(super) model: &'static dyn CellModel,
    pub(super) loaded: Loaded<'a>,
    pub(super) device: Device,
    pub(super) dropout: InputDropout,
    layers: Vec<(String, usize, usize)>,
    loras: BTreeMap<String, Lora>,
    /// Weights that are trained as a whole, with their published values.
    weights: Vec<(TrainedWeight, Tensor)>,
    rank: usize,
}

impl<'a> Adapted<'a> {
    /// Opens the device and loads the model of the tokens.
    pub(super) fn load(step: &'a Step<'_>, tokens: &TokensFile, options: &Options) -> Result<Self, Failure> {
        let model = model(tokens, options.model.as_deref())?;
        let of_model = options::given(step.params, Purpose::Embed);
        of_model.expect_known(model, Purpose::Embed)?;
        let precision: Precision =
            options.precision.parse().map_err(|e| NodeError::parameter(format!("precision: {e}")))?;
        let device = device::open_in(step, precision)?;
        let checkpoint = &step.input("checkpoint")?.path;
        let load =
            move |model: &dyn CellModel, device: &Device, options: &ModelOptions, adapters: &Adapters| {
                model.encoder(LoadEncoder { checkpoint, device, options, adapters })
            };
        // The layers show when a model is loaded; the first time nothing is put onto the device.
        let seen = Adapters::default().training(&options.train)?;
        device.rehearse(|| load(model, &device, &of_model, &seen).map(drop))?;
        tell_constants(step, &seen);
        let layers = adapted_layers(model, options, &seen)?;
        let dropout = InputDropout::default();
        let mut loras = BTreeMap::new();
        for layer @ (name, ..) in &layers {
            let [a, b] = initial_lora(&device, &[0; 32], layer, options.rank)?.map(Slot::new);
            let lora = Lora::new(a, b, (options.alpha / options.rank as f64) as f32);
            loras.insert(name.clone(), lora.with_dropout(dropout.of_layer(name)));
        }
        let adapters = Arc::new(Adapters::new(loras.clone()).training(&options.train)?);
        let before = AtomicBool::new(false);
        let of_load = Arc::clone(&adapters);
        let loaded = Loaded::new(&device, move |device| {
            if before.swap(true, Ordering::Relaxed) {
                return Err(lost(device));
            }
            load(model, device, &of_model, &of_load)
        })?;
        let info = loaded.encoder().info();
        check_vocabulary(tokens, info)?;
        expect_alone(model, info)?;
        let weights = adapters.trained().into_iter();
        let weights = weights.map(|weight| {
            let published = weight.slot.get();
            (weight, published)
        });
        let weights = weights.collect();
        Ok(Self { model, loaded, device, dropout, layers, loras, weights, rank: options.rank })
    }

    /// Everything that is trained, with the initial values of `seed` in adapters and the published ones in weights.
    pub(super) fn restart(&self, seed: &[u8; 32]) -> Result<Vec<TunedLayer>, ModelError> {
        let adapter = |layer: &(String, usize, usize)| {
            let lora = &self.loras[&layer.0];
            let [a, b] = initial_lora(&self.device, seed, layer, self.rank)?;
            lora.a.set(a);
            lora.b.set(b);
            TunedLayer::adapter(layer.0.clone(), lora)
        };
        let whole = |(weight, published): &(TrainedWeight, Tensor)| {
            weight.slot.set(published.clone());
            TunedLayer::whole(weight.clone())
        };
        self.layers.iter().map(adapter).chain(self.weights.iter().map(whole)).collect()
    }
}

/// The device was opened again: what training had changed is gone. The step can be repeated.
fn lost(device: &Device) -> ModelError {
    let message = "it is open again, but what training had changed went with it".to_owned();
    ShaderError::from(DeviceError::Lost { device: device.info().name.clone(), message }).into()
}

/// The layers that get an adapter: those named, without those whose own weights are trained.
fn adapted_layers(
    model: &dyn CellModel,
    options: &Options,
    seen: &Adapters,
) -> Result<Vec<(String, usize, usize)>, ModelError> {
    let usual = || model.lora_targets().iter().map(|&target| target.to_owned()).collect();
    let targets: Vec<String> = options.targets.clone().unwrap_or_else(usual);
    let whole = seen.trained();
    let whole: BTreeSet<&str> = whole.iter().map(TrainedWeight::module).collect();
    let mut layers = chosen_layers(&seen.layers_seen(), &targets)?;
    layers.retain(|(name, ..)| !whole.contains(name.as_str()));
    Ok(layers)
}

/// Says which tensors a pattern of `train` names although they are constants.
fn tell_constants(step: &Step<'_>, seen: &Adapters) {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, why) in seen.passed_over() {
        by_reason.entry(why).or_default().push(name);
    }
    let said: Vec<String> =
        by_reason.into_iter().map(|(why, names)| format!("{}: {why}", names.join(", "))).collect();
    if !said.is_empty() {
        step.fact("constants_not_trained", said.join("; "));
    }
}

/// Training and test cells must not see each other.
fn expect_alone(model: &dyn CellModel, info: &EncoderInfo) -> Result<(), NodeError> {
    if info.neighbourhood == Neighbourhood::Cell {
        return Ok(());
    }
    // Models say it by an option of their own.
    let option = if info.options.contains_key("key_maximum") { "key_maximum" } else { "neighbourhood" };
    Err(NodeError::parameter(format!(
        "{} looks at cells together, and training and test cells would see each other",
        model.name()
    ))
    .help(format!("set `{option}: cell`")))
}

#[cfg(test)]
mod tests {
    use celldag_engine::FailureCause;
    use celldag_models::cell_model;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_lost_device_is_a_failure_that_is_tried_again() {
        let error = NodeError::from(Failure::from(lost(&Device::cpu(1).expect("device"))));
        assert_eq!(error.cause, FailureCause::Lost);
        assert!(error.message.contains("what training had changed went with it"), "{}", error.message);
    }

    #[test]
    fn models_that_look_at_cells_together_say_which_option_ends_it() {
        let refused = |model: &str, options: serde_json::Value| {
            let info = EncoderInfo {
                neighbourhood: Neighbourhood::All,
                options: options.as_object().cloned().unwrap_or_default(),
                ..EncoderInfo::default()
            };
            expect_alone(cell_model(model).expect("a model"), &info).expect_err(model).help.expect("help")
        };
        assert_eq!(refused("cellplm", json!({"neighbourhood": "all"})), "set `neighbourhood: cell`");
        assert_eq!(refused("scbert", json!({"key_maximum": "batch"})), "set `key_maximum: cell`");
    }
}
