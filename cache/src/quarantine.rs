//! Where damaged bytes go: out of the way at once, but kept for a while, as they may tell what is wrong with the disk.

use std::path::{Path, PathBuf};

use crate::files;
use crate::store::Store;

impl Store {
    /// Moves a damaged file away. Returns where it is now, or `None` when it could not be moved (a read-only store).
    pub(crate) fn quarantine(&self, path: &Path) -> Option<PathBuf> {
        let place = || {
            let workspace = self.workspace()?;
            let name = format!("{}.{}.{}", files::name_of(path), workspace.name(), workspace.fresh_number());
            let to = self.dir("quarantine").join(name);
            files::rename(path, &to, self.sync()).map(|()| to)
        };
        match place() {
            Ok(to) => {
                tracing::warn!(from = %path.display(), to = %to.display(), "damaged object set aside");
                Some(to)
            }
            Err(e) => {
                tracing::warn!(path = %path.display(), error = %e, "a damaged object could not be set aside");
                None
            }
        }
    }
}
