//! Local inverse Simpson's index (Korsunsky et al. 2019, Harmony): the effective number of groups around each cell.

use rayon::prelude::*;

use super::groups::Grouping;
use super::neighbours::Neighbours;

/// Difference of entropies at which the bandwidth of a cell is settled.
const TOLERANCE: f64 = 1e-5;
/// Most halvings of the bandwidth.
const MOST: usize = 50;

/// LISI of each cell: 1 when only one group is around, at most the number of groups. Neighbours count by a Gaussian
/// kernel of the plain Euclidean distance whose perplexity is a third of `k` (rounded down); the cell itself does not
/// count. -1 where no bandwidth gives any neighbour a weight, as the reference has it.
#[must_use]
pub fn lisi(neighbours: &Neighbours, groups: &Grouping) -> Vec<f64> {
    let perplexity = (neighbours.k / 3).max(1) as f64;
    let one = |cell: usize| {
        let around = neighbours.index[cell].iter().zip(&neighbours.distance[cell]);
        let (others, distances): (Vec<usize>, Vec<f64>) =
            around.filter(|(other, _)| **other != cell).map(|(o, d)| (*o, *d)).unzip();
        let Some(weights) = weights(&distances, perplexity.ln()) else { return -1.0 };
        let mut shares = vec![0.0; groups.count()];
        others.iter().zip(&weights).for_each(|(&o, w)| shares[groups.of_cell[o]] += w);
        1.0 / shares.iter().map(|s| s * s).sum::<f64>()
    };
    (0..neighbours.index.len()).into_par_iter().map(one).collect()
}

/// Kernel weights, adding up to 1, whose entropy is `target`; `None` when their entropy is 0.
fn weights(distances: &[f64], target: f64) -> Option<Vec<f64>> {
    let (mut beta, mut low, mut high) = (1.0_f64, f64::NEG_INFINITY, f64::INFINITY);
    let (mut entropy, mut weights) = kernel(distances, beta);
    for _ in 0..MOST {
        let off = entropy - target;
        if off.abs() < TOLERANCE {
            break;
        }
        if off > 0.0 {
            low = beta;
            beta = if high.is_finite() { 0.5 * (beta + high) } else { 2.0 * beta };
        } else {
            high = beta;
            beta = if low.is_finite() { 0.5 * (beta + low) } else { 0.5 * beta };
        }
        (entropy, weights) = kernel(distances, beta);
    }
    (entropy != 0.0).then_some(weights)
}

fn kernel(distances: &[f64], beta: f64) -> (f64, Vec<f64>) {
    let weights: Vec<f64> = distances.iter().map(|d| (-d * beta).exp()).collect();
    let sum: f64 = weights.iter().sum();
    if sum == 0.0 {
        return (0.0, vec![0.0; weights.len()]);
    }
    let weighted: f64 = weights.iter().zip(distances).map(|(w, d)| w * d).sum();
    (sum.ln() + beta * weighted / sum, weights.iter().map(|w| w / sum).collect())
}

/// iLISI scaled to 0 (one batch around) to 1 (all batches): the median over cells. Undefined with one batch.
#[must_use]
pub fn ilisi(per_cell: &[f64], batches: usize) -> Option<f64> {
    (batches > 1).then(|| Some((median(&known(per_cell))? - 1.0) / (batches - 1) as f64))?
}

/// cLISI scaled to 0 (all labels around) to 1 (one label): the median over cells. Undefined with one label.
#[must_use]
pub fn clisi(per_cell: &[f64], labels: usize) -> Option<f64> {
    (labels > 1).then(|| Some((labels as f64 - median(&known(per_cell))?) / (labels - 1) as f64))?
}

/// LISI of the cells that have one.
fn known(per_cell: &[f64]) -> Vec<f64> {
    per_cell.iter().copied().filter(|&lisi| lisi >= 0.0).collect()
}

/// Median; `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    (!sorted.is_empty()).then(|| super::super::metrics::quantile(&sorted, 0.5))
}
