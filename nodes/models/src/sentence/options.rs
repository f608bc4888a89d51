//! What a user may choose about sentences, the same for all text models.

use serde::{Deserialize, Serialize};

use crate::error::ModelError;
use crate::gene_aliases::{GENE_ALIASES, GeneAliases};
use crate::option::{ModelOption, OptionDefault, OptionType, Options};

/// The options of the tokenizers that write sentences.
pub const SENTENCE_OPTIONS: &[ModelOption] = &[
    GENE_ALIASES,
    ModelOption {
        name: "max_genes",
        ty: OptionType::Int(1, 1_000_000),
        default: OptionDefault::Decided("1024 for llama, as many as max_length holds for bert-text"),
        about: "most genes of a sentence",
    },
    ModelOption {
        name: "max_length",
        ty: OptionType::Int(2, 1 << 20),
        default: OptionDefault::Decided(
            "4096 for llama, max_seq_length of sentence_bert_config.json for bert-text",
        ),
        about: "most tokens of a cell, the special ones included; the end of longer sentences is cut off",
    },
    ModelOption {
        name: "sentence",
        ty: OptionType::Choice(&["ranked", "counts"]),
        default: OptionDefault::Value("ranked"),
        about: "ranked: symbols of the expressed genes, highest count first; counts: all genes in the order of the file, each \
                followed by its count, as the script of scDrugMap writes them",
    },
];

/// How a cell is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Symbols of the expressed genes by descending count, one space between them.
    #[default]
    Ranked,
    /// All genes in the order of the columns, zeros included: the symbol, the count and a space (`CD743 B2M0 `).
    Counts,
}

/// How cells become sentences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SentenceSettings {
    /// Whether genes without a symbol are looked up by their id.
    pub gene_aliases: GeneAliases,
    /// Most genes of a sentence.
    pub max_genes: Option<usize>,
    /// Most tokens of a cell.
    pub max_length: usize,
    /// How a cell is written.
    pub sentence: Form,
}

/// What a model has where the user says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SentenceDefaults {
    /// Most genes of a ranked sentence.
    pub max_genes: Option<usize>,
    /// Most tokens of a cell.
    pub max_length: usize,
    /// Most tokens that the model can read.
    pub context: usize,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Chosen {
    gene_aliases: GeneAliases,
    max_genes: Option<usize>,
    max_length: Option<usize>,
    sentence: Form,
}

impl SentenceSettings {
    /// What the user chose, with the defaults of a model.
    ///
    /// # Errors
    /// [`ModelError::Option`] when the model cannot read cells that long.
    pub fn new(options: &Options, defaults: SentenceDefaults) -> Result<Self, ModelError> {
        let Chosen { gene_aliases, max_genes, max_length, sentence } = options.read()?;
        if let Some(asked) = max_length.filter(|&asked| asked > defaults.context) {
            return Err(ModelError::Option(format!(
                "max_length {asked} is more than the model reads: it has {} positions",
                defaults.context
            )));
        }
        if max_genes == Some(0) {
            return Err(ModelError::Option("max_genes 0 leaves no sentence".to_owned()));
        }
        let usual = defaults.max_genes.filter(|_| sentence == Form::Ranked);
        let max_length = max_length.unwrap_or(defaults.max_length).min(defaults.context);
        Ok(Self { gene_aliases, max_genes: max_genes.or(usual), max_length, sentence })
    }
}
