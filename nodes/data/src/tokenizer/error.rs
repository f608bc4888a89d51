//! Why a tokenizer cannot be read or used.

use std::error::Error;
use std::path::PathBuf;

use crate::vocabulary::VocabularyError;

/// Characters of a text that a message shows.
const SHOWN: usize = 40;

/// A tokenizer that is missing or damaged, or a text that it cannot cut.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenizerError {
    /// The system refuses; the message names the path.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// A vocabulary file is damaged.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// The folder has no tokenizer.
    #[error(
        "{}: there is no tokenizer.json, nor the vocabulary of an older one (vocab.txt; vocab.json with merges.txt); \
         download the files of the tokenizer beside the weights",
        folder.display()
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// The file is no tokenizer, or uses something that this version does not know.
    #[error("{}: not a tokenizer that can be read: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// No room for a text.
    #[error("a limit of {limit} tokens leaves no room for a text: the tokenizer itself adds {added}")]
    Limit {
        /// What was asked for.
        limit: usize,
        /// Tokens that are put around every text.
        added: usize,
    },
    /// A text that the vocabulary does not cover.
    #[error("the tokenizer cannot cut the text `{text}`: {reason}")]
    Text {
        /// The text, shortened.
        text: String,
        /// Why.
        reason: String,
    },
}

impl TokenizerError {
    pub(super) fn text(text: &str, reason: &(dyn Error + Send + Sync)) -> Self {
        let mut shown: String = text.chars().take(SHOWN).collect();
        if shown.len() < text.len() {
            shown.push_str("...");
        }
        Self::Text { text: shown, reason: reason.to_string() }
    }
}
