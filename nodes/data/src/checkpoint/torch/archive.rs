//! The zip archives that `torch.save` writes since PyTorch 1.6: `NAME/data.pkl` describes the saved object, `NAME/data/KEY`
//! holds one storage each; other members are of no use here.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::TorchFile;
use super::tensors::{self, Bytes};
use crate::checkpoint::entry::Storage;
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::pickle::{Limits, Pickle};
use crate::checkpoint::source::Source;
use crate::checkpoint::zip::{Archive, Place};

const PICKLE: &str = "data.pkl";

/// Opens an archive. `Ok(None)` when it is none of PyTorch's.
pub(in crate::checkpoint) fn open_archive(
    archive: &Archive,
    source: &Arc<Source>,
) -> Result<Option<TorchFile>, CheckpointError> {
    let path = source.path();
    let Some(root) = root(archive, path)? else { return Ok(None) };
    let order = format!("{root}byteorder");
    if archive.names().any(|name| name == order) && archive.read(&order, 16)? != b"little" {
        return Err(refused(path, "it was written on a big-endian machine"));
    }
    let limits = Limits::default();
    let bytes = archive.read(&format!("{root}{PICKLE}"), limits.bytes as u64)?;
    let in_file = |source| CheckpointError::Pickle { path: path.to_path_buf(), source };
    let (pickle, _) = Pickle::read_part(&bytes, limits, true).map_err(in_file)?;
    let mut storages: BTreeMap<&str, Bytes> = BTreeMap::new();
    let mut found = Vec::new();
    for (name, tensor) in tensors::find(pickle.root()).map_err(in_file)? {
        let key = tensor.storage.key.as_str();
        if !storages.contains_key(key) {
            storages.insert(key, storage(archive, source, &format!("{root}data/{key}"))?);
        }
        let entry = tensors::entry(tensor, &storages[key])
            .map_err(|what| refused(path, format!("the tensor `{name}`: {what}")))?;
        found.push((name, entry));
    }
    Ok(Some(TorchFile { tensors: found, pickle: Arc::new(pickle) }))
}

fn storage(archive: &Archive, source: &Arc<Source>, member: &str) -> Result<Bytes, CheckpointError> {
    let place = archive.place(member)?;
    let size = place.size();
    let storage = match place {
        Place::Stored { start, .. } => Storage::File { source: Arc::clone(source), start },
        Place::Deflated(member) => Storage::Deflated { member, start: 0 },
    };
    Ok(Bytes { storage, size })
}

/// The folder of the archive that holds everything, with its slash.
fn root<'a>(archive: &'a Archive, path: &Path) -> Result<Option<&'a str>, CheckpointError> {
    let roots: Vec<&str> = archive
        .names()
        .filter_map(|name| name.strip_suffix(PICKLE))
        .filter(|root| root.is_empty() || (root.ends_with('/') && root.matches('/').count() == 1))
        .collect();
    let [root] = roots[..] else {
        return if roots.is_empty() {
            Ok(None)
        } else {
            Err(refused(path, "it holds more than one saved object"))
        };
    };
    let script = format!("{root}constants.pkl");
    if archive.names().any(|name| name == script) {
        return Err(refused(path, "it is a TorchScript program, not a file of weights"));
    }
    Ok(Some(root))
}

fn refused(path: &Path, reason: impl Into<String>) -> CheckpointError {
    CheckpointError::Torch { path: path.to_path_buf(), reason: reason.into() }
}
