//! Vocabulary files from before `tokenizer.json`: `vocab.txt` of BERT, `vocab.json` with `merges.txt` of RoBERTa. What
//! transformers builds of them in Python is written here as the `tokenizer.json` that it would save.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{MAX_BYTES, TextTokenizer, TokenizerError};
use crate::checkpoint::json::read_file;
use crate::vocabulary::{read_integers, read_json};

const WORD_PIECE: &str = "vocab.txt";
const BYTE_LEVEL: [&str; 2] = ["vocab.json", "merges.txt"];
const SPECIAL: &str = "special_tokens_map.json";
const SETTINGS: &str = "tokenizer_config.json";
/// BERT's tokens with a meaning of their own.
const BERT: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
/// Longer words are unknown to BERT's WordPiece.
const LONGEST_WORD: usize = 100;

/// What the old tokenizers kept beside their vocabulary.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Settings {
    do_lower_case: Option<bool>,
    cls_token: Option<SpecialToken>,
    sep_token: Option<SpecialToken>,
}

/// A token as text, or as an object with the text in `content`.
#[derive(Deserialize)]
#[serde(untagged)]
enum SpecialToken {
    Text(String),
    Object { content: String },
}

impl SpecialToken {
    fn into_text(self) -> String {
        match self {
            Self::Text(content) | Self::Object { content } => content,
        }
    }
}

/// The files of a tokenizer here, sorted.
pub(super) fn files(folder: &Path) -> Option<Vec<PathBuf>> {
    let there = |name: &str| Some(folder.join(name)).filter(|file| file.is_file());
    let mut files = match there(WORD_PIECE) {
        Some(file) => vec![file],
        None => vec![there(BYTE_LEVEL[0])?, there(BYTE_LEVEL[1])?, there(SPECIAL)?],
    };
    files.extend(there(SETTINGS));
    files.sort();
    Some(files)
}

/// The tokenizer of a folder that has one of these.
pub(super) fn open(folder: &Path) -> Result<Option<TextTokenizer>, TokenizerError> {
    if files(folder).is_none() {
        return Ok(None);
    }
    let settings = |name: &str| -> Result<Settings, TokenizerError> {
        let file = folder.join(name);
        Ok(if file.is_file() { read_json(&file)? } else { Settings::default() })
    };
    let file = folder.join(WORD_PIECE);
    if file.is_file() {
        return word_piece(&file, settings(SETTINGS)?.do_lower_case.unwrap_or(true)).map(Some);
    }
    let special = settings(SPECIAL)?;
    let text = |token: Option<SpecialToken>, usual: &str| {
        token.map_or_else(|| usual.to_owned(), SpecialToken::into_text)
    };
    let frame = [text(special.cls_token, "<s>"), text(special.sep_token, "</s>")];
    let [vocabulary, merges] = BYTE_LEVEL.map(|name| folder.join(name));
    byte_level(&vocabulary, &merges, [&frame[0], &frame[1]]).map(Some)
}

pub(super) fn word_piece(path: &Path, lowercase: bool) -> Result<TextTokenizer, TokenizerError> {
    let damaged = |reason: String| TokenizerError::Damaged { path: path.to_path_buf(), reason };
    let text = String::from_utf8(read_file(path, MAX_BYTES)?)
        .map_err(|_| damaged("it is no text in UTF-8".to_owned()))?;
    let mut vocabulary: IndexMap<&str, usize> = IndexMap::new();
    for (id, token) in text.lines().map(str::trim_end).enumerate() {
        if vocabulary.insert(token, id).is_some() && !token.is_empty() {
            return Err(damaged(format!("`{token}` occurs twice")));
        }
    }
    let id = |token: &str| {
        vocabulary.get(token).copied().ok_or_else(|| damaged(format!("there is no token `{token}`")))
    };
    let (cls, sep) = (id("[CLS]")?, id("[SEP]")?);
    id("[UNK]")?;
    let special = BERT.iter().filter_map(|&token| Some(added(token, *vocabulary.get(token)?)));
    let json = json!({
        "version": "1.0",
        "added_tokens": special.collect::<Vec<_>>(),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": true,
            "strip_accents": null,
            "lowercase": lowercase,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "cls": ["[CLS]", cls], "sep": ["[SEP]", sep]},
        "decoder": null,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": LONGEST_WORD,
            "vocab": vocabulary,
        },
    });
    TextTokenizer::of_json(path, json.to_string().as_bytes())
}

pub(super) fn byte_level(
    path: &Path,
    merges: &Path,
    frame: [&str; 2],
) -> Result<TextTokenizer, TokenizerError> {
    let damaged = |path: &Path, reason: String| TokenizerError::Damaged { path: path.to_path_buf(), reason };
    let vocabulary = read_integers(path)?;
    let text = String::from_utf8(read_file(merges, MAX_BYTES)?)
        .map_err(|_| damaged(merges, "it is no text in UTF-8".to_owned()))?;
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("#version"));
    let id = |token: &str| {
        let id = vocabulary.get(token).and_then(|&id| usize::try_from(id).ok());
        id.ok_or_else(|| damaged(path, format!("there is no token `{token}`")))
    };
    let [start, end] = frame;
    let (first, last) = (id(start)?, id(end)?);
    let special = [added(start, first), added(end, last)];
    let json = json!({
        "version": "1.0",
        "added_tokens": special,
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {
            "type": "RobertaProcessing",
            "cls": [start, first],
            "sep": [end, last],
            "trim_offsets": true,
            "add_prefix_space": false,
        },
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "byte_fallback": false,
            "vocab": vocabulary,
            "merges": lines.collect::<Vec<_>>(),
        },
    });
    TextTokenizer::of_json(path, json.to_string().as_bytes())
}

/// A token that is never cut.
fn added(token: &str, id: usize) -> Value {
    json!({
        "id": id,
        "content": token,
        "single_word": false,
        "lstrip": false,
        "rstrip": false,
        "normalized": false,
        "special": true,
    })
}
