//! Text tables of cells × genes (CSV, TSV, packed or not), as scDrugMap and many GEO series ship them.
//!
//! The first column names the cells. A column is an annotation if its first value is no number, if it carries a name
//! that annotations carry (`Condition`, `label`, `batch` ...) or if the user says so; every other column is a gene. The
//! decision is said in a warning, and refused where later rows contradict it.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;

use crate::cells::{Layout, MatrixRef, OpenOptions, Source, Store};
use crate::{Csr, DataError, Table};

mod columns;
mod doubt;
mod rows;
#[cfg(test)]
mod tests;

use columns::Columns;

/// A text file, unpacked on the way if it is gzip.
pub(crate) fn open(path: &Path) -> Result<Box<dyn BufRead>, DataError> {
    let file = fs_err::File::open(path).map_err(|source| DataError::io(path, source))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let packed = reader.fill_buf().map_err(|source| DataError::io(path, source))?.starts_with(&[0x1f, 0x8b]);
    Ok(if packed {
        Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader)))
    } else {
        Box::new(reader)
    })
}

/// A failure while reading text: a gzip stream that breaks off is a truncated file.
pub(crate) fn read_error(path: &Path, source: io::Error) -> DataError {
    match source.kind() {
        io::ErrorKind::UnexpectedEof => {
            DataError::Truncated { path: path.to_owned(), detail: "its gzip stream breaks off".to_owned() }
        }
        io::ErrorKind::InvalidData => DataError::malformed(path, "text", "it is not UTF-8"),
        _ => DataError::io(path, source),
    }
}

/// Reads a whole table.
pub(crate) fn read(path: &Path, options: &OpenOptions) -> Result<Layout, DataError> {
    let mut table = rows::Rows::open(path)?;
    let columns = Columns::decide(path, &table, options)?;
    let mut warnings = columns.warnings(&table);
    let mut first_line = 0;
    let mut csr = Csr::empty(columns.genes.len());
    let mut index = Vec::new();
    let mut annotations: Vec<Vec<String>> = vec![Vec::new(); columns.annotations.len()];
    let mut entries = Vec::new();
    while let Some(row) = table.next()? {
        if index.is_empty() {
            first_line = row.line();
        }
        index.push(row.text(0)?.to_owned());
        for (values, &column) in annotations.iter_mut().zip(&columns.annotations) {
            values.push(row.text(column)?.to_owned());
        }
        entries.clear();
        for (gene, &column) in columns.genes.iter().enumerate() {
            let value = row.number(column)?;
            if value != 0.0 {
                entries.push((gene as u32, value));
            }
        }
        csr.push_row(&mut entries);
    }
    Columns::refuse_without_ids(path, &table, &index)?;
    let mut obs = Table::new(index);
    for (values, &column) in annotations.iter().zip(&columns.annotations) {
        if columns.by_value.contains(&column) {
            Columns::refuse_lone_text(path, table.name(column), first_line, values)?;
        }
        obs.columns.insert(table.name(column).to_owned(), columns::typed(values));
    }
    let var =
        Arc::new(Table::new(columns.genes.iter().map(|&column| table.name(column).to_owned()).collect()));
    if let Some((gene, first, second)) = var.first_duplicate() {
        warnings.push(format!("the gene name `{gene}` occurs twice, in columns {first} and {second}"));
    }
    let matrix = MatrixRef::new("X", obs.len(), Arc::clone(&var), Store::Memory(Arc::new(csr)), None);
    Ok(Layout { format: "table", obs, var, source: Source::One(Box::new(matrix)), warnings })
}
