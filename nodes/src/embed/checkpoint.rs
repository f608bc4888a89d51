//! Which files of a checkpoint folder go into the key.

use std::path::{Component, Path, PathBuf};

use celldag_engine::NodeError;
use celldag_models::{CellModel, Purpose};

use super::failure;

/// The files that `model` reads, relative to `folder`. Dictionaries of a published repository lie beside the folder of
/// the weights, so a path may begin with `..`.
pub(super) fn files(
    model: &dyn CellModel,
    folder: &Path,
    purpose: Purpose,
) -> Result<Vec<PathBuf>, NodeError> {
    relative_to(folder, &model.files(folder, purpose).map_err(|e| failure::model(&e))?)
}

/// `files`, which are absolute, as seen from `folder`.
pub(super) fn relative_to(folder: &Path, files: &[PathBuf]) -> Result<Vec<PathBuf>, NodeError> {
    let mut root = fs_err::canonicalize(folder).map_err(|e| NodeError::data(e.to_string()))?;
    // Of a checkpoint that is one file, the rest lies beside it.
    if root.is_file() {
        root.pop();
    }
    Ok(files.iter().map(|file| relative(&root, file)).collect())
}

/// `file` as seen from `root`; both absolute.
fn relative(root: &Path, file: &Path) -> PathBuf {
    let shared = root.components().zip(file.components()).take_while(|(a, b)| a == b).count();
    let up = root.components().skip(shared).map(|_| Component::ParentDir);
    up.chain(file.components().skip(shared)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_go_down_and_up() {
        let seen = |root: &str, file: &str| relative(Path::new(root), Path::new(file));
        assert_eq!(seen("/a/b", "/a/b/c/d"), Path::new("c/d"));
        assert_eq!(seen("/a/b/m", "/a/b/g/d"), Path::new("../g/d"));
        assert_eq!(seen("/a/b/f/m", "/a/b/d"), Path::new("../../d"));
    }
}
