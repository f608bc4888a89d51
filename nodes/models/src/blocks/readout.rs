//! Which layer of a transformer is read.

use crate::error::ModelError;

/// How many layers must run for the states that `layer` names: -1 is the output of the last of `layers` layers, -2 of the
/// one before, and so on down to the embedding below the first.
///
/// # Errors
/// [`ModelError::Option`] naming what exists.
pub fn depth(layer: i32, layers: usize) -> Result<usize, ModelError> {
    let deepest = i64::try_from(layers).unwrap_or(i64::MAX) + 1;
    usize::try_from(deepest + i64::from(layer)).ok().filter(|_| layer < 0).ok_or_else(|| {
        ModelError::Option(format!(
            "layer {layer} does not exist: this model has {layers} layers, which are called -1 (the last) to -{layers}, \
             and -{deepest} is the embedding below them"
        ))
    })
}
