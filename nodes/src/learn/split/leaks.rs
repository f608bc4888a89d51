//! Ways in which a test set can be easier than the question it stands for (DESIGN 9).
//!
//! Three findings: the label is fixed by a column (sample, patient, line ...) whose values are on both sides of a fold;
//! the same cell is on both sides; a fold lacks a class.

use std::collections::{BTreeMap, BTreeSet};

use celldag_data::{Csr, Table};

use super::labels::LabelledCells;
use super::roles::FoldRoles;
use super::table::Role;

/// Share of cells whose label a column must predict to count as fixing it.
const FIXED: f64 = 0.99;
/// Cells with fewer expressed genes can be equal by chance.
const LEAST_GENES: usize = 10;
/// How words of column names begin that say where a cell comes from.
const ORIGINS: [&str; 19] = [
    "sample",
    "patient",
    "donor",
    "batch",
    "line",
    "study",
    "dataset",
    "library",
    "plate",
    "lane",
    "chip",
    "individual",
    "subject",
    "mouse",
    "replicate",
    "run",
    "clone",
    "protocol",
    "group",
];

/// Columns that fix the label and have values on both sides of a fold.
///
/// A column that names the classes one to one and is not called like an origin is taken for another spelling of the
/// label and skipped.
#[must_use]
pub fn label_fixed_by_group(
    obs: &Table,
    cells: &LabelledCells,
    folds: &[FoldRoles],
    label: &str,
) -> Vec<String> {
    let mut found = Vec::new();
    for (name, column) in obs.columns.iter().filter(|(name, _)| *name != label) {
        if column.kind() == "number" {
            continue;
        }
        let values: Vec<Option<String>> =
            cells.rows.iter().map(|&row| column.as_text(row).map(std::borrow::Cow::into_owned)).collect();
        let Some(levels) = levels(&values, cells) else { continue };
        let majority: usize = levels.values().map(|counts| counts.iter().max().copied().unwrap_or(0)).sum();
        let known: usize = levels.values().flatten().sum();
        let largest_class = (0..cells.classes.names.len())
            .map(|class| levels.values().map(|counts| counts[class]).sum::<usize>())
            .max()
            .unwrap_or(0);
        // A column that says no more than the largest class does fixes nothing.
        if (majority as f64) < FIXED * known as f64 || majority == largest_class {
            continue;
        }
        if levels.len() == cells.classes.names.len() && !names_an_origin(name) {
            continue;
        }
        if let Some((value, fold)) = straddles(&values, folds) {
            let share = 100.0 * majority as f64 / known as f64;
            found.push(format!(
                "the label is fixed by column `{name}`: its {} values predict the label of {share:.0} % of the cells, and \
                 its values are on both sides of a fold (for example `{value}` in repeat {}, fold {}). A model only has to \
                 recognise `{name}` to be right, so the test says nothing about new values of `{name}`. Divide with \
                 `kind: leave-group-out` or `group-k-fold` and `group: {name}`.",
                levels.len(),
                fold.repeat,
                fold.fold
            ));
        }
    }
    found
}

/// Whether a word of the column's name begins like one of [`ORIGINS`].
fn names_an_origin(column: &str) -> bool {
    let lower = column.to_lowercase();
    lower
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| ORIGINS.iter().any(|origin| word.starts_with(origin)))
}

/// Value → cells by class, for columns with a few values; values on one cell only are no groups.
fn levels(values: &[Option<String>], cells: &LabelledCells) -> Option<BTreeMap<String, Vec<usize>>> {
    let mut levels: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let most = (values.len() / 3).max(2);
    for (value, &class) in values.iter().zip(&cells.class) {
        let Some(value) = value else { continue };
        if !levels.contains_key(value) && levels.len() == most {
            return None;
        }
        levels.entry(value.clone()).or_insert_with(|| vec![0; cells.classes.names.len()])[class] += 1;
    }
    (levels.len() >= 2).then_some(levels)
}

/// A value that has test cells and other cells in one fold.
fn straddles<'a>(values: &[Option<String>], folds: &'a [FoldRoles]) -> Option<(String, &'a FoldRoles)> {
    for fold in folds {
        let side = |test: bool| -> BTreeSet<&String> {
            let on = fold.roles.iter().zip(values).filter(|(role, _)| match role {
                Some(Role::Test) => test,
                Some(_) => !test,
                None => false,
            });
            on.filter_map(|(_, value)| value.as_ref()).collect()
        };
        if let Some(value) = side(true).intersection(&side(false)).next() {
            return Some(((*value).clone(), fold));
        }
    }
    None
}

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
}

/// The same counts on both sides of a fold: at most one finding, with an example.
#[must_use]
pub fn same_cell_on_both_sides(
    prints: &Fingerprints,
    cells: &LabelledCells,
    folds: &[FoldRoles],
) -> Option<String> {
    let mut twins: BTreeMap<[u8; 16], Vec<usize>> = BTreeMap::new();
    for (cell, &row) in cells.rows.iter().enumerate() {
        if let Some(print) = prints.0.get(row).copied().flatten() {
            twins.entry(print).or_default().push(cell);
        }
    }
    twins.retain(|_, members| members.len() > 1);
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
         memorises is rewarded. Drop the copies, or give twins one group and divide by group.",
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
                let name = if folds.iter().any(|f| f.repeat > 0) {
                    format!("{}/{}", fold.repeat, fold.fold)
                } else {
                    fold.fold.to_string()
                };
                lacking.entry((role, class)).or_default().push(name);
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
