//! Published gene dictionaries: token ids, medians and names by gene, from pickles or JSON.

mod dictionary;
mod error;

pub use dictionary::{read_integers, read_numbers, read_texts};
pub use error::VocabularyError;

#[cfg(test)]
mod tests;
