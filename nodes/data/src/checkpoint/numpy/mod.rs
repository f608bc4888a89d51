//! Arrays that numpy saved: `.npy`, and archives of them (`.npz`).

mod header;

use std::sync::Arc;

use header::Header;

use super::dtype::Dtype;
use super::entry::{Entry, Storage};
use super::error::CheckpointError;
use super::source::Source;
use super::strided::Layout;
use super::zip::{Archive, Place};

/// The most bytes of a header; numpy itself accepts 10,000.
const MAX_HEADER: usize = 1 << 16;

/// Whether a file begins like an array.
pub(super) fn is_npy(head: &[u8]) -> bool {
    head.starts_with(header::MAGIC)
}

/// Opens a `.npy`.
pub(super) fn open_npy(source: &Arc<Source>) -> Result<Entry, CheckpointError> {
    let head = source.read_up_to(0, MAX_HEADER)?;
    let storage = Storage::File { source: Arc::clone(source), start: 0 };
    entry(&head, source.len(), storage).map_err(|reason| damaged(source, reason))
}

/// Opens a `.npz`.
pub(super) fn open_npz(
    archive: &Archive,
    source: &Arc<Source>,
) -> Result<Vec<(String, Entry)>, CheckpointError> {
    let mut out = Vec::new();
    for member in archive.names() {
        let name = member
            .strip_suffix(".npy")
            .ok_or_else(|| damaged(source, format!("it holds `{member}`, which is no array of numpy")))?;
        let place = archive.place(member)?;
        let length = usize::try_from(place.size()).unwrap_or(usize::MAX).min(MAX_HEADER);
        let (head, storage) = match &place {
            Place::Stored { start, .. } => (
                source.read_up_to(*start, length)?,
                Storage::File { source: Arc::clone(source), start: *start },
            ),
            Place::Deflated(deflated) => {
                let mut head = vec![0; length];
                deflated.read_into(0, &mut head)?;
                (head, Storage::Deflated { member: Arc::clone(deflated), start: 0 })
            }
        };
        let entry = entry(&head, place.size(), storage)
            .map_err(|reason| damaged(source, format!("`{member}`: {reason}")))?;
        out.push((name.to_owned(), entry));
    }
    Ok(out)
}

/// An array of `size` bytes with its header.
fn entry(head: &[u8], size: u64, storage: Storage) -> Result<Entry, String> {
    let Header { length, dtype, big_endian, fortran, shape } = Header::parse(head)?;
    let data = size.checked_sub(length as u64).ok_or("it ends inside its header")?;
    let layout = match dtype {
        Dtype::Other(_) => Layout::listed(shape),
        _ => {
            let available = usize::try_from(data / dtype.width() as u64).unwrap_or(usize::MAX);
            let layout = if fortran {
                Layout::column_major(shape, 0, available)?
            } else {
                Layout::row_major(shape, 0, available)?
            };
            let wanted = layout.count() as u64 * dtype.width() as u64;
            if wanted != data {
                return Err(format!("it has {data} bytes of data where its shape needs {wanted}"));
            }
            layout
        }
    };
    let storage = match storage {
        Storage::File { source, start } => Storage::File { source, start: start + length as u64 },
        Storage::Deflated { member, start } => Storage::Deflated { member, start: start + length as u64 },
    };
    Ok(Entry { dtype, layout, storage, big_endian })
}

fn damaged(source: &Source, reason: String) -> CheckpointError {
    CheckpointError::Numpy { path: source.path().to_path_buf(), reason }
}
