//! What a model does not see of a drug: said for every drug, because the published tools are silent about it.

use std::fmt;

use indexmap::IndexSet;

/// A difference between a text and what the model reads of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remark {
    /// Text that the tokenizer drops: the model reads the drug as if it were not there.
    Dropped(Vec<String>),
    /// Pieces that are not in the vocabulary: the token for unknown pieces stands for each of them.
    Unknown(Vec<String>),
    /// The text has more tokens than the model reads; the last ones are cut.
    Cut {
        /// Tokens of the text, special ones included.
        tokens: usize,
        /// Tokens that are left.
        kept: usize,
    },
    /// Nothing of the text is known.
    Nothing,
}

impl Remark {
    /// Text that is dropped, each piece once, if there is any.
    pub(crate) fn dropped(pieces: impl IntoIterator<Item = String>) -> Option<Self> {
        distinct(pieces).map(Self::Dropped)
    }

    /// Pieces without an entry, each once, if there are any.
    pub(crate) fn unknown(pieces: impl IntoIterator<Item = String>) -> Option<Self> {
        distinct(pieces).map(Self::Unknown)
    }

    /// What it means, in words that are the same for all drugs: remarks of one meaning are counted together.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        match self {
            Self::Dropped(_) => {
                "hold characters that the model's tokenizer drops, so their vectors are those of other text"
            }
            Self::Unknown(_) => "hold pieces that are not in the vocabulary and are read as unknown",
            Self::Cut { .. } => "are longer than the model reads and were cut",
            Self::Nothing => "hold nothing that the model knows and get no vector",
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dropped(pieces) | Self::Unknown(pieces) => {
                // White space is not seen in a list.
                let shown = pieces.iter().map(|piece| if piece.trim().is_empty() { "space" } else { piece });
                f.write_str(&shown.collect::<Vec<_>>().join(" "))
            }
            Self::Cut { tokens, kept } => write!(f, "{kept} of {tokens} tokens"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

fn distinct(pieces: impl IntoIterator<Item = String>) -> Option<Vec<String>> {
    let pieces: IndexSet<String> = pieces.into_iter().collect();
    (!pieces.is_empty()).then(|| pieces.into_iter().collect())
}
