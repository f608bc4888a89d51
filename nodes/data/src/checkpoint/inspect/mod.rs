//! What the files of a checkpoint hold, without loading any weights: for `celldag models inspect`.

mod content;
mod report;

use std::path::Path;

pub use report::{Content, FileReport, TensorReport};

use super::error::CheckpointError;

/// The most files that a folder is looked through for.
const MAX_FILES: usize = 4096;
/// Folders inside folders.
const MAX_DEPTH: usize = 8;

/// Looks into a file, or into all files of a folder and the folders below, sorted by path. Files that cannot be read are
/// part of the answer. Hidden files and folders are left out, links to folders are not followed.
///
/// # Errors
/// When `path` is not there, or holds more than 4,096 files.
pub fn inspect(path: &Path) -> Result<Vec<FileReport>, CheckpointError> {
    if !fs_err::metadata(path)?.is_dir() {
        return Ok(vec![content::look(path, path)?]);
    }
    let mut files = Vec::new();
    let mut folders = vec![(path.to_path_buf(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs_err::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            // Not followed: a link could lead in circles. Links to files are what download caches consist of.
            let kind = entry.file_type()?;
            let file = entry.path();
            if kind.is_dir() {
                if depth < MAX_DEPTH {
                    folders.push((file, depth + 1));
                }
            } else if file.is_file() {
                files.push(file);
            }
            if files.len() > MAX_FILES {
                let message =
                    format!("{}: more than {MAX_FILES} files; name the folder of one model", path.display());
                return Err(std::io::Error::other(message).into());
            }
        }
    }
    files.sort();
    files.iter().map(|file| content::look(file, file.strip_prefix(path).unwrap_or(file))).collect()
}
