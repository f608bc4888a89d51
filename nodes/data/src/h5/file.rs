//! An HDF5 file open for reading, and the way from its names to datasets and groups.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hdf5::{Group, LocationType};

use super::{H5Dataset, filters};
use crate::DataError;

/// First bytes of every HDF5 file (at 0, or after a user block at 512, 1024, 2048 ...).
const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
/// Chunks are often larger than HDF5's default cache of 1 MiB; a chunk that does not fit is decompressed once per read.
const CHUNK_CACHE_BYTES: usize = 32 << 20;
const CHUNK_CACHE_SLOTS: usize = 12_421;

/// A file and where it lies.
#[derive(Debug, Clone)]
pub(crate) struct H5File {
    root: Group,
    path: Arc<PathBuf>,
    bytes: u64,
}

impl H5File {
    /// Opens `path` after looking at its first bytes.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        filters::register();
        let bytes = fs_err::metadata(path).map_err(|source| DataError::io(path, source))?.len();
        if !has_signature(path, bytes)? {
            return Err(DataError::NotHdf5 { path: path.to_owned(), found: first_bytes(path)? });
        }
        let file = hdf5::File::with_options()
            .with_fapl(|list| list.chunk_cache(CHUNK_CACHE_SLOTS, CHUNK_CACHE_BYTES, 0.75))
            .open(path)
            .map_err(|error| open_error(path, bytes, &error))?;
        let root = file.group("/").map_err(|error| open_error(path, bytes, &error))?;
        Ok(Self { root, path: Arc::new(path.to_owned()), bytes })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn root(&self) -> &Group {
        &self.root
    }

    /// Whether `name` (`a/b/c`) leads to something that can be opened.
    pub(crate) fn exists(&self, name: &str) -> bool {
        self.kind_of(name).is_some()
    }

    pub(crate) fn is_group(&self, name: &str) -> bool {
        matches!(self.kind_of(name), Some(LocationType::Group))
    }

    pub(crate) fn is_dataset(&self, name: &str) -> bool {
        matches!(self.kind_of(name), Some(LocationType::Dataset))
    }

    fn kind_of(&self, name: &str) -> Option<LocationType> {
        if name == "/" {
            return Some(LocationType::Group);
        }
        let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
        for end in ends {
            if !self.root.link_exists(&name[..end]) {
                return None;
            }
        }
        self.root.loc_type_by_name(name).ok()
    }

    /// Opens the group `name`.
    pub(crate) fn group(&self, name: &str) -> Result<Group, DataError> {
        if !self.is_group(name) {
            return Err(self.absent(name, "group"));
        }
        self.root.group(name).map_err(|error| self.error(name, &error))
    }

    /// Opens the dataset `name`; its filters are known and its size is believable when this returns.
    pub(crate) fn dataset(&self, name: &str) -> Result<H5Dataset, DataError> {
        if !self.is_dataset(name) {
            return Err(self.absent(name, "dataset"));
        }
        let dataset = self.root.dataset(name).map_err(|error| self.error(name, &error))?;
        H5Dataset::new(dataset, name, &self.path, self.bytes)
    }

    /// Names in the group `name`, in alphabetical order.
    pub(crate) fn members(&self, name: &str) -> Result<Vec<String>, DataError> {
        let mut names = self.group(name)?.member_names().map_err(|error| self.error(name, &error))?;
        names.sort_unstable();
        Ok(names)
    }

    pub(crate) fn malformed(&self, dataset: &str, problem: impl Into<String>) -> DataError {
        DataError::malformed(&self.path, dataset, problem)
    }

    fn error(&self, name: &str, error: &hdf5::Error) -> DataError {
        DataError::Hdf5 { path: self.path.to_path_buf(), dataset: name.to_owned(), detail: describe(error) }
    }

    /// The thing is of another kind, or its parent has these other members.
    fn absent(&self, name: &str, kind: &str) -> DataError {
        if self.exists(name) {
            return self.malformed(name, format!("a {kind} was expected there"));
        }
        let parent = name.rsplit_once('/').map_or("/", |(parent, _)| parent);
        let group = if parent == "/" { Some(self.root.clone()) } else { self.root.group(parent).ok() };
        let mut available = group.and_then(|group| group.member_names().ok()).unwrap_or_default();
        available.sort_unstable();
        if parent != "/" {
            available.iter_mut().for_each(|member| *member = format!("{parent}/{member}"));
        }
        DataError::missing(&self.path, name, available)
    }
}

/// The library's own words: the outermost and the innermost frame of its error stack.
pub(crate) fn describe(error: &hdf5::Error) -> String {
    error.to_string()
}

fn open_error(path: &Path, bytes: u64, error: &hdf5::Error) -> DataError {
    let frames = match error {
        hdf5::Error::HDF5(stack) => stack.clone().expand().ok(),
        hdf5::Error::Internal(_) => None,
    };
    let truncated =
        frames.iter().flat_map(|frames| frames.iter()).find(|frame| frame.desc().contains("truncated"));
    match truncated {
        Some(frame) => DataError::Truncated {
            path: path.to_owned(),
            detail: format!("it has {bytes} bytes ({})", frame.desc()),
        },
        None => DataError::Hdf5 { path: path.to_owned(), dataset: "/".to_owned(), detail: describe(error) },
    }
}

/// Whether the file begins as HDF5 files do.
pub(crate) fn has_signature(path: &Path, bytes: u64) -> Result<bool, DataError> {
    use std::io::{Seek, SeekFrom};
    let mut file = fs_err::File::open(path).map_err(|source| DataError::io(path, source))?;
    let mut at = 0;
    while at + 8 <= bytes {
        let mut head = [0; 8];
        file.seek(SeekFrom::Start(at))
            .and_then(|_| file.read_exact(&mut head))
            .map_err(|source| DataError::io(path, source))?;
        if head == SIGNATURE {
            return Ok(true);
        }
        at = if at == 0 { 512 } else { at * 2 };
    }
    Ok(false)
}

/// What a file that is no HDF5 begins with, in words.
pub(crate) fn first_bytes(path: &Path) -> Result<String, DataError> {
    let mut head = Vec::new();
    let file = fs_err::File::open(path).map_err(|source| DataError::io(path, source))?;
    file.take(64).read_to_end(&mut head).map_err(|source| DataError::io(path, source))?;
    Ok(if head.is_empty() {
        "it is empty".to_owned()
    } else if head.starts_with(b"version https://git-lfs") {
        "it is a Git LFS pointer".to_owned()
    } else if head.starts_with(&[0x1f, 0x8b]) {
        "it is compressed with gzip".to_owned()
    } else if head.starts_with(b"PK\x03\x04") {
        "it is a zip archive".to_owned()
    } else {
        format!("it begins with \"{}\"", head[..head.len().min(16)].escape_ascii())
    })
}
