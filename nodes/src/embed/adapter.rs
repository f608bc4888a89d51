//! The adapter that `embed` lays over a model: a PEFT folder, or the only one in a folder of them.

use std::path::{Path, PathBuf};

use celldag_engine::NodeError;
use celldag_models::{PeftAdapter, is_peft_folder};

/// The PEFT folder that `path` is or holds.
///
/// # Errors
/// A data error when there is none, or more than one.
pub(crate) fn find(path: &Path) -> Result<PathBuf, NodeError> {
    if is_peft_folder(path) {
        return Ok(path.to_path_buf());
    }
    let unreadable = |error: std::io::Error| NodeError::data(error.to_string());
    let mut found = Vec::new();
    for entry in fs_err::read_dir(path).map_err(unreadable)? {
        let folder = entry.map_err(unreadable)?.path();
        if is_peft_folder(&folder) {
            found.push(folder);
        }
    }
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(NodeError::data(format!(
            "{}: no adapter_config.json here or one folder below",
            path.display()
        ))
        .help("give a folder that `lora-train` or Hugging Face peft wrote")),
        many => {
            let names: Vec<String> =
                many.iter().filter_map(|f| Some(f.file_name()?.to_string_lossy().into_owned())).collect();
            let message = format!("{}: several adapters: {}", path.display(), names.join(", "));
            Err(NodeError::data(message)
                .help("give one of these folders, or train one fold: `fold` of `lora-train`"))
        }
    }
}

/// The files of the adapter, relative to `path`.
///
/// # Errors
/// As [`find`].
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>, NodeError> {
    let folder = find(path)?;
    let below = folder.strip_prefix(path).map(Path::to_path_buf).unwrap_or_default();
    let names = PeftAdapter::files(&folder);
    Ok(names.iter().filter_map(|file| Some(below.join(file.file_name()?))).collect())
}
