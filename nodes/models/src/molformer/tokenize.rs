//! SMILES to tokens as MoLFormer's authors split them: one regular expression, whose matches are tokens. Text between matches
//! is dropped.

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use crate::drug::{DrugTokenizer, DrugTokens, Remark, Vocabulary, framed};
use crate::error::ModelError;
use crate::option::{Options, written_out};
use crate::tokens::TokenizerInfo;

/// Bracket atoms, atoms, bonds, branches and ring closures (Schwaller et al. 2019, 10.1021/acscentsci.9b00576).
const PIECES: &str =
    r"\[[^\]]+\]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\(|\)|\.|=|#|-|\+|\\|/|:|~|@|\?|>|\*|\$|%[0-9]{2}|[0-9]";

/// Which token stands for pieces that the vocabulary lacks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// `<unk>`: the hub's tokenizer.
    #[default]
    Unk,
    /// `<pad>`: the original fine-tuning code.
    Pad,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Chosen {
    unknown: Unknown,
}

/// SMILES to tokens.
#[derive(Debug)]
pub struct Tokenizer {
    pieces: Regex,
    vocabulary: Vocabulary,
    first: u32,
    last: u32,
    unknown: u32,
    info: TokenizerInfo,
}

impl Tokenizer {
    /// The tokenizer of a checkpoint.
    ///
    /// # Errors
    /// When a special token is missing or an option cannot be used.
    pub fn new(checkpoint: &Checkpoint, options: &Options) -> Result<Self, ModelError> {
        let chosen: Chosen = options.read()?;
        let Checkpoint { config, vocabulary, vocabulary_file, .. } = checkpoint;
        let special = |text: &str| vocabulary.special(text, vocabulary_file);
        let pieces = Regex::new(PIECES).map_err(|e| ModelError::Option(e.to_string()))?;
        let unknown = match chosen.unknown {
            Unknown::Unk => special("<unk>")?,
            Unknown::Pad => special("<pad>")?,
        };
        let info = TokenizerInfo {
            variant: checkpoint.variant.to_owned(),
            vocabulary: vocabulary.digest.clone(),
            vocabulary_size: vocabulary.len(),
            context: config.context,
            has_values: false,
            options: written_out(&chosen),
        };
        let (first, last) = (special("<bos>")?, special("<eos>")?);
        Ok(Self { pieces, vocabulary: vocabulary.clone(), first, last, unknown, info })
    }
}

impl DrugTokenizer for Tokenizer {
    fn info(&self) -> &TokenizerInfo {
        &self.info
    }

    fn tokenize(&self, smiles: &str) -> DrugTokens {
        let (mut ids, mut dropped, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
        let mut end = 0;
        for piece in self.pieces.find_iter(smiles) {
            dropped.extend(smiles[end..piece.start()].chars().map(String::from));
            end = piece.end();
            ids.push(self.vocabulary.id(piece.as_str()).unwrap_or_else(|| {
                unknown.push(piece.as_str().to_owned());
                self.unknown
            }));
        }
        dropped.extend(smiles[end..].chars().map(String::from));
        let mut remarks: Vec<Remark> =
            [Remark::dropped(dropped), Remark::unknown(unknown)].into_iter().flatten().collect();
        if ids.is_empty() {
            return DrugTokens { remarks: vec![Remark::Nothing], ..DrugTokens::default() };
        }
        let tokens = framed(self.first, ids, self.last, self.info.context, &mut remarks);
        DrugTokens { tokens, remarks }
    }
}
