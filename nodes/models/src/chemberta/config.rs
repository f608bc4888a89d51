//! `config.json` of a ChemBERTa: that of a RoBERTa, which is a BERT with places of its own.

use std::path::Path;

use crate::blocks::BertConfig;
use crate::error::ModelError;

/// The padding of RoBERTa, where a file does not say.
const PAD: usize = 1;

/// Sizes of a ChemBERTa.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Those of its BERT. The first rows of the table of positions, up to that of the padding, are never a token's place.
    pub bert: BertConfig,
    /// Token of padding as the model counts places from it. Tokenizers may pad with another.
    pub pad: u32,
    /// Longest sequence that the table of positions has room for.
    pub places: usize,
}

impl Config {
    /// Reads and checks a `config.json`.
    ///
    /// # Errors
    /// When the file cannot be read or describes something other than a ChemBERTa.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let bert = BertConfig::read(path, "ChemBERTa", "roberta")?;
        let pad = bert.pad_token_id.unwrap_or(PAD);
        let places = bert.max_position_embeddings.saturating_sub(pad).saturating_sub(1);
        match u32::try_from(pad) {
            Ok(pad) if places >= 3 => Ok(Self { bert, pad, places }),
            _ => Err(ModelError::Config {
                path: path.to_path_buf(),
                reason: format!("{places} positions behind the padding's ({pad}) hold no drug"),
            }),
        }
    }
}
