//! Ways in which a test set can be easier than the question it stands for (DESIGN 9).
//!
//! Here: the same cell is on both sides; a fold lacks a class. What columns of the cells' table give away is in
//! [`origins`](super::origins).

use std::collections::{BTreeMap, BTreeSet};

use celldag_data::Csr;

use super::labels::LabelledCells;
use super::roles::FoldRoles;
use super::table::{Role, fold_name};

/// Cells with fewer expressed genes can be equal by chance.
const LEAST_GENES: usize = 10;
/// Fingerprint of each cell's counts; `None` for cells with too few genes to tell twins from chance.
#[derive(Clone, Debug, Default)]
pub struct Fingerprints(Vec<Option<[u8; 16]>>);

impl Fingerprints {
    /// Adds the cells of a block, in order.
    pub fn push(&mut self, counts: &Csr) {
        self.0.extend(counts.iter().map(|(genes, values)| {
            (genes.len() >= LEAST_GENES).then(|| {
                let mut hash = blake3::Hasher::new();
                hash.update(bytemuck::cast_slice(genes));
                hash.update(bytemuck::cast_slice(values));
                let mut short = [0; 16];
                short.copy_from_slice(&hash.finalize().as_bytes()[..16]);
                short
            })
        }));
    }

    /// Sets of two and more cells with identical counts.
    #[must_use]
    pub fn twins(&self, cells: &LabelledCells) -> BTreeMap<[u8; 16], Vec<usize>> {
        let mut twins: BTreeMap<[u8; 16], Vec<usize>> = BTreeMap::new();
        for (cell, &row) in cells.rows.iter().enumerate() {
            if let Some(print) = self.0.get(row).copied().flatten() {
                twins.entry(print).or_default().push(cell);
            }
        }
        twins.retain(|_, members| members.len() > 1);
        twins
    }
}

/// The same counts on both sides of a fold: at most one finding, with an example.
#[must_use]
pub fn same_cell_on_both_sides(
    prints: &Fingerprints,
    cells: &LabelledCells,
    folds: &[FoldRoles],
) -> Option<String> {
    let twins = prints.twins(cells);
    let mut leaking: BTreeSet<usize> = BTreeSet::new();
    let mut example = None;
    for fold in folds {
        for members in twins.values() {
            let test = members.iter().find(|&&c| fold.roles[c] == Some(Role::Test));
            let other = members.iter().find(|&&c| fold.roles[c].is_some_and(|role| role != Role::Test));
            if let (Some(&test), Some(&other)) = (test, other) {
                leaking.extend(members.iter().filter(|&&c| fold.roles[c] == Some(Role::Test)));
                example.get_or_insert((test, other, fold));
            }
        }
    }
    let (test, other, fold) = example?;
    let (test, other) = (&cells.ids[test], &cells.ids[other]);
    Some(format!(
        "the same cell is on both sides: {} test cells have a twin with identical counts among the training or validation \
         cells of their fold (for example `{test}` tests and `{other}` does not in repeat {}, fold {}). A model that \
         memorises is rewarded. Drop the copies with `copies: drop`, or give twins one group and divide by group.",
        leaking.len(),
        fold.repeat,
        fold.fold
    ))
}

/// Classes that a role of a fold lacks. Folds without validation cells are not asked for validation classes.
#[must_use]
pub fn missing_classes(cells: &LabelledCells, folds: &[FoldRoles]) -> Vec<String> {
    let mut lacking: BTreeMap<(Role, usize), Vec<String>> = BTreeMap::new();
    for fold in folds {
        for role in [Role::Train, Role::Validation, Role::Test] {
            let mut counts = vec![0; cells.classes.names.len()];
            for (cell, _) in fold.roles.iter().enumerate().filter(|(_, r)| **r == Some(role)) {
                counts[cells.class[cell]] += 1;
            }
            if role == Role::Validation && counts.iter().all(|&n| n == 0) {
                continue;
            }
            for (class, _) in counts.iter().enumerate().filter(|(_, n)| **n == 0) {
                lacking.entry((role, class)).or_default().push(fold_name(fold.repeat, fold.fold));
            }
        }
    }
    lacking
        .into_iter()
        .map(|((role, class), folds)| {
            let consequence = match role {
                Role::Train => "a model cannot learn a class that it never sees",
                Role::Validation => "early stopping there looks at one side of the question only",
                Role::Test => {
                    "AUROC and other metrics are undefined there; read the figures over all test cells"
                }
            };
            let name = &cells.classes.names[class];
            format!("no {} cell of class `{name}` in fold {}: {consequence}.", role.word(), folds.join(", "))
        })
        .collect()
}
