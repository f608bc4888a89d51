//! Where files about a driver are kept between runs: compiled pipelines and measured kernel choices. They only save time:
//! a file that is missing, damaged or of another driver is as good as none.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The folder for files about drivers: `CELLDAG_PIPELINE_CACHE`, else `celldag` in the user's folder for caches. None if
/// the system names neither, or if the variable is set to nothing (which switches the files off).
pub(crate) fn driver_folder() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    if let Some(chosen) = variable("CELLDAG_PIPELINE_CACHE") {
        return Some(chosen).filter(|folder| !folder.as_os_str().is_empty());
    }
    let home = || variable("HOME").filter(|home| home.is_absolute());
    let caches = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Caches"))
    } else {
        let named = variable("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
        named.or_else(|| home().map(|home| home.join(".cache")))
    };
    caches.map(|caches| caches.join("celldag"))
}

/// What a file of [`write`] holds; none if it is missing or not whole.
pub(crate) fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = fs_err::read(path).ok()?;
    let (content, sum) = bytes.split_last_chunk::<8>()?;
    if checksum(content) != u64::from_le_bytes(*sum) {
        tracing::debug!(path = %path.display(), "a damaged cache file is ignored");
        return None;
    }
    bytes.truncate(bytes.len() - 8);
    Some(bytes)
}

/// Replaces a file in one step, so that other processes see the old one or the new one. Failing is not an error: the next
/// run takes longer.
pub(crate) fn write(path: &Path, content: &[u8]) {
    let attempt = || -> std::io::Result<()> {
        let Some(folder) = path.parent() else { return Ok(()) };
        fs_err::create_dir_all(folder)?;
        let mut bytes = content.to_vec();
        bytes.extend_from_slice(&checksum(content).to_le_bytes());
        static WRITES: AtomicU32 = AtomicU32::new(0);
        let number = WRITES.fetch_add(1, Ordering::Relaxed);
        let partial = path.with_extension(format!("{}-{number}.partial", std::process::id()));
        fs_err::write(&partial, bytes)?;
        fs_err::rename(&partial, path)
    };
    if let Err(error) = attempt() {
        tracing::debug!(%error, "a cache file is not kept");
    }
}

/// FNV-1a, against truncated and damaged files.
fn checksum(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}
