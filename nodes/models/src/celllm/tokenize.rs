//! A class token, the expressed genes in the order of the vocabulary, and one token for all the padding.
//!
//! Ids are rows of the table of genes: those of the list, then the class token's, then the padding's. Values are levels:
//! 0 to 5, 6 of the class token; of the padding's token the value is the number of rows that it stands for.

use std::path::Path;

use celldag_data::GeneIds;
use serde::{Deserialize, Serialize};

use super::{CLS, NAME};
use crate::error::ModelError;
use crate::gene_aliases::{GENE_ALIASES, GeneAliases};
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::performer_lm::{Folder, GeneList, Levels};
use crate::tokens::{CellCounts, CellTokenizer, CellTokens, Coverage, TokenizerInfo, UnusableCount};

/// Longest padded cell: numbers of padding rows are exact in f32.
const LONGEST: i64 = 1 << 20;

pub(super) const OPTIONS: &[ModelOption] = &[
    GENE_ALIASES,
    ModelOption {
        name: "max_seq_len",
        ty: OptionType::Int(1, LONGEST),
        default: OptionDefault::Value("6000"),
        about: "length that cells are cut or padded to, class token included; padding changes results, so use that of the training",
    },
];

#[derive(Deserialize, Serialize)]
#[serde(default)]
struct Chosen {
    gene_aliases: GeneAliases,
    max_seq_len: usize,
}

impl Default for Chosen {
    fn default() -> Self {
        Self { gene_aliases: GeneAliases::None, max_seq_len: 6000 }
    }
}

/// Tokenizes cells of one matrix.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    info: TokenizerInfo,
    levels: Levels,
    class: u32,
    padding: u32,
}

impl Tokenizer {
    /// A tokenizer for a matrix whose columns are called `genes`.
    ///
    /// # Errors
    /// When there is no list of genes beside the weights, or it knows none of the genes, or an option cannot be used.
    pub fn new(checkpoint: &Path, genes: &GeneIds, options: &Options) -> Result<Self, ModelError> {
        let chosen: Chosen = options.read()?;
        if !i64::try_from(chosen.max_seq_len).is_ok_and(|length| (1..=LONGEST).contains(&length)) {
            return Err(ModelError::Option(format!("max_seq_len must be 1 to {LONGEST}")));
        }
        let list = GeneList::read(&Folder::open(checkpoint, NAME)?.gene_list()?)?;
        let count = u32::try_from(list.genes.len())
            .map_err(|_| ModelError::Tokens(format!("{} genes are too many", list.genes.len())))?;
        let info = TokenizerInfo {
            variant: format!("{count} genes"),
            vocabulary_size: list.genes.len() + 2,
            context: chosen.max_seq_len,
            options: written_out(&chosen),
            vocabulary: list.digest.clone(),
            has_values: true,
        };
        let levels = Levels::new(genes, &list, NAME, chosen.gene_aliases)?;
        Ok(Self { info, levels, class: count, padding: count + 1 })
    }
}

impl CellTokenizer for Tokenizer {
    fn info(&self) -> &TokenizerInfo {
        &self.info
    }

    fn coverage(&self) -> &Coverage {
        self.levels.coverage()
    }

    #[expect(clippy::cast_precision_loss, reason = "levels, and numbers of rows below 2^24")]
    fn tokenize(&self, cell: &CellCounts<'_>) -> Result<CellTokens, UnusableCount> {
        let expressed = self.levels.of(cell)?;
        if expressed.is_empty() {
            return Ok(CellTokens::default());
        }
        let rows = std::iter::once((self.class, CLS)).chain(expressed);
        let (mut ids, mut values): (Vec<u32>, Vec<f32>) =
            rows.take(self.info.context).map(|(gene, level)| (gene, level as f32)).unzip();
        let padding = self.info.context - ids.len();
        if padding > 0 {
            ids.push(self.padding);
            values.push(padding as f32);
        }
        Ok(CellTokens { ids, values })
    }
}
