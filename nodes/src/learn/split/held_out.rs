//! Test sets that the user names: certain groups, a second file of cells, and the few shots of a held-out group that may
//! train.

use std::collections::BTreeMap;

use celldag_engine::NodeError;

use super::assign::{Groups, TestFolds};
use super::draw::shuffled;
use super::labels::LabelledCells;
use super::roles::FoldRoles;
use super::table::{Role, fold_name};
use crate::columns;

/// The named groups test: one fold each, or all in one fold when `together`.
///
/// # Errors
/// A parameter error when a name is no group or nothing would be left to train on.
pub fn named_groups(cells: &LabelledCells, names: &[String], together: bool) -> Result<TestFolds, NodeError> {
    let groups = Groups::of(cells)?;
    let mut fold_of = vec![None; groups.names.len()];
    let mut next = 0;
    for name in names {
        let Some(group) = groups.names.iter().position(|g| g == name) else {
            return Err(unknown_group(name, &groups.names));
        };
        if fold_of[group].is_none() {
            fold_of[group] = Some(if together { 0 } else { next });
            next += 1;
        }
    }
    if together && fold_of.iter().all(Option::is_some) {
        return Err(NodeError::parameter(format!(
            "`test_groups` names all {} groups: nothing is left to train on",
            groups.names.len()
        ))
        .help(
            "name fewer groups, or use `kind: leave-group-out`, which gives each group a fold of its own",
        ));
    }
    let of_cell = groups.of_cell.iter().map(|&group| fold_of[group]).collect();
    Ok(TestFolds { folds: if together { 1 } else { next }, of_cell })
}

fn unknown_group(name: &str, known: &[String]) -> NodeError {
    let names = || known.iter().map(String::as_str);
    NodeError::parameter(format!(
        "`test_groups`: there is no group `{name}`; there are: {}",
        columns::listed(names())
    ))
    .help(columns::nearest(name, names()).map_or_else(
        || "name values of the `group` column".to_owned(),
        |group| format!("did you mean `{group}`?"),
    ))
}

/// Cells of rows from `first` on (those of the external file) test, all others do not.
#[must_use]
pub fn external(cells: &LabelledCells, first: usize) -> TestFolds {
    TestFolds { folds: 1, of_cell: cells.rows.iter().map(|&row| (row >= first).then_some(0)).collect() }
}

/// What few-shot learning asked for and the cells cannot give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shots {
    /// Cells that train, over all folds.
    pub cells: usize,
    /// (repeat, fold) of which no cell trains: the test there is zero-shot.
    pub none: Vec<(u32, u32)>,
    /// Class → folds of which some cells train, but none of this class.
    pub lacking: BTreeMap<usize, Vec<(u32, u32)>>,
}

/// Lets a share of the test cells of each fold train, class by class (few-shot learning of a held-out group). At least
/// one cell of each class goes on testing; where the share rounds to nothing, nothing trains, which the result says.
pub fn few_shots(cells: &LabelledCells, folds: &mut [FoldRoles], fraction: f64, seed: u64) -> Shots {
    let mut out = Shots::default();
    for fold in folds {
        let order = shuffled(&cells.ids, seed, &format!("shots {}", fold.fold), fold.repeat);
        let (mut taken, mut lacking) = (0, Vec::new());
        for class in 0..cells.classes.names.len() {
            let members: Vec<usize> = order
                .iter()
                .copied()
                .filter(|&c| cells.class[c] == class && fold.roles[c] == Some(Role::Test))
                .collect();
            let take = (members.len() as f64 * fraction).round() as usize;
            let take = take.min(members.len().saturating_sub(1));
            for &cell in &members[..take] {
                fold.roles[cell] = Some(Role::Train);
            }
            taken += take;
            if take == 0 && !members.is_empty() {
                lacking.push(class);
            }
        }
        out.cells += taken;
        let at = (fold.repeat, fold.fold);
        if taken == 0 {
            out.none.push(at);
        } else {
            lacking.into_iter().for_each(|class| out.lacking.entry(class).or_default().push(at));
        }
    }
    out
}

impl Shots {
    /// What the user must know.
    ///
    /// # Errors
    /// A parameter error when no cell trains in any fold: nothing would be few-shot.
    pub fn remarks(&self, cells: &LabelledCells, fraction: f64) -> Result<Vec<String>, NodeError> {
        if self.cells == 0 {
            return Err(NodeError::parameter(format!(
                "`few_shot_fraction: {fraction}` rounds to no cell in any held-out group: the test would be zero-shot"
            ))
            .help("raise `few_shot_fraction`, or set it to 0 for a zero-shot test"));
        }
        let folds = |folds: &[(u32, u32)]| {
            folds.iter().map(|&(repeat, fold)| fold_name(repeat, fold)).collect::<Vec<_>>().join(", ")
        };
        let mut out = Vec::new();
        if !self.none.is_empty() {
            out.push(format!(
                "few-shot: the share rounds to no cell in fold {}, whose test is zero-shot",
                folds(&self.none)
            ));
        }
        out.extend(self.lacking.iter().map(|(class, of)| {
            let name = &cells.classes.names[*class];
            format!("few-shot: the share rounds to no cell of class `{name}` in fold {}", folds(of))
        }));
        Ok(out)
    }
}
