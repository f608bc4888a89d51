//! The folder that an export writes: its own and nobody else's, each file whole or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::ExportError;

/// What an export wrote, so that the next one knows the folder for its own.
const MARKER: &str = "celldag-export.json";
/// Version of that file.
const VERSION: u32 = 1;

/// Path in the folder → content.
pub type Files = BTreeMap<PathBuf, String>;

#[derive(Debug, Serialize, Deserialize)]
struct Written {
    celldag_export: u32,
    /// `snakemake` or `nextflow`.
    engine: String,
    files: Vec<PathBuf>,
}

/// Writes an export into `folder`, over an earlier one of the same kind: files that are no longer part of it go, results of
/// the workflow stay. The same files give the same bytes.
///
/// # Errors
/// When the folder holds what no export of this kind wrote, or cannot be written.
pub fn write(folder: &Path, engine: &str, files: &Files) -> Result<(), ExportError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source: std::io::Error| ExportError::Io { path, source }
    };
    let marker = folder.join(MARKER);
    let before = match fs_err::read_to_string(&marker) {
        Ok(text) => {
            let written: Option<Written> = serde_json::from_str(&text).ok();
            let own = written.filter(|own| own.celldag_export == VERSION && own.engine == engine);
            own.map(|own| own.files).ok_or_else(|| ExportError::Occupied { folder: folder.to_owned() })?
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let empty = folder.read_dir().map_or(true, |mut entries| entries.next().is_none());
            if !empty {
                return Err(ExportError::Occupied { folder: folder.to_owned() });
            }
            Vec::new()
        }
        Err(e) => return Err(io(&marker)(e)),
    };
    fs_err::create_dir_all(folder).map_err(io(folder))?;
    let mark = |files: BTreeSet<&PathBuf>| {
        let files = files.into_iter().cloned().collect();
        let written = Written { celldag_export: VERSION, engine: engine.to_owned(), files };
        let text = serde_json::to_string_pretty(&written).map_err(|e| io(&marker)(e.into()))?;
        put(&marker, &format!("{text}\n")).map_err(io(&marker))
    };
    // First, and with the files that are to go: after an export that broke off, the next one still knows the folder and them.
    mark(files.keys().chain(&before).collect())?;
    for (path, text) in files {
        let path = folder.join(path);
        put(&path, text).map_err(io(&path))?;
    }
    // A marker that somebody edited must not lead out of the folder.
    let inside = |path: &&PathBuf| path.components().all(|part| matches!(part, Component::Normal(_)));
    for path in before.iter().filter(|path| !files.contains_key(*path)).filter(inside) {
        let path = folder.join(path);
        match fs_err::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(io(&path)(e)),
            _ => {}
        }
    }
    mark(files.keys().collect())
}

/// Writes a file beside its place and moves it there. A file that is right already stays as it is: Snakemake would take a new
/// time for a change.
fn put(path: &Path, text: &str) -> std::io::Result<()> {
    if fs_err::read(path).is_ok_and(|before| before == text.as_bytes()) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new().permissions(readable()).tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.persist(path).map_err(|e| e.error)?;
    Ok(())
}

/// As any file that a program writes; temporary ones are for their owner only.
fn readable() -> std::fs::Permissions {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::Permissions::from_mode(0o666)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(pairs: &[(&str, &str)]) -> Files {
        pairs.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect()
    }

    #[test]
    fn only_an_own_folder_is_written_again() {
        let outer = tempfile::tempdir().unwrap();
        let folder = outer.path().join("new/export");
        write(&folder, "snakemake", &files(&[("Snakefile", "a"), ("old/b", "b")])).unwrap();
        fs_err::write(folder.join("result"), "mine").unwrap();
        write(&folder, "snakemake", &files(&[("Snakefile", "c")])).unwrap();
        assert_eq!(fs_err::read_to_string(folder.join("Snakefile")).unwrap(), "c");
        assert!(!folder.join("old/b").exists() && folder.join("result").exists());

        let told = write(&folder, "nextflow", &files(&[("main.nf", "d")])).unwrap_err().to_string();
        assert!(told.contains("celldag export"), "{told}");
        assert!(!folder.join("main.nf").exists());
        assert!(write(outer.path(), "snakemake", &files(&[("Snakefile", "c")])).is_err());
    }
}
