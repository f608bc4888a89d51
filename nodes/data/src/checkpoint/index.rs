//! Checkpoints in several files: `model.safetensors.index.json` and its kind, which name the file of every tensor.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::error::CheckpointError;
use super::json;
use super::open;

/// The most bytes of an index.
const MAX_BYTES: u64 = 64 << 20;
/// Whole checkpoints in the order of preference where a folder holds several.
const NAMES: [&str; 4] = [
    "model.safetensors.index.json",
    "model.safetensors",
    "pytorch_model.bin.index.json",
    "pytorch_model.bin",
];

#[derive(serde::Deserialize)]
struct Index {
    weight_map: json::Unique<String>,
}

/// Whether a file is an index by its name.
pub(super) fn is_index(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".index.json"))
}

/// The weights of a folder in the layout of the Hugging Face hub: the index of several files, or the only file.
#[must_use]
pub fn find_weights(folder: &Path) -> Option<PathBuf> {
    NAMES.iter().map(|name| folder.join(name)).find(|file| file.is_file())
}

/// Every file that [`Weights::open`](super::Weights::open) reads for a file: itself, and what an index names.
///
/// # Errors
/// When an index cannot be read, is damaged, or names files that are missing or outside of its folder.
pub fn weight_files(path: &Path) -> Result<Vec<PathBuf>, CheckpointError> {
    let mut out = vec![path.to_path_buf()];
    if is_index(path) {
        out.extend(read(path)?.into_keys());
    }
    Ok(out)
}

/// The files that an index names, each with the tensors it should hold.
fn read(path: &Path) -> Result<BTreeMap<PathBuf, BTreeSet<String>>, CheckpointError> {
    let wrong = |reason: String| CheckpointError::Index { path: path.to_path_buf(), reason };
    let index: Index = serde_json::from_slice(&json::read_file(path, MAX_BYTES)?)
        .map_err(|e| wrong(format!("{e}; download it again")))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for (tensor, file) in index.weight_map.0 {
        let plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\', ':', '\0']);
        if !plain || is_index(Path::new(&file)) {
            return Err(wrong(format!(
                "it names the file `{}`, which is not beside it",
                file.escape_debug()
            )));
        }
        files.entry(folder.join(file)).or_default().insert(tensor);
    }
    let missing: Vec<String> = files
        .keys()
        .filter(|file| !file.is_file())
        .map(|file| format!("`{}`", file.file_name().unwrap_or_default().to_string_lossy()))
        .collect();
    if !missing.is_empty() {
        return Err(wrong(format!("files that it names are missing: {}; download them", missing.join(", "))));
    }
    Ok(files)
}

/// The tensors of all files.
pub(super) fn open(path: &Path) -> Result<Vec<(String, Entry)>, CheckpointError> {
    let wrong = |reason: String| CheckpointError::Index { path: path.to_path_buf(), reason };
    let mut out = Vec::new();
    for (file, mut listed) in read(path)? {
        for (name, entry) in open::open(&file)?.tensors {
            if !listed.remove(&name) {
                return Err(wrong(format!("`{name}` is in {}, but not listed so", file.display())));
            }
            out.push((name, entry));
        }
        if let Some(name) = listed.first() {
            let count = listed.len();
            return Err(wrong(format!("{count} tensors are not in {}, among them `{name}`", file.display())));
        }
    }
    Ok(out)
}
