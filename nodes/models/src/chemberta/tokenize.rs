//! SMILES to tokens: as the checkpoint's own tokenizer, or by atoms.

use celldag_data::tokenizer::TextTokenizer;
use regex::Regex;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use crate::drug::{DrugTokenizer, DrugTokens, Remark, Vocabulary, framed};
use crate::error::ModelError;
use crate::option::{Options, written_out};
use crate::tokens::TokenizerInfo;

/// Bracket atoms, the two atoms of two letters outside of brackets, ring closures of two digits, else single characters.
const PIECES: &str = r"(?s)\[[^\]]+\]|Br|Cl|%[0-9]{2}|.";

/// How SMILES are split.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Splitting {
    /// As the published tokenizer does it, which drops what it does not know.
    #[default]
    Published,
    /// By atoms; those without an entry become the token for unknown pieces.
    Regex,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Chosen {
    tokenizer: Splitting,
}

#[derive(Debug)]
enum Way {
    Published(Box<TextTokenizer>),
    Regex { pieces: Regex, unknown: u32 },
}

/// SMILES to tokens.
#[derive(Debug)]
pub struct Tokenizer {
    way: Way,
    vocabulary: Vocabulary,
    first: u32,
    last: u32,
    unknown: Option<u32>,
    info: TokenizerInfo,
}

impl Tokenizer {
    /// The tokenizer of a checkpoint.
    ///
    /// # Errors
    /// When an option cannot be used.
    pub fn new(checkpoint: &Checkpoint, options: &Options) -> Result<Self, ModelError> {
        let chosen: Chosen = options.read()?;
        let Checkpoint { vocabulary, first, last, unknown, tokenizer, .. } = checkpoint;
        let way = match chosen.tokenizer {
            Splitting::Published => Way::Published(Box::new(tokenizer.clone())),
            Splitting::Regex => Way::Regex {
                pieces: Regex::new(PIECES).map_err(|e| ModelError::Option(e.to_string()))?,
                unknown: unknown.ok_or_else(|| {
                    let message = "tokenizer `regex` needs a token for unknown pieces, which this vocabulary does not have; \
                                   use `published`";
                    ModelError::Option(message.to_owned())
                })?,
            },
        };
        let info = TokenizerInfo {
            variant: String::new(),
            vocabulary: vocabulary.digest.clone(),
            vocabulary_size: vocabulary.len(),
            context: checkpoint.context,
            has_values: false,
            options: written_out(&chosen),
        };
        let (first, last, unknown) = (*first, *last, *unknown);
        Ok(Self { way, vocabulary: vocabulary.clone(), first, last, unknown, info })
    }

    /// Tokens of a text, without the special ones around it.
    fn inner(&self, smiles: &str, remarks: &mut Vec<Remark>) -> Vec<u32> {
        match &self.way {
            Way::Regex { pieces, unknown } => {
                let mut strange = Vec::new();
                let mut id = |piece: &str| {
                    self.vocabulary.id(piece).unwrap_or_else(|| {
                        strange.push(piece.to_owned());
                        *unknown
                    })
                };
                let ids = pieces.find_iter(smiles).map(|piece| id(piece.as_str())).collect();
                remarks.extend(Remark::unknown(strange));
                ids
            }
            Way::Published(tokenizer) => {
                // A text that the tokenizer cannot cut at all has no tokens.
                let mut ids = tokenizer.ids(smiles).unwrap_or_default();
                if ids.first() == Some(&self.first) {
                    ids.remove(0);
                }
                if ids.last() == Some(&self.last) {
                    ids.pop();
                }
                let known = ids.iter().filter(|&&id| Some(id) != self.unknown);
                let text: String = known.clone().filter_map(|&id| tokenizer.token(id)).collect();
                let left_out = left_out(smiles, &text);
                let dropped = known.count() == ids.len();
                remarks.extend(if dropped { Remark::dropped(left_out) } else { Remark::unknown(left_out) });
                ids
            }
        }
    }
}

impl DrugTokenizer for Tokenizer {
    fn info(&self) -> &TokenizerInfo {
        &self.info
    }

    fn tokenize(&self, smiles: &str) -> DrugTokens {
        let mut remarks = Vec::new();
        let ids = self.inner(smiles, &mut remarks);
        if ids.is_empty() {
            return DrugTokens { remarks: vec![Remark::Nothing], ..DrugTokens::default() };
        }
        let tokens = framed(self.first, ids, self.last, self.info.context, &mut remarks);
        DrugTokens { tokens, remarks }
    }
}

/// Characters of `text` that are not in `tokens`, the joined tokens in the symbols of byte-level BPE. A character without a
/// token is missing wherever it stands, so the first fit is the only one.
fn left_out(text: &str, tokens: &str) -> Vec<String> {
    let mut left = tokens.chars().peekable();
    let mut is_there = |byte| left.next_if_eq(&symbol(byte)).is_some();
    let mut out = Vec::new();
    for character in text.chars() {
        let mut bytes = [0; 4];
        // Every byte must be looked at: one of them may have a token where another has none.
        let missing = character.encode_utf8(&mut bytes).bytes().filter(|&byte| !is_there(byte)).count();
        if missing > 0 {
            out.push(character.to_string());
        }
    }
    out
}

/// The character that stands for a byte in the vocabularies of byte-level BPE (Radford et al. 2019): itself where it can be
/// printed, else one behind the first 256, in their order.
fn symbol(byte: u8) -> char {
    let number = u32::from(byte);
    let shown = match byte {
        0..=32 => 256 + number,
        127..=160 => 256 + 33 + (number - 127),
        173 => 256 + 67,
        _ => number,
    };
    char::from_u32(shown).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_the_symbols_of_gpt2() {
        for (byte, shown) in [(b'C', 'C'), (b' ', 'Ġ'), (b'\n', 'Ċ'), (0x7f, 'ġ'), (0xad, 'Ń'), (0xc3, 'Ã')]
        {
            assert_eq!(symbol(byte), shown);
        }
    }

    #[test]
    fn what_is_left_out_is_found() {
        assert_eq!(left_out("CC(Cl)Br", "CC(C)B"), ["l", "r"]);
        assert_eq!(left_out("C C", "CĠC"), Vec::<String>::new());
        assert_eq!(left_out("Cµ", "C"), ["µ"]);
    }
}
