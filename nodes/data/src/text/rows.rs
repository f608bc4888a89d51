//! The rows of a text table, with the place of everything for messages.

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use csv::{ByteRecord, Reader, ReaderBuilder};

use crate::DataError;

/// An open table, its header and its first row read.
pub(super) struct Rows {
    path: PathBuf,
    reader: Reader<Box<dyn BufRead>>,
    names: Vec<String>,
    row: ByteRecord,
    /// The first row was read to decide about columns and is still to be given out.
    pending: bool,
}

/// One row.
pub(super) struct Row<'a> {
    path: &'a Path,
    names: &'a [String],
    record: &'a ByteRecord,
}

impl Rows {
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter(path)?)
            .has_headers(false)
            .flexible(true)
            .from_reader(super::open(path)?);
        let mut record = ByteRecord::new();
        let mut row = ByteRecord::new();
        read(path, &mut reader, &mut record)?;
        let pending = read(path, &mut reader, &mut row)?;
        let mut names: Vec<String> =
            record.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
        if let Some(first) = names.first_mut() {
            *first = first.trim_start_matches('\u{feff}').to_owned();
        }
        // R's write.table leaves the name of the first column out.
        if row.len() == names.len() + 1 {
            names.insert(0, String::new());
        }
        if names.len() < 2 {
            let found = "text with a single column (known separators are comma and tab)".to_owned();
            return Err(DataError::UnknownFormat { path: path.to_owned(), found });
        }
        Ok(Self { path: path.to_owned(), reader, names, row, pending })
    }

    pub(super) fn name(&self, column: usize) -> &str {
        &self.names[column]
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The first row, if there is one.
    pub(super) fn first(&self) -> Option<&ByteRecord> {
        self.pending.then_some(&self.row)
    }

    /// The next row, all columns present.
    pub(super) fn next(&mut self) -> Result<Option<Row<'_>>, DataError> {
        if !std::mem::take(&mut self.pending) && !read(&self.path, &mut self.reader, &mut self.row)? {
            return Ok(None);
        }
        let row = Row { path: &self.path, names: &self.names, record: &self.row };
        if row.record.len() != self.names.len() {
            let problem =
                format!("the row has {} columns, the header {}", row.record.len(), self.names.len());
            return Err(row.fail(problem));
        }
        Ok(Some(row))
    }
}

impl<'a> Row<'a> {
    pub(super) fn text(&self, column: usize) -> Result<&'a str, DataError> {
        std::str::from_utf8(&self.record[column])
            .map(str::trim)
            .map_err(|_| self.fail(format!("column `{}` is not UTF-8", self.names[column])))
    }

    /// The finite number in a gene's column.
    pub(super) fn number(&self, column: usize) -> Result<f32, DataError> {
        let text = self.text(column)?;
        // Most values of a count table are this one.
        if text == "0" {
            return Ok(0.0);
        }
        match text.parse::<f64>() {
            Ok(value) if (value as f32).is_finite() => Ok(value as f32),
            Ok(_) => Err(self.fail(format!("gene `{}` has the value `{text}`", self.names[column]))),
            Err(_) if text.is_empty() || text == "NA" => {
                Err(self.fail(format!("gene `{}` has no value", self.names[column])))
            }
            Err(_) => Err(DataError::Ambiguous {
                path: self.path.to_owned(),
                problem: format!(
                    "column `{}` holds a number in the first row, but `{text}` in line {}: neither a gene nor a label",
                    self.names[column],
                    self.line()
                ),
                remedy: "if the column is a gene, correct the value; if it annotates cells, write all its values as text \
                         (`d10` for 10)"
                    .to_owned(),
            }),
        }
    }

    /// Its line in the file, counted from 1.
    pub(super) fn line(&self) -> u64 {
        self.record.position().map_or(0, csv::Position::line)
    }

    fn fail(&self, problem: String) -> DataError {
        DataError::Text { path: self.path.to_owned(), line: self.line(), problem }
    }
}

fn read(path: &Path, reader: &mut Reader<Box<dyn BufRead>>, row: &mut ByteRecord) -> Result<bool, DataError> {
    reader.read_byte_record(row).map_err(|error| {
        let line = error.position().map_or(0, csv::Position::line);
        match error.into_kind() {
            csv::ErrorKind::Io(source) => super::read_error(path, source),
            kind => DataError::Text { path: path.to_owned(), line, problem: format!("{kind:?}") },
        }
    })
}

/// Tab or comma, whichever the first line has more of: names of files promise too much.
fn delimiter(path: &Path) -> Result<u8, DataError> {
    let mut head = Vec::new();
    super::open(path)?.take(1 << 20).read_until(b'\n', &mut head).map_err(|e| super::read_error(path, e))?;
    let count = |wanted: u8| head.iter().filter(|&&byte| byte == wanted).count();
    Ok(if count(b'\t') > count(b',') { b'\t' } else { b',' })
}
