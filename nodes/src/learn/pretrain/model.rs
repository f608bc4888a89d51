//! The model of a run: initial weights on the device, all of them to be trained.

use celldag_data::checkpoint::Weights;
use celldag_models::pretraining::{MaskedLm, PretrainSettings, Pretraining, initial_tensors, serialized};
use celldag_models::{Adapters, ModelError};
use celldag_shaders::Device;
use celldag_shaders::ops::Adam;

use super::kind::Options;
use crate::embed::failure::Failure;
use crate::learn::lora::host_memory;

/// The model before its first step, and its number of weights.
pub(super) fn start(
    options: &Options,
    device: &Device,
    vocabulary: usize,
) -> Result<(Pretraining, usize), Failure> {
    let config = options.shape().config(vocabulary)?;
    let tensors = initial_tensors(&config.sizes()?, &seed(options.seed, "weights"))?;
    let bytes = serialized(&tensors)?;
    drop(tensors);
    let weights = Weights::from_bytes("initial weights".as_ref(), bytes).map_err(ModelError::from)?;
    let adapters = Adapters::default().training(&["*".to_owned()])?;
    let model = MaskedLm::load(&weights, &config, device, &adapters)?;
    let parameters = model.parameters();
    let on_host = device.info().backend == "cpu";
    let settings = PretrainSettings {
        adam: Adam { lr: options.learning_rate, weight_decay: options.weight_decay, ..Adam::default() },
        clip: Some(options.clip).filter(|&most| most > 0.0),
        parts: options.accumulation,
        memory: if on_host { host_memory(device.memory().live) } else { None },
        recompute: options.recompute,
    };
    Ok((Pretraining::new(device, model, adapters.trained(), settings)?, parameters))
}

/// Randomness of a run for one purpose.
pub(super) fn seed(seed: u64, purpose: &str) -> [u8; 32] {
    let mut key = blake3::Hasher::new_derive_key("celldag pretrain seed 1");
    key.update(&seed.to_le_bytes());
    key.update(purpose.as_bytes());
    *key.finalize().as_bytes()
}
