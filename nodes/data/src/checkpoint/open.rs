//! Opens one weight file of any known format, recognised by its content.

use std::path::Path;
use std::sync::Arc;

use super::entry::{Entry, Storage};
use super::error::CheckpointError;
use super::pickle::{Limits, Pickle};
use super::safetensors_file::SafetensorsFile;
use super::source::Source;
use super::strided::Layout;
use super::zip::Archive;
use super::{index, names, numpy, torch};

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// Safetensors, one file.
    Safetensors,
    /// `*.index.json`: the names of several files.
    Index,
    /// `torch.save` since PyTorch 1.6.
    TorchZip,
    /// `torch.save` before PyTorch 1.6.
    TorchLegacy,
    /// One array of numpy.
    Npy,
    /// An archive of arrays of numpy.
    Npz,
}

/// A file that has been looked through.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) format: Format,
    pub(super) tensors: Vec<(String, Entry)>,
    /// The saved object of a file of PyTorch.
    pub(super) object: Option<Arc<Pickle>>,
}

/// Opens a file.
pub(super) fn open(path: &Path) -> Result<Opened, CheckpointError> {
    if index::is_index(path) {
        return Ok(Opened { format: Format::Index, tensors: index::open(path)?, object: None });
    }
    open_source(&Arc::new(Source::open(path)?))
}

/// Opens what is no index.
pub(super) fn open_source(source: &Arc<Source>) -> Result<Opened, CheckpointError> {
    let head = source.read_up_to(0, 64)?;
    let plain = |format, tensors| Opened { format, tensors, object: None };
    if is_safetensors(source.path(), &head) {
        return Ok(plain(Format::Safetensors, safetensors(source)?));
    }
    if torch::is_legacy(&head) {
        let file = torch::open_legacy(source)?;
        return Ok(Opened { format: Format::TorchLegacy, tensors: file.tensors, object: Some(file.pickle) });
    }
    if numpy::is_npy(&head) {
        let entry = numpy::open_npy(source)?;
        return Ok(plain(Format::Npy, vec![(names::BARE_TENSOR.to_owned(), entry)]));
    }
    if Archive::begins(&head) {
        let archive = Archive::open(Arc::clone(source))?;
        return match torch::open_archive(&archive, source)? {
            Some(file) => {
                Ok(Opened { format: Format::TorchZip, tensors: file.tensors, object: Some(file.pickle) })
            }
            None => Ok(plain(Format::Npz, numpy::open_npz(&archive, source)?)),
        };
    }
    Err(unknown(source, &head)?)
}

/// Whether a file that begins with `head` is one of weights.
pub(super) fn is_weights(path: &Path, head: &[u8]) -> bool {
    is_safetensors(path, head) || torch::is_legacy(head) || numpy::is_npy(head) || Archive::begins(head)
}

/// By content: files named `.bin` may be safetensors and the other way round.
fn is_safetensors(path: &Path, head: &[u8]) -> bool {
    let named = path.extension().is_some_and(|extension| extension == "safetensors");
    let other = Archive::begins(head) || torch::is_legacy(head) || numpy::is_npy(head);
    (named && !other) || (head.get(8) == Some(&b'{') && head[4..8] == [0; 4])
}

fn safetensors(source: &Arc<Source>) -> Result<Vec<(String, Entry)>, CheckpointError> {
    let file = SafetensorsFile::from_source(Arc::clone(source))?;
    let mut out = Vec::new();
    for name in file.names() {
        let Some(info) = file.info(&name) else { continue };
        let dtype = info.dtype.into();
        let (from, to) = info.data_offsets;
        let damaged = |reason| CheckpointError::Safetensors { path: source.path().to_path_buf(), reason };
        let width = super::Dtype::width(dtype);
        let layout = match (to - from).checked_div(width) {
            None => Layout::listed(info.shape.clone()),
            Some(available) => Layout::row_major(info.shape.clone(), 0, available)
                .map_err(|reason| damaged(format!("`{name}`: {reason}")))?,
        };
        let storage = Storage::File { source: Arc::clone(source), start: file.start() + from as u64 };
        out.push((name, Entry { dtype, layout, storage, big_endian: false }));
    }
    Ok(out)
}

/// Why a file is not one of weights.
fn unknown(source: &Source, head: &[u8]) -> Result<CheckpointError, CheckpointError> {
    let path = source.path().to_path_buf();
    let found = if head.is_empty() {
        "it is empty".to_owned()
    } else if head.starts_with(b"version https://git-lfs") {
        "it is a Git LFS pointer, the file itself must be fetched with `git lfs pull`".to_owned()
    } else if head.starts_with(b"<!DOCTYPE") || head.starts_with(b"<html") {
        "it is a web page, probably an error message of the server".to_owned()
    } else if source.read_up_to(257, 5)? == b"ustar" {
        "it is a tar archive, as PyTorch wrote before version 0.1.10; save it again with a newer PyTorch"
            .to_owned()
    } else if head[0] == 0x80 {
        let bytes = source.read_up_to(0, Limits::default().bytes)?;
        match Pickle::read(&bytes) {
            Err(source) => return Ok(CheckpointError::Pickle { path, source }),
            Ok(_) => "it is a pickle of plain data without tensors".to_owned(),
        }
    } else {
        format!("it begins with `{}`", head[..head.len().min(16)].escape_ascii())
    };
    Ok(CheckpointError::UnknownFormat { path, found })
}
