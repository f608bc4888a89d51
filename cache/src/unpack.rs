//! Stored folders as folders: rebuilt from their manifest below `trees/`, complete or absent.

use std::path::{Path, PathBuf};

use crate::copy::copy;
use crate::error::{IoContext, Result, StoreError};
use crate::files;
use crate::hash::digest_stamped;
use crate::record::Artifact;
use crate::stamp::Stamp;
use crate::store::{Blob, Store};
use crate::tree::{Hidden, TreeManifest, list_files};

impl Store {
    /// A folder with exactly the files of the artifact, checked once in a process.
    pub(crate) fn fetch_tree(&self, artifact: &Artifact) -> Result<PathBuf> {
        let dir = self.tree_path(&artifact.digest);
        if self.checked_trees().contains(&artifact.digest) && dir.is_dir() {
            return Ok(dir);
        }
        let manifest = self.fetch_manifest(artifact)?;
        if !self.is_intact(&dir, &manifest)? {
            self.build(&dir, &manifest)?;
        }
        self.checked_trees().insert(artifact.digest);
        Ok(dir)
    }

    /// The manifest of a folder after checking it.
    pub(crate) fn fetch_manifest(&self, artifact: &Artifact) -> Result<TreeManifest> {
        let path = self.fetch_blob(Blob::tree(artifact.digest), None)?;
        self.parse_manifest(artifact, &path)
    }

    /// As [`Self::fetch_manifest`], from this store alone.
    pub(crate) fn fetch_manifest_here(&self, artifact: &Artifact) -> Result<TreeManifest> {
        let path = self.fetch_here(Blob::tree(artifact.digest), None)?;
        self.parse_manifest(artifact, &path)
    }

    fn parse_manifest(&self, artifact: &Artifact, path: &Path) -> Result<TreeManifest> {
        let digest = artifact.digest;
        let bytes = fs_err::read(path).at("read", path)?;
        TreeManifest::from_bytes(&bytes).filter(|manifest| manifest.digest() == digest).ok_or_else(|| {
            let why = "it is not a manifest of a folder".into();
            StoreError::Damaged { digest, why, quarantined: self.quarantine(path) }
        })
    }

    /// Whether `dir` has the files of the manifest, with their content, and no others.
    fn is_intact(&self, dir: &Path, manifest: &TreeManifest) -> Result<bool> {
        if !dir.is_dir() || !list_files(dir, Hidden::Include)?.iter().eq(manifest.files.keys()) {
            return Ok(false);
        }
        for (name, file) in &manifest.files {
            let path = dir.join(name);
            let blob = Blob::file(file.digest);
            let stamp = Stamp::of(&path)?;
            // Usually a hard link to the blob, so that the same inode is not hashed twice.
            if self.verified().get(&blob) == Some(&stamp) {
                continue;
            }
            match digest_stamped(&path, self.stop()) {
                Ok((digest, stamp)) if digest == file.digest => {
                    self.verified().entry(blob).or_insert(stamp);
                }
                Ok(_) | Err(StoreError::Changed { .. } | StoreError::Unsupported { .. }) => {
                    tracing::warn!(path = %path.display(), "damaged; the folder is rebuilt");
                    return Ok(false);
                }
                Err(e) => return Err(e),
            }
        }
        Ok(true)
    }

    fn build(&self, dir: &Path, manifest: &TreeManifest) -> Result<()> {
        let workspace = self.workspace()?;
        let new = workspace.fresh_path();
        let fill = || {
            files::create_dir(&new)?;
            manifest.files.iter().try_for_each(|(name, file)| {
                let to = new.join(name);
                files::create_dir(files::parent(&to))?;
                self.link(Blob::file(file.digest), file.size, &to)
            })
        };
        fill().inspect_err(|_| {
            let _ = files::remove_tree(&new);
        })?;
        // What is there is damaged. Readers that have its files open keep them.
        let old = workspace.fresh_path();
        if dir.exists() {
            files::rename(dir, &old, false)?;
        }
        let moved = files::rename(&new, dir, false);
        files::remove_tree(&old)?;
        if moved.is_err() {
            files::remove_tree(&new)?;
            // Another process may have been faster.
            if !self.is_intact(dir, manifest)? {
                return moved;
            }
        }
        Ok(())
    }

    /// Puts a blob at a path inside the store: a hard link where possible, since both sides are read-only.
    fn link(&self, blob: Blob, size: u64, to: &Path) -> Result<()> {
        let from = self.fetch_blob(blob, Some(size))?;
        if fs_err::hard_link(&from, to).is_ok() {
            // The link changed the change time of the inode, not its content.
            let stamp = Stamp::of(&from)?;
            if let Some(known) = self.verified().get_mut(&blob) {
                let same = (known.size, known.mtime, known.inode) == (stamp.size, stamp.mtime, stamp.inode);
                if same {
                    *known = stamp;
                }
            }
            return Ok(());
        }
        copy(&from, to, self.stop())?;
        files::set_mode(to, true)
    }
}
