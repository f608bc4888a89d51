//! Published gene dictionaries: token ids, medians and names by gene, from pickles, JSON, tables and lists of text.

mod dictionary;
mod error;
mod list;
mod table;

pub use dictionary::{read_integers, read_json, read_numbers, read_texts};
pub use error::VocabularyError;
pub use list::read_names;
pub use table::{TextTable, check_ids, read_columns, read_indexed, read_table};

#[cfg(test)]
mod tests;
