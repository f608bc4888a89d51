//! What the kinds of this module share: matrices on disk as [`Rows`], copying them, and errors of files.

use std::cell::Cell;

use celldag_data::{CellsFile, Csr, Dtype, GeneIds, H5adWriter, MatrixRef, Table};
use celldag_engine::{Input, NodeError, Step};

pub(crate) use crate::failure::data;
use crate::prep::{Rows, Visit};

/// Cells read at once: a few megabytes of a usual matrix, so that memory does not depend on the number of cells.
const CHUNK: usize = 1024;

/// Opens the cells on port `cells` and passes the reader's warnings on.
pub(crate) fn open(step: &Step<'_>) -> Result<CellsFile, NodeError> {
    open_input(step, step.input("cells")?)
}

/// The same for the cells on any port.
pub(crate) fn open_input(step: &Step<'_>, input: &Input) -> Result<CellsFile, NodeError> {
    let file = CellsFile::open(&input.path).map_err(data)?;
    for warning in file.warnings() {
        step.warn(warning.clone());
    }
    Ok(file)
}

/// A matrix on disk that is walked in chunks, with progress and a chance to stop after each.
pub(super) struct FileRows<'a> {
    pub(super) file: &'a CellsFile,
    pub(super) matrix: &'a MatrixRef,
    pub(super) step: &'a Step<'a>,
}

impl FileRows<'_> {
    /// Calls `visit(first row, chunk)` for all chunks in order.
    pub(super) fn each_chunk(
        &self,
        mut visit: impl FnMut(usize, Csr) -> Result<(), NodeError>,
    ) -> Result<(), NodeError> {
        for chunk in self.file.rows(self.matrix, CHUNK) {
            self.step.check_cancelled()?;
            let (first, chunk) = chunk.map_err(data)?;
            let cells = chunk.rows() as u64;
            visit(first, chunk)?;
            self.step.progress.advance(cells);
        }
        Ok(())
    }

    /// Copies the matrix into the one begun last, with every chunk changed by `change`.
    pub(super) fn copy(
        &self,
        writer: &mut H5adWriter,
        name: &str,
        mut change: impl FnMut(usize, Csr) -> Csr,
    ) -> Result<(), NodeError> {
        writer.begin_matrix(name, Dtype::F32).map_err(data)?;
        self.each_chunk(|first, chunk| writer.append(&change(first, chunk)).map_err(data))
    }
}

impl Rows for FileRows<'_> {
    type Error = NodeError;

    fn n_rows(&self) -> usize {
        self.matrix.n_cells()
    }

    fn n_cols(&self) -> usize {
        self.matrix.n_genes()
    }

    fn each_row(&self, visit: &mut Visit<'_>) -> Result<(), NodeError> {
        let mut wide = Vec::new();
        self.each_chunk(|first, chunk| {
            for (row, (columns, values)) in chunk.iter().enumerate() {
                wide.clear();
                wide.extend(values.iter().map(|&v| f64::from(v)));
                visit(first + row, columns, &wide);
            }
            Ok(())
        })
    }
}

/// Symbols of the genes where the file knows them, otherwise the names in `var`.
pub(crate) fn symbols(var: &Table) -> Vec<String> {
    let ids = GeneIds::detect(var);
    let names = var.index.iter().zip(ids.symbols);
    names.map(|(name, symbol)| symbol.unwrap_or_else(|| name.clone())).collect()
}

/// Positions of the true entries.
pub(super) fn positions(mask: &[bool]) -> Vec<usize> {
    mask.iter().enumerate().filter_map(|(i, &kept)| kept.then_some(i)).collect()
}

/// Larger than ln(1 + x) of any normalised count: e^50 counts do not exist.
const NO_LOGARITHM: f64 = 50.0;

/// Watches the values of a matrix to find out whether they can be log-normalised.
#[derive(Debug)]
pub(super) struct Watch {
    only_whole: Cell<bool>,
    smallest: Cell<f64>,
    largest: Cell<f64>,
}

impl Watch {
    pub(super) fn new() -> Self {
        Self { only_whole: Cell::new(true), smallest: Cell::new(0.0), largest: Cell::new(0.0) }
    }

    /// Looks at one value and gives it back.
    pub(super) fn see(&self, value: f64) -> f64 {
        self.only_whole.set(self.only_whole.get() && value >= 0.0 && value.fract() == 0.0);
        self.smallest.set(self.smallest.get().min(value));
        self.largest.set(self.largest.get().max(value));
        value
    }

    /// Refuses what log-normalised values cannot be: whole numbers only (counts), very large ones (no logarithm was
    /// taken) and, unless they are allowed, negative ones (scaled already).
    pub(super) fn log_normalised(
        &self,
        file: &CellsFile,
        matrix: &str,
        negative: bool,
    ) -> Result<(), NodeError> {
        let (problem, help) = if self.only_whole.get() {
            (
                "whole numbers only, which look like raw counts".to_owned(),
                "put a node `normalize` before this one",
            )
        } else if self.largest.get() > NO_LOGARITHM {
            let help = "set `log1p: true` in the node `normalize` before this one";
            (format!("the value {}, which no logarithm of counts reaches", self.largest.get()), help)
        } else if !negative && self.smallest.get() < 0.0 {
            let help = "give the output of a node `normalize`; flavor seurat_v3 takes raw counts";
            (format!("the value {}, as scaled data do", self.smallest.get()), help)
        } else {
            return Ok(());
        };
        let place = file.path().display();
        let message = format!("{place}: `{matrix}` holds {problem}, but log-normalised values are needed");
        Err(NodeError::data(message).help(help))
    }
}
