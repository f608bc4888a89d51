//! Whether batches are mixed: silhouette scores turned round, and the variance that batches explain.

use std::collections::BTreeSet;

use super::groups::Grouping;
use super::points::{Distance, Points, squared_distance};
use super::silhouette::{Others, silhouette};

/// Batch ASW of scIB (Luecken et al. 2022): `1 - |silhouette by batch|` inside each label, averaged over the cells of a
/// label, then over labels. 1 is mixed. Labels with one batch, or a batch for each cell, say nothing; undefined when all
/// are such. With the cosine and [`Others::All`] this is BRAS.
#[must_use]
pub fn asw_batch(
    points: &Points,
    labels: &Grouping,
    batches: &Grouping,
    distance: Distance,
    others: Others,
) -> Option<f64> {
    let mut means = Vec::new();
    for members in labels.members() {
        let inside = batches.select(&members);
        if inside.count() < 2 || inside.count() == members.len() {
            continue;
        }
        let scores = silhouette(&points.select(&members), &inside, distance, others).ok()?;
        means.push(mean(scores.iter().map(|s| 1.0 - s.abs()))?);
    }
    mean(means.into_iter())
}

/// Mean rescaled silhouette of the labels that occur in the fewest batches (scIB): whether rare populations stay apart.
#[must_use]
pub fn isolated_labels(per_cell: &[f64], labels: &Grouping, batches: &Grouping) -> Option<f64> {
    let members = labels.members();
    let spread: Vec<usize> = members
        .iter()
        .map(|m| m.iter().map(|&c| batches.of_cell[c]).collect::<BTreeSet<_>>().len())
        .collect();
    let fewest = spread.iter().copied().min()?;
    let isolated = members.iter().zip(&spread).filter(|(_, n)| **n == fewest);
    let scores: Option<Vec<f64>> =
        isolated.map(|(m, _)| mean(m.iter().map(|&c| per_cell[c])).map(|s| (s + 1.0) / 2.0)).collect();
    mean(scores?.into_iter())
}

/// Share of the variance that the batch explains: principal component regression over all components (scIB), which
/// equals the spread of batch centres over the whole spread. Undefined with one batch or without spread.
#[must_use]
pub fn variance_by_batch(points: &Points, batches: &Grouping) -> Option<f64> {
    if batches.count() < 2 {
        return None;
    }
    let middle = points.centre(&(0..points.len()).collect::<Vec<_>>());
    let total: f64 = (0..points.len()).map(|c| squared_distance(points.row(c), &middle)).sum();
    let between =
        |members: &Vec<usize>| members.len() as f64 * squared_distance(&points.centre(members), &middle);
    (total > 0.0).then(|| batches.members().iter().map(between).sum::<f64>() / total)
}

/// Mean; `None` of nothing.
pub(super) fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0_usize), |(sum, n), v| (sum + v, n + 1));
    (n > 0).then(|| sum / n as f64)
}
