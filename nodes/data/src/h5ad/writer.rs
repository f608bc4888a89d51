//! AnnData files out: streamed, complete or absent, and the same bytes for the same cells.
//!
//! The encoding is that of anndata 0.8 to 0.12. The file is written under a temporary name beside its place and renamed
//! by [`H5adWriter::finish`], so no reader ever sees half of it. No dataset carries a time stamp.

use std::path::{Path, PathBuf};

use tempfile::TempPath;

use crate::{Csr, DataError, Table};

mod frame;
mod matrix;
mod parts;
mod target;

use matrix::MatrixWriter;
use target::Target;

/// How datasets of numbers are packed. Both forms are read by h5py, R and Julia without plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// As they are: largest and fastest.
    None,
    /// Byte shuffle and gzip of this level, 1 (fast) to 9.
    Gzip(u8),
}

/// Choices about the file that do not change its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteOptions {
    /// Packing of matrices, embeddings and numeric columns.
    pub compression: Compression,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self { compression: Compression::Gzip(1) }
    }
}

/// Type of a matrix's values in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dtype {
    /// Single precision: what AnnData files usually hold.
    F32,
    /// Double precision.
    F64,
    /// 32-bit integers; the values must be whole.
    I32,
}

/// Writes one AnnData file. Dropped without [`H5adWriter::finish`], it leaves nothing behind.
#[derive(Debug)]
pub struct H5adWriter {
    path: PathBuf,
    options: WriteOptions,
    n_cells: usize,
    n_genes: usize,
    target: Target,
    // Last, so that the file is closed before its temporary name is removed.
    temporary: TempPath,
}

impl H5adWriter {
    /// Begins the file `path` with its tables. `var` may be empty: a file of embeddings has no genes.
    ///
    /// # Errors
    /// [`DataError::Write`] or [`DataError::Io`].
    pub fn create(
        path: impl AsRef<Path>,
        obs: &Table,
        var: &Table,
        options: &WriteOptions,
    ) -> Result<Self, DataError> {
        let path = path.as_ref().to_owned();
        let temporary = temporary_beside(&path).map_err(|source| DataError::io(&path, source))?;
        let mut target =
            Target::create(&temporary).map_err(|problem| DataError::write(&path, "/", problem))?;
        for (name, table) in [("obs", obs), ("var", var)] {
            table.check().map_err(|error| DataError::write(&path, name, error))?;
            let written = frame::write(target.root(), name, table, options);
            target.note(written).map_err(|problem| DataError::write(&path, name, problem))?;
        }
        for name in ["layers", "obsm", "obsp", "uns", "varm", "varp"] {
            let written = parts::dict(target.root(), name);
            target.note(written).map_err(|problem| DataError::write(&path, name, problem))?;
        }
        let (n_cells, n_genes) = (obs.len(), var.len());
        Ok(Self { path, options: *options, n_cells, n_genes, target, temporary })
    }

    /// Begins the matrix `X` or `layers/NAME`; rows follow by [`H5adWriter::append`].
    ///
    /// # Errors
    /// When the previous matrix lacks rows, the name is another or taken.
    pub fn begin_matrix(&mut self, name: &str, dtype: Dtype) -> Result<(), DataError> {
        self.end_matrix()?;
        let layer =
            name.strip_prefix("layers/").is_some_and(|layer| !layer.is_empty() && !layer.contains('/'));
        if name != "X" && !layer {
            return Err(DataError::write(&self.path, name, "a matrix is called X or layers/NAME"));
        }
        let matrix = MatrixWriter::create(self.target.root(), name, self.n_genes, dtype, &self.options);
        let matrix =
            self.target.note(matrix).map_err(|problem| DataError::write(&self.path, name, problem))?;
        self.target.matrix = Some(matrix);
        Ok(())
    }

    /// Appends rows to the matrix begun last.
    ///
    /// # Errors
    /// When none was begun, the columns do not fit or there are more rows than cells.
    pub fn append(&mut self, rows: &Csr) -> Result<(), DataError> {
        let Some(matrix) = &mut self.target.matrix else {
            return Err(DataError::write(&self.path, "X", "no matrix was begun"));
        };
        if rows.n_cols() != self.n_genes {
            let problem = format!("rows of {} columns for {} genes", rows.n_cols(), self.n_genes);
            return Err(DataError::write(&self.path, matrix.name(), problem));
        }
        if matrix.rows() + rows.rows() > self.n_cells {
            let problem = format!("more rows than the {} cells in obs", self.n_cells);
            return Err(DataError::write(&self.path, matrix.name(), problem));
        }
        let (name, appended) = (matrix.name().to_owned(), matrix.append(rows));
        self.target.note(appended).map_err(|problem| DataError::write(&self.path, name, problem))
    }

    /// Writes an embedding: `dim` values per cell, cell after cell.
    ///
    /// # Errors
    /// When the number of values does not fit.
    pub fn obsm(&mut self, name: &str, dim: usize, values: &[f32]) -> Result<(), DataError> {
        let dataset = format!("obsm/{name}");
        if values.len() != self.n_cells * dim {
            let problem = format!("{} values for {} cells × {dim}", values.len(), self.n_cells);
            return Err(DataError::write(&self.path, dataset, problem));
        }
        let written = parts::dense(self.target.root(), &dataset, self.n_cells, dim, values, &self.options);
        self.target.note(written).map_err(|problem| DataError::write(&self.path, dataset, problem))
    }

    /// Writes a text into `uns`.
    ///
    /// # Errors
    /// When the name is taken or the text has zero bytes.
    pub fn uns_text(&mut self, name: &str, text: &str) -> Result<(), DataError> {
        let dataset = format!("uns/{name}");
        let written = parts::text(self.target.root(), &dataset, text);
        self.target.note(written).map_err(|problem| DataError::write(&self.path, dataset, problem))
    }

    /// Writes a JSON document into `uns`, as one text (`json.loads(adata.uns[name])` in Python): AnnData has no form
    /// for lists of records.
    ///
    /// # Errors
    /// As [`H5adWriter::uns_text`].
    pub fn uns_json(&mut self, name: &str, value: &serde_json::Value) -> Result<(), DataError> {
        self.uns_text(name, &value.to_string())
    }

    /// Completes the file and moves it to its place.
    ///
    /// # Errors
    /// When a matrix lacks rows or the disk refuses.
    pub fn finish(mut self) -> Result<(), DataError> {
        self.end_matrix()?;
        let Self { path, mut target, temporary, .. } = self;
        let marked = parts::encoding(target.root(), "anndata", "0.1.0");
        target
            .note(marked)
            .and_then(|()| target.close())
            .map_err(|problem| DataError::write(&path, "/", problem))?;
        let sync = fs_err::File::open(&temporary).and_then(|file| file.sync_all());
        sync.map_err(|source| DataError::io(&path, source))?;
        temporary.persist(&path).map_err(|error| DataError::io(&path, error.error))
    }

    fn end_matrix(&mut self) -> Result<(), DataError> {
        let Some(matrix) = &self.target.matrix else { return Ok(()) };
        let name = matrix.name().to_owned();
        if matrix.rows() != self.n_cells {
            let problem = format!("{} rows were written for {} cells", matrix.rows(), self.n_cells);
            return Err(DataError::write(&self.path, name, problem));
        }
        let finished = matrix.finish();
        self.target.note(finished).map_err(|problem| DataError::write(&self.path, name, problem))?;
        self.target.matrix = None;
        Ok(())
    }
}

/// An empty file in the folder of `path` with the permissions of a new file.
fn temporary_beside(path: &Path) -> std::io::Result<TempPath> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut builder = tempfile::Builder::new();
    builder.prefix(".h5ad-").suffix(".partial");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // Narrowed by the user's umask; temporary files are private otherwise.
        builder.permissions(PermissionsExt::from_mode(0o666));
    }
    Ok(builder.tempfile_in(folder)?.into_temp_path())
}
