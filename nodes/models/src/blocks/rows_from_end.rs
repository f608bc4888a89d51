//! Single rows of packed sequences, counted from their ends.

use celldag_shaders::{Ids, Segments, Tensor, ops};

use crate::error::ModelError;

/// The row that is `back` before the end of each sequence (1: the last), `[sequences, width]`. No sequence is shorter.
///
/// # Errors
/// When the batch has more rows than ids can name, or the device fails.
pub fn rows_from_end(states: &Tensor, sequences: &Segments, back: usize) -> Result<Tensor, ModelError> {
    let rows = sequences.ranges().map(|range| u32::try_from(range.end.saturating_sub(back)));
    let rows: Vec<u32> = rows
        .collect::<Result<_, _>>()
        .map_err(|_| ModelError::Tokens("the batch has too many tokens".to_owned()))?;
    Ok(ops::embed(states, &Ids::new(states.device(), &rows)?)?)
}
