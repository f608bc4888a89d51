//! Tensors by name as the weights file of a published model.

use celldag_data::checkpoint::CheckpointError;
use safetensors::SafeTensorError;
use safetensors::tensor::{Dtype, TensorView};

use crate::adapter::Tensors;
use crate::error::ModelError;

/// The bytes of a `model.safetensors` that transformers loads.
///
/// # Errors
/// Values that do not fill their shape.
pub fn serialized(tensors: &Tensors) -> Result<Vec<u8>, ModelError> {
    let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let stored: Vec<_> =
        tensors.iter().map(|(name, (shape, values))| (name.as_str(), shape, bytes(values))).collect();
    let views = stored
        .iter()
        .map(|(name, shape, bytes)| Ok((*name, TensorView::new(Dtype::F32, shape.to_vec(), bytes)?)))
        .collect::<Result<Vec<_>, SafeTensorError>>();
    // transformers refuses files without this.
    let metadata = [("format".to_owned(), "pt".to_owned())].into();
    let written = views.and_then(|views| safetensors::serialize(views, Some(metadata)));
    Ok(written.map_err(|error| CheckpointError::from(std::io::Error::other(error)))?)
}
