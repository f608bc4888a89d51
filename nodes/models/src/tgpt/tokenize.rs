//! Cells to sentences: gene symbols in descending order of their counts, between `</b>` and `</s>`.
//!
//! The authors' files come ranked; how they order equal counts is not published. Here equal counts stand in the order of the
//! columns. This decides which genes are read: in most cells the last place falls among genes of equal counts.

use celldag_data::GeneIds;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::vocabulary::Vocabulary;
use crate::error::ModelError;
use crate::gene_aliases::{GENE_ALIASES, GeneAliases};
use crate::matching::{GIVE_SYMBOLS, Matched, Repeats, Symbols};
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::tokens::{
    CellCounts, CellTokenizer, CellTokens, Coverage, TokenizerInfo, UnusableCount, WhyEmpty,
};

/// Tokens of a cell in the training of the published model.
const TRAINED_LENGTH: usize = 64;

pub(super) const OPTIONS: &[ModelOption] = &[
    GENE_ALIASES,
    ModelOption {
        name: "max_length",
        ty: OptionType::Int(3, 1 << 20),
        default: OptionDefault::Value("64"),
        about: "most tokens of a cell, the special ones included",
    },
    ModelOption {
        name: "padding",
        ty: OptionType::Bool,
        default: OptionDefault::Value("false"),
        about: "fill short cells up to max_length with <pad>; only matters for pooling=mean_all, where scDrugMap counts the \
                padding",
    },
];

/// How cells become tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct Settings {
    /// Whether genes are looked up by other names.
    pub gene_aliases: GeneAliases,
    /// Most tokens of a cell, special ones included.
    pub max_length: usize,
    /// Whether short cells are filled up.
    pub padding: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { gene_aliases: GeneAliases::None, max_length: TRAINED_LENGTH, padding: false }
    }
}

/// Tokenizes cells of one matrix.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    info: TokenizerInfo,
    coverage: Coverage,
    settings: Settings,
    /// Tokens of each column: usually one.
    words: Vec<Vec<u32>>,
    begin: u32,
    end: u32,
    pad: u32,
    unknown: u32,
}

impl Tokenizer {
    /// A tokenizer for a matrix whose columns are called `genes`. A gene that the vocabulary does not know takes its place as
    /// `<unk>`.
    ///
    /// # Errors
    /// When no gene is known or an option cannot be used.
    pub fn new(checkpoint: &Checkpoint, genes: &GeneIds, options: &Options) -> Result<Self, ModelError> {
        let Checkpoint { config, vocabulary, .. } = checkpoint;
        let settings: Settings = options.read()?;
        if !(3..=config.n_positions).contains(&settings.max_length) {
            return Err(ModelError::Option(format!(
                "max_length {} is not within 3 and {}, the positions of this model",
                settings.max_length, config.n_positions
            )));
        }
        let examples = vocabulary.tokens.keys().filter(|name| name.starts_with(char::is_alphabetic));
        let symbols = Symbols {
            model: "tGPT",
            genes: vocabulary.genes,
            examples: examples.take(3).cloned().collect::<Vec<_>>().join(", "),
            help: GIVE_SYMBOLS,
            find: &|symbol| match vocabulary.of_symbol(symbol)[..] {
                [token] if token != vocabulary.unknown => Some(token),
                _ => None,
            },
            aliases: Some(settings.gene_aliases),
        };
        let Matched { ids, coverage } = Matched::by_symbol(genes, Repeats::Keep, &symbols)?;
        let words = ids.iter().enumerate().map(|(gene, id)| words(vocabulary, genes, gene, *id)).collect();
        Ok(Self {
            coverage,
            settings,
            words,
            begin: vocabulary.begin,
            end: vocabulary.end,
            pad: vocabulary.pad,
            unknown: vocabulary.unknown,
            info: TokenizerInfo {
                variant: config.variant(),
                vocabulary: vocabulary.digest.clone(),
                vocabulary_size: vocabulary.size,
                context: settings.max_length,
                has_values: false,
                options: written_out(&settings),
            },
        })
    }
}

/// What stands for a column in a sentence: the token that was found, else the words of its name, known or not. A column
/// without a name is no gene of the vocabulary, which has words such as `0` and `gene`.
fn words(vocabulary: &Vocabulary, genes: &GeneIds, gene: usize, found: Option<u32>) -> Vec<u32> {
    match (found, genes.written(gene)) {
        (Some(token), _) => vec![token],
        (None, Some(name)) => vocabulary.of_symbol(name),
        (None, None) => vec![vocabulary.unknown],
    }
}

impl CellTokenizer for Tokenizer {
    fn info(&self) -> &TokenizerInfo {
        &self.info
    }

    fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    fn tokenize(&self, cell: &CellCounts<'_>) -> Result<CellTokens, UnusableCount> {
        let mut ranked = cell.expressed()?;
        // Stable: equal counts stay in the order of the columns.
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        let length = self.settings.max_length;
        let words = ranked.iter().filter_map(|&(column, _)| self.words.get(column)).flatten().copied();
        let sentence: Vec<u32> = words.take(length - 2).collect();
        if sentence.iter().all(|&token| token == self.unknown) {
            return Ok(CellTokens::default());
        }
        let mut ids: Vec<u32> = [self.begin].into_iter().chain(sentence).chain([self.end]).collect();
        if self.settings.padding {
            ids.resize(length, self.pad);
        }
        Ok(ids.into())
    }

    fn why_empty(&self, cell: &CellCounts<'_>) -> WhyEmpty {
        let known = |column: u32| {
            self.words
                .get(column as usize)
                .is_some_and(|words| words.iter().any(|&word| word != self.unknown))
        };
        let expressed = cell.columns.iter().zip(cell.counts).filter(|(_, count)| **count > 0.0);
        if expressed.map(|(&column, _)| column).any(known) {
            let length = self.settings.max_length;
            return WhyEmpty::LeftOut(format!(
                "have no known gene among their highest (max_length = {length})"
            ));
        }
        cell.nothing_known()
    }
}
