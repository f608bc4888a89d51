//! In which order cells are learnt from.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::draw::below;

/// A new random order of `n` cells for each epoch.
pub fn shuffled_epochs(n: usize, seed: [u8; 32]) -> impl FnMut(usize) -> Vec<usize> {
    move |epoch| {
        let mut order: Vec<usize> = (0..n).collect();
        // Named after its first user: another name would be another order, and other results.
        order.shuffle(&mut generator("celldag mlp-head order 1", &seed, epoch));
        order
    }
}

/// As many draws an epoch as there are cells, with replacement: first a class, each with the same probability, then a cell
/// of it. Classes without cells are never drawn.
pub fn balanced_epochs(class: &[usize], seed: [u8; 32]) -> impl FnMut(usize) -> Vec<usize> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); class.iter().max().map_or(0, |most| most + 1)];
    for (cell, &of) in class.iter().enumerate() {
        members[of].push(cell);
    }
    members.retain(|cells| !cells.is_empty());
    let n = class.len();
    move |epoch| {
        let mut rng = generator("celldag balanced order 1", &seed, epoch);
        let mut below = |count: usize| below(&mut rng, count as u64) as usize;
        (0..n)
            .map(|_| {
                let cells = &members[below(members.len())];
                cells[below(cells.len())]
            })
            .collect()
    }
}

fn generator(purpose: &str, seed: &[u8; 32], epoch: usize) -> ChaCha8Rng {
    let mut key = blake3::Hasher::new_derive_key(purpose);
    key.update(seed);
    key.update(&(epoch as u64).to_le_bytes());
    ChaCha8Rng::from_seed(*key.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_has_an_order_of_its_own() {
        let mut order = shuffled_epochs(50, [1; 32]);
        let (first, second) = (order(0), order(1));
        assert_ne!(first, second);
        assert_eq!(first, shuffled_epochs(50, [1; 32])(0));
        let mut sorted = second;
        sorted.sort_unstable();
        assert_eq!(sorted, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn rare_classes_are_drawn_as_often_as_common_ones() {
        // 1 cell of class 0, none of class 1, 999 of class 2.
        let class: Vec<usize> = (0..1000).map(|cell| if cell == 500 { 0 } else { 2 }).collect();
        let mut order = balanced_epochs(&class, [2; 32]);
        let drawn = order(0);
        let rare = drawn.iter().filter(|&&cell| cell == 500).count();
        assert_eq!(drawn.len(), 1000);
        assert!((430..570).contains(&rare), "{rare} of 1000");
        assert_ne!(drawn, order(1));
        assert!(balanced_epochs(&[], [0; 32])(0).is_empty());
    }
}
