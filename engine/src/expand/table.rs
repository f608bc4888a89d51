//! Tables that axes come from: TSV or CSV with a header.

use std::path::Path;

/// A table as text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// Header.
    pub(crate) columns: Vec<String>,
    /// Rows, each as long as the header.
    pub(crate) rows: Vec<Vec<String>>,
}

/// Reads a table; `.csv` is split at commas, `.tsv` at tabs, anything else at tabs if its header has one.
///
/// # Errors
/// A message that names the file and, where it matters, the line.
pub(crate) fn read(path: &Path) -> Result<Table, String> {
    let text = fs_err::read_to_string(path).map_err(|e| e.to_string())?;
    let text = text.trim_start_matches('\u{feff}');
    let header = text.lines().next().unwrap_or("");
    let tabs = match path.extension().and_then(|e| e.to_str()) {
        Some("csv") => false,
        Some("tsv" | "tab") => true,
        _ => header.contains('\t'),
    };
    parse(text, if tabs { b'\t' } else { b',' }).map_err(|message| format!("{}: {message}", path.display()))
}

fn parse(text: &str, delimiter: u8) -> Result<Table, String> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| e.to_string())?;
    let columns: Vec<String> = header.iter().map(str::to_owned).collect();
    if columns.iter().all(String::is_empty) {
        return Err("the table is empty; its first line must name the columns".to_owned());
    }
    for (index, column) in columns.iter().enumerate() {
        if columns[..index].contains(column) {
            return Err(format!("two columns are called `{column}`"));
        }
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|e| match e.kind() {
            csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                let line = pos.as_ref().map_or(0, csv::Position::line);
                format!("line {line} has {len} fields, the header has {expected_len}")
            }
            _ => e.to_string(),
        })?;
        rows.push(record.iter().map(str::to_owned).collect());
    }
    Ok(Table { columns, rows })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quotes_and_reports_lines() {
        let table = parse("id\tpath\n d1 \t\"a\tb\"\n", b'\t').unwrap();
        assert_eq!(table.columns, ["id", "path"]);
        assert_eq!(table.rows, [["d1", "a\tb"]]);
        assert_eq!(parse("a,b\n1,2\n3\n", b',').unwrap_err(), "line 3 has 1 fields, the header has 2");
        assert_eq!(parse("a,a\n", b',').unwrap_err(), "two columns are called `a`");
        assert!(parse("", b',').unwrap_err().contains("empty"));
    }
}
