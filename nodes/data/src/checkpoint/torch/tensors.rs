//! The tensors of a saved object by name, as views of storages whose size is known.

use std::sync::Arc;

use crate::checkpoint::dtype::Dtype;
use crate::checkpoint::entry::{Entry, Storage};
use crate::checkpoint::names;
use crate::checkpoint::pickle::torch::TensorRef;
use crate::checkpoint::pickle::{PickleError, Value};
use crate::checkpoint::strided::Layout;

/// Values that are looked at; shared parts count once for every way that leads to them.
const MAX_VISITS: usize = 4 << 20;
/// Tensors of one file; the largest published one has 20,000.
const MAX_TENSORS: usize = 1 << 18;
/// Bytes of all names together.
const MAX_NAMES: usize = 64 << 20;

/// Bytes of a storage.
pub(super) struct Bytes {
    pub(super) storage: Storage,
    pub(super) size: u64,
}

/// All tensors below a value, in the order of the file.
pub(super) fn find(root: Value<'_>) -> Result<Vec<(String, &TensorRef)>, PickleError> {
    let mut search = Search { found: Vec::new(), path: String::new(), visits: 0, written: 0 };
    search.visit(root)?;
    Ok(search.found)
}

struct Search<'a> {
    found: Vec<(String, &'a TensorRef)>,
    path: String,
    visits: usize,
    written: usize,
}

impl<'a> Search<'a> {
    /// Recursion ends because a pickle is free of cycles and no deeper than its limit.
    fn visit(&mut self, value: Value<'a>) -> Result<(), PickleError> {
        self.visits += 1;
        if self.visits > MAX_VISITS {
            return Err(PickleError::TooLarge { what: "values, shared ones repeated", limit: MAX_VISITS });
        }
        if let Some(tensor) = value.as_tensor() {
            let name = if self.path.is_empty() { names::BARE_TENSOR } else { &self.path };
            self.written += name.len();
            if self.written > MAX_NAMES {
                return Err(PickleError::TooLarge { what: "bytes in names of tensors", limit: MAX_NAMES });
            }
            if self.found.len() == MAX_TENSORS {
                return Err(PickleError::TooLarge {
                    what: "tensors, shared ones repeated",
                    limit: MAX_TENSORS,
                });
            }
            self.found.push((name.to_owned(), tensor));
        } else if let Some(entries) = value.entries() {
            for (key, value) in entries {
                // What is called by something else than text or a number is no part of a model.
                match (key.as_str(), key.as_i64()) {
                    (Some(key), _) => self.below(key, value)?,
                    (None, Some(number)) => self.below(&number.to_string(), value)?,
                    (None, None) => {}
                }
            }
        } else if let Some(items) = value.items() {
            for (index, value) in items.enumerate() {
                self.below(&index.to_string(), value)?;
            }
        }
        Ok(())
    }

    fn below(&mut self, key: &str, value: Value<'a>) -> Result<(), PickleError> {
        // Most values are plain: their names are never needed.
        if value.as_tensor().is_none() && value.entries().is_none() && value.items().is_none() {
            self.visits += 1;
            return Ok(());
        }
        let length = self.path.len();
        if length > 0 {
            self.path.push('.');
        }
        self.path.push_str(key);
        self.visit(value)?;
        self.path.truncate(length);
        Ok(())
    }
}

/// A tensor whose storage has been found. The error says what does not fit.
pub(super) fn entry(tensor: &TensorRef, bytes: &Bytes) -> Result<Entry, String> {
    let reference = &*tensor.storage;
    let width = tensor.dtype.width();
    let (mut available, mut skipped) = (0, 0);
    // What cannot be read is only listed.
    if !matches!(tensor.dtype, Dtype::Other(_)) {
        let unit = reference.dtype.map_or(1, Dtype::width);
        let first = reference.part.unwrap_or(0);
        let end = first.checked_add(reference.count).and_then(|count| count.checked_mul(unit));
        let end = end.map_or(u64::MAX, |end| end as u64);
        if end > bytes.size || (reference.part.is_none() && end != bytes.size) {
            return Err(format!(
                "its storage `{}` has {} bytes where {} elements of {unit} bytes are claimed",
                reference.key.escape_debug(),
                bytes.size,
                reference.count
            ));
        }
        skipped = (first * unit) as u64;
        available = (reference.count * unit).checked_div(width).unwrap_or(0);
    }
    let layout = match tensor.dtype {
        Dtype::Other(_) => Layout::listed(tensor.shape.clone()),
        _ => Layout::new(tensor.shape.clone(), tensor.strides.clone(), tensor.offset, available)?,
    };
    let storage = match &bytes.storage {
        Storage::File { source, start } => {
            Storage::File { source: Arc::clone(source), start: start + skipped }
        }
        Storage::Deflated { member, start } => {
            Storage::Deflated { member: Arc::clone(member), start: start + skipped }
        }
    };
    Ok(Entry { dtype: tensor.dtype, layout, storage, big_endian: false })
}
