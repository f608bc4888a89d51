//! The model of a run: loaded once, with an adapter over each layer that is to be trained.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use celldag_engine::{NodeError, Step};
use celldag_models::training::TunedLayer;
use celldag_models::{
    Adapters, CellModel, InputDropout, LoadEncoder, Loaded, Lora, ModelError, Neighbourhood,
    Options as ModelOptions, Purpose, Slot, chosen_layers, initial_lora,
};
use celldag_shaders::{Device, Precision};

use super::kind::Options;
use crate::device;
use crate::embed::TokensFile;
use crate::embed::embed_cells::{check_vocabulary, model};
use crate::embed::failure::Failure;
use crate::embed::options;

/// A model whose adapters can be set to other values for every fold.
pub(super) struct Adapted<'a> {
    pub(super) model: &'static dyn CellModel,
    pub(super) loaded: Loaded<'a>,
    pub(super) device: Device,
    pub(super) dropout: InputDropout,
    layers: Vec<(String, usize, usize)>,
    loras: BTreeMap<String, Lora>,
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
        let seen = Adapters::default();
        device.rehearse(|| load(model, &device, &of_model, &seen).map(drop))?;
        let layers = chosen_layers(&seen.layers_seen(), &targets(model, options))?;
        let dropout = InputDropout::default();
        let mut loras = BTreeMap::new();
        for layer @ (name, ..) in &layers {
            let [a, b] = initial_lora(&device, &[0; 32], layer, options.rank)?.map(Slot::new);
            let lora = Lora::new(a, b, (options.alpha / options.rank as f64) as f32);
            loras.insert(name.clone(), lora.with_dropout(dropout.of_layer(name)));
        }
        let adapters = Adapters::new(loras.clone());
        let before = AtomicBool::new(false);
        let loaded = Loaded::new(&device, move |device| {
            if before.swap(true, Ordering::Relaxed) {
                let lost = "the device was lost, and with it what training had changed; run the step again";
                return Err(ModelError::Adapter(lost.to_owned()));
            }
            load(model, device, &of_model, &adapters)
        })?;
        let info = loaded.encoder().info();
        check_vocabulary(tokens, info)?;
        if info.neighbourhood != Neighbourhood::Cell {
            return Err(NodeError::parameter(format!(
                "{} looks at cells together, and training and test cells would see each other",
                model.name()
            ))
            .help("set `neighbourhood: cell`")
            .into());
        }
        Ok(Self { model, loaded, device, dropout, layers, loras, rank: options.rank })
    }

    /// The adapters of all layers with the initial values of `seed`.
    pub(super) fn restart(&self, seed: &[u8; 32]) -> Result<Vec<TunedLayer>, ModelError> {
        let layer = |layer: &(String, usize, usize)| {
            let lora = &self.loras[&layer.0];
            let [a, b] = initial_lora(&self.device, seed, layer, self.rank)?;
            lora.a.set(a);
            lora.b.set(b);
            TunedLayer::new(layer.0.clone(), lora.clone())
        };
        self.layers.iter().map(layer).collect()
    }
}

fn targets(model: &dyn CellModel, options: &Options) -> Vec<String> {
    let usual = || model.lora_targets().iter().map(|&target| target.to_owned()).collect();
    options.targets.clone().unwrap_or_else(usual)
}
