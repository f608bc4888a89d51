//! Matrix Market coordinate text, genes × cells, as cells × genes.

use std::io::BufRead;
use std::path::Path;

use crate::{Csr, DataError, text};

/// Entries that memory is asked for in advance, whatever the header says.
const RESERVE: usize = 1 << 24;

/// Reads the matrix at `path`, whose size must be `genes` × `cells`.
pub(super) fn read(path: &Path, genes: usize, cells: usize) -> Result<Csr, DataError> {
    let fail = |line: u64, problem: String| DataError::Text { path: path.to_owned(), line, problem };
    let mut reader = text::open(path)?;
    let mut line = String::new();
    let mut number = 0_u64;
    let mut next = |line: &mut String, number: &mut u64| -> Result<bool, DataError> {
        line.clear();
        *number += 1;
        reader.read_line(line).map(|read| read > 0).map_err(|source| text::read_error(path, source))
    };
    next(&mut line, &mut number)?;
    let header: Vec<String> = line.split_whitespace().map(str::to_lowercase).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let pattern = match header.as_slice() {
        ["%%matrixmarket", "matrix", "coordinate", "integer" | "real", "general"] => false,
        ["%%matrixmarket", "matrix", "coordinate", "pattern", "general"] => true,
        _ => {
            return Err(fail(
                1,
                format!("not a header of a general coordinate Matrix Market file: {}", line.trim()),
            ));
        }
    };
    while next(&mut line, &mut number)? && (line.starts_with('%') || line.trim().is_empty()) {}
    let size: Vec<usize> = line.split_whitespace().map_while(|field| field.parse().ok()).collect();
    let [rows, columns, stored] = size[..] else {
        return Err(fail(
            number,
            format!("rows, columns and number of entries were expected, not `{}`", line.trim()),
        ));
    };
    if (rows, columns) != (genes, cells) {
        let problem = format!(
            "the matrix has {rows} rows and {columns} columns, but there are {genes} genes and {cells} barcodes"
        );
        return Err(fail(number, problem));
    }
    let mut entries: Vec<(u32, u32, f32)> = Vec::with_capacity(stored.min(RESERVE));
    while next(&mut line, &mut number)? {
        if line.trim().is_empty() {
            continue;
        }
        let entry = parse(&line, pattern).filter(|&(gene, cell, _)| {
            (1..=genes).contains(&(gene as usize)) && (1..=cells).contains(&(cell as usize))
        });
        let Some((gene, cell, value)) = entry else {
            let problem = format!("`{}` is no entry of a {genes} × {cells} matrix", line.trim());
            return Err(fail(number, problem));
        };
        entries.push((cell - 1, gene - 1, value));
    }
    if entries.len() != stored {
        let detail = format!("its header announces {stored} entries, {} are there", entries.len());
        return Err(DataError::Truncated { path: path.to_owned(), detail });
    }
    Ok(by_cell(&entries, genes, cells))
}

/// Gene, cell (counted from 1) and value of a line.
fn parse(line: &str, pattern: bool) -> Option<(u32, u32, f32)> {
    let mut fields = line.split_ascii_whitespace();
    let gene = fields.next()?.parse().ok()?;
    let cell = fields.next()?.parse().ok()?;
    let value = if pattern { 1.0 } else { fields.next()?.parse::<f64>().ok()? };
    (value.is_finite() && fields.next().is_none()).then_some((gene, cell, value as f32))
}

/// Sorts entries by cell, keeping their order within a cell.
fn by_cell(entries: &[(u32, u32, f32)], genes: usize, cells: usize) -> Csr {
    let mut indptr = vec![0_u64; cells + 1];
    for &(cell, _, _) in entries {
        indptr[cell as usize + 1] += 1;
    }
    for cell in 0..cells {
        indptr[cell + 1] += indptr[cell];
    }
    let mut fill = indptr.clone();
    let mut indices = vec![0; entries.len()];
    let mut values = vec![0.0; entries.len()];
    for &(cell, gene, value) in entries {
        let slot = &mut fill[cell as usize];
        indices[*slot as usize] = gene;
        values[*slot as usize] = value;
        *slot += 1;
    }
    // The arrays are valid by construction; an empty matrix stands for the impossible.
    Csr::new(genes, indptr, indices, values).unwrap_or_else(|_| Csr::empty(genes))
}
