//! Why a checkpoint cannot be used.

use std::path::{Path, PathBuf};

use super::mismatch::Mismatch;
use super::pickle::PickleError;

/// A checkpoint that is missing, damaged, or not what a model needs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The operating system cannot read a file; the source names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A pickle was refused, alone or inside a file of PyTorch.
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
        /// What is wrong.
        reason: String,
    },
    /// A zip archive (of PyTorch or numpy) is damaged.
    #[error("{}: not a valid archive: {reason}; download it again", path.display())]
    Archive {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of numpy is damaged, or holds something other than numbers.
    #[error("{}: not a readable array of numpy: {reason}", path.display())]
    Numpy {
        /// The file.
        path: PathBuf,
        /// What is wrong.
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
    /// The index of a checkpoint in several files is damaged, or does not fit the files.
    #[error("{}: not a usable index of weight files: {reason}", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A file of none of the known formats.
    #[error(
        "{}: no known format of weights: {found}; known are safetensors (one file or an index of several), files of \
         torch.save, .npy and .npz",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What was seen there.
        found: String,
    },
    /// A tensor occurs twice.
    #[error("the tensor `{name}` is in {} and {}", first.display(), again(first, second))]
    Duplicate {
        /// Name of the tensor.
        name: String,
        /// One file.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// There is no part of this name in a checkpoint of several.
    #[error("{}: there is no tensor below `{prefix}`; there is: {available}", files.display())]
    NoSuchPart {
        /// The file or folder.
        files: PathBuf,
        /// The part asked for.
        prefix: String,
        /// The parts that there are.
        available: String,
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
    /// A tensor does not have as many rows as were asked for.
    #[error("{}: rows {from}..{to} of the tensor `{name}` were asked for, which has {found}", file.display())]
    NoSuchRows {
        /// Name of the tensor.
        name: String,
        /// The file.
        file: PathBuf,
        /// First row asked for.
        from: usize,
        /// One past the last row asked for.
        to: usize,
        /// Rows that there are.
        found: usize,
    },
    /// A tensor holds elements of another kind than asked for.
    #[error("{}: the tensor `{name}` holds {found} elements, {wanted} are needed", file.display())]
    WrongType {
        /// Name of the tensor.
        name: String,
        /// The file.
        file: PathBuf,
        /// Element type in the file.
        found: String,
        /// What was asked for.
        wanted: &'static str,
    },
    /// Tensors are left over that the model has no place for.
    #[error(
        "{}: {count} tensors are unknown to the model: {examples}; this is a checkpoint of another architecture or \
         version, and leaving parts of it out would give wrong numbers (`allow_unused` names what may be left out)",
        files.display()
    )]
    Unused {
        /// The file or folder.
        files: PathBuf,
        /// How many.
        count: usize,
        /// The first names.
        examples: String,
    },
    /// Tensors are missing, left over or of the wrong shape or type: all of them at once.
    #[error(transparent)]
    Mismatch(Box<Mismatch>),
}

fn again(first: &Path, second: &Path) -> String {
    if first == second { "again in the same file".to_owned() } else { format!("in {}", second.display()) }
}
