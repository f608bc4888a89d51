//! What the file system says about a file without reading it; equal stamps stand for equal content.

use std::fs::Metadata;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{IoContext, Result};

/// Size, times and identity of a file. The change time is what a copied or backdated modification time cannot fake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Bytes.
    pub(crate) size: u64,
    /// Modification time, ns since 1970.
    pub(crate) mtime: i128,
    /// Change time (Unix) or creation time, ns since 1970.
    pub(crate) ctime: i128,
    /// Inode; 0 where there is none.
    pub(crate) inode: u64,
    /// Device; 0 where there is none.
    pub(crate) device: u64,
}

impl Stamp {
    /// Reads the stamp of what `path` refers to, links followed.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        fs_err::metadata(path).map(|m| Self::from_metadata(&m)).at("read", path)
    }

    pub(crate) fn from_metadata(meta: &Metadata) -> Self {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let ns = |s: i64, n: i64| i128::from(s) * 1_000_000_000 + i128::from(n);
            Self {
                size: meta.len(),
                mtime: ns(meta.mtime(), meta.mtime_nsec()),
                ctime: ns(meta.ctime(), meta.ctime_nsec()),
                inode: meta.ino(),
                device: meta.dev(),
            }
        }
        #[cfg(not(unix))]
        {
            let ns = |t: std::io::Result<SystemTime>| t.map_or(0, since_epoch);
            Self {
                size: meta.len(),
                mtime: ns(meta.modified()),
                ctime: ns(meta.created()),
                inode: 0,
                device: 0,
            }
        }
    }

    /// Whether both times lie at least `age` before now. Clocks of file systems tick coarsely: a file that was written
    /// a moment ago may be written again without a visible change of its times.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        let limit = since_epoch(SystemTime::now()) - i128::try_from(age.as_nanos()).unwrap_or(i128::MAX / 2);
        self.mtime.max(self.ctime) <= limit
    }
}

fn since_epoch(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i128::try_from(after.as_nanos()).unwrap_or(i128::MAX),
        Err(before) => -i128::try_from(before.duration().as_nanos()).unwrap_or(i128::MAX),
    }
}

/// Age of a file by its modification time; zero for times in the future.
pub(crate) fn age(meta: &Metadata) -> Duration {
    meta.modified().ok().and_then(|t| SystemTime::now().duration_since(t).ok()).unwrap_or_default()
}
