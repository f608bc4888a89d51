//! Cells by group (cell type, batch, cluster), as indices.

use crate::numbering::Numbering;

/// A group index for each cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// Names by index, sorted.
    pub names: Vec<String>,
    /// Group of each cell.
    pub of_cell: Vec<usize>,
}

impl Grouping {
    /// Groups are numbered in the order of their names.
    #[must_use]
    pub fn new<S: AsRef<str>>(names: &[S]) -> Self {
        let index = Numbering::of(names);
        Self { of_cell: index.rows(names), names: index.names().map(str::to_owned).collect() }
    }

    /// Number of groups.
    #[must_use]
    pub fn count(&self) -> usize {
        self.names.len()
    }

    /// Cells of each group, in order.
    #[must_use]
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.count()];
        self.of_cell.iter().enumerate().for_each(|(cell, &group)| members[group].push(cell));
        members
    }

    /// The same groups among some of the cells; groups without a cell are gone.
    #[must_use]
    pub fn select(&self, cells: &[usize]) -> Self {
        Self::new(&cells.iter().map(|&c| self.names[self.of_cell[c]].as_str()).collect::<Vec<_>>())
    }
}
