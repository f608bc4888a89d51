//! Why a checkpoint cannot be used.

use std::path::PathBuf;

use super::pickle::PickleError;

/// A checkpoint that is missing, damaged, or not what a model needs.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The operating system cannot read a file; the source names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A pickle of plain data was refused.
    #[error("{}: {source}", path.display())]
    Pickle {
        /// The file.
        path: PathBuf,
        /// Why.
        source: PickleError,
    },
    /// A PyTorch file was refused.
    #[error(
        "{}: not a readable PyTorch checkpoint: {reason}; nothing in it was run. Download it again, or save the weights \
         as safetensors (`safetensors.torch.save_file(model.state_dict(), ...)`)",
        path.display()
    )]
    Torch {
        /// The file.
        path: PathBuf,
        /// The reader's words.
        reason: String,
    },
    /// A safetensors file is damaged.
    #[error("{}: not a valid safetensors file: {reason}; download it again", path.display())]
    Safetensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Two files of one checkpoint hold a tensor of the same name.
    #[error("the tensor `{name}` is in {} and in {}", first.display(), second.display())]
    Duplicate {
        /// Name of the tensor.
        name: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A tensor that the model needs is not there.
    #[error(
        "{}: the tensor `{name}` is missing{}; is this the checkpoint of another model, or only a part of one?",
        files.display(),
        close.as_ref().map_or_else(String::new, |c| format!(" (there is `{c}`)"))
    )]
    MissingTensor {
        /// Name of the tensor.
        name: String,
        /// The file or folder.
        files: PathBuf,
        /// The closest name that is there.
        close: Option<String>,
    },
    /// A tensor has another shape than the configuration says.
    #[error(
        "{}: the tensor `{name}` has the shape {found:?}, the model's configuration asks for {wanted:?}; config and \
         weights do not belong together",
        file.display()
    )]
    WrongShape {
        /// Name of the tensor.
        name: String,
        /// The file.
        file: PathBuf,
        /// Shape asked for.
        wanted: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// A tensor holds something other than real numbers.
    #[error("{}: the tensor `{name}` holds {found} elements, weights must be floating point", file.display())]
    WrongType {
        /// Name of the tensor.
        name: String,
        /// The file.
        file: PathBuf,
        /// Element type in the file.
        found: String,
    },
    /// Tensors are left over that the model has no place for.
    #[error(
        "{}: {count} tensors are unknown to the model: {examples}; this is a checkpoint of another architecture or \
         version, and leaving parts of it out would give wrong numbers",
        files.display()
    )]
    Unused {
        /// The file or folder.
        files: PathBuf,
        /// How many.
        count: usize,
        /// The first few names.
        examples: String,
    },
}
