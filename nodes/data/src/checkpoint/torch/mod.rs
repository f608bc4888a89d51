//! Files of `torch.save`: the zip archives of PyTorch 1.6 and later and the streams of pickles before.

mod archive;
mod legacy;
mod tensors;

use std::sync::Arc;

pub(super) use archive::open_archive;
pub(super) use legacy::{is_legacy, open_legacy};

use super::entry::Entry;
use super::pickle::Pickle;

/// What a file holds.
#[derive(Debug)]
pub(super) struct TorchFile {
    /// Tensors in the order of the file; names of nested dictionaries are joined by dots.
    pub(super) tensors: Vec<(String, Entry)>,
    /// The saved object, for what it holds besides tensors.
    pub(super) pickle: Arc<Pickle>,
}
