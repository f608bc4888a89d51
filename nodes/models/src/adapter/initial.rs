//! Adapters before training, as peft starts them.

use celldag_shaders::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::error::ModelError;
use crate::training::uniform;

/// Values of A `[rank, inputs]` and B `[outputs, rank]` as peft draws them: A uniform within ±1/√inputs (torch's
/// `kaiming_uniform_` with a = √5), B zero, so that training starts at the published model. The numbers depend on `seed` and
/// on the layer's name only, not on which other layers have adapters.
///
/// # Errors
/// What the device reports.
pub fn initial_lora(
    device: &Device,
    seed: &[u8; 32],
    (name, inputs, outputs): &(String, usize, usize),
    rank: usize,
) -> Result<[celldag_shaders::Tensor; 2], ModelError> {
    let mut key = blake3::Hasher::new_derive_key("celldag lora initial values 1");
    key.update(seed);
    key.update(name.as_bytes());
    let mut rng = ChaCha8Rng::from_seed(*key.finalize().as_bytes());
    let a = uniform(&mut rng, rank * inputs, *inputs);
    Ok([device.upload(&[rank, *inputs], &a)?, device.zeros(&[*outputs, rank])?])
}
