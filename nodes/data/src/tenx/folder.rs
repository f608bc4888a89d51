//! A folder with a Matrix Market file, barcodes and genes (version 2: `genes.tsv`, version 3: `features.tsv.gz`), each
//! packed or not, with or without a prefix as GEO adds it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Features, mtx};
use crate::cells::{Layout, MatrixRef, Source, Store};
use crate::{DataError, Table, text};

const MATRIX: [&str; 2] = ["matrix.mtx", "matrix.mtx.gz"];
const BARCODES: [&str; 2] = ["barcodes.tsv", "barcodes.tsv.gz"];
const FEATURES: [&str; 4] = ["features.tsv", "features.tsv.gz", "genes.tsv", "genes.tsv.gz"];

/// Reads the folder; `matrix` names the matrix file if the user pointed at it.
pub(crate) fn read(folder: &Path, matrix: Option<&str>) -> Result<Layout, DataError> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(|source| DataError::io(folder, source))? {
        let entry = entry.map_err(|source| DataError::io(folder, source))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    let prefix = prefix(folder, &names, matrix)?;
    let part = |endings: &[&str]| -> Result<PathBuf, DataError> {
        let found =
            endings.iter().map(|ending| format!("{prefix}{ending}")).find(|name| names.contains(name));
        found
            .map(|name| folder.join(name))
            .ok_or_else(|| DataError::missing(folder, format!("{prefix}{}", endings[0]), names.clone()))
    };
    let barcodes: Vec<String> = lines(&part(&BARCODES)?)?.into_iter().map(first_field).collect();
    let features = features(&part(&FEATURES)?)?;
    let matrix_path = part(&MATRIX)?;
    let csr = mtx::read(&matrix_path, features.names.len(), barcodes.len())?;
    let mut warnings = Vec::new();
    let (var, kept) = features.genes(None, &mut warnings);
    let matrix = MatrixRef::new("X", barcodes.len(), var.clone(), Store::Memory(Arc::new(csr)), kept);
    Ok(Layout {
        format: "10x-mtx",
        obs: Table::new(barcodes),
        var,
        source: Source::One(Box::new(matrix)),
        warnings,
    })
}

/// What stands before `matrix.mtx` in the names of the three files.
fn prefix(folder: &Path, names: &[String], matrix: Option<&str>) -> Result<String, DataError> {
    let strip = |name: &String| MATRIX.iter().find_map(|ending| name.strip_suffix(ending)).map(str::to_owned);
    if let Some(name) = matrix {
        return strip(&name.to_owned())
            .ok_or_else(|| DataError::missing(&folder.join(name), "matrix.mtx", names.to_vec()));
    }
    let mut prefixes: Vec<String> = names.iter().filter_map(strip).collect();
    prefixes.dedup();
    match prefixes.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(DataError::UnknownFormat {
            path: folder.to_owned(),
            found: match names {
                [] => "an empty folder".to_owned(),
                names => format!("a folder with the members {}", crate::error::list(names)),
            },
        }),
        several => Err(DataError::Ambiguous {
            path: folder.to_owned(),
            problem: format!(
                "the folder holds {} matrices: {}matrix.mtx ...",
                several.len(),
                several.join("matrix.mtx, ")
            ),
            remedy: "give the path of one matrix file instead of the folder".to_owned(),
        }),
    }
}

fn lines(path: &Path) -> Result<Vec<String>, DataError> {
    use std::io::BufRead;
    let mut lines = Vec::new();
    for line in text::open(path)?.lines() {
        let line = line.map_err(|source| text::read_error(path, source))?;
        let line = line.trim_end_matches(['\r', '\n']);
        if !line.is_empty() {
            lines.push(line.to_owned());
        }
    }
    Ok(lines)
}

fn first_field(line: String) -> String {
    match line.split_once('\t') {
        Some((first, _)) => first.to_owned(),
        None => line,
    }
}

/// Id, name and type per line; files with a single column hold names.
fn features(path: &Path) -> Result<Features, DataError> {
    let mut features = Features::default();
    let lines = lines(path)?;
    let typed = lines.first().is_some_and(|line| line.split('\t').count() >= 3);
    for (at, line) in lines.iter().enumerate() {
        let fields: Vec<&str> = line.split('\t').collect();
        features.ids.push(fields[0].to_owned());
        features.names.push(fields.get(1).unwrap_or(&fields[0]).to_string());
        if typed {
            let Some(kind) = fields.get(2) else {
                let problem = "a feature without type".to_owned();
                return Err(DataError::Text { path: path.to_owned(), line: at as u64 + 1, problem });
            };
            features.types.push((*kind).to_owned());
        }
    }
    Ok(features)
}
