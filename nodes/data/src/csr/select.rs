//! Parts of a [`Csr`]: chosen rows, chosen columns, a run of rows.

use super::Csr;

impl Csr {
    /// The rows `rows`, in that order; a row may be taken more than once.
    ///
    /// # Panics
    /// If a row is out of range.
    #[must_use]
    pub fn select_rows(&self, rows: &[usize]) -> Self {
        let nnz = rows.iter().map(|&row| self.row_nnz(row)).sum();
        let mut out = Self {
            n_cols: self.n_cols,
            indptr: Vec::with_capacity(rows.len() + 1),
            indices: Vec::with_capacity(nnz),
            values: Vec::with_capacity(nnz),
        };
        out.indptr.push(0);
        for &row in rows {
            let (indices, values) = self.row(row);
            out.indices.extend_from_slice(indices);
            out.values.extend_from_slice(values);
            out.indptr.push(out.indices.len() as u64);
        }
        out
    }

    /// The rows `from..to` as they are.
    ///
    /// # Panics
    /// If the range is out of bounds.
    #[must_use]
    pub fn slice_rows(&self, from: usize, to: usize) -> Self {
        let (begin, end) = (self.indptr[from] as usize, self.indptr[to] as usize);
        Self {
            n_cols: self.n_cols,
            indptr: self.indptr[from..=to].iter().map(|offset| offset - self.indptr[from]).collect(),
            indices: self.indices[begin..end].to_vec(),
            values: self.values[begin..end].to_vec(),
        }
    }

    /// The columns `columns`, in that order; column `j` of the result is column `columns[j]` here. A column may be
    /// taken more than once.
    ///
    /// # Panics
    /// If a column is out of range.
    #[must_use]
    pub fn select_columns(&self, columns: &[usize]) -> Self {
        // New positions of old column c: targets[first[c]..first[c + 1]].
        let mut first = vec![0_usize; self.n_cols + 1];
        for &column in columns {
            assert!(column < self.n_cols, "column {column} of {}", self.n_cols);
            first[column + 1] += 1;
        }
        for column in 0..self.n_cols {
            first[column + 1] += first[column];
        }
        let mut fill = first.clone();
        let mut targets = vec![0_u32; columns.len()];
        for (new, &column) in columns.iter().enumerate() {
            targets[fill[column]] = new as u32;
            fill[column] += 1;
        }
        let ascending = columns.is_sorted();
        let mut out = Self::empty(columns.len());
        let mut entries: Vec<(u32, f32)> = Vec::new();
        for (indices, values) in self.iter() {
            entries.clear();
            for (&column, &value) in indices.iter().zip(values) {
                let column = column as usize;
                entries.extend(targets[first[column]..first[column + 1]].iter().map(|&new| (new, value)));
            }
            if !ascending {
                entries.sort_unstable_by_key(|entry| entry.0);
            }
            out.indices.extend(entries.iter().map(|entry| entry.0));
            out.values.extend(entries.iter().map(|entry| entry.1));
            out.indptr.push(out.indices.len() as u64);
        }
        out
    }

    /// Columns × rows: genes as rows, cells as columns.
    #[must_use]
    pub fn transpose(&self) -> Self {
        let mut indptr = vec![0_u64; self.n_cols + 1];
        for &column in &self.indices {
            indptr[column as usize + 1] += 1;
        }
        for column in 0..self.n_cols {
            indptr[column + 1] += indptr[column];
        }
        let mut fill = indptr.clone();
        let mut indices = vec![0_u32; self.nnz()];
        let mut values = vec![0.0_f32; self.nnz()];
        for (row, (columns, row_values)) in self.iter().enumerate() {
            for (&column, &value) in columns.iter().zip(row_values) {
                let at = &mut fill[column as usize];
                indices[*at as usize] = row as u32;
                values[*at as usize] = value;
                *at += 1;
            }
        }
        Self { n_cols: self.rows(), indptr, indices, values }
    }
}
