//! Finds the versions of CellPLM in a folder: `<version>.config.json` with `<version>.best.ckpt` beside it.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::{CheckpointError, Weights};
use celldag_data::vocabulary::read_texts;
use indexmap::IndexMap;

use super::config::Config;
use crate::error::ModelError;
use crate::model::Purpose;

const CONFIG: &str = ".config.json";
const WEIGHTS: [&str; 4] = [".best.ckpt", ".ckpt", ".best.safetensors", ".safetensors"];
/// The version whose configuration is public, and which benchmarks use.
const DEFAULT: &str = "20230926_85M";
/// A table from gene symbols to Ensembl ids, for files without ids; Geneformer's has this name.
const SYMBOLS: &str = "gene_name_id_dict";
const DOWNLOAD: &str = "Download 20230926_85M.config.json and 20230926_85M.best.ckpt (or those of 20231027_85M) from the folder \
    that the README of CellPLM links to";

/// One version of CellPLM.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// What its file names begin with.
    pub version: String,
    /// Sizes and genes.
    pub config: Config,
    config_file: PathBuf,
    weights: Option<PathBuf>,
    symbols: Option<PathBuf>,
}

/// Exactly the files that are read for a purpose, sorted.
pub(super) fn files(path: &Path, purpose: Purpose, version: &str) -> Result<Vec<PathBuf>, ModelError> {
    let found = Checkpoint::find(path, version)?;
    let mut files = vec![found.config_file.clone()];
    match purpose {
        Purpose::Tokenize => files.extend(found.symbols),
        Purpose::Embed => files.push(found.weights_file()?.to_path_buf()),
    }
    files.sort();
    Ok(files)
}

impl Checkpoint {
    /// Finds the files of `version` in `path`; for an empty name the only version, or the one that benchmarks use.
    ///
    /// # Errors
    /// When there is none, or none of this name, or its configuration cannot be used.
    pub fn find(path: &Path, version: &str) -> Result<Self, ModelError> {
        let (folder, files) = entries(path)?;
        let found = versions(&files);
        let wanted = if version.is_empty() { DEFAULT } else { version };
        let chosen = match found.as_slice() {
            [] => return Err(none(&folder)),
            [only] if version.is_empty() => only,
            several => several.iter().find(|name| *name == wanted).ok_or_else(|| {
                ModelError::Option(format!(
                    "{}: choose a model with the option `version`: {}",
                    folder.display(),
                    several.join(" or ")
                ))
            })?,
        };
        let config_file = folder.join(format!("{chosen}{CONFIG}"));
        Ok(Self {
            version: chosen.clone(),
            config: Config::read(&config_file)?,
            weights: weights(&folder, chosen),
            symbols: symbols(&files),
            config_file,
        })
    }

    /// The configuration's file.
    #[must_use]
    pub fn config_file(&self) -> &Path {
        &self.config_file
    }

    /// The weights, open, without what wrappers add to names.
    ///
    /// # Errors
    /// When they are missing or cannot be read.
    pub fn open(&self) -> Result<Weights, ModelError> {
        Ok(Weights::open(&[self.weights_file()?])?.state_dict()?)
    }

    fn weights_file(&self) -> Result<&Path, ModelError> {
        let folder = self.config_file.parent().unwrap_or(&self.config_file);
        self.weights
            .as_deref()
            .ok_or_else(|| layout(folder, &format!("there are no weights of {} (.best.ckpt)", self.version)))
    }

    /// Symbol → Ensembl id, if the folder has such a table.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn symbols(&self) -> Result<Option<IndexMap<String, String>>, ModelError> {
        Ok(self.symbols.as_deref().map(read_texts).transpose()?)
    }
}

fn layout(folder: &Path, what: &str) -> ModelError {
    ModelError::Layout { path: folder.to_path_buf(), what: what.to_owned(), help: DOWNLOAD.to_owned() }
}

fn none(folder: &Path) -> ModelError {
    layout(folder, "there is no configuration of a CellPLM (<version>.config.json)")
}

/// The folder and its entries, sorted.
fn entries(path: &Path) -> Result<(PathBuf, Vec<PathBuf>), ModelError> {
    let folder = fs_err::canonicalize(path).map_err(CheckpointError::from)?;
    if !folder.is_dir() {
        return Err(layout(&folder, "is no folder"));
    }
    let mut files = Vec::new();
    for entry in fs_err::read_dir(&folder).map_err(CheckpointError::from)? {
        files.push(entry.map_err(CheckpointError::from)?.path());
    }
    files.sort();
    Ok((folder, files))
}

fn name(file: &Path) -> &str {
    file.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

fn versions(files: &[PathBuf]) -> Vec<String> {
    let version =
        |file: &PathBuf| name(file).strip_suffix(CONFIG).filter(|v| !v.is_empty()).map(str::to_owned);
    files.iter().filter_map(version).collect()
}

fn weights(folder: &Path, version: &str) -> Option<PathBuf> {
    let candidates = WEIGHTS.iter().map(|ending| folder.join(format!("{version}{ending}")));
    candidates.into_iter().find(|file| file.is_file())
}

fn symbols(files: &[PathBuf]) -> Option<PathBuf> {
    let readable = |name: &str| [".pkl", ".pickle", ".json"].iter().any(|ending| name.ends_with(ending));
    files.iter().find(|file| name(file).starts_with(SYMBOLS) && readable(name(file))).cloned()
}
