//! Clusters without a clustering in the file: k-means with as many clusters as labels (as scib-metrics does).
//!
//! Starts are drawn by k-means++ (Arthur and Vassilvitskii 2007) from a seed; sums run in one fixed order, so that the
//! result depends on the points and the seed only.

use celldag_models::draw::fraction;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::points::{Points, squared_distance};

/// Independent starts, of which the tightest clustering is kept.
const STARTS: u64 = 5;
/// Most rounds of a start.
const ROUNDS: usize = 100;

/// Cluster of each cell, numbered from 0; at most `k` clusters.
#[must_use]
pub fn kmeans(points: &Points, k: usize, seed: u64) -> Vec<usize> {
    let k = k.clamp(1, points.len());
    let starts = (0..STARTS).map(|start| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(start);
        from_start(points, spread_out(points, k, &mut rng))
    });
    let mut best: Option<(f64, Vec<usize>)> = None;
    for (cost, clusters) in starts {
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, clusters));
        }
    }
    best.map(|(_, clusters)| clusters).unwrap_or_default()
}

/// First centres: each drawn with a chance that grows with its squared distance from those before.
fn spread_out(points: &Points, k: usize, rng: &mut ChaCha8Rng) -> Vec<Vec<f64>> {
    let n = points.len();
    let first = ((fraction(rng) * n as f64) as usize).min(n - 1);
    let mut centres = vec![points.row(first).to_vec()];
    let mut nearest: Vec<f64> = (0..n).map(|c| squared_distance(points.row(c), points.row(first))).collect();
    while centres.len() < k {
        let total: f64 = nearest.iter().sum();
        if total <= 0.0 {
            break;
        }
        let mut left = fraction(rng) * total;
        let drawn = nearest.iter().position(|d| {
            left -= d;
            left < 0.0
        });
        let drawn = drawn.unwrap_or(n - 1);
        for (cell, d) in nearest.iter_mut().enumerate() {
            *d = d.min(squared_distance(points.row(cell), points.row(drawn)));
        }
        centres.push(points.row(drawn).to_vec());
    }
    centres
}

/// Lloyd's rounds until no cell changes its cluster. Returns the sum of squared distances and the clusters.
fn from_start(points: &Points, mut centres: Vec<Vec<f64>>) -> (f64, Vec<usize>) {
    let mut clusters = Vec::new();
    let mut cost = 0.0;
    for _ in 0..ROUNDS {
        let nearest = |cell: usize| -> (usize, f64) {
            let mut best = (0, f64::INFINITY);
            for (at, centre) in centres.iter().enumerate() {
                let d = squared_distance(points.row(cell), centre);
                if d < best.1 {
                    best = (at, d);
                }
            }
            best
        };
        let found: Vec<(usize, f64)> = (0..points.len()).into_par_iter().map(nearest).collect();
        cost = found.iter().map(|f| f.1).sum();
        let next: Vec<usize> = found.into_iter().map(|f| f.0).collect();
        if next == clusters {
            break;
        }
        clusters = next;
        for (at, centre) in centres.iter_mut().enumerate() {
            let members: Vec<usize> = (0..clusters.len()).filter(|&c| clusters[c] == at).collect();
            if !members.is_empty() {
                *centre = points.centre(&members);
            }
        }
    }
    (cost, clusters)
}
