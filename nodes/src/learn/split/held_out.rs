//! Test sets that the user names: certain groups, a second file of cells, and the few shots of a held-out group that may
//! train.

use celldag_engine::NodeError;

use super::assign::{Groups, TestFolds};
use super::draw::shuffled;
use super::labels::LabelledCells;
use super::roles::FoldRoles;
use super::table::Role;

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
    let near = known
        .iter()
        .map(|g| (strsim::jaro_winkler(&g.to_lowercase(), &name.to_lowercase()), g))
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    let shown = known.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
    let more = if known.len() > 12 { format!(" and {} more", known.len() - 12) } else { String::new() };
    NodeError::parameter(format!("`test_groups`: there is no group `{name}`; there are: {shown}{more}")).help(
        near.map_or_else(
            || "name values of the `group` column".to_owned(),
            |(_, group)| format!("did you mean `{group}`?"),
        ),
    )
}

/// Cells of rows from `first` on (those of the external file) test, all others do not.
#[must_use]
pub fn external(cells: &LabelledCells, first: usize) -> TestFolds {
    TestFolds { folds: 1, of_cell: cells.rows.iter().map(|&row| (row >= first).then_some(0)).collect() }
}

/// Lets a share of the test cells of each fold train, class by class (few-shot learning of a held-out group). At least
/// one cell of each class goes on testing; where the share rounds to nothing, nothing trains.
pub fn few_shots(cells: &LabelledCells, folds: &mut [FoldRoles], fraction: f64, seed: u64) {
    for fold in folds {
        let order = shuffled(&cells.ids, seed, &format!("shots {}", fold.fold), fold.repeat);
        for class in 0..cells.classes.names.len() {
            let members: Vec<usize> = order
                .iter()
                .copied()
                .filter(|&c| cells.class[c] == class && fold.roles[c] == Some(Role::Test))
                .collect();
            let take = (members.len() as f64 * fraction).round() as usize;
            for &cell in members.iter().take(take.min(members.len().saturating_sub(1))) {
                fold.roles[cell] = Some(Role::Train);
            }
        }
    }
}
