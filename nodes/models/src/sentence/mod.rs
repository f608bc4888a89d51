//! Cells as text: the symbols of the expressed genes from the highest count to the lowest ("cell sentence": Levine et al.
//! 2023, 10.1101/2023.09.11.557287), for the models that were made to read text.

mod names;
mod options;
mod tokenizer;
mod vocabulary;

pub use names::GeneNames;
pub use options::{Form, SENTENCE_OPTIONS, SentenceDefaults, SentenceSettings};
pub use tokenizer::SentenceTokenizer;
pub(crate) use vocabulary::fitting;

use crate::tokens::{CellCounts, UnusableCount};

/// Columns and counts of a cell by descending count. Equal counts stand in the order of the columns, zeros are left out.
/// Division by the total, logarithms and other rising functions of the count do not change the order.
///
/// # Errors
/// When a value is negative, infinite or not a number.
pub fn ranked(cell: &CellCounts<'_>) -> Result<Vec<(usize, f32)>, UnusableCount> {
    let mut found = cell.expressed()?;
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    Ok(found)
}

#[cfg(test)]
mod tests;
