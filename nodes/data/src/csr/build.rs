//! Ways into a [`Csr`]: from raw arrays (checked), row by row, from a dense block, from columns.

use super::{Csr, CsrError};

impl Csr {
    /// Checks the arrays and brings them into canonical form (sorts, sums duplicates, drops zeros).
    ///
    /// # Errors
    /// [`CsrError`] when the offsets or a column index are out of range.
    pub fn new(
        n_cols: usize,
        indptr: Vec<u64>,
        indices: Vec<u32>,
        values: Vec<f32>,
    ) -> Result<Self, CsrError> {
        if indices.len() != values.len() {
            return Err(CsrError::Lengths { indices: indices.len(), values: values.len() });
        }
        check_offsets(&indptr, indices.len() as u64)?;
        for (row, ends) in indptr.windows(2).enumerate() {
            let columns = &indices[ends[0] as usize..ends[1] as usize];
            if let Some(&column) = columns.iter().find(|&&column| column as usize >= n_cols) {
                return Err(CsrError::Column { row, column, n_cols });
            }
        }
        let mut csr = Self { n_cols, indptr, indices, values };
        if !csr.is_canonical() {
            csr.canonicalize();
        }
        Ok(csr)
    }

    /// A matrix from a dense block, row after row.
    ///
    /// # Panics
    /// If the block's length is no multiple of `n_cols`.
    #[must_use]
    pub fn from_dense(n_cols: usize, block: &[f32]) -> Self {
        let mut csr = Self::empty(n_cols);
        if n_cols > 0 {
            assert_eq!(block.len() % n_cols, 0, "a dense block holds whole rows");
            for row in block.chunks_exact(n_cols) {
                csr.push_dense_row(row);
            }
        }
        csr
    }

    /// Appends a row given with its zeros.
    ///
    /// # Panics
    /// If the row is not `n_cols` long.
    pub fn push_dense_row(&mut self, row: &[f32]) {
        assert_eq!(row.len(), self.n_cols, "a dense row has one value per column");
        for (column, &value) in row.iter().enumerate() {
            if value != 0.0 {
                self.indices.push(column as u32);
                self.values.push(value);
            }
        }
        self.indptr.push(self.indices.len() as u64);
    }

    /// Appends a row of (column, value) pairs in any order; duplicates are summed, zeros dropped.
    ///
    /// # Panics
    /// If a column is out of range.
    pub fn push_row(&mut self, entries: &mut Vec<(u32, f32)>) {
        assert!(entries.iter().all(|&(column, _)| (column as usize) < self.n_cols), "column out of range");
        merge(entries);
        for &(column, value) in entries.iter() {
            self.indices.push(column);
            self.values.push(value);
        }
        self.indptr.push(self.indices.len() as u64);
    }

    /// Appends the rows of `other`.
    ///
    /// # Panics
    /// If the numbers of columns differ.
    pub fn append(&mut self, other: &Self) {
        assert_eq!(self.n_cols, other.n_cols, "rows of one matrix have the same columns");
        let base = self.indices.len() as u64;
        self.indices.extend_from_slice(&other.indices);
        self.values.extend_from_slice(&other.values);
        self.indptr.extend(other.indptr[1..].iter().map(|end| base + end));
    }

    fn is_canonical(&self) -> bool {
        self.values.iter().all(|&value| value != 0.0)
            && self.iter().all(|(columns, _)| columns.windows(2).all(|pair| pair[0] < pair[1]))
    }

    /// Rewrites the arrays in place; each row is sorted on its own, so memory stays that of one row.
    pub(super) fn canonicalize(&mut self) {
        let (mut write, mut begin) = (0, 0);
        let mut entries: Vec<(u32, f32)> = Vec::new();
        for row in 0..self.rows() {
            let end = self.indptr[row + 1] as usize;
            entries.clear();
            entries.extend((begin..end).map(|at| (self.indices[at], self.values[at])));
            merge(&mut entries);
            for &(column, value) in &entries {
                self.indices[write] = column;
                self.values[write] = value;
                write += 1;
            }
            begin = end;
            self.indptr[row + 1] = write as u64;
        }
        self.indices.truncate(write);
        self.values.truncate(write);
    }
}

/// Sorts by column (stable, so that sums have one order), sums duplicates, drops zeros.
fn merge(entries: &mut Vec<(u32, f32)>) {
    if !entries.is_sorted_by_key(|entry| entry.0) {
        entries.sort_by_key(|entry| entry.0);
    }
    entries.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
    entries.retain(|entry| entry.1 != 0.0);
}

/// Offsets begin with 0, never decrease and end at `stored`.
pub(crate) fn check_offsets(indptr: &[u64], stored: u64) -> Result<(), CsrError> {
    let fail = |at, problem| Err(CsrError::Indptr { at, problem });
    match indptr.first() {
        None => return fail(0, "it is empty"),
        Some(&first) if first != 0 => return fail(0, "it does not begin with 0"),
        Some(_) => {}
    }
    if let Some(at) = indptr.windows(2).position(|pair| pair[0] > pair[1]) {
        return fail(at + 1, "it decreases");
    }
    if indptr.last() != Some(&stored) {
        return fail(indptr.len() - 1, "it does not end at the number of stored values");
    }
    Ok(())
}
