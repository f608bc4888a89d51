//! What `torch.save` wrote before PyTorch 1.6: a stream of pickles (magic number, version, machine, the saved object, the
//! keys of its storages), and behind them the storages, each with its number of elements.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::TorchFile;
use super::tensors::{self, Bytes};
use crate::checkpoint::dtype::Dtype;
use crate::checkpoint::entry::Storage;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::pickle::torch::TensorRef;
use crate::checkpoint::pickle::{Limits, Pickle, PickleError};
use crate::checkpoint::source::Source;

/// The long number that such a file begins with, as instruction, length and digits.
const MAGIC: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
/// The only version there ever was.
const VERSION: i64 = 1001;
/// How much is read at first in the hope that a pickle ends there, and how much more at each further try.
const FIRST_PIECE: usize = 1 << 20;
const GROWTH: usize = 16;

/// Whether a file begins like one.
pub(in crate::checkpoint) fn is_legacy(head: &[u8]) -> bool {
    magic_end(head).is_some()
}

/// One past the pickle of the magic number.
fn magic_end(head: &[u8]) -> Option<usize> {
    let mut at = 0;
    if head.first() == Some(&0x80) {
        at += 2;
    }
    if head.get(at) == Some(&0x95) {
        at += 9;
    }
    at += head.get(at..)?.starts_with(MAGIC).then_some(MAGIC.len())?;
    // Some protocols remember the number.
    if head.get(at) == Some(&0x94) {
        at += 1;
    }
    (head.get(at) == Some(&b'.')).then_some(at + 1)
}

/// Opens a stream.
pub(in crate::checkpoint) fn open_legacy(source: &Arc<Source>) -> Result<TorchFile, CheckpointError> {
    let path = source.path();
    let head = source.read_up_to(0, 64)?;
    let at = magic_end(&head).ok_or_else(|| refused(path, "it has no magic number"))?;
    let mut stream = Stream { source, at: at as u64 };
    if stream.pickle(false)?.root().as_i64() != Some(VERSION) {
        return Err(refused(path, format!("its version is not {VERSION}")));
    }
    let machine = stream.pickle(false)?;
    let little = machine.root().get("little_endian");
    if little.is_some_and(|little| little.as_bool() == Some(false)) {
        return Err(refused(path, "it was written on a big-endian machine"));
    }
    let object = stream.pickle(true)?;
    let found = tensors::find(object.root())
        .map_err(|source| CheckpointError::Pickle { path: path.to_path_buf(), source })?;
    let keys = stream.pickle(false)?;
    let storages = storages(&mut stream, &keys, &found)?;
    let mut tensors = Vec::with_capacity(found.len());
    for (name, tensor) in found {
        let key = tensor.storage.key.as_str();
        let bytes = storages
            .get(key)
            .ok_or_else(|| refused(path, format!("the storage of `{name}` is not in the file")))?;
        let entry = tensors::entry(tensor, bytes)
            .map_err(|what| refused(path, format!("the tensor `{name}`: {what}")))?;
        tensors.push((name, entry));
    }
    Ok(TorchFile { tensors, pickle: Arc::new(object) })
}

/// Where each storage is. They follow each other in the order of the keys.
fn storages(
    stream: &mut Stream<'_>,
    keys: &Pickle,
    found: &[(String, &TensorRef)],
) -> Result<BTreeMap<String, Bytes>, CheckpointError> {
    let source = stream.source;
    let path = source.path();
    let widths: BTreeMap<&str, usize> = found
        .iter()
        .map(|(_, tensor)| (tensor.storage.key.as_str(), tensor.storage.dtype.map_or(1, Dtype::width)))
        .collect();
    let mut out = BTreeMap::new();
    for key in keys.root().items().ok_or_else(|| refused(path, "it has no list of storages"))? {
        let key = key.as_str().ok_or_else(|| refused(path, "a storage has no name"))?;
        let width = *widths.get(key).ok_or_else(|| {
            refused(path, "it holds a storage that no tensor uses, of unknown element type")
        })?;
        let mut count = [0; 8];
        if stream.at + 8 > source.len() {
            return Err(refused(path, "the file is cut off"));
        }
        source.read_into(stream.at, &mut count)?;
        stream.at += 8;
        let size = u64::from_le_bytes(count).checked_mul(width as u64);
        let size = size.filter(|&size| width > 0 && size <= source.len() - stream.at);
        let size =
            size.ok_or_else(|| refused(path, "the file is cut off, or holds numbers of unknown type"))?;
        let storage = Storage::File { source: Arc::clone(source), start: stream.at };
        stream.at += size;
        if out.insert(key.to_owned(), Bytes { storage, size }).is_some() {
            return Err(refused(path, format!("two storages are called `{}`", key.escape_debug())));
        }
    }
    Ok(out)
}

/// A place in the file.
struct Stream<'a> {
    source: &'a Arc<Source>,
    at: u64,
}

impl Stream<'_> {
    /// The next pickle. How long it is shows only when it has been read: larger and larger pieces are tried.
    fn pickle(&mut self, torch: bool) -> Result<Pickle, CheckpointError> {
        let limits = Limits::default();
        let mut piece = FIRST_PIECE;
        loop {
            let bytes = self.source.read_up_to(self.at, piece.min(limits.bytes))?;
            let cut = bytes.len() == piece && piece < limits.bytes;
            match Pickle::read_part(&bytes, limits, torch) {
                Ok((pickle, length)) => {
                    self.at += length as u64;
                    return Ok(pickle);
                }
                Err(PickleError::Truncated { .. }) if cut => piece *= GROWTH,
                Err(source) => {
                    return Err(CheckpointError::Pickle { path: self.source.path().to_path_buf(), source });
                }
            }
        }
    }
}

fn refused(path: &Path, reason: impl Into<String>) -> CheckpointError {
    CheckpointError::Torch { path: path.to_path_buf(), reason: reason.into() }
}
