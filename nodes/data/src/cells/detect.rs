//! Which format a path holds: by its first bytes and its members, not by its name.

use std::io::Read;
use std::path::Path;

use super::{Layout, OpenOptions};
use crate::h5::{H5File, first_bytes, has_signature};
use crate::{DataError, h5ad, tenx, text};

/// Finds the format out and reads everything but the matrices.
pub(super) fn read(path: &Path, options: &OpenOptions) -> Result<Layout, DataError> {
    let metadata = fs_err::metadata(path).map_err(|source| DataError::io(path, source))?;
    if metadata.is_dir() {
        return tenx::folder::read(path, None);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    if has_signature(path, metadata.len())? {
        let h5 = H5File::open(path)?;
        return if tenx::h5::is_tenx(&h5) { tenx::h5::read(&h5, options) } else { h5ad::read(&h5) };
    }
    // Named as HDF5, but none: say so instead of reading binary bytes as a table.
    if [".h5ad", ".h5", ".hdf5"].iter().any(|ending| name.ends_with(ending)) {
        return Err(DataError::NotHdf5 { path: path.to_owned(), found: first_bytes(path)? });
    }
    if name.ends_with(".mtx") || name.ends_with(".mtx.gz") {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        return tenx::folder::read(folder, path.file_name().and_then(|name| name.to_str()));
    }
    if looks_like_text(path)? {
        return text::read(path, options);
    }
    Err(DataError::UnknownFormat { path: path.to_owned(), found: first_bytes(path)? })
}

/// Whether the first bytes, unpacked if they are gzip, are text.
fn looks_like_text(path: &Path) -> Result<bool, DataError> {
    let mut head = Vec::new();
    // A gzip stream that breaks off within the first bytes is reported when the table is read.
    let result = text::open(path)?.take(4096).read_to_end(&mut head);
    if result.is_err() && head.is_empty() {
        return Ok(false);
    }
    Ok(!head.is_empty() && !head.contains(&0))
}
