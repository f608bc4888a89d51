//! Published checkpoints: tensors by name from safetensors, PyTorch and numpy files, and Python pickles of plain data.
//!
//! Nothing here executes anything that a file asks for, and no declared size is believed before it was compared with
//! the file. Opening reads names and shapes; values are read by positioned reads when they are taken, whole or by rows, in
//! the element type of the file or widened to `f32`.
//!
//! # Limits
//!
//! | what | at most |
//! |---|---|
//! | header of a safetensors file | 100 MB (the format's own limit) |
//! | index of a checkpoint in several files | 64 MiB; it names files beside it, never others |
//! | pickle, alone or in a PyTorch file | 256 MiB, 8 Mi values, 128 containers inside each other, no cycles |
//! | what callables of a pickle make | 8 bytes for each byte of the pickle |
//! | members of an archive | 1 Mi, in a table of 256 MiB; no repeated, overlapping, encrypted or climbing ones |
//! | compressed member | 4 GiB inflated, and 1,032 times its compressed size |
//! | header of a `.npy` | 64 KiB |
//! | tensor | 64 extents; a view may repeat elements up to 16 Mi beyond those of its storage |
//! | tensors of a PyTorch file | 262,144 with 64 MiB of names; 4 Mi values visited, shared ones counted each time |
//! | plain data beside tensors ([`Weights::data`]) | 1 Mi values, shared ones counted each time, and 16 MiB of text |
//! | dictionary, table or list ([`vocabulary`](crate::vocabulary)) | 256 MiB, unpacked as well |
//! | folder that is inspected | 4,096 files, 8 levels |
//!
//! A pickle costs up to 100 bytes a value and 8 bytes for each byte of its arrays while it is read (under 3 GB at the
//! limits, a few megabytes for what is published); everything else costs what is taken. A tensor that is strided or
//! compressed is held twice while it is read.

mod account;
mod dtype;
mod entry;
mod error;
mod hollow;
mod index;
mod inspect;
pub(crate) mod json;
mod mismatch;
mod names;
mod numpy;
mod open;
pub mod pickle;
mod safetensors_file;
mod source;
mod stored;
mod strided;
mod torch;
mod weights;
mod wrappers;
mod zip;
mod zip_table;

pub use dtype::Dtype;
pub use error::CheckpointError;
pub use hollow::hollow;
pub use index::{find_weights, weight_files};
pub use inspect::{Content, FileReport, TensorReport, inspect};
pub use mismatch::Mismatch;
pub use names::BARE_TENSOR;
pub use open::Format;
pub use safetensors_file::SafetensorsFile;
pub use stored::Stored;
pub use weights::Weights;
pub use wrappers::unwrapped;

#[cfg(test)]
mod tests;
