//! Giving a result to its user: an independent copy at a path of theirs, complete or not there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::error::{IoContext, Result, StoreError};
use crate::files;
use crate::record::Artifact;
use crate::sandbox::dead;
use crate::store::{Store, discard};
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
        self.sweep_beside(parent);
        if artifact.tree {
            return self.materialize_tree(artifact, dest);
        }
        let file = TreeFile { digest: artifact.digest, size: artifact.size };
        let written = self.place_file(&file, dest)?;
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
        // Hashes are cheap here: the memo knows what it has seen.
        let present = self.manifest(dest, None, Hidden::Include)?;
        let wanted = self.fetch_manifest(artifact)?;
        let mut written = false;
        for stale in self.stale_files(dest, &wanted.files, &present.files)? {
            written |= files::remove_file(&dest.join(stale))?;
        }
        for (name, file) in &wanted.files {
            if present.files.get(name) != Some(file) {
                let to = dest.join(name);
                files::create_dir(files::parent(&to))?;
                written |= self.place_file(file, &to)?;
            }
        }
        self.note_placed(dest, &wanted.files)?;
        Ok(Materialized { written })
    }

    fn materialize_new_tree(&self, artifact: &Artifact, dest: &Path) -> Result<Materialized> {
        let manifest = self.fetch_manifest(artifact)?;
        let tmp = self.path_beside(dest)?;
        let build = || {
            files::create_dir(&tmp)?;
            for (name, file) in &manifest.files {
                let to = tmp.join(name);
                files::create_dir(files::parent(&to))?;
                self.copy_out(file, &to)?;
            }
            // Noted first: a note about files that are not there does no harm.
            self.note_placed(dest, &manifest.files)?;
            files::rename(&tmp, dest, self.sync())
        };
        build().inspect_err(|_| {
            let _ = files::remove_tree(&tmp);
        })?;
        Ok(Materialized { written: true })
    }

    fn place_file(&self, file: &TreeFile, dest: &Path) -> Result<bool> {
        match fs_err::symlink_metadata(dest) {
            Ok(meta) if meta.is_dir() => {
                let why = "a folder is in the place of the file; move it away".into();
                return Err(StoreError::Occupied { path: dest.to_path_buf(), why });
            }
            // A file that cannot be read is replaced.
            Ok(meta)
                if meta.is_file()
                    && meta.len() == file.size
                    && self.memo().digest(dest).is_ok_and(|(digest, _)| digest == file.digest) =>
            {
                return Ok(false);
            }
            _ => {}
        }
        let tmp = self.path_beside(dest)?;
        self.copy_out(file, &tmp)
            .and_then(|()| files::rename(&tmp, dest, self.sync()))
            .inspect_err(|_| discard(&tmp))?;
        Ok(true)
    }

    /// Copies a blob out of the store, writable.
    fn copy_out(&self, file: &TreeFile, to: &Path) -> Result<()> {
        let artifact = Artifact { digest: file.digest, size: file.size, tree: false };
        let from = self.fetch(&artifact)?;
        reflink_copy::reflink_or_copy(&from, to).at("write", to)?;
        files::set_mode(to, false)?;
        if self.sync() { files::sync_file(to) } else { Ok(()) }
    }

    /// A hidden name beside a destination that says whose it is.
    fn path_beside(&self, dest: &Path) -> Result<PathBuf> {
        let workspace = self.workspace()?;
        let name = format!("{}{}~{}", self.prefix_beside(), workspace.name(), workspace.fresh_number());
        Ok(files::parent(dest).join(name))
    }

    fn prefix_beside(&self) -> String {
        format!(".celldag~{}~", self.id().get(..8).unwrap_or_default())
    }

    /// Deletes what killed processes left beside their destinations, once per folder.
    fn sweep_beside(&self, folder: &Path) {
        if !self.swept().insert(folder.to_path_buf()) {
            return;
        }
        let prefix = self.prefix_beside();
        for path in files::list(folder).unwrap_or_default() {
            let Some((owner, _)) =
                files::name_of(&path).strip_prefix(&prefix).and_then(|s| s.rsplit_once('~'))
            else {
                continue;
            };
            let owner = self.dir("tmp").join(owner);
            // Kept until the left-over is gone, so that the owner stays dead.
            let _held = match (owner.exists(), dead(&owner)) {
                (false, _) => None,
                (true, Some(held)) => held,
                (true, None) => continue,
            };
            let gone =
                if path.is_dir() { files::remove_tree(&path) } else { files::remove_file(&path).map(|_| ()) };
            if let Err(e) = gone {
                tracing::debug!(error = %e, "a left-over could not be deleted");
            }
        }
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
