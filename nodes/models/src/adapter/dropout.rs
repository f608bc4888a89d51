//! Dropout on what goes into an adapter, which can be computed again in the backward pass and on another cut of a batch.

use std::sync::{Arc, PoisonError, RwLock};

use celldag_shaders::ops::{self, Dropout};
use celldag_shaders::{Ids, Result, Tensor};

/// The noise of one forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// Probability that a value becomes 0.
    pub probability: f32,
    /// Seed of the run.
    pub seed: u64,
    /// Number of the optimiser step: every step has noise of its own.
    pub step: u64,
    /// A number of each cell of the pass, and its tokens. With it noise belongs to the cell and not to its place.
    pub cells: Vec<(u32, usize)>,
}

/// Where the training of a model says what noise its adapters have now; none outside of training. Clones share it, but for
/// the layer.
#[derive(Clone, Debug, Default)]
pub struct InputDropout {
    now: Arc<RwLock<Option<Arc<Noise>>>>,
    /// Tells layers apart.
    layer: u64,
}

impl InputDropout {
    /// The same noise as seen by the layer `name`, whose values are drawn on their own.
    #[must_use]
    pub fn of_layer(&self, name: &str) -> Self {
        let digest = blake3::derive_key("celldag lora dropout layer 1", name.as_bytes());
        let mut word = [0; 8];
        word.copy_from_slice(&digest[..8]);
        Self { now: Arc::clone(&self.now), layer: u64::from_le_bytes(word) }
    }

    /// Sets the noise of the passes to come, until it is set again; `None` for exact results.
    pub fn set(&self, noise: Option<Noise>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = noise.map(Arc::new);
    }

    /// `x` with noise; nothing if there is none.
    ///
    /// # Errors
    /// What the device reports.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let noise = self.now.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(noise) = noise.filter(|noise| noise.probability > 0.0) else { return Ok(None) };
        let rows = x.shape().first().copied().unwrap_or(1);
        let keys = Ids::new(x.device(), &noise.row_keys(rows))?;
        let settings = Dropout {
            probability: noise.probability,
            seed: noise.seed,
            // A step of one layer is a place of its own.
            stream: self.layer.wrapping_add(noise.step.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        };
        ops::dropout(x, settings, Some(&keys)).map(Some)
    }
}

impl Noise {
    /// A number for each of the `rows` of a layer: of its cell and its place in the cell. Layers see a row a token (and as
    /// many more a cell as the model adds itself) or a row a cell; rows of another count are numbered through.
    fn row_keys(&self, rows: usize) -> Vec<u32> {
        let cells = self.cells.len();
        let tokens: usize = self.cells.iter().map(|(_, tokens)| tokens).sum();
        let of_cells = |length: &dyn Fn(usize) -> usize| {
            let of_cell =
                |&(key, tokens): &(u32, usize)| (0..length(tokens)).map(move |place| mixed(key, place));
            self.cells.iter().flat_map(of_cell).collect()
        };
        match rows.checked_sub(tokens) {
            _ if rows == cells => of_cells(&|_| 1),
            Some(more) if cells > 0 && more.is_multiple_of(cells) => {
                of_cells(&|tokens| tokens + more / cells)
            }
            _ => (0..rows).map(|row| mixed(0, row)).collect(),
        }
    }
}

/// A hash of a cell's number and a place in it (the finaliser of MurmurHash3).
fn mixed(cell: u32, place: usize) -> u32 {
    let place = u32::try_from(place).unwrap_or(u32::MAX);
    let mut word = cell ^ place.wrapping_mul(0x9e37_79b1);
    word = (word ^ (word >> 16)).wrapping_mul(0x85eb_ca6b);
    word = (word ^ (word >> 13)).wrapping_mul(0xc2b2_ae35);
    word ^ (word >> 16)
}

#[cfg(test)]
mod tests {
    use celldag_shaders::Device;

    use super::*;

    fn noise(cells: &[(u32, usize)]) -> Noise {
        Noise { probability: 0.5, seed: 3, step: 1, cells: cells.to_vec() }
    }

    #[test]
    fn noise_belongs_to_the_cell_and_its_token() {
        let both = noise(&[(7, 3), (9, 2)]);
        let alone = noise(&[(9, 2)]);
        assert_eq!(both.row_keys(5)[3..], alone.row_keys(2));
        assert_eq!(both.row_keys(7)[4..], alone.row_keys(3), "one more row a cell");
        assert_eq!(both.row_keys(2)[1..], alone.row_keys(1), "a row a cell");
        let keys: std::collections::BTreeSet<u32> = both.row_keys(5).into_iter().collect();
        assert_eq!(keys.len(), 5);
        assert_eq!(both.row_keys(6).len(), 6, "what is not understood is numbered through");
    }

    #[test]
    fn layers_and_steps_differ_and_no_noise_is_exact() {
        let device = Device::cpu(1).unwrap();
        let x = device.upload(&[4, 64], &[1.0; 256]).unwrap();
        let root = InputDropout::default();
        assert!(root.apply(&x).unwrap().is_none());
        let at = |layer: &str, step: u64| {
            root.set(Some(Noise { step, ..noise(&[(1, 4)]) }));
            root.of_layer(layer).apply(&x).unwrap().unwrap().read().unwrap()
        };
        assert_eq!(at("a", 1), at("a", 1));
        assert_ne!(at("a", 1), at("b", 1));
        assert_ne!(at("a", 1), at("a", 2));
        let kept = at("a", 1).iter().filter(|&&value| value == 2.0).count();
        assert!((96..160).contains(&kept), "{kept} of 256");
    }
}
