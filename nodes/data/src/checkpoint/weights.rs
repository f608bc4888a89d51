//! The tensors of a checkpoint by name, read when a model takes them, with an account of what was taken.
//!
//! A model takes every tensor it needs with the shape it expects and then calls [`Weights::finish`]: a missing, misshapen
//! or left-over tensor is an error, because a model that silently ran without a part would give plausible wrong numbers.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use half::{bf16, f16};
use pytorch_reader::{DType, PytorchReader};
use safetensors::tensor::Dtype;

use super::error::CheckpointError;
use super::safetensors_file::SafetensorsFile;

/// Element type of a stored tensor, as far as weights go.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Element {
    F64,
    F32,
    F16,
    Bf16,
    /// Anything else: fine as an ignored buffer, no weight.
    Other(String),
}

#[derive(Clone, Debug)]
enum Bytes {
    Torch(Box<pytorch_reader::Tensor>),
    Safetensors(Arc<SafetensorsFile>),
}

#[derive(Clone, Debug)]
struct Stored {
    element: Element,
    shape: Vec<usize>,
    file: PathBuf,
    bytes: Bytes,
}

/// The tensors of one checkpoint.
#[derive(Debug)]
pub struct Weights {
    tensors: BTreeMap<String, Stored>,
    taken: Mutex<BTreeSet<String>>,
    /// What messages call the checkpoint: its only file, or the folder of its files.
    place: PathBuf,
}

impl Weights {
    /// Opens weight files (safetensors, or anything `torch.save` has ever written) as one set of tensors. Only names and
    /// shapes are read. Tensors inside nested dictionaries have dotted names (`model_state_dict.head.weight`).
    ///
    /// # Errors
    /// When a file cannot be read, is damaged, or repeats a name.
    pub fn open(files: &[PathBuf]) -> Result<Self, CheckpointError> {
        let mut tensors: BTreeMap<String, Stored> = BTreeMap::new();
        for file in files {
            for (name, stored) in open_one(file)? {
                if let Some(before) = tensors.get(&name) {
                    let (first, second) = (before.file.clone(), stored.file);
                    return Err(CheckpointError::Duplicate { name, first, second });
                }
                tensors.insert(name, stored);
            }
        }
        let place = match files {
            [one] => one.clone(),
            _ => files.first().and_then(|f| f.parent()).map(Path::to_path_buf).unwrap_or_default(),
        };
        Ok(Self { tensors, taken: Mutex::default(), place })
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Whether there is a tensor of this name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// Shape of a tensor.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|t| t.shape.as_slice())
    }

    /// The values of a tensor of exactly this shape, row-major; half and double precision become `f32`.
    ///
    /// # Errors
    /// When the tensor is missing, has another shape, holds integers, or cannot be read.
    pub fn take(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        let stored = self.find(name)?;
        if stored.shape != shape {
            return Err(CheckpointError::WrongShape {
                name: name.to_owned(),
                file: stored.file.clone(),
                wanted: shape.to_vec(),
                found: stored.shape.clone(),
            });
        }
        let values = stored.read(name)?;
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Ok(values)
    }

    /// Shape and values of a tensor whose shape only the file knows.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn take_any(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), CheckpointError> {
        let shape = self.find(name)?.shape.clone();
        let values = self.take(name, &shape)?;
        Ok((shape, values))
    }

    /// Fails when a tensor was not taken and is not `ignored`. An entry of `ignored` is a full name, or a prefix that
    /// ends in a dot.
    ///
    /// # Errors
    /// [`CheckpointError::Unused`] with the first names.
    pub fn finish(&self, ignored: &[&str]) -> Result<(), CheckpointError> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |name: &str| {
            ignored.iter().any(|i| if i.ends_with('.') { name.starts_with(i) } else { name == *i })
        };
        let unused: Vec<&str> = self.names().filter(|name| !taken.contains(*name) && !known(name)).collect();
        if unused.is_empty() {
            return Ok(());
        }
        let shown: Vec<String> = unused.iter().take(5).map(|name| format!("`{name}`")).collect();
        let more = if unused.len() > shown.len() { ", ..." } else { "" };
        Err(CheckpointError::Unused {
            files: self.place.clone(),
            count: unused.len(),
            examples: shown.join(", ") + more,
        })
    }

    fn find(&self, name: &str) -> Result<&Stored, CheckpointError> {
        self.tensors.get(name).ok_or_else(|| CheckpointError::MissingTensor {
            name: name.to_owned(),
            files: self.place.clone(),
            close: self.closest(name),
        })
    }

    fn closest(&self, name: &str) -> Option<String> {
        let scored = self.names().map(|other| (strsim::normalized_levenshtein(name, other), other));
        let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
        (best.0 > 0.6).then(|| best.1.to_owned())
    }
}

impl Stored {
    fn read(&self, name: &str) -> Result<Vec<f32>, CheckpointError> {
        if let Element::Other(found) = &self.element {
            return Err(CheckpointError::WrongType {
                name: name.to_owned(),
                file: self.file.clone(),
                found: found.clone(),
            });
        }
        let bytes = match &self.bytes {
            Bytes::Torch(tensor) => tensor.read().map_err(|e| torch_error(&self.file, &e))?,
            Bytes::Safetensors(file) => file.read(name)?,
        };
        Ok(self.element.widen(&bytes))
    }
}

impl Element {
    #[expect(clippy::cast_possible_truncation, reason = "computation is in f32")]
    fn widen(&self, bytes: &[u8]) -> Vec<f32> {
        match self {
            Self::F32 => bytes.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect(),
            Self::F64 => bytes.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b) as f32).collect(),
            Self::F16 => bytes.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect(),
            Self::Bf16 => bytes.as_chunks().0.iter().map(|&b| bf16::from_le_bytes(b).to_f32()).collect(),
            Self::Other(_) => Vec::new(),
        }
    }
}

fn torch_error(file: &Path, error: &dyn std::fmt::Display) -> CheckpointError {
    CheckpointError::Torch { path: file.to_path_buf(), reason: error.to_string() }
}

fn open_one(path: &Path) -> Result<Vec<(String, Stored)>, CheckpointError> {
    if is_safetensors(path)? { open_safetensors(path) } else { open_torch(path) }
}

/// By content: files named `.bin` may be safetensors and the other way round.
fn is_safetensors(path: &Path) -> Result<bool, CheckpointError> {
    let mut head = Vec::new();
    fs_err::File::open(path)?.take(9).read_to_end(&mut head)?;
    let named = path.extension().is_some_and(|e| e == "safetensors");
    Ok(named || (head.len() == 9 && head[8] == b'{' && head[4..8] == [0; 4]))
}

fn open_safetensors(path: &Path) -> Result<Vec<(String, Stored)>, CheckpointError> {
    let file = Arc::new(SafetensorsFile::open(path)?);
    let mut out = Vec::new();
    for name in file.names() {
        let Some(info) = file.info(&name) else { continue };
        let element = match info.dtype {
            Dtype::F64 => Element::F64,
            Dtype::F32 => Element::F32,
            Dtype::F16 => Element::F16,
            Dtype::BF16 => Element::Bf16,
            other => Element::Other(format!("{other:?}")),
        };
        let stored = Stored {
            element,
            shape: info.shape.clone(),
            file: path.to_path_buf(),
            bytes: Bytes::Safetensors(Arc::clone(&file)),
        };
        out.push((name, stored));
    }
    Ok(out)
}

fn open_torch(path: &Path) -> Result<Vec<(String, Stored)>, CheckpointError> {
    let reader = PytorchReader::new(path).map_err(|e| torch_error(path, &e))?;
    let stored = |tensor: pytorch_reader::Tensor| Stored {
        element: match tensor.dtype() {
            DType::F64 => Element::F64,
            DType::F32 => Element::F32,
            DType::F16 => Element::F16,
            DType::BF16 => Element::Bf16,
            other => Element::Other(format!("{other:?}")),
        },
        shape: tensor.shape().to_vec(),
        file: path.to_path_buf(),
        bytes: Bytes::Torch(Box::new(tensor)),
    };
    Ok(reader.into_tensors().into_iter().map(|(name, tensor)| (name, stored(tensor))).collect())
}
