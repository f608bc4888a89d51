//! A safetensors file whose tensors are read when asked for: the header is checked against the length of the file, and
//! then every read is a seek. No memory map, so a file that changes underneath is an error and not a crash.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use safetensors::tensor::{Metadata, TensorInfo};

use super::error::CheckpointError;
use super::source::Source;

/// The largest header that the format allows.
const MAX_HEADER: u64 = 100_000_000;

/// An open safetensors file.
#[derive(Debug)]
pub struct SafetensorsFile {
    source: Arc<Source>,
    header: Metadata,
    /// Where the tensors begin.
    start: u64,
}

impl SafetensorsFile {
    /// Opens a file and checks its header: offsets without gaps or overlaps, shapes that fit, all of it inside the file.
    ///
    /// # Errors
    /// When the file cannot be read or contradicts the format.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        Self::from_source(Arc::new(Source::open(path)?))
    }

    pub(super) fn from_source(source: Arc<Source>) -> Result<Self, CheckpointError> {
        let damaged =
            |reason: String| CheckpointError::Safetensors { path: source.path().to_path_buf(), reason };
        let length = source.len();
        let mut prefix = [0; 8];
        if length < 8 {
            return Err(damaged("it is shorter than a header".to_owned()));
        }
        source.read_into(0, &mut prefix)?;
        let header_length = u64::from_le_bytes(prefix);
        if header_length > MAX_HEADER || header_length > length - 8 {
            return Err(damaged(format!("it claims a header of {header_length} bytes")));
        }
        let text = source.read_up_to(8, usize::try_from(header_length).unwrap_or(usize::MAX))?;
        let header: Metadata = serde_json::from_slice(&text).map_err(|e| damaged(e.to_string()))?;
        let start = 8 + header_length;
        let wanted = start + header.data_len() as u64;
        if wanted != length {
            return Err(damaged(format!("it has {length} bytes where its header describes {wanted}")));
        }
        Ok(Self { source, header, start })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.source.path()
    }

    /// Where the tensors begin.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Names in the order of the file.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.header.offset_keys()
    }

    /// Element type and shape of a tensor.
    #[must_use]
    pub fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.header.info(name)
    }

    /// A free text of the header (`__metadata__`).
    #[must_use]
    pub fn text(&self, key: &str) -> Option<&str> {
        self.header.metadata().as_ref()?.get(key).map(String::as_str)
    }

    /// All bytes of a tensor.
    ///
    /// # Errors
    /// When there is no such tensor or the file cannot be read.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        let info = self.require(name)?;
        self.read_range(name, 0..info.data_offsets.1 - info.data_offsets.0)
    }

    /// Some bytes of a tensor, counted from its first.
    ///
    /// # Errors
    /// When there is no such tensor, the range goes beyond it, or the file cannot be read.
    pub fn read_range(&self, name: &str, range: Range<usize>) -> Result<Vec<u8>, CheckpointError> {
        let (from, to) = self.require(name)?.data_offsets;
        if range.start > range.end || range.end > to - from {
            let reason = format!("bytes {range:?} of `{name}` were asked for, which has {}", to - from);
            return Err(CheckpointError::Safetensors { path: self.path().to_path_buf(), reason });
        }
        let mut bytes = vec![0; range.len()];
        self.source.read_into(self.start + (from + range.start) as u64, &mut bytes)?;
        Ok(bytes)
    }

    fn require(&self, name: &str) -> Result<&TensorInfo, CheckpointError> {
        self.info(name).ok_or_else(|| CheckpointError::MissingTensor {
            name: name.to_owned(),
            files: self.path().to_path_buf(),
            close: None,
        })
    }
}
