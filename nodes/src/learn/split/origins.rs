//! Columns that give the label away: where a cell comes from (sample, patient, line ...) is on both sides of a fold.
//!
//! Two findings: the declared groups do not stay together; the label is fixed by a column whose values are on both sides.

use std::collections::{BTreeMap, BTreeSet};

use celldag_data::Table;

use super::labels::LabelledCells;
use super::roles::FoldRoles;
use super::table::Role;

/// Share of cells whose label a column must predict to count as fixing it.
const FIXED: f64 = 0.99;
/// How words of column names begin that say where a cell comes from.
const ORIGINS: [&str; 29] = [
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
    "source",
    "cohort",
    "specimen",
    "site",
    "pool",
    "channel",
    "experiment",
    "gsm",
    "accession",
    "tissue",
];
/// The same, but as whole words only (`orig.ident` of Seurat; not `original`, `identity`).
const ORIGIN_WORDS: [&str; 3] = ["orig", "ident", "case"];

/// What [`label_fixed_by_group`] finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginLeaks {
    /// Leaks: strict mode refuses them.
    pub leaks: Vec<String>,
    /// Columns that may be another spelling of the label, or where cells come from; only the user knows.
    pub doubts: Vec<String>,
}

/// Columns that fix the label and have values on both sides of a fold. The column of the declared `group` is looked at
/// whatever it holds.
///
/// A column that names the classes one to one and is not called like an origin may be another spelling of the label: a
/// doubt, and nothing at all when its values are those of the label but for upper and lower case.
#[must_use]
pub fn label_fixed_by_group(
    obs: &Table,
    cells: &LabelledCells,
    folds: &[FoldRoles],
    label: &str,
    group: Option<&str>,
) -> OriginLeaks {
    let mut found = OriginLeaks::default();
    if group == Some(label) {
        found.leaks.push(format!(
            "`group: {label}` is the label column itself: either its values are on both sides of a fold and keep nothing \
             apart, or a class is never trained on. Name the column that says where a cell comes from (sample, patient, \
             study)."
        ));
    }
    let mut same = Vec::new();
    for (name, column) in obs.columns.iter().filter(|(name, _)| *name != label) {
        let declared = group == Some(name.as_str());
        if column.kind() == "number" && !declared {
            continue;
        }
        let values: Vec<Option<String>> =
            cells.rows.iter().map(|&row| column.as_text(row).map(std::borrow::Cow::into_owned)).collect();
        let most = if declared { values.len() } else { (values.len() / 3).max(2) };
        let Some(levels) = levels(&values, cells, most) else { continue };
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
        let Some((value, fold)) = straddles(&values, folds) else { continue };
        if levels.len() == cells.classes.names.len() && !declared && !names_an_origin(name) {
            if !respells(&values, cells) {
                same.push(format!("`{name}`"));
            }
            continue;
        }
        let share = 100.0 * majority as f64 / known as f64;
        found.leaks.push(format!(
            "the label is fixed by column `{name}`: its {} values predict the label of {share:.0} % of the cells, and \
             its values are on both sides of a fold (for example `{value}` in repeat {}, fold {}). A model only has to \
             recognise `{name}` to be right, so the test says nothing about new values of `{name}`. {}",
            levels.len(),
            fold.repeat,
            fold.fold,
            remedy(name, &levels, cells)
        ));
    }
    if let [first, rest @ ..] = same.as_slice() {
        let (columns, verb) = if rest.is_empty() {
            (format!("column {first}"), "says")
        } else {
            (format!("columns {}", same.join(", ")), "say")
        };
        found.doubts.push(format!(
            "{columns} {verb} the same as the label `{label}`; if such a column names where a cell comes from (sample, \
             batch), label and origin cannot be told apart by any split, and the test measures the origin."
        ));
    }
    found
}

/// What can be done about a column that fixes the label: leaving its values out works only when every class remains in
/// training.
fn remedy(name: &str, levels: &BTreeMap<String, Vec<usize>>, cells: &LabelledCells) -> String {
    let holders = |class: usize| levels.values().filter(|counts| counts[class] > 0).count();
    match (0..cells.classes.names.len()).find(|&class| holders(class) < 2) {
        None => format!("Divide with `kind: leave-group-out` or `group-k-fold` and `group: {name}`."),
        Some(class) => format!(
            "No split can separate label and `{name}`: class `{}` comes from one value of it only, so that leaving it out \
             leaves nothing to learn the class from. Only data with further values of `{name}` can answer the question.",
            cells.classes.names[class]
        ),
    }
}

/// Groups that the user declared, but that do not stay together.
#[must_use]
pub fn groups_on_both_sides(
    cells: &LabelledCells,
    folds: &[FoldRoles],
    group: &str,
    kind: &str,
) -> Option<String> {
    let values: Vec<Option<String>> = cells.group.iter().cloned().map(Some).collect();
    let (example, fold) = straddles(&values, folds)?;
    let torn: BTreeSet<&String> = folds.iter().flat_map(|fold| on_both_sides(&values, fold)).collect();
    let all: BTreeSet<&String> = cells.group.iter().collect();
    Some(format!(
        "`kind: {kind}` does not keep the values of `group: {group}` together: {} of {} are on both sides of a fold (for \
         example `{example}` in repeat {}, fold {}). Use `kind: group-k-fold`, `stratified-group-k-fold` or \
         `leave-group-out`, or remove `group`.",
        torn.len(),
        all.len(),
        fold.repeat,
        fold.fold
    ))
}

/// Whether a word of the column's name begins like one of [`ORIGINS`] or is one of [`ORIGIN_WORDS`].
fn names_an_origin(column: &str) -> bool {
    let lower = column.to_lowercase();
    lower
        .split(|c: char| !c.is_alphanumeric())
        .any(|word| ORIGIN_WORDS.contains(&word) || ORIGINS.iter().any(|origin| word.starts_with(origin)))
}

/// Whether a column holds the label but for upper and lower case.
fn respells(values: &[Option<String>], cells: &LabelledCells) -> bool {
    values.iter().zip(&cells.class).all(|(value, &class)| {
        value.as_ref().is_none_or(|v| v.to_lowercase() == cells.classes.names[class].to_lowercase())
    })
}

/// Value → cells by class, for columns with at least two and at most `most` values.
fn levels(
    values: &[Option<String>],
    cells: &LabelledCells,
    most: usize,
) -> Option<BTreeMap<String, Vec<usize>>> {
    let mut levels: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (value, &class) in values.iter().zip(&cells.class) {
        let Some(value) = value else { continue };
        if !levels.contains_key(value) && levels.len() == most {
            return None;
        }
        levels.entry(value.clone()).or_insert_with(|| vec![0; cells.classes.names.len()])[class] += 1;
    }
    (levels.len() >= 2).then_some(levels)
}

/// Values that have test cells and other cells in one fold.
fn on_both_sides<'a>(values: &'a [Option<String>], fold: &FoldRoles) -> Vec<&'a String> {
    let side = |test: bool| -> BTreeSet<&'a String> {
        let on = fold.roles.iter().zip(values).filter(|(role, _)| match role {
            Some(Role::Test) => test,
            Some(_) => !test,
            None => false,
        });
        on.filter_map(|(_, value)| value.as_ref()).collect()
    };
    side(true).intersection(&side(false)).copied().collect()
}

/// The first such value.
fn straddles<'a>(values: &[Option<String>], folds: &'a [FoldRoles]) -> Option<(String, &'a FoldRoles)> {
    folds.iter().find_map(|fold| on_both_sides(values, fold).first().map(|v| ((*v).clone(), fold)))
}
