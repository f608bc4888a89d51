//! Randomness of a split: one number per (seed, purpose, cell name), so that neither the order of the cells nor the
//! presence of others changes a draw.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A number for a named thing.
pub(super) fn draw(seed: u64, purpose: &str, repeat: u32, name: &str) -> u64 {
    let mut hash = blake3::Hasher::new_derive_key("celldag split 1");
    hash.update(&seed.to_le_bytes());
    hash.update(&repeat.to_le_bytes());
    hash.update(&(purpose.len() as u64).to_le_bytes());
    hash.update(purpose.as_bytes());
    hash.update(name.as_bytes());
    ChaCha8Rng::from_seed(*hash.finalize().as_bytes()).next_u64()
}

/// Positions of `names` in random order.
pub(crate) fn shuffled<S: AsRef<str>>(names: &[S], seed: u64, purpose: &str, repeat: u32) -> Vec<usize> {
    let mut keyed: Vec<(u64, &str, usize)> = names
        .iter()
        .enumerate()
        .map(|(i, n)| (draw(seed, purpose, repeat, n.as_ref()), n.as_ref(), i))
        .collect();
    keyed.sort_unstable();
    keyed.into_iter().map(|(_, _, i)| i).collect()
}
