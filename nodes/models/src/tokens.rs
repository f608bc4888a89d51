//! Counts to tokens: what every model's tokenizer offers.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Tokens of one cell.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CellTokens {
    /// Token ids in the order in which the model reads them.
    pub ids: Vec<u32>,
    /// A number for each token, where the model reads one (expression bins, log counts); else empty.
    pub values: Vec<f32>,
}

impl CellTokens {
    /// Tokens without values.
    #[must_use]
    pub fn of_ids(ids: Vec<u32>) -> Self {
        Self { ids, values: Vec::new() }
    }

    /// Number of tokens.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether the cell has no tokens, and so no embedding.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

impl From<Vec<u32>> for CellTokens {
    fn from(ids: Vec<u32>) -> Self {
        Self::of_ids(ids)
    }
}

/// The counts of one cell.
#[derive(Clone, Copy, Debug)]
pub struct CellCounts<'a> {
    /// Name of the cell: randomness is keyed by it, so that a cell's tokens do not depend on its place in the file.
    pub name: &'a str,
    /// Columns with stored values, ascending.
    pub columns: &'a [u32],
    /// The values.
    pub counts: &'a [f32],
}

impl CellCounts<'_> {
    /// Why a cell has no tokens of which no gene is known.
    #[must_use]
    pub fn nothing_known(&self) -> WhyEmpty {
        if self.counts.iter().all(|&count| count == 0.0) { WhyEmpty::NoCounts } else { WhyEmpty::NoKnownGene }
    }

    /// Column and count of every stored value that is not 0.
    ///
    /// # Errors
    /// When a value is negative, infinite or not a number.
    pub fn expressed(&self) -> Result<Vec<(usize, f32)>, UnusableCount> {
        let mut out = Vec::with_capacity(self.columns.len());
        for (&column, &value) in self.columns.iter().zip(self.counts) {
            let column = column as usize;
            if !(value >= 0.0 && value.is_finite()) {
                return Err(UnusableCount { column, value });
            }
            if value > 0.0 {
                out.push((column, value));
            }
        }
        Ok(out)
    }
}

/// A value that is no count.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnusableCount {
    /// Column of the matrix.
    pub column: usize,
    /// The value.
    pub value: f32,
}

/// What a tokenizer is; goes into the tokens artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenizerInfo {
    /// Variant of the model (`V1`).
    pub variant: String,
    /// BLAKE3 of the vocabulary (sorted lines `name<TAB>id`), hex: tokens and weights must agree on it.
    pub vocabulary: String,
    /// Number of tokens of the vocabulary: ids are below it.
    pub vocabulary_size: usize,
    /// Longest sequence, special tokens included.
    pub context: usize,
    /// Whether tokens have values.
    pub has_values: bool,
    /// The options as they are, defaults written out.
    pub options: Map<String, Value>,
}

/// How the genes of a file are covered by a vocabulary.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Genes in the file.
    pub genes: usize,
    /// Genes of the file that the vocabulary knows.
    pub matched: usize,
    /// Of these: found by Ensembl id.
    pub by_id: usize,
    /// Of these: found by symbol.
    pub by_symbol: usize,
    /// Of these: found by another name of the gene.
    pub by_alias: usize,
    /// Genes of the file that other names would find, if they were asked for: not among those matched.
    pub aliases_would_find: usize,
    /// Distinct tokens that the file can give.
    pub tokens: usize,
    /// Genes of the vocabulary.
    pub vocabulary_genes: usize,
    /// Columns that were added up because they are the same gene under old and new ids.
    pub summed: usize,
    /// Columns that were left out because an earlier column is the same gene.
    pub repeated: usize,
    /// A few genes of the file that the vocabulary does not know.
    pub unmatched_examples: Vec<String>,
}

/// Why a cell has no tokens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WhyEmpty {
    /// It has no count above 0.
    NoCounts,
    /// None of the genes that it has counts of is in the vocabulary.
    NoKnownGene,
    /// The model leaves cells of this kind out, in words that follow "cells": `have fewer than 25 genes (filter)`.
    LeftOut(String),
}

/// Counts of a cell to tokens.
///
/// Cells are first all surveyed, if the tokenizer asks for it; then [`CellTokenizer::tokenize`] is called for each cell, in
/// any order and in parallel; then [`CellTokenizer::in_order`] for each result in the order of the file.
pub trait CellTokenizer: Send + Sync {
    /// What this tokenizer is.
    fn info(&self) -> &TokenizerInfo;

    /// How the genes of the file are covered.
    fn coverage(&self) -> &Coverage;

    /// Tokens of one cell. Empty when the cell cannot be embedded (no gene of it is known).
    ///
    /// # Errors
    /// When a value is negative, infinite or not a number.
    fn tokenize(&self, cell: &CellCounts<'_>) -> Result<CellTokens, UnusableCount>;

    /// Why a cell got no tokens; asked about no other cells.
    fn why_empty(&self, cell: &CellCounts<'_>) -> WhyEmpty {
        cell.nothing_known()
    }

    /// Whether [`CellTokenizer::survey`] must see all cells first (a gene filter, a median over the cells).
    fn surveys(&self) -> bool {
        false
    }

    /// Sees a cell before any is tokenized, in the order of the file.
    ///
    /// # Errors
    /// When a value is negative, infinite or not a number.
    fn survey(&mut self, _cell: &CellCounts<'_>) -> Result<(), UnusableCount> {
        Ok(())
    }

    /// The last cell was surveyed.
    fn surveyed(&mut self) {}

    /// Whether [`CellTokenizer::in_order`] of a cell depends on the cells before it: who wants some cells only must then begin with
    /// the first one.
    fn has_order(&self) -> bool {
        false
    }

    /// What must see the cells one after the other, such as draws from one stream of random numbers.
    fn in_order(&mut self, tokens: CellTokens) -> CellTokens {
        tokens
    }
}
