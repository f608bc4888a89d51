//! A file of cells, open for reading.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::counts::{Check, PLACES};
use super::{Cells, CountsSource, MatrixRef, RowChunks, detect};
use crate::h5ad::H5adFile;
use crate::{Csr, DataError, Table};

/// Cells read at once when a whole matrix is read.
const WHOLE_CHUNK: usize = 4096;

/// What decides where a file can be read in more than one way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenOptions {
    /// Genome to take from a 10x file that holds several.
    pub genome: Option<String>,
    /// Columns of a text table that annotate cells although they hold numbers.
    pub obs_columns: Vec<String>,
}

/// A file of cells in any of the known formats.
#[derive(Debug)]
pub struct CellsFile {
    path: PathBuf,
    layout: Layout,
}

/// What a reader of one format hands over.
#[derive(Debug)]
pub(crate) struct Layout {
    /// `h5ad`, `10x-h5` ...
    pub(crate) format: &'static str,
    pub(crate) obs: Table,
    pub(crate) var: Arc<Table>,
    pub(crate) source: Source,
    pub(crate) warnings: Vec<String>,
}

/// Where matrices come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// An AnnData file with any number of matrices.
    H5ad(H5adFile),
    /// A format with one matrix, called X.
    One(Box<MatrixRef>),
}

impl CellsFile {
    /// Opens `path`, a file or a 10x folder; the format is found out from the content.
    ///
    /// # Errors
    /// [`DataError`] when the format is unknown or broken, or when two cells have one name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Self::open_with(path, &OpenOptions::default())
    }

    /// Opens `path` with decisions made beforehand.
    ///
    /// # Errors
    /// As [`CellsFile::open`].
    pub fn open_with(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, DataError> {
        let path = path.as_ref();
        let layout = detect::read(path, options)?;
        if layout.obs.is_empty() {
            let (path, genes) = (path.to_owned(), layout.var.len());
            return Err(DataError::Empty { path, dataset: "obs".to_owned(), cells: 0, genes });
        }
        if let Some((barcode, first, second)) = layout.obs.first_duplicate() {
            let (path, barcode) = (path.to_owned(), barcode.to_owned());
            return Err(DataError::DuplicateCell { path, barcode, first, second });
        }
        for warning in &layout.warnings {
            tracing::warn!(file = %path.display(), "{warning}");
        }
        Ok(Self { path: path.to_owned(), layout })
    }

    /// The path that was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The format: `h5ad`, `10x-h5`, `10x-mtx` or `table`.
    #[must_use]
    pub fn format(&self) -> &'static str {
        self.layout.format
    }

    /// What is odd about the file but no error: duplicated gene names, columns that were left out.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.layout.warnings
    }

    /// One row per cell.
    #[must_use]
    pub fn obs(&self) -> &Table {
        &self.layout.obs
    }

    /// One row per gene of X and of the layers; `raw/X` has its own, see [`MatrixRef::var`].
    #[must_use]
    pub fn var(&self) -> &Table {
        &self.layout.var
    }

    /// Number of cells.
    #[must_use]
    pub fn n_cells(&self) -> usize {
        self.layout.obs.len()
    }

    /// Number of genes of X.
    #[must_use]
    pub fn n_genes(&self) -> usize {
        self.layout.var.len()
    }

    /// Names of the matrices: `X`, `raw/X`, `layers/NAME`.
    #[must_use]
    pub fn matrices(&self) -> Vec<String> {
        match &self.layout.source {
            Source::H5ad(file) => file.matrices(),
            Source::One(matrix) => vec![matrix.name.clone()],
        }
    }

    /// The matrix `name`, whatever its values mean (they must be finite).
    ///
    /// # Errors
    /// When there is none, or it is broken, or has no cells or genes.
    pub fn matrix(&self, name: &str) -> Result<MatrixRef, DataError> {
        let matrix = match &self.layout.source {
            Source::H5ad(file) => file.matrix(name, self.n_cells(), &self.layout.var)?,
            Source::One(matrix) if matrix.name == name => MatrixRef::clone(matrix),
            Source::One(matrix) => {
                return Err(DataError::missing(&self.path, name, vec![matrix.name.clone()]));
            }
        };
        if matrix.n_cells == 0 || matrix.n_genes() == 0 {
            let (path, dataset) = (self.path.clone(), name.to_owned());
            let (cells, genes) = (matrix.n_cells, matrix.n_genes());
            return Err(DataError::Empty { path, dataset, cells, genes });
        }
        Ok(matrix)
    }

    /// The matrix of raw counts. Its head and tail are looked at now, every value when it is read.
    ///
    /// # Errors
    /// [`DataError::NotCounts`] with the first value that is none, if no matrix (or not the named one) holds counts.
    pub fn counts_matrix(&self, source: &CountsSource) -> Result<MatrixRef, DataError> {
        let matrices = self.matrices();
        let candidates: Vec<&str> = match source {
            CountsSource::Named(name) => vec![name],
            CountsSource::Auto => {
                PLACES.into_iter().filter(|place| matrices.iter().any(|m| m == place)).collect()
            }
        };
        // The refusal speaks of X if X is there, since that is the matrix people mean.
        let mut refusal = None;
        for name in candidates {
            let mut matrix = self.matrix(name)?;
            match matrix.probe_counts()? {
                None => {
                    matrix.check = Check::Counts;
                    return Ok(matrix);
                }
                Some(offence) => {
                    let error = matrix.offence(&self.path, self.obs(), &[], &offence);
                    if refusal.is_none() || name == "X" {
                        refusal = Some(error);
                    }
                }
            }
        }
        match refusal {
            Some(DataError::NotCounts { path, at, reason, .. }) => {
                let matrices = self.with_counts(&at.dataset);
                Err(DataError::NotCounts { path, at, reason, matrices })
            }
            Some(error) => Err(error),
            None => Err(DataError::missing(&self.path, "X", matrices)),
        }
    }

    /// Matrices other than `refused` whose head and tail are counts: what a message may propose.
    pub(super) fn with_counts(&self, refused: &str) -> Vec<String> {
        let mut names = self.matrices();
        names.retain(|name| {
            let probed = || self.matrix(name).and_then(|matrix| matrix.probe_counts());
            name != refused && matches!(probed(), Ok(None))
        });
        names
    }

    /// Streams a matrix in chunks of `chunk_rows` cells.
    #[must_use]
    pub fn rows(&self, matrix: &MatrixRef, chunk_rows: usize) -> RowChunks<'_> {
        RowChunks::new(self, matrix, chunk_rows)
    }

    /// Reads a whole matrix.
    ///
    /// # Errors
    /// When the file is broken or a value is not what the matrix promises.
    pub fn read_matrix(&self, matrix: &MatrixRef) -> Result<Csr, DataError> {
        let mut whole = Csr::empty(matrix.n_genes());
        for chunk in self.rows(matrix, WHOLE_CHUNK) {
            whole.append(&chunk?.1);
        }
        Ok(whole)
    }

    /// The cells with their raw counts, in memory.
    ///
    /// # Errors
    /// As [`CellsFile::counts_matrix`] and [`CellsFile::read_matrix`].
    pub fn read_counts(&self, source: &CountsSource) -> Result<Cells, DataError> {
        let matrix = self.counts_matrix(source)?;
        let x = self.read_matrix(&matrix)?;
        Ok(Cells { obs: self.obs().clone(), var: matrix.var().clone(), x })
    }

    /// Names of the embeddings and coordinates in `obsm`.
    #[must_use]
    pub fn obsm_names(&self) -> Vec<String> {
        match &self.layout.source {
            Source::H5ad(file) => file.obsm_names(),
            Source::One(_) => Vec::new(),
        }
    }

    /// One array of `obsm`: number of cells, dimensions, values cell after cell.
    ///
    /// # Errors
    /// When there is none of that name or it does not fit the cells.
    pub fn obsm(&self, name: &str) -> Result<(usize, usize, Vec<f32>), DataError> {
        match &self.layout.source {
            Source::H5ad(file) => file.obsm(name, self.n_cells()),
            Source::One(_) => Err(DataError::missing(&self.path, format!("obsm/{name}"), Vec::new())),
        }
    }

    /// An entry of `uns` (`name` or `group/name`) as JSON; `None` if there is none.
    ///
    /// # Errors
    /// When it is there but cannot be read.
    pub fn uns(&self, name: &str) -> Result<Option<serde_json::Value>, DataError> {
        match &self.layout.source {
            Source::H5ad(file) => file.uns(name),
            Source::One(_) => Ok(None),
        }
    }
}
