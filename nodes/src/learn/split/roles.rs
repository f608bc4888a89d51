//! From test folds to roles: the rest of the cells trains, less a part that validates.

use celldag_engine::NodeError;

use super::assign::{Groups, TestFolds, nearest};
use super::draw::shuffled;
use super::labels::LabelledCells;
use super::table::Role;

/// Roles of all cells in one fold; `None` for a cell that takes no part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoldRoles {
    /// Repeat, from 0.
    pub repeat: u32,
    /// Fold, from 0.
    pub fold: u32,
    /// Role per cell.
    pub roles: Vec<Option<Role>>,
}

/// Validation cells are drawn from the training cells of each fold: stratified by label, or whole groups when
/// `by_group`, but never the last training group of a class. When every group is larger than the fraction, the smallest
/// one that holds every class is taken, if each class has another training group.
///
/// # Errors
/// When cells have no groups although `by_group` asks for them.
pub fn roles(
    cells: &LabelledCells,
    test: &TestFolds,
    validation_fraction: f64,
    by_group: bool,
    seed: u64,
    repeat: u32,
) -> Result<Vec<FoldRoles>, NodeError> {
    let groups = by_group.then(|| Groups::of(cells)).transpose()?;
    let mut out = Vec::new();
    for fold in 0..test.folds {
        let mut roles: Vec<Option<Role>> = test
            .of_cell
            .iter()
            .map(|&of| Some(if of == Some(fold) { Role::Test } else { Role::Train }))
            .collect();
        if validation_fraction > 0.0 {
            let purpose = format!("validation {fold}");
            match &groups {
                None => validate_cells(cells, &mut roles, validation_fraction, seed, &purpose, repeat),
                Some(groups) => {
                    validate_groups(cells, groups, &mut roles, validation_fraction, seed, &purpose, repeat);
                }
            }
        }
        out.push(FoldRoles { repeat, fold, roles });
    }
    Ok(out)
}

fn validate_cells(
    cells: &LabelledCells,
    roles: &mut [Option<Role>],
    fraction: f64,
    seed: u64,
    purpose: &str,
    repeat: u32,
) {
    let order = shuffled(&cells.ids, seed, purpose, repeat);
    for class in 0..cells.classes.names.len() {
        let members: Vec<usize> = order
            .iter()
            .copied()
            .filter(|&c| cells.class[c] == class && roles[c] == Some(Role::Train))
            .collect();
        let take = ((members.len() as f64 * fraction).round() as usize).min(members.len().saturating_sub(1));
        for &cell in &members[..take] {
            roles[cell] = Some(Role::Validation);
        }
    }
}

fn validate_groups(
    cells: &LabelledCells,
    groups: &Groups,
    roles: &mut [Option<Role>],
    fraction: f64,
    seed: u64,
    purpose: &str,
    repeat: u32,
) {
    let training = |roles: &[Option<Role>], g: usize| {
        (0..cells.ids.len()).any(|c| groups.of_cell[c] == g && roles[c] == Some(Role::Train))
    };
    let candidates: Vec<usize> = (0..groups.names.len()).filter(|&g| training(roles, g)).collect();
    let target = candidates.iter().map(|&g| groups.sizes[g] as f64).sum::<f64>() * fraction;
    let mut keepers = candidates.clone();
    for group in shuffled(&groups.names, seed, purpose, repeat) {
        let only_holder = (0..cells.classes.names.len()).any(|class| {
            groups.classes[group][class] > 0
                && !keepers.iter().any(|&g| g != group && groups.classes[g][class] > 0)
        });
        if candidates.contains(&group) && !only_holder {
            keepers.retain(|&g| g != group);
        }
    }
    let free: Vec<usize> = candidates.iter().copied().filter(|g| !keepers.contains(g)).collect();
    // One more than `free` may be named, since the keepers stay in training anyway.
    let mut pool = free;
    pool.extend(keepers.first());
    let order: Vec<usize> =
        shuffled(&groups.names, seed, purpose, repeat).into_iter().filter(|g| !keepers.contains(g)).collect();
    let mut taken = nearest(&groups.sizes, &order, target, &pool, false);
    if !taken.contains(&true)
        && let Some(group) = spare(groups, &candidates)
    {
        taken[group] = true;
    }
    for (cell, role) in roles.iter_mut().enumerate() {
        if *role == Some(Role::Train) && taken[groups.of_cell[cell]] {
            *role = Some(Role::Validation);
        }
    }
}

/// The smallest of the groups that hold every class, when each class is held by another group too. A group with one
/// class only is not taken where none was asked for: early stopping on one class prefers the model that always says it.
fn spare(groups: &Groups, candidates: &[usize]) -> Option<usize> {
    let holds = |group: usize, class: usize| groups.classes[group][class] > 0;
    let classes = groups.classes.first().map_or(0, Vec::len);
    candidates
        .iter()
        .copied()
        .filter(|&g| (0..classes).all(|c| holds(g, c) && candidates.iter().any(|&o| o != g && holds(o, c))))
        .min_by_key(|&g| (groups.sizes[g], g))
}
