//! How well two groupings of the same cells agree, such as clusters and cell types.
//!
//! Conventions of scikit-learn 1.9: entropies in nats, two equal trivial groupings agree completely.

use crate::numbering::numbered;

/// Counts of cells by group of the truth (rows) and of the prediction (columns).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contingency {
    counts: Vec<Vec<usize>>,
}

/// How normalised mutual information is normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NmiMean {
    /// By the arithmetic mean of both entropies: the usual one.
    Arithmetic,
    /// By their geometric mean.
    Geometric,
    /// By the larger one.
    Max,
}

impl Contingency {
    /// Counts pairs; groups are ordered by value. `None` when lengths differ or nothing is there.
    #[must_use]
    pub fn new<T: Ord>(truth: &[T], prediction: &[T]) -> Option<Self> {
        if truth.is_empty() || truth.len() != prediction.len() {
            return None;
        }
        let groups = |values: &[T]| -> (Vec<usize>, usize) {
            let index = numbered(values);
            (values.iter().map(|v| index[v]).collect(), index.len())
        };
        let ((rows, n_rows), (columns, n_columns)) = (groups(truth), groups(prediction));
        let mut counts = vec![vec![0; n_columns]; n_rows];
        rows.into_iter().zip(columns).for_each(|(r, c)| counts[r][c] += 1);
        Some(Self { counts })
    }

    /// The counts by row.
    #[must_use]
    pub fn rows(&self) -> &[Vec<usize>] {
        &self.counts
    }

    fn row_sums(&self) -> Vec<usize> {
        self.counts.iter().map(|row| row.iter().sum()).collect()
    }

    fn column_sums(&self) -> Vec<usize> {
        let columns = self.counts.first().map_or(0, Vec::len);
        (0..columns).map(|c| self.counts.iter().map(|row| row[c]).sum()).collect()
    }

    fn n(&self) -> f64 {
        self.counts.iter().flatten().sum::<usize>() as f64
    }

    /// Pairs of cells: together in both, in the truth only, in the prediction only, in neither.
    fn pairs(&self) -> [f64; 4] {
        let pairs = |n: &usize| *n as f64 * (*n as f64 - 1.0) / 2.0;
        let both: f64 = self.counts.iter().flatten().map(pairs).sum();
        let truth: f64 = self.row_sums().iter().map(pairs).sum();
        let prediction: f64 = self.column_sums().iter().map(pairs).sum();
        let all = self.n() * (self.n() - 1.0) / 2.0;
        [both, truth - both, prediction - both, all - truth - prediction + both]
    }

    /// Adjusted Rand index (Hubert and Arabie 1985); 1 when no pair is told apart differently.
    #[must_use]
    pub fn ari(&self) -> f64 {
        let [both, truth, prediction, neither] = self.pairs();
        if truth == 0.0 && prediction == 0.0 {
            return 1.0;
        }
        2.0 * (both * neither - truth * prediction)
            / ((both + truth) * (truth + neither) + (both + prediction) * (prediction + neither))
    }

    /// Share of pairs on which both agree; undefined for one cell.
    #[must_use]
    pub fn rand(&self) -> Option<f64> {
        let [both, truth, prediction, neither] = self.pairs();
        let all = both + truth + prediction + neither;
        (all > 0.0).then(|| (both + neither) / all)
    }

    /// Mutual information in nats.
    #[must_use]
    pub fn mutual_information(&self) -> f64 {
        let (n, rows, columns) = (self.n(), self.row_sums(), self.column_sums());
        let mut sum = 0.0;
        for (row, &r) in self.counts.iter().zip(&rows) {
            for (&count, &c) in row.iter().zip(&columns).filter(|(count, _)| **count > 0) {
                sum += count as f64 / n * (count as f64 * n / (r as f64 * c as f64)).ln();
            }
        }
        if sum.abs() < f64::EPSILON { 0.0 } else { sum.max(0.0) }
    }

    fn entropies(&self) -> (f64, f64) {
        let n = self.n();
        let entropy = |sums: Vec<usize>| -> f64 {
            if sums.len() < 2 {
                return 0.0;
            }
            -sums.iter().map(|&s| s as f64 / n * (s as f64 / n).ln()).sum::<f64>()
        };
        (entropy(self.row_sums()), entropy(self.column_sums()))
    }

    /// Neither side tells any cells apart, or both tell all cells apart.
    fn trivially_equal(&self) -> bool {
        let (rows, columns) = (self.counts.len(), self.counts.first().map_or(0, Vec::len));
        rows == columns && (rows == 1 || rows as f64 == self.n())
    }

    /// Normalised mutual information.
    #[must_use]
    pub fn nmi(&self, mean: NmiMean) -> f64 {
        if self.trivially_equal() {
            return 1.0;
        }
        let (information, (a, b)) = (self.mutual_information(), self.entropies());
        if information == 0.0 {
            return 0.0;
        }
        information
            / match mean {
                NmiMean::Arithmetic => 0.5 * (a + b),
                NmiMean::Geometric => (a * b).sqrt(),
                NmiMean::Max => a.max(b),
            }
    }

    /// Mutual information adjusted for chance (Vinh et al. 2010), arithmetic mean.
    #[must_use]
    pub fn ami(&self) -> f64 {
        if self.trivially_equal() {
            return 1.0;
        }
        let (information, (a, b)) = (self.mutual_information(), self.entropies());
        if information == 0.0 {
            return 0.0;
        }
        let expected = self.expected_information();
        let room = 0.5 * (a + b) - expected;
        let guard = if room < 0.0 { room.min(-f64::EPSILON) } else { room.max(f64::EPSILON) };
        (information - expected) / guard
    }

    /// Mean mutual information of random groupings with the same sizes (the hypergeometric model).
    fn expected_information(&self) -> f64 {
        let (rows, columns) = (self.row_sums(), self.column_sums());
        let total = self.counts.iter().flatten().sum::<usize>();
        let mut ln_factorial = vec![0.0; total + 1];
        for i in 1..=total {
            ln_factorial[i] = ln_factorial[i - 1] + (i as f64).ln();
        }
        let f = |i: usize| ln_factorial[i];
        let n = total as f64;
        let mut sum = 0.0;
        for &a in &rows {
            for &b in &columns {
                for both in (a + b).saturating_sub(total).max(1)..=a.min(b) {
                    let ln_chance = f(a) + f(b) + f(total - a) + f(total - b)
                        - f(total)
                        - f(both)
                        - f(a - both)
                        - f(b - both)
                        - f(total + both - a - b);
                    let term = (n * both as f64 / (a as f64 * b as f64)).ln();
                    sum += both as f64 / n * term * ln_chance.exp();
                }
            }
        }
        sum
    }

    /// Whether each predicted group holds one true group only, 0 to 1.
    #[must_use]
    pub fn homogeneity(&self) -> f64 {
        let (truth, _) = self.entropies();
        if truth == 0.0 { 1.0 } else { self.mutual_information() / truth }
    }

    /// Whether each true group lies in one predicted group, 0 to 1.
    #[must_use]
    pub fn completeness(&self) -> f64 {
        let (_, prediction) = self.entropies();
        if prediction == 0.0 { 1.0 } else { self.mutual_information() / prediction }
    }

    /// Harmonic mean of homogeneity and completeness.
    #[must_use]
    pub fn v_measure(&self) -> f64 {
        let (h, c) = (self.homogeneity(), self.completeness());
        if h + c == 0.0 { 0.0 } else { 2.0 * h * c / (h + c) }
    }

    /// Geometric mean of precision and recall over pairs (Fowlkes and Mallows 1983); 0 without a pair together in both.
    #[must_use]
    pub fn fowlkes_mallows(&self) -> f64 {
        let [both, truth, prediction, _] = self.pairs();
        if both == 0.0 { 0.0 } else { (both / (both + truth)).sqrt() * (both / (both + prediction)).sqrt() }
    }

    /// Share of cells that belong to the most frequent true group of their predicted group.
    #[must_use]
    pub fn purity(&self) -> f64 {
        let columns = self.counts.first().map_or(0, Vec::len);
        let largest = |c: usize| self.counts.iter().map(|row| row[c]).max().unwrap_or(0);
        (0..columns).map(largest).sum::<usize>() as f64 / self.n()
    }
}
