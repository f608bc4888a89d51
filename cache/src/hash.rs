//! Hashing of files: plain BLAKE3 of the content, in parallel for large ones.

use std::io::{ErrorKind, Read};
use std::path::Path;

use fs_err::File;

use crate::digest::Digest;
use crate::error::{IoContext, Result, StoreError};
use crate::stamp::Stamp;
use crate::stop::{CHUNK, Stop};

/// Below this, starting threads costs more than it saves.
const PARALLEL: usize = 256 << 10;

/// The digest and size in bytes of a file, links followed. Equal to what `b3sum` prints.
///
/// # Errors
/// When it cannot be read, is not a regular file, or changes while it is read ([`StoreError::Changed`]).
pub fn digest_file(path: &Path) -> Result<(Digest, u64)> {
    digest_stamped(path, &Stop::default()).map(|(digest, stamp)| (digest, stamp.size))
}

/// The digest of a file together with the stamp that it had before and after.
pub(crate) fn digest_stamped(path: &Path, stop: &Stop) -> Result<(Digest, Stamp)> {
    stop.check(path)?;
    // Asked before it is opened: opening a pipe waits for somebody to write into it.
    if !fs_err::metadata(path).at("read", path)?.is_file() {
        return Err(StoreError::Unsupported { path: path.to_path_buf(), why: "not a regular file".into() });
    }
    let mut file = File::open(path).at("read", path)?;
    let before = Stamp::from_metadata(&file.metadata().at("read", path)?);
    let digest = digest_reader(&mut file, before.size, path, stop)?;
    let after = Stamp::from_metadata(&file.metadata().at("read", path)?);
    if before != after {
        return Err(StoreError::Changed { path: path.to_path_buf() });
    }
    Ok((digest, after))
}

/// Reads in large pieces, which feed all cores; a memory map would be as fast, but a file that shrinks under a map kills the
/// process (SIGBUS), and the files hashed here belong to users. `path` is for messages.
fn digest_reader(reader: &mut impl Read, size: u64, path: &Path, stop: &Stop) -> Result<Digest> {
    let mut hasher = blake3::Hasher::new();
    // One byte more than the file has, so that the end is seen in one call.
    let room = usize::try_from(size).unwrap_or(CHUNK).saturating_add(1).clamp(1 << 10, CHUNK);
    let mut buffer = vec![0_u8; room];
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match reader.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(n) => filled += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(e).at("read", path),
            }
        }
        if filled >= PARALLEL {
            hasher.update_rayon(&buffer[..filled]);
        } else {
            hasher.update(&buffer[..filled]);
        }
        if filled < buffer.len() {
            return Ok(Digest(*hasher.finalize().as_bytes()));
        }
        stop.check(path)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_size_agrees_with_hashing_in_memory() {
        for size in [0, 1, 1023, 1024, PARALLEL, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 17] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
            let hashed =
                digest_reader(&mut bytes.as_slice(), size as u64, Path::new("x"), &Stop::default()).unwrap();
            assert_eq!(hashed, Digest::of_bytes(&bytes), "{size} bytes");
        }
    }

    #[test]
    fn hashing_a_large_file_can_be_stopped() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // A hole: it takes no space, and minutes to hash.
        file.as_file().set_len(100 << 30).unwrap();
        let begin = std::time::Instant::now();
        let stop = Stop::when(move || begin.elapsed() > std::time::Duration::from_millis(50));
        let stopped = digest_stamped(file.path(), &stop);
        assert!(matches!(stopped, Err(StoreError::Cancelled { .. })), "{stopped:?}");
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{:?}", begin.elapsed());
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(matches!(digest_file(&pipe), Err(StoreError::Unsupported { .. })));
    }
}
