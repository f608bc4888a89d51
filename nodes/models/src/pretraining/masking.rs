//! Which tokens of a cell are hidden from the model (Devlin et al. 2019, section 3.1; Geneformer: Theodoris et al. 2023).

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::draw::{below, fraction};
use crate::tokens::CellTokens;

/// Of the hidden tokens, the share that the mask stands in for, and the share that a random gene stands in for; the rest
/// stay as they are.
const MASKED: f64 = 0.8;
const REPLACED: f64 = 0.1;

/// A rule for hiding tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Masking {
    /// Probability that a token is hidden.
    pub probability: f64,
    /// The token `<mask>`.
    pub mask: u32,
    /// The first token that is a gene; all behind it are.
    pub first_gene: u32,
    /// Tokens of the vocabulary.
    pub vocabulary: u32,
}

/// A cell of which some tokens are to be found again.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskedCell {
    /// What the model reads.
    pub tokens: CellTokens,
    /// Places of the hidden tokens, ascending.
    pub places: Vec<u32>,
    /// What stood there.
    pub labels: Vec<u32>,
}

impl Masking {
    /// Hides tokens of a cell. The choice follows from the cell's number of tokens and `seed` alone. Every token is hidden with
    /// the same probability; of a cell that would hide none, which is a cell of few tokens, one is hidden.
    #[must_use]
    pub fn hide(&self, cell: &[u32], seed: [u8; 32]) -> MaskedCell {
        let mut rng = ChaCha8Rng::from_seed(seed);
        let mut hidden: Vec<usize> =
            (0..cell.len()).filter(|_| fraction(&mut rng) < self.probability).collect();
        if hidden.is_empty() && !cell.is_empty() {
            hidden.push(below(&mut rng, cell.len() as u64) as usize);
        }
        let mut ids = cell.to_vec();
        for &place in &hidden {
            let draw = fraction(&mut rng);
            if draw < MASKED {
                ids[place] = self.mask;
            } else if draw < MASKED + REPLACED {
                let genes = u64::from(self.vocabulary.saturating_sub(self.first_gene));
                ids[place] = self.first_gene + below(&mut rng, genes) as u32;
            }
        }
        MaskedCell {
            labels: hidden.iter().map(|&place| cell[place]).collect(),
            places: hidden.iter().map(|&place| place as u32).collect(),
            tokens: ids.into(),
        }
    }
}

/// The seed of a cell's mask: another one in every epoch, and for every cell.
#[must_use]
pub fn mask_seed(seed: u64, epoch: MaskEpoch, cell: &str) -> [u8; 32] {
    let mut key = blake3::Hasher::new_derive_key("celldag pretrain mask 1");
    key.update(&seed.to_le_bytes());
    match epoch {
        MaskEpoch::Training(epoch) => key.update(b"t").update(&epoch.to_le_bytes()),
        MaskEpoch::Validation => key.update(b"v"),
    };
    key.update(cell.as_bytes());
    *key.finalize().as_bytes()
}

/// When a cell is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskEpoch {
    /// In an epoch of the training, from 0.
    Training(u64),
    /// For the validation loss: the same in all epochs, so that they can be compared.
    Validation,
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Masking = Masking { probability: 0.15, mask: 1, first_gene: 2, vocabulary: 1000 };

    fn hide(cell: &[u32], seed: u64) -> MaskedCell {
        RULE.hide(cell, mask_seed(seed, MaskEpoch::Training(0), "a"))
    }

    #[test]
    fn shares_are_those_of_bert() {
        let cell: Vec<u32> = (2..502).collect();
        let [mut hidden, mut masked, mut kept] = [0.0; 3];
        for seed in 0..200 {
            let found = hide(&cell, seed);
            for (&place, &label) in found.places.iter().zip(&found.labels) {
                let shown = found.tokens.ids[place as usize];
                assert_eq!(cell[place as usize], label);
                assert!((1..1000).contains(&shown));
                hidden += 1.0;
                masked += f64::from(u8::from(shown == 1));
                kept += f64::from(u8::from(shown == label));
            }
            let changed = (0..cell.len()).filter(|&at| cell[at] != found.tokens.ids[at]);
            assert!(changed.into_iter().all(|at| found.places.contains(&(at as u32))));
        }
        // Three standard deviations are 0.0034, 0.0098 and 0.0073.
        assert!((hidden / 100_000.0 - 0.15_f64).abs() < 0.0034, "{hidden}");
        assert!((masked / hidden - 0.8).abs() < 0.0098, "{masked} of {hidden}");
        assert!((kept / hidden - 0.1).abs() < 0.0075, "{kept} of {hidden}");
    }

    #[test]
    fn every_cell_hides_something_and_every_epoch_something_else() {
        for seed in 0..50 {
            assert_eq!(hide(&[7], seed).labels, [7]);
        }
        assert_eq!(hide(&[], 0).places.len(), 0);
        let cell: Vec<u32> = (2..102).collect();
        let of = |epoch, name: &str| RULE.hide(&cell, mask_seed(3, epoch, name)).places;
        let first = of(MaskEpoch::Training(0), "a");
        assert_eq!(first, of(MaskEpoch::Training(0), "a"));
        for other in
            [of(MaskEpoch::Training(1), "a"), of(MaskEpoch::Training(0), "b"), of(MaskEpoch::Validation, "a")]
        {
            assert_ne!(first, other);
        }
    }
}
