//! Dropping copies of a cell before cells are divided, so that no division can put one on each side.

use super::labels::LabelledCells;
use super::leaks::Fingerprints;

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Further copies of a cell that stays.
    pub copies: usize,
    /// Cells whose copies carry different labels; none of them stays.
    pub contradictions: usize,
}

/// Keeps one cell of each set with identical counts: the first of the file, or of the external file (rows from
/// `external` on), whose cells must all be tested. A set with different labels goes entirely, since nothing says which
/// label is right.
pub fn drop_copies(cells: &mut LabelledCells, prints: &Fingerprints, external: Option<usize>) -> Dropped {
    let mut keep = vec![true; cells.ids.len()];
    let mut dropped = Dropped::default();
    for members in prints.twins(cells).into_values() {
        let agree = members.iter().all(|&c| cells.class[c] == cells.class[members[0]]);
        let stays = members
            .iter()
            .copied()
            .find(|&c| external.is_some_and(|first| cells.rows[c] >= first))
            .or_else(|| members.first().copied())
            .filter(|_| agree);
        for &cell in members.iter().filter(|&&c| Some(c) != stays) {
            keep[cell] = false;
        }
        *(if agree { &mut dropped.copies } else { &mut dropped.contradictions }) +=
            members.len() - usize::from(agree);
    }
    cells.retain(&keep);
    dropped
}
