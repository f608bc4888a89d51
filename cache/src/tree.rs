//! Folders as values: a canonical manifest of relative paths, digests and sizes, and its digest.
//!
//! The digest of a folder depends on the names and contents of its files and on nothing else: not on where it lies, the
//! order of listing, times, owners, modes or empty folders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::beside::is_beside;
use crate::digest::Digest;
use crate::error::{IoContext, Result, StoreError};
use crate::hash::digest_file;

/// Context of tree digests. Changing it changes the digest of every folder.
const TREE_CONTEXT: &str = "celldag tree v1";

/// One file of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeFile {
    /// Of the content.
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

/// All files of a folder: relative path with `/` → content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TreeManifest {
    /// In the order of the paths' bytes.
    pub files: BTreeMap<String, TreeFile>,
}

impl TreeManifest {
    /// The one spelling of the manifest, which is what is hashed and stored.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut text = String::from("{\"celldag-tree\":1,\"files\":{");
        for (i, (path, file)) in self.files.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            let path = serde_json::Value::from(path.as_str());
            text.push_str(&format!(
                "{comma}\n{path}:{{\"digest\":\"{}\",\"size\":{}}}",
                file.digest, file.size
            ));
        }
        text.push_str("}}\n");
        text.into_bytes()
    }

    /// Reads a manifest. `None` when the bytes are not exactly what [`Self::to_bytes`] writes, or when a path would
    /// lead out of the folder.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let manifest: Self = serde_json::from_slice(bytes).ok()?;
        let safe = manifest.files.keys().all(|path| is_plain_relative(path));
        (safe && manifest.to_bytes() == bytes).then_some(manifest)
    }

    /// The digest of the folder.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Self::digest_of(&self.to_bytes())
    }

    pub(crate) fn digest_of(bytes: &[u8]) -> Digest {
        Digest::derived(TREE_CONTEXT, bytes)
    }

    /// Bytes of all files together.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.files.values().map(|file| file.size).sum()
    }
}

/// `a/b.txt`: no empty, `.` or `..` part, no backslash (a separator elsewhere), not absolute.
fn is_plain_relative(path: &str) -> bool {
    !path.contains(['\\', '\0'])
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
        && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Which files of a folder count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hidden {
    /// Names that begin with a dot are left out, as editors and synchronisers put such files anywhere.
    Skip,
    /// Everything (some formats, like Zarr, keep data in dot files) but what lies there on its way to its place.
    Include,
}

/// The digest of a folder and the bytes in it: of the `files` given relative to `root`, or of everything below it
/// except hidden files. Symbolic links are followed. The order and repetition of `files` do not matter.
///
/// # Errors
/// When a file cannot be read, its name is not UTF-8, or links form a circle.
pub fn digest_tree(root: &Path, files: Option<&[PathBuf]>) -> Result<(Digest, u64)> {
    let manifest = manifest_of(root, files, Hidden::Skip, &mut digest_file)?;
    Ok((manifest.digest(), manifest.size()))
}

/// Hashes the listed files, or all, with `hash`, which gives digest and size.
pub(crate) fn manifest_of(
    root: &Path,
    files: Option<&[PathBuf]>,
    hidden: Hidden,
    hash: &mut dyn FnMut(&Path) -> Result<(Digest, u64)>,
) -> Result<TreeManifest> {
    let names = match files {
        Some(files) => files.iter().map(|file| listed_name(root, file)).collect::<Result<BTreeSet<_>>>()?,
        None => list_files(root, hidden)?,
    };
    let mut manifest = TreeManifest::default();
    for name in names {
        let (digest, size) = hash(&root.join(&name))?;
        manifest.files.insert(name, TreeFile { digest, size });
    }
    Ok(manifest)
}

/// Names of all files below `root`, with `/`.
pub(crate) fn list_files(root: &Path, hidden: Hidden) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    walk(root, root, hidden, &mut Vec::new(), &mut names)?;
    Ok(names)
}

fn walk(
    root: &Path,
    folder: &Path,
    hidden: Hidden,
    above: &mut Vec<PathBuf>,
    names: &mut BTreeSet<String>,
) -> Result<()> {
    let real = fs_err::canonicalize(folder).at("list", folder)?;
    if above.contains(&real) {
        let why = "a symbolic link leads back to a folder above it".into();
        return Err(StoreError::Unsupported { path: folder.to_path_buf(), why });
    }
    above.push(real);
    for entry in fs_err::read_dir(folder).at("list", folder)? {
        let entry = entry.at("list", folder)?;
        let name = entry.file_name();
        // What some process is about to put there is no content yet.
        if is_beside(&name) || hidden == Hidden::Skip && name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if fs_err::metadata(&path).at("read", &path)?.is_dir() {
            walk(root, &path, hidden, above, names)?;
        } else {
            let relative = path.strip_prefix(root).unwrap_or(&path);
            names.insert(relative_name(root, relative)?);
        }
    }
    above.pop();
    Ok(())
}

/// The spelling of a listed file. Unlike a stored folder, a list may name files beside the folder (`../shared.pkl`):
/// they are only read, and published checkpoints keep their dictionaries there.
fn listed_name(root: &Path, file: &Path) -> Result<String> {
    let inside = file.strip_prefix("..").ok();
    match inside {
        Some(inside) => Ok(format!("../{}", listed_name(root, inside)?)),
        None => relative_name(root, file),
    }
}

/// The stored spelling of a path relative to `root`.
fn relative_name(root: &Path, file: &Path) -> Result<String> {
    let bad = |why: &str| StoreError::Unsupported { path: root.join(file), why: why.to_owned() };
    let mut parts = Vec::new();
    for part in file.components() {
        match part {
            Component::Normal(name) => {
                parts.push(name.to_str().ok_or_else(|| bad("its name is not UTF-8; rename it"))?);
            }
            Component::CurDir => {}
            _ => return Err(bad("the path leads out of its folder")),
        }
    }
    let name = parts.join("/");
    if is_plain_relative(&name) {
        Ok(name)
    } else {
        Err(bad("its name is empty or holds a backslash; rename it"))
    }
}

#[cfg(test)]
mod tests;
