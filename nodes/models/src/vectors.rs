//! Vectors of the cells of a file, as far as they are known: what embedding fills, and what it may begin with.

use std::ops::Range;

/// One row for each cell, in the order of the file.
#[derive(Clone, Debug)]
pub struct Vectors {
    dim: usize,
    values: Vec<f32>,
    known: Vec<bool>,
}

impl Vectors {
    /// Rows of `dim` numbers for so many cells, none of which is known: they are NaN.
    #[must_use]
    pub fn new(cells: usize, dim: usize) -> Self {
        Self { dim, values: vec![f32::NAN; cells * dim], known: vec![false; cells] }
    }

    /// Numbers of a row.
    #[must_use]
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Takes the rows of some cells; false, and nothing changes, if there are no such cells or not so many numbers.
    pub fn put(&mut self, cells: &[usize], rows: &[f32]) -> bool {
        let fits = rows.len() == cells.len() * self.dim && cells.iter().all(|&cell| cell < self.known.len());
        if fits {
            for (at, &cell) in cells.iter().enumerate() {
                let row = self.place(cell);
                self.values[row].copy_from_slice(&rows[at * self.dim..(at + 1) * self.dim]);
                self.known[cell] = true;
            }
        }
        fits
    }

    /// Whether the row of a cell is known.
    #[must_use]
    pub fn knows(&self, cell: usize) -> bool {
        self.known.get(cell).copied().unwrap_or(false)
    }

    /// Cells whose rows are known.
    #[must_use]
    pub fn count(&self) -> usize {
        self.known.iter().filter(|&&known| known).count()
    }

    /// The row of a cell; empty if there is no such cell.
    #[must_use]
    pub fn row(&self, cell: usize) -> &[f32] {
        self.values.get(self.place(cell)).unwrap_or_default()
    }

    /// All rows, row-major.
    #[must_use]
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    fn place(&self, cell: usize) -> Range<usize> {
        cell * self.dim..(cell + 1) * self.dim
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_do_not_fit_change_nothing() {
        let mut vectors = Vectors::new(3, 2);
        assert!(!vectors.put(&[1, 3], &[1.0; 4]) && !vectors.put(&[1], &[1.0]));
        assert_eq!(vectors.count(), 0);
        assert!(vectors.put(&[2, 0], &[1.0, 2.0, 3.0, 4.0]));
        assert_eq!(
            (vectors.row(0), vectors.row(2), vectors.row(3)),
            (&[3.0, 4.0][..], &[1.0, 2.0][..], &[][..])
        );
        assert!(vectors.knows(0) && !vectors.knows(1) && !vectors.knows(3) && vectors.row(1)[0].is_nan());
    }
}
