//! Finds the two files of a published scFoundation, and one of the models in them.

use std::fmt;
use std::path::{Path, PathBuf};

use celldag_data::checkpoint::{CheckpointError, Weights, unwrapped};
use celldag_data::vocabulary::read_json;
use serde::{Deserialize, Serialize};

use super::config::Config;
use crate::error::ModelError;
use crate::model::Purpose;

const GENES: &str = "OS_scRNA_gene_index.19264.tsv";
/// Where the authors' scripts want the weights, and where users put them.
const WEIGHTS: [&str; 2] = ["models/models.ckpt", "models.ckpt"];
const EXTENSIONS: [&str; 5] = ["bin", "ckpt", "pt", "pth", "safetensors"];
const CONFIG: &str = "config.json";
/// What the authors' loader and the model itself put in front of names.
const MODEL: &str = "model.";
const DOWNLOAD: &str = "Give the folder `model` of the authors' repository, which has OS_scRNA_gene_index.19264.tsv, with \
    their models.ckpt in its folder `models`";

/// Which of the published models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    /// Vectors of cells.
    Cell,
    /// Vectors of cells whose read depth is raised.
    Rde,
    /// Vectors and expression of genes.
    Gene,
}

impl Key {
    const ALL: [Self; 3] = [Self::Cell, Self::Rde, Self::Gene];
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cell => "cell",
            Self::Rde => "rde",
            Self::Gene => "gene",
        })
    }
}

/// The files of a scFoundation.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    root: PathBuf,
    /// The list of genes.
    pub gene_list: PathBuf,
    weights: Option<PathBuf>,
}

/// One model of a file.
pub(super) struct Opened {
    pub(super) weights: Weights,
    pub(super) config: Config,
    /// Which model this is; none where the file holds one that it does not name.
    pub(super) key: Option<Key>,
}

impl Checkpoint {
    /// Finds the files in the folder `path`, the folder of the weights in it, or beside the file of weights `path`.
    ///
    /// # Errors
    /// When there is no list of genes.
    pub fn find(path: &Path) -> Result<Self, ModelError> {
        let root = fs_err::canonicalize(path).map_err(CheckpointError::from)?;
        let (folder, weights) = match root.parent() {
            Some(parent) if root.is_file() => (parent.to_path_buf(), Some(root.clone())),
            _ => (root.clone(), weights_in(&root)?),
        };
        let published = folder.ancestors().take(2).map(|place| place.join(GENES)).find(|file| file.is_file());
        let gene_list = match published {
            Some(file) => file,
            None => only(&folder, &|name| name.contains("gene_index") && name.ends_with(".tsv"))?
                .ok_or_else(|| layout(&root, "there is no list of genes"))?,
        };
        Ok(Self { root, gene_list, weights })
    }

    /// Exactly the files that are read for a purpose, sorted.
    ///
    /// # Errors
    /// When there are no weights for embedding.
    pub fn files(&self, purpose: Purpose) -> Result<Vec<PathBuf>, ModelError> {
        let mut files = vec![self.gene_list.clone()];
        if purpose == Purpose::Embed {
            files.push(self.weights_file()?.to_path_buf());
            files.extend(self.config_file()?);
        }
        files.sort();
        Ok(files)
    }

    /// The file of weights.
    ///
    /// # Errors
    /// When there is none.
    pub fn weights_file(&self) -> Result<&Path, ModelError> {
        self.weights.as_deref().ok_or_else(|| layout(&self.root, "there are no weights"))
    }

    /// The configuration beside the weights, if they are of a format that holds nothing but tensors.
    fn config_file(&self) -> Result<Option<PathBuf>, ModelError> {
        let weights = self.weights_file()?;
        let bare = weights.extension().is_some_and(|extension| extension == "safetensors");
        Ok(bare.then(|| weights.with_file_name(CONFIG)))
    }

    /// Opens the model that is asked for, or else `default`. A file may hold one model alone, which then has no key.
    pub(super) fn open(&self, asked: Option<Key>, default: Key) -> Result<Opened, ModelError> {
        let file = self.weights_file()?;
        let weights = Weights::open(&[file])?;
        let held: Vec<Key> =
            Key::ALL.into_iter().filter(|key| weights.has_prefix(&format!("{key}."))).collect();
        let refuse =
            |key: Key, has: &str| ModelError::Option(format!("key = {key}: {} holds {has}", file.display()));
        let key = match (asked, held.is_empty()) {
            (Some(key), true) => return Err(refuse(key, "one model without a key; leave `key` out")),
            (None, true) => None,
            (_, false) => Some(asked.unwrap_or(default)),
        };
        let (prefix, mut way) = (key.map(|key| format!("{key}.")).unwrap_or_default(), vec!["config"]);
        let name = key.map(|key| key.to_string());
        if let (Some(key), Some(name)) = (key, &name) {
            if !held.contains(&key) {
                let names: Vec<String> = held.iter().map(Key::to_string).collect();
                return Err(refuse(key, &format!("the models {}", names.join(", "))));
            }
            way.insert(0, name);
        }
        let config = match self.config_file()? {
            Some(beside) => Config::of(&read_json(&beside)?, &beside)?,
            None => Config::of(&weights.data(&way)?, file)?,
        };
        let weights = if prefix.is_empty() { weights } else { weights.below(&prefix)? };
        let weights = weights.state_dict()?.rename(|name| Some(plain(name)))?;
        Ok(Opened { weights, config, key })
    }
}

/// The name of a tensor or layer in the model itself.
pub(super) fn plain(name: &str) -> String {
    let mut name = unwrapped(name);
    while let Some(rest) = name.strip_prefix(MODEL) {
        name = unwrapped(rest);
    }
    name
}

fn layout(root: &Path, what: &str) -> ModelError {
    ModelError::Layout { path: root.to_path_buf(), what: what.to_owned(), help: DOWNLOAD.to_owned() }
}

/// The published file, or the only file of weights.
fn weights_in(folder: &Path) -> Result<Option<PathBuf>, ModelError> {
    if let Some(file) = WEIGHTS.iter().map(|name| folder.join(name)).find(|file| file.is_file()) {
        return Ok(Some(file));
    }
    let is_weights = |name: &str| EXTENSIONS.iter().any(|extension| name.ends_with(&format!(".{extension}")));
    match only(folder, &is_weights)? {
        None => only(&folder.join("models"), &is_weights),
        found => Ok(found),
    }
}

/// The only file of a folder with such a name; none if there is no folder.
fn only(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Option<PathBuf>, ModelError> {
    let mut found = Vec::new();
    if folder.is_dir() {
        for entry in fs_err::read_dir(folder).map_err(CheckpointError::from)? {
            let file = entry.map_err(CheckpointError::from)?.path();
            let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if wanted(&name) && file.is_file() {
                found.push((name, file));
            }
        }
    }
    found.sort();
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|(name, _)| format!("`{name}`")).collect();
        return Err(layout(folder, &format!("which of {} is meant is not clear", names.join(", "))));
    }
    Ok(found.pop().map(|(_, file)| file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_behind_what_is_put_around_them() {
        for name in [
            "encoder.norm.weight",
            "model.encoder.norm.weight",
            "module.model.encoder.norm.weight",
            "model.module.encoder.norm.weight",
            "base_model.model.model.encoder.norm.weight",
        ] {
            assert_eq!(plain(name), "encoder.norm.weight", "{name}");
        }
    }
}
