//! Published checkpoints: tensors by name from safetensors and PyTorch files, and Python pickles of plain data.
//!
//! Nothing here executes anything that a file asks for, and no declared size is believed before it was compared with
//! the file.

mod error;
pub mod pickle;
mod safetensors_file;
mod weights;

pub use error::CheckpointError;
pub use safetensors_file::SafetensorsFile;
pub use weights::Weights;

#[cfg(test)]
mod tests;
