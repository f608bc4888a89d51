//! Which files of a checkpoint folder go into the key.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use celldag_engine::{NodeError, Params};
use celldag_models::{CellModel, Options, Purpose, cell_models};

use super::{failure, options};

/// The files that `model` reads with these options, relative to `folder`. Dictionaries of a published repository lie beside the folder of
/// the weights, so a path may begin with `..`.
pub(crate) fn files(
    model: &dyn CellModel,
    folder: &Path,
    purpose: Purpose,
    options: &Options,
) -> Result<Vec<PathBuf>, NodeError> {
    relative_to(folder, &model.files(folder, purpose, options).map_err(|e| failure::model(&e))?)
}

/// The files that belong into the key of a kind that reads tokens. Without the parameter `model`, the model is only written
/// in the tokens, which need not exist yet: then the files of every model that the folder could be of.
pub(crate) fn files_of_any(folder: &Path, params: &Params) -> Result<Vec<PathBuf>, NodeError> {
    let of_model = options::given(params, Purpose::Embed);
    if let Some(model) = options::model_of(params) {
        return files(model, folder, Purpose::Embed, &of_model);
    }
    let (mut found, mut refusals) = (BTreeSet::new(), Vec::new());
    for model in cell_models() {
        match files(*model, folder, Purpose::Embed, &of_model) {
            Ok(more) => found.extend(more),
            Err(error) => refusals.push(format!("as {}: {error}", model.name())),
        }
    }
    if found.is_empty() {
        let message = format!("the checkpoint is of no model that celldag knows\n{}", refusals.join("\n"));
        return Err(NodeError::data(message).help("`celldag models inspect DIR` says what a folder holds"));
    }
    Ok(found.into_iter().collect())
}

/// `files`, which are absolute, as seen from `folder`.
pub(crate) fn relative_to(folder: &Path, files: &[PathBuf]) -> Result<Vec<PathBuf>, NodeError> {
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
