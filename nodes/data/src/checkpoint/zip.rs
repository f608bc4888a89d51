//! Zip archives, as PyTorch and numpy write them: members by name and where their bytes are.
//!
//! Sizes of compressed members are held against what the method can achieve at most, so a zip bomb ends here. Nothing is
//! ever unpacked to disk.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::error::CheckpointError;
use super::source::Source;
use super::zip_table::{self, Member};

/// The most bytes of a compressed member once it is inflated.
const MAX_INFLATED: u64 = 4 << 30;
/// Deflate cannot do better than this.
const MAX_RATIO: u64 = 1032;
const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// An archive whose table of members has been checked.
#[derive(Debug)]
pub(super) struct Archive {
    source: Arc<Source>,
    members: BTreeMap<String, Member>,
}

/// Where the bytes of a member are.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// In the file as they are.
    Stored { start: u64, size: u64 },
    /// Compressed.
    Deflated(Arc<Deflated>),
}

/// A compressed member.
#[derive(Debug)]
pub(super) struct Deflated {
    source: Arc<Source>,
    start: u64,
    compressed: u64,
    size: u64,
    crc: u32,
}

impl Archive {
    /// Whether a file begins like an archive.
    pub(super) fn begins(head: &[u8]) -> bool {
        head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
    }

    pub(super) fn open(source: Arc<Source>) -> Result<Self, CheckpointError> {
        let members = zip_table::read(&source)?;
        Ok(Self { source, members })
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.members.keys().map(String::as_str)
    }

    /// All bytes of a member that may not have more than `limit`.
    pub(super) fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, CheckpointError> {
        let place = self.place(name)?;
        if place.size() > limit {
            return Err(self.damaged(format!("`{name}` has {} bytes, the most is {limit}", place.size())));
        }
        let mut bytes = vec![0; usize::try_from(place.size()).unwrap_or(usize::MAX)];
        match place {
            Place::Stored { start, .. } => self.source.read_into(start, &mut bytes)?,
            Place::Deflated(member) => member.read_into(0, &mut bytes)?,
        }
        Ok(bytes)
    }

    /// Where a member is.
    pub(super) fn place(&self, name: &str) -> Result<Place, CheckpointError> {
        let member =
            self.members.get(name).ok_or_else(|| self.damaged(format!("there is no member `{name}`")))?;
        let start = zip_table::data_start(&self.source, name, member)?;
        match member.method {
            STORED if member.size == member.compressed => Ok(Place::Stored { start, size: member.size }),
            DEFLATED if member.size > MAX_INFLATED => {
                Err(self.damaged(format!("`{name}` would have {} bytes when unpacked", member.size)))
            }
            DEFLATED if member.size / MAX_RATIO <= member.compressed => {
                Ok(Place::Deflated(Arc::new(Deflated {
                    source: Arc::clone(&self.source),
                    start,
                    compressed: member.compressed,
                    size: member.size,
                    crc: member.crc,
                })))
            }
            STORED | DEFLATED => {
                let (size, compressed) = (member.size, member.compressed);
                Err(self.damaged(format!("`{name}` claims {size} bytes from {compressed} bytes")))
            }
            other => Err(self.damaged(format!("`{name}` is compressed by the unknown method {other}"))),
        }
    }

    fn damaged(&self, reason: String) -> CheckpointError {
        CheckpointError::Archive { path: self.source.path().to_path_buf(), reason }
    }
}

impl Place {
    pub(super) fn size(&self) -> u64 {
        match self {
            Self::Stored { size, .. } => *size,
            Self::Deflated(member) => member.size,
        }
    }
}

impl Deflated {
    pub(super) fn path(&self) -> &Path {
        self.source.path()
    }

    /// Fills `out` with the inflated bytes from `from` on. A read to the end also compares the checksum.
    pub(super) fn read_into(&self, from: u64, out: &mut [u8]) -> std::io::Result<()> {
        let part = Part { source: &self.source, at: self.start, end: self.start + self.compressed };
        let mut inflated =
            flate2::read::DeflateDecoder::new(std::io::BufReader::with_capacity(1 << 16, part));
        let mut crc = flate2::Crc::new();
        let mut scratch = vec![0; 1 << 16];
        let mut skipped = 0;
        while skipped < from {
            let count = usize::try_from(from - skipped).unwrap_or(usize::MAX).min(scratch.len());
            inflated.read_exact(&mut scratch[..count]).map_err(|e| self.damaged(&e))?;
            crc.update(&scratch[..count]);
            skipped += count as u64;
        }
        inflated.read_exact(out).map_err(|e| self.damaged(&e))?;
        crc.update(out);
        if from + out.len() as u64 == self.size {
            if inflated.read(&mut [0]).map_err(|e| self.damaged(&e))? > 0 {
                return Err(self.damaged(&"it is longer than it says"));
            }
            if crc.sum() != self.crc {
                return Err(self.damaged(&"its checksum does not match"));
            }
        }
        Ok(())
    }

    fn damaged(&self, what: &dyn std::fmt::Display) -> std::io::Error {
        let place = self.path().display();
        let message =
            format!("{place}: a compressed member is damaged: {what}; copy or download the file again");
        std::io::Error::new(std::io::ErrorKind::InvalidData, message)
    }
}

/// Some bytes of a file, one after the other.
struct Part<'a> {
    source: &'a Source,
    at: u64,
    end: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let count = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(out.len());
        self.source.read_into(self.at, &mut out[..count])?;
        self.at += count as u64;
        Ok(count)
    }
}
