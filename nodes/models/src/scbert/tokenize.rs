//! A level for every gene of the vocabulary in its order, and a token 0 behind them.

use std::path::Path;

use celldag_data::GeneIds;
use serde::{Deserialize, Serialize};

use super::NAME;
use crate::error::ModelError;
use crate::gene_aliases::{GENE_ALIASES, GeneAliases};
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::performer_lm::{Folder, GeneList, Levels};
use crate::tokens::{
    CellCounts, CellTokenizer, CellTokens, Coverage, TokenizerInfo, UnusableCount, WhyEmpty,
};

/// Levels 0 to 5, and one for masked genes, which does not occur here.
pub(super) const LEVELS: usize = 7;

pub(super) const OPTIONS: &[ModelOption] = &[
    GENE_ALIASES,
    ModelOption {
        name: "max_genes",
        ty: OptionType::Int(1, 1_000_000),
        default: OptionDefault::Decided("all genes"),
        about: "only the first genes of the vocabulary, an arbitrary part; 8000 in a published benchmark",
    },
    ModelOption {
        name: "min_genes",
        ty: OptionType::Int(0, 1_000_000),
        default: OptionDefault::Value("0"),
        about: "cells with fewer detected genes of the vocabulary get no tokens; the authors' preprocessing drops those below 200",
    },
];

#[derive(Deserialize, Serialize, Default)]
#[serde(default)]
struct Chosen {
    gene_aliases: GeneAliases,
    max_genes: Option<usize>,
    min_genes: usize,
}

/// Tokenizes cells of one matrix.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    info: TokenizerInfo,
    levels: Levels,
    /// Genes of a sequence, the first of the vocabulary.
    genes: usize,
    min_genes: usize,
}

impl Tokenizer {
    /// A tokenizer for a matrix whose columns are called `genes`.
    ///
    /// # Errors
    /// When there is no list of genes beside the weights, or it knows none of the genes.
    pub fn new(checkpoint: &Path, genes: &GeneIds, options: &Options) -> Result<Self, ModelError> {
        let Chosen { gene_aliases, max_genes, min_genes } = options.read()?;
        let list = GeneList::read(&Folder::open(checkpoint, NAME)?.gene_list()?)?;
        let kept = max_genes.unwrap_or(list.genes.len()).min(list.genes.len());
        if kept == 0 {
            return Err(ModelError::Option("max_genes must be at least 1".to_owned()));
        }
        let info = TokenizerInfo {
            variant: format!("{} genes", list.genes.len()),
            vocabulary_size: LEVELS,
            context: kept + 1,
            options: written_out(&Chosen { gene_aliases, max_genes: Some(kept), min_genes }),
            vocabulary: list.digest.clone(),
            has_values: false,
        };
        let levels = Levels::new(genes, &list, NAME, gene_aliases)?;
        Ok(Self { info, levels, genes: kept, min_genes })
    }
}

impl CellTokenizer for Tokenizer {
    fn info(&self) -> &TokenizerInfo {
        &self.info
    }

    fn coverage(&self) -> &Coverage {
        self.levels.coverage()
    }

    fn tokenize(&self, cell: &CellCounts<'_>) -> Result<CellTokens, UnusableCount> {
        let expressed = self.levels.of(cell)?;
        if expressed.is_empty() || expressed.len() < self.min_genes {
            return Ok(CellTokens::default());
        }
        // The last token is the one behind the genes, which the original classifier read.
        let mut ids = vec![0; self.genes + 1];
        for (gene, level) in expressed {
            if (gene as usize) < self.genes {
                ids[gene as usize] = level;
            }
        }
        Ok(ids.into())
    }

    fn why_empty(&self, cell: &CellCounts<'_>) -> WhyEmpty {
        if self.levels.of(cell).is_ok_and(|expressed| !expressed.is_empty()) {
            let few = format!("express fewer than min_genes = {} genes of the vocabulary", self.min_genes);
            return WhyEmpty::LeftOut(few);
        }
        cell.nothing_known()
    }
}
