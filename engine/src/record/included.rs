//! The files that a pipeline includes, as the record of a run names them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RunHeader;

/// An included file as it was when the run began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncludedFile {
    /// Where it was, from the pipeline's folder on: `lib/std.yaml`, `../shared/std.yaml`. Parts are divided by `/`.
    pub path: String,
    /// BLAKE3 of its text; absent when it could not be read any more.
    pub digest: Option<String>,
}

/// An included file that is not the same in two runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncludedChange {
    /// Where it was, from the pipeline's folder on.
    pub path: String,
    /// BLAKE3 of its text in the first run; `None` when that run did not include it.
    pub before: Option<String>,
    /// In the second run.
    pub after: Option<String>,
}

/// What differs between the included files of two runs. Records of earlier versions do not tell theirs, and nothing is said
/// about them.
#[must_use]
pub fn included_changes(before: &RunHeader, after: &RunHeader) -> Vec<IncludedChange> {
    let (Some(before), Some(after)) = (&before.included, &after.included) else { return Vec::new() };
    let mut files: BTreeMap<&str, (Option<&String>, Option<&String>)> = BTreeMap::new();
    for file in before {
        files.entry(&file.path).or_default().0 = file.digest.as_ref();
    }
    for file in after {
        files.entry(&file.path).or_default().1 = file.digest.as_ref();
    }
    let differ = files.into_iter().filter(|(_, (before, after))| before != after);
    differ
        .map(|(path, (before, after))| IncludedChange {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        })
        .collect()
}

/// `file` as seen from the folder `root`, with `..` where it lies elsewhere. Links are followed in both, so that a folder
/// reached through a link is not taken for another one.
pub(super) fn from_folder(root: &Path, file: &Path) -> String {
    let real = |path: &Path| fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (root, file) = (real(root), real(file));
    let mut up = PathBuf::new();
    for folder in root.ancestors() {
        if let Ok(rest) = file.strip_prefix(folder) {
            return slashes(&up.join(rest));
        }
        up.push("..");
    }
    slashes(&file)
}

fn slashes(path: &Path) -> String {
    path.iter().map(|part| part.to_string_lossy()).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_from_the_folder_of_the_pipeline() {
        let seen = |file: &str| from_folder(Path::new("/nowhere/study"), Path::new(file));
        assert_eq!(seen("/nowhere/study/lib/std.yaml"), "lib/std.yaml");
        assert_eq!(seen("/nowhere/shared/std.yaml"), "../shared/std.yaml");
    }
}
