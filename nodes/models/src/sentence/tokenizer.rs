//! Counts to the tokens of a sentence.

use std::fmt::Write;

use celldag_data::GeneIds;
use celldag_data::tokenizer::TextTokenizer;

use super::names::GeneNames;
use super::options::{Form, SentenceSettings};
use super::ranked;
use crate::error::ModelError;
use crate::option::written_out;
use crate::tokens::{CellCounts, CellTokenizer, CellTokens, Coverage, TokenizerInfo, UnusableCount};
use crate::vocabulary::digest;

/// Writes the sentences of the cells of one matrix and cuts them into tokens.
#[derive(Clone, Debug)]
pub struct SentenceTokenizer {
    tokenizer: TextTokenizer,
    genes: GeneNames,
    settings: SentenceSettings,
    info: TokenizerInfo,
}

impl SentenceTokenizer {
    /// For a matrix whose columns are called `genes`. `model` is for messages, `variant` for the record.
    ///
    /// # Errors
    /// When no gene has a symbol, a symbol cannot be cut, or the limit of the settings leaves no room.
    pub fn new(
        tokenizer: TextTokenizer,
        genes: &GeneIds,
        (model, variant): (&str, String),
        settings: SentenceSettings,
    ) -> Result<Self, ModelError> {
        let vocabulary = tokenizer.vocabulary();
        let tokenizer = tokenizer.with_limit(settings.max_length)?;
        let genes = GeneNames::new(genes, model, settings.gene_aliases)?;
        // What cannot be cut shows here, not in the middle of a file.
        for word in genes.words.iter().flatten() {
            tokenizer.ids(word)?;
        }
        let info = TokenizerInfo {
            variant,
            vocabulary_size: vocabulary.values().max().map_or(0, |&last| last as usize + 1),
            vocabulary: digest(&vocabulary),
            context: settings.max_length,
            has_values: false,
            options: written_out(&settings),
        };
        Ok(Self { tokenizer, genes, settings, info })
    }

    /// The sentence of a cell; empty if no gene with a name is expressed.
    ///
    /// # Errors
    /// When a value is negative, infinite or not a number.
    pub fn sentence(&self, cell: &CellCounts<'_>) -> Result<String, UnusableCount> {
        Ok(self.written(&self.words(cell)?, usize::MAX))
    }

    /// Columns and counts of the words, in their order.
    fn words(&self, cell: &CellCounts<'_>) -> Result<Vec<(usize, f32)>, UnusableCount> {
        let mut words = ranked(cell)?;
        words.retain(|&(column, _)| matches!(self.genes.words.get(column), Some(Some(_))));
        if self.settings.sentence == Form::Counts && !words.is_empty() {
            let mut counts = vec![0.0; self.genes.words.len()];
            for (column, count) in words {
                counts[column] = count;
            }
            words = counts.into_iter().enumerate().filter(|&(c, _)| self.genes.words[c].is_some()).collect();
        }
        words.truncate(self.settings.max_genes.unwrap_or(usize::MAX));
        Ok(words)
    }

    /// The first `most` of the words as text.
    fn written(&self, words: &[(usize, f32)], most: usize) -> String {
        let mut text = String::new();
        for &(column, count) in words.iter().take(most) {
            let word = self.genes.words[column].as_deref().unwrap_or_default();
            // Writing to a text cannot fail.
            let _ = match self.settings.sentence {
                Form::Ranked if text.is_empty() => write!(text, "{word}"),
                Form::Ranked => write!(text, " {word}"),
                Form::Counts => write!(text, "{word}{count} "),
            };
        }
        text
    }

    fn ids(&self, text: &str, cell: &str) -> Vec<u32> {
        self.tokenizer.ids(text).unwrap_or_else(|error| {
            // Every word was cut before; only an odd tokenizer can refuse them side by side.
            tracing::warn!(cell, %error, "the cell gets no tokens");
            Vec::new()
        })
    }
}

impl CellTokenizer for SentenceTokenizer {
    fn info(&self) -> &TokenizerInfo {
        &self.info
    }

    fn coverage(&self) -> &Coverage {
        &self.genes.coverage
    }

    fn tokenize(&self, cell: &CellCounts<'_>) -> Result<CellTokens, UnusableCount> {
        let words = self.words(cell)?;
        if words.is_empty() {
            return Ok(CellTokens::default());
        }
        // As a rule a word gives at least one token: more words than tokens that stay need not be cut.
        let room = self.settings.max_length;
        let mut ids = self.ids(&self.written(&words, room), cell.name);
        if ids.len() < room && words.len() > room {
            ids = self.ids(&self.written(&words, usize::MAX), cell.name);
        }
        Ok(ids.into())
    }
}
