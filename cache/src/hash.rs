//! Hashing of files: plain BLAKE3 of the content, in parallel for large ones.

use std::io::{ErrorKind, Read};
use std::path::Path;

use fs_err::File;

use crate::digest::Digest;
use crate::error::{IoContext, Result, StoreError};
use crate::stamp::Stamp;

/// Read size. Large reads feed all cores; a memory map would be as fast, but a file that shrinks under a map kills the
/// process (SIGBUS), and the files hashed here belong to users.
const CHUNK: usize = 8 << 20;

/// Below this, starting threads costs more than it saves.
const PARALLEL: usize = 256 << 10;

/// The digest and size in bytes of a file, links followed. Equal to what `b3sum` prints.
///
/// # Errors
/// When it cannot be read, is not a regular file, or changes while it is read ([`StoreError::Changed`]).
pub fn digest_file(path: &Path) -> Result<(Digest, u64)> {
    digest_stamped(path).map(|(digest, stamp)| (digest, stamp.size))
}

/// The digest of a file together with the stamp that it had before and after.
pub(crate) fn digest_stamped(path: &Path) -> Result<(Digest, Stamp)> {
    let mut file = File::open(path).at("read", path)?;
    let meta = file.metadata().at("read", path)?;
    if !meta.is_file() {
        return Err(StoreError::Unsupported { path: path.to_path_buf(), why: "not a regular file".into() });
    }
    let before = Stamp::from_metadata(&meta);
    let digest = digest_reader(&mut file, before.size).at("read", path)?;
    let after = Stamp::from_metadata(&file.metadata().at("read", path)?);
    if before != after {
        return Err(StoreError::Changed { path: path.to_path_buf() });
    }
    Ok((digest, after))
}

fn digest_reader(reader: &mut impl Read, size: u64) -> std::io::Result<Digest> {
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
                Err(e) => return Err(e),
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
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_size_agrees_with_hashing_in_memory() {
        for size in [0, 1, 1023, 1024, PARALLEL, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 17] {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 31 % 251) as u8).collect();
            let hashed = digest_reader(&mut bytes.as_slice(), size as u64).unwrap();
            assert_eq!(hashed, Digest::of_bytes(&bytes), "{size} bytes");
        }
    }
}
