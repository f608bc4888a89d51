//! `tokenizer.json` of a tGPT: a list of gene symbols with ids, and the tokens around every cell.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_data::vocabulary::{check_ids, read_json};
use indexmap::IndexMap;
use serde::Deserialize;

use crate::error::ModelError;
use crate::vocabulary::digest;

/// Token ids of symbols and of special tokens.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// All tokens by name, special and unused ones included.
    pub tokens: BTreeMap<String, u32>,
    /// Tokens that are genes: neither special nor one of the unused `extra_id_N`.
    pub genes: usize,
    /// In front of a cell's genes.
    pub begin: u32,
    /// Behind them.
    pub end: u32,
    /// In place of a symbol that is not in the vocabulary.
    pub unknown: u32,
    /// What fills batches up; the original adds its vector to every position.
    pub pad: u32,
    /// Number of tokens.
    pub size: usize,
    /// BLAKE3 of the sorted lines `name<TAB>id<LF>`, hex.
    pub digest: String,
}

#[derive(Deserialize)]
struct File {
    model: WordLevel,
    #[serde(default)]
    added_tokens: Vec<Added>,
    normalizer: Option<Typed>,
    pre_tokenizer: Option<Typed>,
    post_processor: Option<Template>,
}

#[derive(Deserialize)]
struct WordLevel {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    vocab: IndexMap<String, i64>,
    #[serde(default)]
    unk_token: String,
}

#[derive(Deserialize)]
struct Added {
    id: i64,
    content: String,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Template {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default)]
    single: Vec<Piece>,
}

#[derive(Deserialize)]
enum Piece {
    SpecialToken { id: String },
    Sequence {},
}

impl Vocabulary {
    /// Reads a vocabulary whose tokens must be exactly 0 to `size - 1`.
    ///
    /// # Errors
    /// When the file cannot be read, is another kind of tokenizer, or does not fit the weights.
    pub fn read(path: &Path, size: usize) -> Result<Self, ModelError> {
        let refuse =
            |reason: &str| ModelError::Config { path: path.to_path_buf(), reason: reason.to_owned() };
        let file: File = read_json(path)?;
        let WordLevel { kind, vocab: mut ids, unk_token } = file.model;
        if kind != "WordLevel" {
            return Err(refuse(&format!("a tokenizer of the type `{kind}`; a tGPT's is a `WordLevel`")));
        }
        if let Some(other) = file.normalizer {
            return Err(refuse(&format!("a normalizer `{}`; a tGPT's tokenizer has none", other.kind)));
        }
        if file.pre_tokenizer.is_none_or(|splitter| splitter.kind != "Whitespace") {
            return Err(refuse("the pre-tokenizer is not `Whitespace`, a tGPT's"));
        }
        let special: Vec<String> = file.added_tokens.iter().map(|added| added.content.clone()).collect();
        ids.extend(file.added_tokens.into_iter().map(|added| (added.content, added.id)));
        if ids.len() != size {
            return Err(refuse(&format!(
                "{} tokens, but config.json says that the weights have {size}; put the tokenizer.json that was published \
                 with these weights beside them",
                ids.len()
            )));
        }
        check_ids(path, &ids, size)?;
        let tokens = ids.iter().filter_map(|(name, &id)| Some((name.clone(), u32::try_from(id).ok()?)));
        let tokens: BTreeMap<String, u32> = tokens.collect();
        let frame = match file.post_processor {
            Some(Template { kind: Some(kind), single }) if kind == "TemplateProcessing" => {
                match &single[..] {
                    [
                        Piece::SpecialToken { id: begin },
                        Piece::Sequence {},
                        Piece::SpecialToken { id: end },
                    ] => Some((begin.clone(), end.clone())),
                    _ => None,
                }
            }
            _ => None,
        };
        let Some((begin, end)) = frame else {
            return Err(refuse("no template with one token in front of a cell and one behind it"));
        };
        let token = |name: &str| {
            tokens.get(name).copied().ok_or_else(|| refuse(&format!("the token `{name}` has no id")))
        };
        let genes =
            tokens.keys().filter(|name| !special.contains(name) && !name.starts_with("extra_id_")).count();
        Ok(Self {
            begin: token(&begin)?,
            end: token(&end)?,
            unknown: token(&unk_token)?,
            pad: token("<pad>")?,
            genes,
            size,
            digest: digest(&tokens),
            tokens,
        })
    }

    /// Tokens of a gene symbol as it is written in a cell's sentence: `-` and `.` become `_`, and what is no letter, digit or
    /// `_` stands apart, as the pre-tokenizer's `\w+|[^\w\s]+` cuts it.
    #[must_use]
    pub fn of_symbol(&self, symbol: &str) -> Vec<u32> {
        let written = symbol.replace(['-', '.'], "_");
        let mut words: Vec<String> = Vec::new();
        let mut before = Kind::Space;
        for letter in written.chars() {
            let kind = Kind::of(letter);
            if kind != Kind::Space {
                match words.last_mut().filter(|_| kind == before) {
                    Some(word) => word.push(letter),
                    None => words.push(letter.to_string()),
                }
            }
            before = kind;
        }
        words.iter().map(|word| self.tokens.get(word).copied().unwrap_or(self.unknown)).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Word,
    Space,
    Other,
}

impl Kind {
    fn of(letter: char) -> Self {
        if letter.is_alphanumeric() || letter == '_' {
            Self::Word
        } else if letter.is_whitespace() {
            Self::Space
        } else {
            Self::Other
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_cut_at_other_signs() {
        let names = ["<pad>", "</b>", "</s>", "<unk>", "HLA_A", "AC_1", "/", "MT_ND1", "RP11_1_2"];
        let tokens: BTreeMap<String, u32> = names.iter().map(|&n| n.to_owned()).zip(0..).collect();
        let vocabulary = Vocabulary {
            digest: digest(&tokens),
            size: tokens.len(),
            tokens,
            genes: 5,
            begin: 1,
            end: 2,
            unknown: 3,
            pad: 0,
        };
        for (symbol, want) in [
            ("HLA-A", vec![4]),
            ("hla-a", vec![3]),
            ("AC.1", vec![5]),
            ("MT-ND1", vec![7]),
            ("RP11-1.2", vec![8]),
            ("HLA-A/MT-ND1", vec![4, 6, 7]),
            ("HLA-A@", vec![4, 3]),
            ("HLA-A MT-ND1", vec![4, 7]),
            ("", vec![]),
        ] {
            assert_eq!(vocabulary.of_symbol(symbol), want, "{symbol}");
        }
    }
}
