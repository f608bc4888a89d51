//! How well groups of cells are apart: silhouettes and the two classical ratios of spread.
//!
//! Conventions of scikit-learn 1.9: a cell alone in its group has silhouette 0.

use rayon::prelude::*;

use super::super::metrics::MetricError;
use super::groups::Grouping;
use super::points::{Distance, Points, squared_distance};

/// What a cell's own group is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// The nearest other group (Rousseeuw 1987).
    Nearest,
    /// All cells of other groups together (BRAS, Rautenstrauch and Ohler 2025).
    All,
}

/// Silhouette of each cell, -1 to 1.
///
/// # Errors
/// [`MetricError::Groups`] unless there are at least two groups, and fewer than cells.
pub fn silhouette(
    points: &Points,
    groups: &Grouping,
    distance: Distance,
    others: Others,
) -> Result<Vec<f64>, MetricError> {
    let (cells, found) = (points.len(), groups.count());
    if groups.of_cell.len() != cells {
        let found = groups.of_cell.len();
        return Err(MetricError::Length { what: "the list of groups", found, expected: cells });
    }
    if found < 2 || found >= cells {
        return Err(MetricError::Groups { found, cells });
    }
    let mut sizes = vec![0_usize; found];
    groups.of_cell.iter().for_each(|&g| sizes[g] += 1);
    let points = points.prepared(distance);
    let one = |cell: usize| {
        let own = groups.of_cell[cell];
        if sizes[own] == 1 {
            return 0.0;
        }
        let mut sums = vec![0.0; found];
        for (other, &group) in groups.of_cell.iter().enumerate() {
            sums[group] += points.distance(cell, other, distance);
        }
        let inside = sums[own] / (sizes[own] - 1) as f64;
        let elsewhere = (0..found).filter(|&g| g != own);
        let outside = match others {
            Others::Nearest => elsewhere.map(|g| sums[g] / sizes[g] as f64).fold(f64::INFINITY, f64::min),
            Others::All => elsewhere.map(|g| sums[g]).sum::<f64>() / (cells - sizes[own]) as f64,
        };
        let larger = inside.max(outside);
        if larger > 0.0 { (outside - inside) / larger } else { 0.0 }
    };
    Ok((0..cells).into_par_iter().map(one).collect())
}

/// Ratio of the spread between groups to the spread inside them (Calinski and Harabasz 1974); undefined when no cell
/// differs from the centre of its group, or with as many groups as cells or one only.
#[must_use]
pub fn calinski_harabasz(points: &Points, groups: &Grouping) -> Option<f64> {
    let (n, k) = (points.len(), groups.count());
    if k < 2 || k >= n {
        return None;
    }
    let middle = points.centre(&(0..n).collect::<Vec<_>>());
    let (mut between, mut within) = (0.0, 0.0);
    for members in groups.members() {
        let centre = points.centre(&members);
        between += members.len() as f64 * squared_distance(&centre, &middle);
        within += members.iter().map(|&c| squared_distance(points.row(c), &centre)).sum::<f64>();
    }
    (within > 0.0).then(|| between * (n - k) as f64 / (within * (k - 1) as f64))
}

/// Mean over groups of the worst ratio of spreads to the distance of centres (Davies and Bouldin 1979); lower is better.
/// Undefined as [`calinski_harabasz`], or when two centres coincide.
#[must_use]
pub fn davies_bouldin(points: &Points, groups: &Grouping) -> Option<f64> {
    let k = groups.count();
    if k < 2 || k >= points.len() {
        return None;
    }
    let members = groups.members();
    let centres: Vec<Vec<f64>> = members.iter().map(|m| points.centre(m)).collect();
    let spread: Vec<f64> = members
        .iter()
        .zip(&centres)
        .map(|(m, c)| {
            m.iter().map(|&i| squared_distance(points.row(i), c).sqrt()).sum::<f64>() / m.len() as f64
        })
        .collect();
    let mut sum = 0.0;
    for a in 0..k {
        let ratios = (0..k).filter(|&b| b != a).map(|b| {
            let apart = squared_distance(&centres[a], &centres[b]).sqrt();
            (apart > 0.0).then(|| (spread[a] + spread[b]) / apart)
        });
        let ratios: Option<Vec<f64>> = ratios.collect();
        sum += ratios?.into_iter().fold(0.0, f64::max);
    }
    Some(sum / k as f64)
}
