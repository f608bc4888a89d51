//! The files that a program consists of: which count, and copies of them, beside which nothing else lies.
//!
//! A program that reads a file that nobody declared does not find it, instead of giving results that outlive that file.

use std::path::{Component, Path, PathBuf};

use super::template::clean;
use crate::step::NodeError;

/// Files below a folder of code that count, relative to it: all but hidden ones and what Python leaves behind.
pub(crate) fn files(folder: &Path) -> Result<Vec<PathBuf>, NodeError> {
    let mut found = Vec::new();
    list(folder, Path::new(""), &mut found).map_err(|e| NodeError::data(e.to_string()))?;
    if found.is_empty() {
        return Err(NodeError::data(format!("the folder {} holds no files", folder.display()))
            .help("name the files that the program reads under `code:`"));
    }
    found.sort();
    Ok(found)
}

fn list(root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs_err::read_dir(root.join(below))? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "__pycache__" || name.ends_with(".pyc") {
            continue;
        }
        let path = below.join(name.as_ref());
        if root.join(&path).is_dir() {
            list(root, &path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Where the copy of a file of code lies below the folder of copies. The check of the pipeline sees `${scripts}/a.py`; what a
/// parameter makes of it is only known here, and an absolute path would make the copy overwrite the original.
///
/// # Errors
/// When the path leads out of the folder of the pipeline file.
pub(super) fn place(label: &str) -> Result<PathBuf, NodeError> {
    let path = PathBuf::from(clean(label));
    let below = path.components().all(|part| matches!(part, Component::Normal(_)));
    if below && path.components().next().is_some() {
        return Ok(path);
    }
    Err(NodeError::parameter(format!("the code `{label}` is not below the folder of the pipeline file")).help(
        "code is copied beside the program under its relative name: write a path below the folder of the pipeline file, \
         also where a parameter gives it",
    ))
}

/// Copies a file or folder of code with its permissions.
pub(super) fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    if !from.is_dir() {
        return copy_file(from, to);
    }
    let files = files(from).map_err(std::io::Error::other)?;
    files.iter().try_for_each(|file| copy_file(&from.join(file), &to.join(file)))
}

fn copy_file(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(folder) = to.parent() {
        fs_err::create_dir_all(folder)?;
    }
    fs_err::copy(from, to).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_copied_into_its_folder_or_not_at_all() {
        assert_eq!(place("./scripts/a.py").unwrap(), Path::new("scripts/a.py"));
        for outside in ["/home/me/a.py", "../a.py", "scripts/../../a.py", "./", ""] {
            assert!(place(outside).unwrap_err().message.contains("not below"), "{outside}");
        }
    }
}
