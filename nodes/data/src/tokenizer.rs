//! Tokenizers of text models as they are published: `tokenizer.json`, or the older vocabulary files of BERT and RoBERTa.
//!
//! Cutting the text is the work of Hugging Face's own crate. What a `tokenizer.json` says about truncation and padding is
//! left out: they are settings of some past program (all-MiniLM-L6-v2 carries 128 where its authors use 256), and nothing
//! here is ever padded.

mod error;
mod legacy;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

use crate::checkpoint::json::read_file;

pub use error::TokenizerError;

/// The most bytes of a tokenizer file: the largest published ones have some 35 MB.
const MAX_BYTES: u64 = 256 << 20;
const TOKENIZER: &str = "tokenizer.json";

/// Text to token ids.
#[derive(Clone, Debug)]
pub struct TextTokenizer {
    inner: Tokenizer,
    limit: Option<usize>,
}

impl TextTokenizer {
    /// The files that [`TextTokenizer::in_folder`] reads, sorted: `tokenizer.json`, else the vocabulary of a BERT
    /// (`vocab.txt`), else that of a RoBERTa (`vocab.json` and `merges.txt`), with the settings beside them. None if the
    /// folder has none of these.
    #[must_use]
    pub fn files(folder: &Path) -> Option<Vec<PathBuf>> {
        let file = folder.join(TOKENIZER);
        if file.is_file() { Some(vec![file]) } else { legacy::files(folder) }
    }

    /// The tokenizer of a published folder.
    ///
    /// # Errors
    /// [`TokenizerError::Missing`] when the folder has none; when a file cannot be read, is damaged or too new.
    pub fn in_folder(folder: &Path) -> Result<Self, TokenizerError> {
        let file = folder.join(TOKENIZER);
        if file.is_file() {
            return Self::open(&file);
        }
        let folder = folder.to_path_buf();
        legacy::open(&folder)?.ok_or(TokenizerError::Missing { folder })
    }

    /// A `tokenizer.json`.
    ///
    /// # Errors
    /// When the file cannot be read, is damaged, or needs something that this version does not know.
    pub fn open(path: &Path) -> Result<Self, TokenizerError> {
        Self::of_json(path, &read_file(path, MAX_BYTES)?)
    }

    /// The `vocab.txt` of a BERT: WordPiece (Wu et al. 2016) after BERT's cleaning and splitting, `[CLS]` in front, `[SEP]`
    /// behind. `lowercase` also takes accents away.
    ///
    /// # Errors
    /// When the file cannot be read or lacks one of BERT's tokens.
    pub fn word_piece(path: &Path, lowercase: bool) -> Result<Self, TokenizerError> {
        legacy::word_piece(path, lowercase)
    }

    /// The `vocab.json` and `merges.txt` of a RoBERTa: byte-level BPE with the tokens `frame` around the text. A character
    /// without an entry is left out silently, as the fast tokenizer of the original does it.
    ///
    /// # Errors
    /// When a file cannot be read, is damaged, or the vocabulary lacks a token of the frame.
    pub fn byte_level(vocabulary: &Path, merges: &Path, frame: [&str; 2]) -> Result<Self, TokenizerError> {
        legacy::byte_level(vocabulary, merges, frame)
    }

    /// The content of a `tokenizer.json`; messages name `path`.
    fn of_json(path: &Path, json: &[u8]) -> Result<Self, TokenizerError> {
        let damaged = |reason: String| TokenizerError::Damaged { path: path.to_path_buf(), reason };
        let mut inner = Tokenizer::from_bytes(json).map_err(|e| damaged(e.to_string()))?;
        inner.with_truncation(None).map_err(|e| damaged(e.to_string()))?;
        inner.with_padding(None);
        Ok(Self { inner, limit: None })
    }

    /// With at most `limit` ids for a text, the added ones included: the end of longer texts is left out, the tokens around
    /// the text stay.
    ///
    /// # Errors
    /// [`TokenizerError::Limit`] when there is no room for anything but the added tokens.
    pub fn with_limit(mut self, limit: usize) -> Result<Self, TokenizerError> {
        let added = self.added();
        if limit <= added {
            return Err(TokenizerError::Limit { limit, added });
        }
        let truncation = TruncationParams { max_length: limit, ..TruncationParams::default() };
        self.inner.with_truncation(Some(truncation)).map_err(|_| TokenizerError::Limit { limit, added })?;
        self.limit = Some(limit);
        Ok(self)
    }

    /// The most ids of a text, if there is a limit.
    #[must_use]
    pub fn limit(&self) -> Option<usize> {
        self.limit
    }

    /// Tokens that are put around every text.
    #[must_use]
    pub fn added(&self) -> usize {
        self.inner.get_post_processor().map_or(0, |processor| processor.added_tokens(false))
    }

    /// Ids of a text, with the tokens around it.
    ///
    /// # Errors
    /// [`TokenizerError::Text`] when the text holds something for which the vocabulary has no token at all.
    pub fn ids(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        let encoding = self.inner.encode_fast(text, true);
        Ok(encoding.map_err(|e| TokenizerError::text(text, e.as_ref()))?.get_ids().to_vec())
    }

    /// The id of a token as the vocabulary writes it.
    #[must_use]
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The token of an id as the vocabulary writes it.
    #[must_use]
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// All tokens with their ids, those around texts included.
    #[must_use]
    pub fn vocabulary(&self) -> BTreeMap<String, u32> {
        self.inner.get_vocab(true).into_iter().collect()
    }
}

#[cfg(test)]
mod tests;
