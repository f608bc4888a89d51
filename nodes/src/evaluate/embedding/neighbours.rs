//! Exact nearest neighbours, and what neighbourhoods say about labels and batches.

use rayon::prelude::*;

use super::super::metrics::chi_square_above;
use super::batches::mean;
use super::groups::Grouping;
use super::points::{Distance, Points};

/// The `k` nearest cells of each cell, itself first, then by distance and of equals by index.
#[derive(Clone, Debug, PartialEq)]
pub struct Neighbours {
    /// Neighbours per cell.
    pub k: usize,
    /// Indices, `k` a cell.
    pub index: Vec<Vec<usize>>,
    /// Euclidean distances.
    pub distance: Vec<Vec<f64>>,
}

impl Neighbours {
    /// Compares every cell with every other one. At most all cells are neighbours.
    #[must_use]
    pub fn exact(points: &Points, k: usize) -> Self {
        let k = k.min(points.len());
        let one = |cell: usize| {
            let mut all: Vec<(f64, bool, usize)> = (0..points.len())
                .map(|other| (points.distance(cell, other, Distance::Euclidean), other != cell, other))
                .collect();
            let order = |a: &(f64, bool, usize), b: &(f64, bool, usize)| {
                a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2)))
            };
            if k < all.len() {
                all.select_nth_unstable_by(k, order);
                all.truncate(k);
            }
            all.sort_unstable_by(order);
            all.into_iter().map(|(d, _, other)| (other, d)).unzip()
        };
        let (index, distance) = (0..points.len()).into_par_iter().map(one).unzip();
        Self { k, index, distance }
    }

    /// The first `k` of the neighbours.
    #[must_use]
    pub fn nearest(&self, k: usize) -> Self {
        let k = k.min(self.k);
        Self {
            k,
            index: self.index.iter().map(|row| row[..k].to_vec()).collect(),
            distance: self.distance.iter().map(|row| row[..k].to_vec()).collect(),
        }
    }

    /// kBET (Büttner et al. 2019) on the neighbours including the cell itself: chi-square statistic and p value of each
    /// cell against the batch shares of all cells. `None` with one batch.
    #[must_use]
    pub fn kbet(&self, batches: &Grouping) -> Option<Vec<(f64, f64)>> {
        if batches.count() < 2 {
            return None;
        }
        let n = self.index.len() as f64;
        let expected: Vec<f64> =
            batches.members().iter().map(|m| m.len() as f64 / n * self.k as f64).collect();
        let one = |row: &Vec<usize>| {
            let mut seen = vec![0.0; expected.len()];
            row.iter().for_each(|&other| seen[batches.of_cell[other]] += 1.0);
            let statistic: f64 = seen.iter().zip(&expected).map(|(s, e)| (s - e).powi(2) / e).sum();
            (statistic, chi_square_above(statistic, (expected.len() - 1) as f64))
        };
        Some(self.index.iter().map(one).collect())
    }

    /// Mean over labels of the share of cells in the largest strongly connected part of the label's neighbour graph
    /// (graph connectivity of scIB).
    #[must_use]
    pub fn connectivity(&self, labels: &Grouping) -> Option<f64> {
        let share = |label: usize, members: &Vec<usize>| {
            let mut graph = petgraph::graph::DiGraph::<(), ()>::new();
            let node: std::collections::BTreeMap<usize, _> =
                members.iter().map(|&cell| (cell, graph.add_node(()))).collect();
            for &cell in members {
                for other in self.index[cell].iter().filter(|&&o| o != cell && labels.of_cell[o] == label) {
                    graph.add_edge(node[&cell], node[other], ());
                }
            }
            let parts = petgraph::algo::tarjan_scc(&graph);
            parts.iter().map(Vec::len).max().unwrap_or(0) as f64 / members.len() as f64
        };
        mean(labels.members().iter().enumerate().map(|(label, members)| share(label, members)))
    }
}
