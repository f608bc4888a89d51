//! A table of drugs: SMILES and names out of a CSV or TSV file.

use std::path::{Path, PathBuf};

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Drug {
    pub(super) id: String,
    /// As in the file, without white space around it; may be empty.
    pub(super) smiles: String,
    /// Line of the file, counted from 1.
    pub(super) line: u64,
}

/// The rows of a file, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DrugTable {
    pub(super) path: PathBuf,
    pub(super) drugs: Vec<Drug>,
}

/// A table of drugs that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DrugTableError {
    /// The system refuses; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A line cannot be understood.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, counted from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// A column is not there.
    #[error("{}: there is no column `{column}`; there is: {available}", path.display())]
    NoColumn {
        /// The file.
        path: PathBuf,
        /// The column asked for.
        column: String,
        /// The columns that there are.
        available: String,
    },
    /// There is no row below the header.
    #[error("{}: there are no drugs below the header", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

impl DrugTableError {
    /// What the user can do.
    pub(crate) fn help(&self) -> &'static str {
        match self {
            Self::Io(_) => "check the path; relative paths are relative to the pipeline file",
            Self::Line { .. } => {
                "correct the line; a table of drugs has a header and one drug a row, separated by commas or tabs"
            }
            Self::NoColumn { .. } => {
                "name the column of the SMILES with `smiles` and that of the drugs' names with `id`"
            }
            Self::Empty { .. } => "check the step that wrote the file",
        }
    }
}

impl DrugTable {
    /// Reads the columns called `smiles` and `id`, in upper or lower case. Without a name for the second, it is `id`, or
    /// `name`, or the number of the row. Tabs separate columns if the header has any, else commas.
    pub(super) fn read(path: &Path, smiles: &str, id: Option<&str>) -> Result<Self, DrugTableError> {
        let at =
            |line: u64, problem: String| DrugTableError::Line { path: path.to_path_buf(), line, problem };
        let bytes = fs_err::read(path)?;
        let text = std::str::from_utf8(&bytes).map_err(|e| {
            let lines = bytes[..e.valid_up_to()].iter().filter(|&&byte| byte == b'\n').count();
            at(lines as u64 + 1, "the text is not UTF-8".to_owned())
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let header = text.lines().next().unwrap_or_default();
        let delimiter = if header.contains('\t') { b'\t' } else { b',' };
        // In a table of one column a blank line is a row without SMILES, which the CSV reader would pass over.
        let lone = !header.contains(char::from(delimiter));
        // Lines are counted at their feeds: with carriage returns before them the reader is one behind.
        let kept = if lone { without_blank_lines(text) } else { text.replace("\r\n", "\n") };
        let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(kept.as_bytes());
        let damaged = |e: csv::Error| {
            let line = e.position().map_or(0, csv::Position::line);
            match e.kind() {
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    at(line, format!("the row has {len} fields, the header has {expected_len}"))
                }
                _ => at(line, e.to_string()),
            }
        };
        let names: Vec<String> =
            reader.headers().map_err(damaged)?.iter().map(|name| name.trim().to_owned()).collect();
        let find = |wanted: &str| {
            let same = names.iter().position(|name| name == wanted);
            same.or_else(|| names.iter().position(|name| name.eq_ignore_ascii_case(wanted)))
        };
        let required = |wanted: &str| {
            find(wanted).ok_or_else(|| DrugTableError::NoColumn {
                path: path.to_path_buf(),
                column: wanted.to_owned(),
                available: names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
            })
        };
        let smiles = required(smiles)?;
        let id = match id {
            Some(id) => Some(required(id)?),
            None => find("id").or_else(|| find("name")),
        };
        let mut drugs = Vec::new();
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(damaged)? {
            let field = |column: usize| record.get(column).unwrap_or_default().trim().to_owned();
            let id = id.map_or_else(|| (drugs.len() + 1).to_string(), field);
            let line = record.position().map_or(0, csv::Position::line);
            drugs.push(Drug { id, smiles: field(smiles), line });
        }
        if drugs.is_empty() {
            return Err(DrugTableError::Empty { path: path.to_path_buf() });
        }
        Ok(Self { path: path.to_path_buf(), drugs })
    }
}

/// The lines of a table of one column with quotes where there is nothing; blank lines at the end are none of its rows.
fn without_blank_lines(text: &str) -> String {
    let lines = text.trim_end().lines();
    lines.map(|line| if line.trim().is_empty() { "\"\"" } else { line }).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(
        text: &str,
        smiles: &str,
        id: Option<&str>,
    ) -> Result<Vec<(String, String, u64)>, DrugTableError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("drugs.csv");
        fs_err::write(&file, text).unwrap();
        let table = DrugTable::read(&file, smiles, id)?;
        Ok(table.drugs.into_iter().map(|drug| (drug.id, drug.smiles, drug.line)).collect())
    }

    fn row(id: &str, smiles: &str, line: u64) -> (String, String, u64) {
        (id.to_owned(), smiles.to_owned(), line)
    }

    #[test]
    fn columns_are_found_by_name() {
        let text = "name,SMILES\n\"a, b\",CCO\nc, C \n";
        assert_eq!(read(text, "smiles", None).unwrap(), [row("a, b", "CCO", 2), row("c", "C", 3)]);
        let text = "\u{feff}id\tname\tcanonical\r\n1\tx\tCCO\r\n";
        assert_eq!(read(text, "canonical", None).unwrap(), [row("1", "CCO", 2)]);
        assert_eq!(read(text, "canonical", Some("name")).unwrap(), [row("x", "CCO", 2)]);
    }

    #[test]
    fn rows_without_smiles_stay() {
        assert_eq!(
            read("smiles\nC\n\nCC\n\n", "smiles", None).unwrap(),
            [row("1", "C", 2), row("2", "", 3), row("3", "CC", 4)]
        );
        assert_eq!(
            read("id,smiles\na,\nb,C\n", "smiles", None).unwrap(),
            [row("a", "", 2), row("b", "C", 3)]
        );
    }

    #[test]
    fn mistakes_have_a_place() {
        let message = |text: &str| read(text, "smiles", None).unwrap_err().to_string();
        assert!(message("id,drug\na,C\n").contains("no column `smiles`; there is: `id`, `drug`"));
        assert!(
            message("id,smiles\na,C\nb\n").contains("drugs.csv:3: the row has 1 fields, the header has 2")
        );
        assert!(message("id,smiles\n").contains("no drugs"));
        assert!(message("").contains("no column"));
    }
}
