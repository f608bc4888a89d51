//! Sequences of tokens as a model takes them: framed by special tokens, checked, packed behind each other.

use celldag_shaders::{Device, Ids, Segments};

use super::Remark;
use crate::error::ModelError;
use crate::tokens::CellTokens;

/// `first`, the tokens of a text, `last`; the end of a text that is longer than `context` is cut, `last` stays.
pub(crate) fn framed(
    first: u32,
    mut text: Vec<u32>,
    last: u32,
    context: usize,
    remarks: &mut Vec<Remark>,
) -> CellTokens {
    let tokens = text.len() + 2;
    if tokens > context {
        text.truncate(context.saturating_sub(2));
        remarks.push(Remark::Cut { tokens, kept: context });
    }
    text.insert(0, first);
    text.push(last);
    CellTokens::of_ids(text)
}

/// Tokens of a batch behind each other.
pub(crate) struct Packed {
    /// Rows of the embedding.
    pub(crate) ids: Ids,
    /// Where each sequence lies.
    pub(crate) segments: Segments,
}

impl Packed {
    /// Packs sequences.
    ///
    /// # Errors
    /// When a sequence is shorter than its frame or longer than `context`, or a token is not below `vocabulary`.
    pub(crate) fn new(
        device: &Device,
        batch: &[CellTokens],
        context: usize,
        vocabulary: usize,
    ) -> Result<Self, ModelError> {
        let lengths: Vec<usize> = batch.iter().map(CellTokens::len).collect();
        let refuse = |message: String| Err(ModelError::Tokens(message));
        if let Some(length) = lengths.iter().find(|&&length| length > context) {
            return refuse(format!("a drug has {length} tokens, the model reads {context}"));
        }
        if lengths.iter().any(|&length| length < 3) {
            return refuse("a drug has no token besides the special ones".to_owned());
        }
        let tokens: Vec<u32> = batch.iter().flat_map(|drug| drug.ids.iter().copied()).collect();
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= vocabulary) {
            return refuse(format!("the token {token} is beyond the vocabulary of {vocabulary}"));
        }
        Ok(Self { ids: Ids::new(device, &tokens)?, segments: Segments::new(device, &lengths)? })
    }
}
