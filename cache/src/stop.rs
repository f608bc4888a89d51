//! When to give up: asked by everything that hashes, copies or receives bytes for long.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crate::error::{IoContext, Result, StoreError};
use crate::store::Store;
use crate::tree::{Hidden, list_files};

/// Bytes that are hashed or copied between two questions.
pub(crate) const CHUNK: usize = 8 << 20;

/// Bytes whose end is waited for where giving up would cost far more: some seconds.
const LITTLE: u64 = 4 << 30;

/// Says whether to give up. The default never does.
#[derive(Clone, Default)]
pub(crate) struct Stop(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Stop {
    pub(crate) fn when(asked: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(asked)))
    }

    /// As this one, but deaf if no more than a little is `left`, in bytes, when the answer is yes for the first time.
    fn unless_little(&self, left: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        let Some(asked) = self.0.clone() else { return Self::default() };
        let much = OnceLock::new();
        Self::when(move || asked() && *much.get_or_init(|| left() > LITTLE))
    }

    /// Asked before each file, since in a folder of very many small ones there is no other moment, and after each [`CHUNK`].
    ///
    /// # Errors
    /// [`StoreError::Cancelled`] with the file that would have been read.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        if self.0.as_ref().is_some_and(|asked| asked()) {
            return Err(StoreError::Cancelled { path: path.to_path_buf() });
        }
        Ok(())
    }
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stop").field(&self.0.is_some()).finish()
    }
}

impl Store {
    /// A handle of the same store that gives up with [`StoreError::Cancelled`] when `asked` says so: wherever bytes are
    /// hashed, copied or received, be they the user's or the store's own. It is asked before each file and every few MiB. What was
    /// stopped has published nothing, and put nothing at a path of the user. Publishing is not stopped if no more than 4 GiB of
    /// the outputs are left: they may have taken hours.
    #[must_use]
    pub fn until(&self, asked: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        self.with_stop(Stop::when(asked))
    }

    /// This handle for reading these files and folders, which goes on to their end if little of them is left (4 GiB) when
    /// somebody asks to stop.
    #[must_use]
    pub fn patient(&self, paths: Vec<PathBuf>) -> Self {
        // What cannot be read is for the reader to report.
        let left = move || paths.iter().map(|path| bytes_at(path).unwrap_or_default()).sum();
        self.with_stop(self.stop().unless_little(left))
    }
}

/// Bytes of a file or of all files in a folder, links followed.
fn bytes_at(path: &Path) -> Result<u64> {
    let meta = fs_err::metadata(path).at("read", path)?;
    if !meta.is_dir() {
        return Ok(meta.len());
    }
    let size = |name| fs_err::metadata(path.join(name)).map_or(0, |meta| meta.len());
    Ok(list_files(path, Hidden::Include)?.into_iter().map(size).sum())
}
