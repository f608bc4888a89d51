//! Weight files with changes: other names, other types, missing tensors.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_data::checkpoint::Weights;
use safetensors::tensor::{Dtype, TensorView};

/// Shape and values by name.
pub(crate) type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// The tensors of real numbers in a file of any format.
pub(crate) fn tensors(file: &Path) -> Tensors {
    let weights = Weights::open(&[file]).unwrap();
    let real = weights.names().filter(|name| weights.dtype(name).unwrap().is_float());
    real.map(|name| (name.to_owned(), weights.take_any(name).unwrap())).collect()
}

/// Writes them as safetensors.
pub(crate) fn save(file: &Path, tensors: &Tensors) {
    write(file, tensors, Dtype::F32, |value| value.to_le_bytes().to_vec());
}

/// Writes them as safetensors with the upper half of every number.
pub(crate) fn save_bf16(file: &Path, tensors: &Tensors) {
    write(file, tensors, Dtype::BF16, |value| value.to_le_bytes()[2..].to_vec());
}

fn write(file: &Path, tensors: &Tensors, dtype: Dtype, bytes: impl Fn(f32) -> Vec<u8>) {
    let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|&value| bytes(value)).collect() };
    let data: Vec<(&str, &[usize], Vec<u8>)> = tensors
        .iter()
        .map(|(name, (shape, values))| (name.as_str(), shape.as_slice(), bytes(values)))
        .collect();
    let view = |(name, shape, data)| (name, TensorView::new(dtype, shape, data).unwrap());
    let views = data.iter().map(|(name, shape, data)| view((*name, shape.to_vec(), data.as_slice())));
    fs_err::write(file, safetensors::serialize(views, None).unwrap()).unwrap();
}

/// Copies some files of a folder into another.
pub(crate) fn copy(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        fs_err::copy(from.join(name), to.join(name)).unwrap();
    }
}
