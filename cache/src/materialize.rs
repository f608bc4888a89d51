//! Giving a result to its user: an independent copy at a path of theirs, complete or not there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::beside::Beside;
use crate::copy::copy;
use crate::error::{Result, StoreError};
use crate::files;
use crate::record::Artifact;
use crate::store::Store;
use crate::tree::{Hidden, TreeFile};

/// What [`Store::materialize`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Materialized {
    /// Whether anything was written; `false` when the destination had the content already.
    pub written: bool,
}

impl Store {
    /// Puts a file or folder at `dest`, as a copy that shares blocks where the file system can (never a link): the user
    /// may change it without harm to the store. Does nothing when `dest` has this content already.
    ///
    /// A file, and a folder that does not exist yet, appear in one step. In a folder that exists, files are replaced one
    /// by one; files that celldag put there earlier and that are no longer part of the result are deleted unless they
    /// were changed; files of others stay.
    ///
    /// # Errors
    /// [`StoreError::Missing`] or [`StoreError::Damaged`] when the bytes have to be computed again;
    /// [`StoreError::Occupied`] when a folder is in the place of a file or the other way round.
    pub fn materialize(&self, artifact: &Artifact, dest: &Path) -> Result<Materialized> {
        let parent = files::parent(dest);
        files::create_dir(parent)?;
        // Even if nothing is to be written: the dead were about to write here.
        self.sweep_beside(parent);
        if artifact.tree {
            return self.materialize_tree(artifact, dest);
        }
        let file = TreeFile { digest: artifact.digest, size: artifact.size };
        let written = self.place_file(&file, dest, &mut None)?;
        Ok(Materialized { written })
    }

    fn materialize_tree(&self, artifact: &Artifact, dest: &Path) -> Result<Materialized> {
        match fs_err::metadata(dest) {
            Ok(meta) if !meta.is_dir() => {
                let why = "a file is in the place of the folder; move it away".into();
                return Err(StoreError::Occupied { path: dest.to_path_buf(), why });
            }
            Ok(_) => {}
            Err(_) => return self.materialize_new_tree(artifact, dest),
        }
        self.sweep_below(dest)?;
        // Hashes are cheap here: the memo knows what it has seen.
        let present = self.manifest(dest, None, Hidden::Include)?;
        let wanted = self.fetch_manifest(artifact)?;
        let mut written = false;
        for stale in self.stale_files(dest, &wanted.files, &present.files)? {
            written |= files::remove_file(&dest.join(stale))?;
        }
        let mut beside = None;
        for (name, file) in &wanted.files {
            if present.files.get(name) != Some(file) {
                let to = dest.join(name);
                files::create_dir(files::parent(&to))?;
                written |= self.place_file(file, &to, &mut beside)?;
            }
        }
        self.note_placed(dest, &wanted.files)?;
        Ok(Materialized { written })
    }

    fn materialize_new_tree(&self, artifact: &Artifact, dest: &Path) -> Result<Materialized> {
        let manifest = self.fetch_manifest(artifact)?;
        let beside = self.beside(dest)?;
        let whole = beside.fresh_path();
        files::create_dir(&whole)?;
        for (name, file) in &manifest.files {
            let to = whole.join(name);
            files::create_dir(files::parent(&to))?;
            self.copy_out(file, &to)?;
        }
        // Noted first: a note about files that are not there does no harm.
        self.note_placed(dest, &manifest.files)?;
        files::rename(&whole, dest, self.sync())?;
        Ok(Materialized { written: true })
    }

    /// Leaves the hidden folder that it used to the next file of the same folder: in the order of names these come together.
    fn place_file(&self, file: &TreeFile, dest: &Path, last: &mut Option<(PathBuf, Beside)>) -> Result<bool> {
        match fs_err::symlink_metadata(dest) {
            Ok(meta) if meta.is_dir() => {
                let why = "a folder is in the place of the file; move it away".into();
                return Err(StoreError::Occupied { path: dest.to_path_buf(), why });
            }
            Ok(meta) if meta.is_file() && meta.len() == file.size => match self.remembered(dest) {
                Ok((digest, _)) if digest == file.digest => return Ok(false),
                Err(e) if e.is_cancelled() => return Err(e),
                // A file that cannot be read is replaced.
                _ => {}
            },
            _ => {}
        }
        let folder = files::parent(dest);
        let beside = match last {
            Some((of, beside)) if of == folder => beside,
            _ => &mut last.insert((folder.to_path_buf(), self.beside(dest)?)).1,
        };
        let whole = beside.fresh_path();
        self.copy_out(file, &whole)?;
        files::rename(&whole, dest, self.sync())?;
        Ok(true)
    }

    /// Copies a blob out of the store, writable.
    fn copy_out(&self, file: &TreeFile, to: &Path) -> Result<()> {
        let artifact = Artifact { digest: file.digest, size: file.size, tree: false };
        let from = self.fetch(&artifact)?;
        copy(&from, to, self.stop())?;
        files::set_mode(to, false)?;
        if self.sync() { files::sync_file(to) } else { Ok(()) }
    }

    /// Files below `dest` that an earlier result put there, that this one does not have, and that nobody changed.
    fn stale_files(
        &self,
        dest: &Path,
        wanted: &BTreeMap<String, TreeFile>,
        present: &BTreeMap<String, TreeFile>,
    ) -> Result<Vec<String>> {
        let placed = self.placed(dest)?;
        let stale = placed
            .into_iter()
            .filter(|(name, file)| !wanted.contains_key(name) && present.get(name) == Some(file));
        Ok(stale.map(|(name, _)| name).collect())
    }
}
