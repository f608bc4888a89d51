//! What the small files beside a tokenizer say: names of the special tokens, and the longest sequence.

use std::path::Path;

use celldag_data::vocabulary::{VocabularyError, read_json};
use serde::Deserialize;

/// Files that may say it, the more specific first.
pub(super) const FILES: [&str; 2] = ["tokenizer_config.json", "special_tokens_map.json"];

/// Longest sequence that ChemBERTa was trained on; the 77M models have room for one token more.
const CONTEXT: usize = 512;
/// transformers writes 1e30 for "not limited".
const UNLIMITED: f64 = 1e6;

/// A special token: its text, or an object that holds it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Added { content: String },
}

impl Token {
    fn text(self) -> String {
        match self {
            Self::Text(content) | Self::Added { content } => content,
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    cls_token: Option<Token>,
    bos_token: Option<Token>,
    sep_token: Option<Token>,
    eos_token: Option<Token>,
    unk_token: Option<Token>,
    model_max_length: Option<f64>,
    /// Its name in 2020.
    max_len: Option<f64>,
}

/// Special tokens by their part, as far as a file names them, and the longest sequence.
#[derive(Clone, Debug, Default)]
pub(super) struct Special {
    pub(super) first: Option<String>,
    pub(super) last: Option<String>,
    pub(super) unknown: Option<String>,
    /// Longest sequence, special tokens included, if the table of positions has room for it.
    pub(super) context: usize,
}

impl Special {
    /// What the files of `folder` say.
    pub(super) fn read(folder: &Path) -> Result<Self, VocabularyError> {
        let mut special = Self { context: CONTEXT, ..Self::default() };
        let mut context = None;
        for file in FILES.iter().map(|name| folder.join(name)).filter(|file| file.is_file()) {
            let said: Said = read_json(&file)?;
            let text = |token: Option<Token>| token.map(Token::text);
            special.first = special.first.or_else(|| text(said.cls_token.or(said.bos_token)));
            special.last = special.last.or_else(|| text(said.sep_token.or(said.eos_token)));
            special.unknown = special.unknown.or_else(|| text(said.unk_token));
            context = context.or(said.model_max_length).or(said.max_len);
        }
        if let Some(length) = context.filter(|length| *length >= 1.0 && *length < UNLIMITED) {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 1 and a million"
            )]
            let length = length as usize;
            special.context = length;
        }
        Ok(special)
    }
}
