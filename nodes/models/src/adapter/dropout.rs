//! Dropout on what goes into an adapter, which can be computed again in the backward pass and on another cut of a batch.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use celldag_shaders::ops::{self, Dropout};
use celldag_shaders::{Error, Ids, Result, Tensor};

/// Stands for the number of a cell in rows that are of no cell.
const NO_CELL: u32 = 0x6365_6c6c;

/// What the rows are that go into a linear layer: their noise belongs to that, and not to their place in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LayerRows {
    /// So many rows of each cell, cell after cell: its tokens, a row of its own, all genes of the vocabulary.
    OfCells(Vec<usize>),
    /// Rows that all cells share, such as those of a table of tokens: a number of each.
    Shared(Vec<u32>),
}

/// The noise of one forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise {
    /// Probability that a value becomes 0.
    pub probability: f32,
    /// Seed of the run.
    pub seed: u64,
    /// Number of the optimiser step: every step has noise of its own.
    pub step: u64,
    /// A number of each cell of the pass. With it noise belongs to the cell and not to its place.
    pub cells: Vec<u32>,
    /// By layer what its rows are, for each input that it has in a pass. Their counts tell them apart.
    pub rows: BTreeMap<String, Vec<LayerRows>>,
}

/// Where the training of a model says what noise its adapters have now; none outside of training. Clones share it, but for
/// the layer.
#[derive(Clone, Debug, Default)]
pub struct InputDropout {
    now: Arc<RwLock<Option<Arc<Noise>>>>,
    layer: Arc<str>,
    /// Tells layers apart.
    stream: u64,
}

impl InputDropout {
    /// The same noise as seen by the layer `name`, whose values are drawn on their own.
    #[must_use]
    pub fn of_layer(&self, name: &str) -> Self {
        let digest = blake3::derive_key("celldag lora dropout layer 1", name.as_bytes());
        let mut word = [0; 8];
        word.copy_from_slice(&digest[..8]);
        Self { now: Arc::clone(&self.now), layer: name.into(), stream: u64::from_le_bytes(word) }
    }

    /// Sets the noise of the passes to come, until it is set again; `None` for exact results.
    pub fn set(&self, noise: Option<Noise>) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = noise.map(Arc::new);
    }

    /// `x` with noise; nothing if there is none.
    ///
    /// # Errors
    /// Rows of which nobody said what they are; what the device reports.
    pub(super) fn apply(&self, x: &Tensor) -> Result<Option<Tensor>> {
        let noise = self.now.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(noise) = noise.filter(|noise| noise.probability > 0.0) else { return Ok(None) };
        let rows = x.shape().first().copied().unwrap_or(1);
        let Some(keys) = noise.row_keys(&self.layer, rows) else {
            // Noise by place would depend on the batch.
            let cells = noise.cells.len();
            let message =
                format!("nobody says what the {rows} rows of {} are, for {cells} cells", self.layer);
            return Err(Error::Shape { op: "dropout of an adapter", message });
        };
        let settings = Dropout {
            probability: noise.probability,
            seed: noise.seed,
            // A step of one layer is a place of its own.
            stream: self.stream.wrapping_add(noise.step.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        };
        ops::dropout(x, settings, Some(&Ids::new(x.device(), &keys)?)).map(Some)
    }
}

impl Noise {
    /// A number for each of the `rows` of a layer: of its cell and its place in the cell.
    fn row_keys(&self, layer: &str, rows: usize) -> Option<Vec<u32>> {
        let fits = |of: &&LayerRows| match of {
            LayerRows::OfCells(counts) => {
                counts.len() == self.cells.len() && counts.iter().sum::<usize>() == rows
            }
            LayerRows::Shared(numbers) => numbers.len() == rows,
        };
        Some(match self.rows.get(layer)?.iter().find(fits)? {
            LayerRows::OfCells(counts) => {
                let of_cell = |(&cell, &count): (&u32, &usize)| (0..count).map(move |at| mixed(cell, at));
                self.cells.iter().zip(counts).flat_map(of_cell).collect()
            }
            LayerRows::Shared(numbers) => {
                numbers.iter().map(|&number| mixed(NO_CELL, number as usize)).collect()
            }
        })
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
    use std::collections::BTreeSet;

    use celldag_shaders::Device;

    use super::*;

    /// Noise of a layer `a` with a row a token or a row a cell, and one `b` whose rows are shared.
    fn noise(cells: &[(u32, usize)]) -> Noise {
        let tokens = cells.iter().map(|&(_, tokens)| tokens).collect();
        let of_cells = vec![LayerRows::OfCells(tokens), LayerRows::OfCells(vec![1; cells.len()])];
        let shared = vec![LayerRows::Shared(cells.iter().map(|&(key, _)| key + 100).collect())];
        Noise {
            probability: 0.5,
            seed: 3,
            step: 1,
            cells: cells.iter().map(|&(key, _)| key).collect(),
            rows: BTreeMap::from([("a".to_owned(), of_cells), ("b".to_owned(), shared)]),
        }
    }

    #[test]
    fn noise_belongs_to_the_cell_and_its_token() {
        let (both, alone) = (noise(&[(7, 3), (9, 2)]), noise(&[(9, 2)]));
        let keys = |noise: &Noise, layer: &str, rows: usize| noise.row_keys(layer, rows).unwrap();
        assert_eq!(keys(&both, "a", 5)[3..], keys(&alone, "a", 2));
        assert_eq!(keys(&both, "a", 2)[1..], keys(&alone, "a", 1), "a row a cell");
        assert_eq!(keys(&both, "b", 2)[1..], keys(&alone, "b", 1), "a shared row");
        assert_ne!(keys(&alone, "a", 1), keys(&alone, "b", 1));
        assert_eq!(keys(&both, "a", 5).into_iter().collect::<BTreeSet<u32>>().len(), 5);
        assert!(both.row_keys("a", 6).is_none() && both.row_keys("c", 5).is_none());
    }

    #[test]
    fn layers_and_steps_differ_and_no_noise_is_exact() {
        let device = Device::cpu(1).unwrap();
        let x = device.upload(&[4, 64], &[1.0; 256]).unwrap();
        let root = InputDropout::default();
        assert!(root.of_layer("a").apply(&x).unwrap().is_none());
        let at = |layer: &str, step: u64| {
            let mut noise = noise(&[(1, 4)]);
            noise.rows.insert("c".to_owned(), noise.rows["a"].clone());
            root.set(Some(Noise { step, ..noise }));
            root.of_layer(layer).apply(&x).unwrap().unwrap().read().unwrap()
        };
        assert_eq!(at("a", 1), at("a", 1));
        assert_ne!(at("a", 1), at("c", 1));
        assert_ne!(at("a", 1), at("a", 2));
        let kept = at("a", 1).iter().filter(|&&value| value == 2.0).count();
        assert!((96..160).contains(&kept), "{kept} of 256");
        let message = root.of_layer("d").apply(&x).unwrap_err().to_string();
        assert!(message.contains("4 rows of d"), "{message}");
    }
}
