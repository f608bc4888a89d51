//! The baseline of every masked-gene model: guessing a hidden gene by how often genes occur, whatever else the cell
//! expresses.

/// How often tokens occur in training cells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frequencies {
    counts: Vec<u64>,
}

impl Frequencies {
    /// Of no cell yet, for a model of `vocabulary` tokens.
    #[must_use]
    pub fn new(vocabulary: usize) -> Self {
        Self { counts: vec![0; vocabulary] }
    }

    /// Counts the tokens of a training cell, as the model reads them. Tokens beyond the vocabulary are left out.
    pub fn add(&mut self, cell: &[u32]) {
        for &token in cell {
            if let Some(count) = self.counts.get_mut(token as usize) {
                *count += 1;
            }
        }
    }

    /// Mean cross entropy in nats of hidden tokens, each guessed with its share of the training cells' tokens. One more of every
    /// token is counted, so that one that no training cell has is not impossible. None without hidden tokens.
    pub fn cross_entropy(&self, labels: impl IntoIterator<Item = u32>) -> Option<f64> {
        let total = (self.counts.iter().sum::<u64>() + self.counts.len() as u64) as f64;
        let (mut sum, mut hidden) = (0.0, 0_u64);
        for label in labels {
            let count = self.counts.get(label as usize).copied().unwrap_or(0) + 1;
            sum -= (count as f64 / total).ln();
            hidden += 1;
        }
        (hidden > 0).then(|| sum / hidden as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gene_that_is_common_is_cheap() {
        let mut frequencies = Frequencies::new(4);
        frequencies.add(&[2, 3]);
        frequencies.add(&[2, 9]);
        // (0 + 1, 0 + 1, 2 + 1, 1 + 1) of 7.
        let loss = |labels: &[u32]| frequencies.cross_entropy(labels.iter().copied());
        assert!((loss(&[2]).unwrap() - (7.0_f64 / 3.0).ln()).abs() < 1e-15);
        assert!((loss(&[2, 0]).unwrap() - (7.0_f64 / 3.0).ln() / 2.0 - 7.0_f64.ln() / 2.0).abs() < 1e-15);
        assert_eq!(loss(&[]), None);
    }
}
