//! Which files celldag itself put into a folder of the user: only those may it delete when a result no longer has them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::files;
use crate::store::Store;
use crate::tree::TreeFile;

#[derive(Serialize, Deserialize)]
struct Note {
    folder: PathBuf,
    files: BTreeMap<String, TreeFile>,
}

impl Store {
    /// What was put into `dest` last time; empty when that is not known.
    pub(crate) fn placed(&self, dest: &Path) -> Result<BTreeMap<String, TreeFile>> {
        let (folder, path) = self.note_of(dest)?;
        let note = fs_err::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
        Ok(note.filter(|note| note.folder == folder).map(|note| note.files).unwrap_or_default())
    }

    /// Notes what is put into `dest`.
    pub(crate) fn note_placed(&self, dest: &Path, files: &BTreeMap<String, TreeFile>) -> Result<()> {
        if self.placed(dest)? == *files {
            return Ok(());
        }
        let (folder, path) = self.note_of(dest)?;
        match serde_json::to_vec(&Note { folder, files: files.clone() }) {
            Ok(bytes) => self.write_atomic(&path, &bytes),
            // A folder whose name is not text: nothing in it will be deleted.
            Err(e) => {
                tracing::debug!(folder = %dest.display(), error = %e, "placed files are not noted");
                Ok(())
            }
        }
    }

    /// Deletes notes about folders that are gone.
    pub(crate) fn forget_placed(&self, dry_run: bool) -> Result<()> {
        for path in files::list(&self.dir("memo").join("placed"))? {
            let note = fs_err::read(&path).ok().and_then(|bytes| serde_json::from_slice::<Note>(&bytes).ok());
            if !dry_run && note.is_none_or(|note| !note.folder.exists()) {
                files::remove_file(&path)?;
            }
        }
        Ok(())
    }

    fn note_of(&self, dest: &Path) -> Result<(PathBuf, PathBuf)> {
        let parent = files::parent(dest);
        let real = fs_err::canonicalize(parent).at("open", parent)?;
        let folder = dest.file_name().map_or_else(|| real.clone(), |name| real.join(name));
        let name = Digest::of_bytes(folder.as_os_str().as_encoded_bytes());
        Ok((folder, self.dir("memo").join("placed").join(format!("{name}.json"))))
    }
}
