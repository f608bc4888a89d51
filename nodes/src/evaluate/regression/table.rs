//! Reading tables of pairs of drug and line.

use std::path::Path;

use celldag_engine::NodeError;

use super::measure::Predicted;
use crate::evaluate::baseline::Response;

/// Which columns hold what.
pub(super) struct Columns<'a> {
    pub(super) truth: &'a str,
    pub(super) prediction: Option<&'a str>,
    pub(super) drug: &'a str,
    pub(super) line: &'a str,
    pub(super) fold: Option<&'a str>,
}

/// Reads a `.csv`, or with any other ending a tab-separated table. A missing prediction column gives NaN predictions
/// only when none was asked for.
///
/// # Errors
/// A data error that names the file, the line and the column.
pub(super) fn read(path: &Path, columns: &Columns<'_>) -> Result<Vec<Predicted>, NodeError> {
    let comma = path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv"));
    let bad = |problem: String| NodeError::data(format!("{}: {problem}", path.display()));
    let file = fs_err::File::open(path).map_err(|e| NodeError::data(e.to_string()))?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if comma { b',' } else { b'\t' })
        .from_reader(std::io::BufReader::new(file));
    let header = reader.headers().map_err(|e| bad(e.to_string()))?.clone();
    let at = |name: &str| {
        header.iter().position(|h| h.trim() == name).ok_or_else(|| {
            let there = header.iter().collect::<Vec<_>>().join(", ");
            bad(format!("there is no column `{name}`; there are: {there}"))
                .help("name the columns with `drug`, `line`, `truth`, `prediction` and `fold`")
        })
    };
    let (drug, line, truth) = (at(columns.drug)?, at(columns.line)?, at(columns.truth)?);
    let prediction = columns.prediction.map(at).transpose()?;
    let fold = columns.fold.map(at).transpose()?;
    let mut rows = Vec::new();
    for (n, record) in reader.records().enumerate() {
        let record = record.map_err(|e| bad(e.to_string()))?;
        let text = |i: usize| record.get(i).unwrap_or_default().trim().to_owned();
        let number = |i: usize| {
            let value = text(i);
            value.parse::<f64>().ok().filter(|v| v.is_finite()).ok_or_else(|| {
                bad(format!("line {}: `{}` is `{value}`, not a finite number", n + 2, &header[i]))
                    .help("leave out pairs that were not measured or not predicted")
            })
        };
        rows.push(Predicted {
            response: Response { drug: text(drug), line: text(line), value: number(truth)? },
            prediction: prediction.map_or(Ok(f64::NAN), number)?,
            fold: fold.map(text).unwrap_or_default(),
        });
    }
    if rows.is_empty() { Err(bad("the table has no rows".to_owned())) } else { Ok(rows) }
}
