//! Plain-text tables, and report documents as text.

use celldag_engine::document::ReportDocument;
pub(crate) use celldag_engine::size::bytes;
use serde_json::Value;

/// Lays out rows in aligned columns; the first row is the header. Numbers are aligned right.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let columns = header.len();
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let numeric: Vec<bool> = (0..columns)
        .map(|c| {
            let mut cells = rows.iter().filter_map(|row| row.get(c)).filter(|cell| !cell.is_empty());
            let first = cells.next().map(String::as_str);
            first.is_some_and(is_number) && cells.all(|cell| is_number(cell))
        })
        .collect();
    let mut out = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut text = String::new();
        for (c, cell) in cells.enumerate().take(columns) {
            let pad = " ".repeat(widths[c].saturating_sub(cell.chars().count()));
            let (before, after) = if numeric[c] { (pad.as_str(), "") } else { ("", pad.as_str()) };
            text.push_str(before);
            text.push_str(cell);
            text.push_str(after);
            text.push_str("  ");
        }
        out.push_str(text.trim_end());
        out.push('\n');
    };
    line(&mut header.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    out
}

fn is_number(cell: &str) -> bool {
    cell == "–" || cell.trim_end_matches(['%', 's']).trim().parse::<f64>().is_ok()
}

/// A value as a table cell: three decimals, a dash for undefined.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::Number(n) if n.is_f64() => match n.as_f64().unwrap_or(f64::NAN) {
            // Counts; 0.000 and 1.000 stay what they are, since they are mostly metrics.
            count if count > 1.0 && count == count.trunc() && count < 1e15 => format!("{count:.0}"),
            value => format!("{value:.3}"),
        },
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// A report document for the terminal: headline, tables of moderate size, warnings.
pub(crate) fn document(document: &ReportDocument) -> String {
    const MOST_ROWS: usize = 16;
    let mut out = format!("{}\n", document.title);
    for shown in document.tables.iter().filter(|t| t.rows.len() <= MOST_ROWS) {
        let header: Vec<&str> = shown.columns.iter().map(String::as_str).collect();
        let rows: Vec<Vec<String>> = shown.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
        out.push_str(&format!("\n{}\n{}", shown.title, table(&header, &rows)));
        if !shown.note.is_empty() {
            out.push_str(&format!("{}\n", shown.note));
        }
    }
    if !document.warnings.is_empty() {
        out.push('\n');
    }
    for warning in &document.warnings {
        out.push_str(&format!("warning: {warning}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = vec![vec!["a".into(), "1.5".into()], vec!["long".into(), "10".into()]];
        assert_eq!(table(&["name", "value"], &rows), "name  value\na       1.5\nlong     10\n");
    }

    #[test]
    fn sizes() {
        assert_eq!(bytes(12), "12 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
    }
}
