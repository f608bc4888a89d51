//! Ways to divide cells into test folds.

use celldag_engine::NodeError;

use super::draw::shuffled;
use super::labels::LabelledCells;
use crate::numbering::Numbering;

/// How to divide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// One test set; whole groups when there is a group column, else stratified by label.
    Holdout,
    /// One test set of cells at random, whatever their label and group: what the public scDrugMap code does.
    RandomHoldout,
    /// Every cell is tested once; cells at random.
    KFold,
    /// The same with equal class shares per fold.
    StratifiedKFold,
    /// Every group is tested once; whole groups.
    GroupKFold,
    /// The same with class shares as equal as whole groups allow.
    StratifiedGroupKFold,
    /// One fold for each group.
    LeaveGroupOut,
}

impl Scheme {
    /// Whether whole groups stay together.
    #[must_use]
    pub fn by_group(self, has_group: bool) -> bool {
        match self {
            Self::GroupKFold | Self::StratifiedGroupKFold | Self::LeaveGroupOut => true,
            Self::Holdout => has_group,
            Self::RandomHoldout | Self::KFold | Self::StratifiedKFold => false,
        }
    }
}

/// The test fold of each cell; `None` for cells that are never tested (holdout).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFolds {
    /// Number of folds.
    pub folds: u32,
    /// Test fold per cell.
    pub of_cell: Vec<Option<u32>>,
}

/// Divides the cells once.
///
/// # Errors
/// A data or parameter error when there are fewer cells, groups or class members than folds.
pub fn assign(
    scheme: Scheme,
    cells: &LabelledCells,
    folds: u32,
    test_fraction: f64,
    seed: u64,
    repeat: u32,
) -> Result<TestFolds, NodeError> {
    let n = cells.ids.len();
    let (k, order) = (folds as usize, shuffled(&cells.ids, seed, "cells", repeat));
    let of_folds = !matches!(scheme, Scheme::Holdout | Scheme::RandomHoldout | Scheme::LeaveGroupOut);
    if of_folds && k > n {
        return Err(NodeError::parameter(format!(
            "{k} folds need at least {k} labelled cells; there are {n}"
        )));
    }
    let mut of_cell = vec![None; n];
    match scheme {
        Scheme::KFold => {
            for (at, &cell) in order.iter().enumerate() {
                of_cell[cell] = Some((at % k) as u32);
            }
        }
        Scheme::StratifiedKFold => {
            let mut next = 0;
            for class in 0..cells.classes.names.len() {
                for &cell in order.iter().filter(|&&c| cells.class[c] == class) {
                    of_cell[cell] = Some((next % k) as u32);
                    next += 1;
                }
            }
        }
        Scheme::RandomHoldout => {
            // As the code has it: the training part is rounded down, what is left tests.
            let train = ((n as f64 * (1.0 - test_fraction)) as usize).clamp(1, n.saturating_sub(1).max(1));
            order[train..].iter().for_each(|&cell| of_cell[cell] = Some(0));
            return Ok(TestFolds { folds: 1, of_cell });
        }
        Scheme::Holdout if cells.group.is_empty() => {
            for class in 0..cells.classes.names.len() {
                let members: Vec<usize> =
                    order.iter().copied().filter(|&c| cells.class[c] == class).collect();
                let take = (members.len() as f64 * test_fraction).round() as usize;
                for &cell in members.iter().take(take.clamp(1, members.len().saturating_sub(1).max(1))) {
                    of_cell[cell] = Some(0);
                }
            }
            return Ok(TestFolds { folds: 1, of_cell });
        }
        Scheme::Holdout => {
            let groups = Groups::of(cells)?;
            let target = n as f64 * test_fraction;
            let all: Vec<usize> = (0..groups.names.len()).collect();
            let taken =
                nearest(&groups.sizes, &shuffled(&groups.names, seed, "groups", repeat), target, &all, true);
            for (cell, spot) in of_cell.iter_mut().enumerate() {
                *spot = taken[groups.of_cell[cell]].then_some(0);
            }
            return Ok(TestFolds { folds: 1, of_cell });
        }
        Scheme::LeaveGroupOut => {
            let groups = Groups::of(cells)?;
            for (cell, spot) in of_cell.iter_mut().enumerate() {
                *spot = Some(groups.of_cell[cell] as u32);
            }
            return Ok(TestFolds { folds: groups.names.len() as u32, of_cell });
        }
        Scheme::GroupKFold | Scheme::StratifiedGroupKFold => {
            let groups = Groups::of(cells)?;
            if groups.names.len() < k {
                return Err(NodeError::parameter(format!(
                    "{k} folds need at least {k} groups; there are {}: {}",
                    groups.names.len(),
                    groups.names.join(", ")
                ))
                .help(format!(
                    "set `folds: {}` or fewer, or use `kind: leave-group-out`",
                    groups.names.len()
                )));
            }
            let fold = if scheme == Scheme::GroupKFold {
                groups.by_size(k, &shuffled(&groups.names, seed, "groups", repeat))
            } else {
                groups.by_class(k, &shuffled(&groups.names, seed, "groups", repeat))
            };
            for (cell, spot) in of_cell.iter_mut().enumerate() {
                *spot = Some(fold[groups.of_cell[cell]] as u32);
            }
        }
    }
    Ok(TestFolds { folds, of_cell })
}

/// The groups of the cells, by name.
pub(super) struct Groups {
    pub(super) names: Vec<String>,
    pub(super) sizes: Vec<usize>,
    pub(super) of_cell: Vec<usize>,
    /// Cells by class, per group.
    pub(super) classes: Vec<Vec<usize>>,
}

impl Groups {
    pub(super) fn of(cells: &LabelledCells) -> Result<Self, NodeError> {
        let index = Numbering::of(&cells.group);
        if index.len() < 2 {
            let what =
                index.names().next().map_or("there is none".to_owned(), |g| format!("there is only `{g}`"));
            return Err(NodeError::data(format!("dividing by group needs at least two groups; {what}"))
                .help("set `group` to a column with several values (sample, patient, study ...)"));
        }
        let of_cell = index.rows(&cells.group);
        let mut classes = vec![vec![0; cells.classes.names.len()]; index.len()];
        for (&group, &class) in of_cell.iter().zip(&cells.class) {
            classes[group][class] += 1;
        }
        let sizes = classes.iter().map(|c| c.iter().sum()).collect();
        Ok(Self { names: index.names().map(str::to_owned).collect(), sizes, of_cell, classes })
    }

    /// Largest groups first, each into the fold with the fewest cells.
    fn by_size(&self, folds: usize, order: &[usize]) -> Vec<usize> {
        let mut order = order.to_vec();
        order.sort_by_key(|&g| std::cmp::Reverse(self.sizes[g]));
        let (mut filled, mut fold) = (vec![0; folds], vec![0; self.names.len()]);
        for group in order {
            let best = (0..folds).min_by_key(|&f| (filled[f], f)).unwrap_or(0);
            fold[group] = best;
            filled[best] += self.sizes[group];
        }
        fold
    }

    /// Most lopsided groups first, each into the fold where class shares stay most equal (the greedy rule of
    /// scikit-learn's StratifiedGroupKFold). A fold is left empty only when there are no more groups.
    fn by_class(&self, folds: usize, order: &[usize]) -> Vec<usize> {
        let classes = self.classes.first().map_or(0, Vec::len);
        let totals: Vec<f64> =
            (0..classes).map(|c| self.classes.iter().map(|g| g[c] as f64).sum::<f64>().max(1.0)).collect();
        let spread = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt()
        };
        let lopsided: Vec<f64> =
            self.classes.iter().map(|g| spread(&g.iter().map(|&v| v as f64).collect::<Vec<_>>())).collect();
        let mut order = order.to_vec();
        order.sort_by(|&a, &b| lopsided[b].total_cmp(&lopsided[a]));
        let mut filled = vec![vec![0.0; classes]; folds];
        let mut used = vec![false; folds];
        let mut fold = vec![0; self.names.len()];
        for (at, &group) in order.iter().enumerate() {
            let empty = used.iter().filter(|u| !**u).count();
            let must_fill = order.len() - at <= empty;
            let cost = |f: usize| {
                let shares = |c: usize| -> Vec<f64> {
                    (0..folds)
                        .map(|g| {
                            let add = if g == f { self.classes[group][c] as f64 } else { 0.0 };
                            (filled[g][c] + add) / totals[c]
                        })
                        .collect()
                };
                (0..classes).map(|c| spread(&shares(c))).sum::<f64>() / classes.max(1) as f64
            };
            let best = (0..folds)
                .filter(|&f| !must_fill || !used[f])
                .map(|f| (cost(f), filled[f].iter().sum::<f64>(), f))
                .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)))
                .map_or(0, |(_, _, f)| f);
            fold[group] = best;
            used[best] = true;
            for (sum, &add) in filled[best].iter_mut().zip(&self.classes[group]) {
                *sum += add as f64;
            }
        }
        fold
    }
}

/// Takes groups in `order` as long as each brings the sum nearer to `target`; never all of `candidates`. With
/// `at_least_one` the smallest candidate is taken when none would be.
pub(super) fn nearest(
    sizes: &[usize],
    order: &[usize],
    target: f64,
    candidates: &[usize],
    at_least_one: bool,
) -> Vec<bool> {
    let mut taken = vec![false; sizes.len()];
    let (mut sum, mut left) = (0.0, candidates.len());
    for &group in order.iter().filter(|g| candidates.contains(g)) {
        let with = sum + sizes[group] as f64;
        if left > 1 && (with - target).abs() < (sum - target).abs() {
            (taken[group], sum, left) = (true, with, left - 1);
        }
    }
    let smallest = order.iter().filter(|g| candidates.contains(g)).min_by_key(|&&g| sizes[g]);
    if let (true, Some(&smallest)) = (at_least_one && sum == 0.0 && left > 1, smallest) {
        taken[smallest] = true;
    }
    taken
}
