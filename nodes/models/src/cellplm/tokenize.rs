//! The tokens of a cell are its genes: rows of the gene table with ln(1 + count) as values, in the order of the columns.
//! Counts are not scaled to a common total. A cell without known genes has one token of the value 0: it is seen by the others.

use std::path::Path;

use celldag_data::GeneIds;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use crate::error::ModelError;
use crate::gene_aliases::GeneAliases;
use crate::matching::{Matched, Repeats, Symbols};
use crate::option::{Options, written_out};
use crate::tokens::{CellCounts, CellTokenizer, CellTokens, Coverage, TokenizerInfo, UnusableCount};
use crate::vocabulary::digest;

const NO_GENES: &str = "Give human Ensembl gene ids in var[\"ensembl_id\"] or as var_names. Gene symbols are understood only if the \
     folder has a table of them: put Geneformer's gene_name_id_dict*.pkl (or a .json from symbol to id) beside the weights";

/// Turns cells of one matrix into tokens.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    info: TokenizerInfo,
    coverage: Coverage,
    /// Row of the gene table of each column.
    rows: Vec<Option<u32>>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Chosen {
    gene_aliases: GeneAliases,
    version: String,
}

impl Tokenizer {
    /// A tokenizer for a matrix whose columns are called `genes`. As in the original, symbols are looked up only when no id
    /// of the file is known.
    ///
    /// # Errors
    /// When the configuration is missing or damaged, or no gene is known.
    pub fn new(checkpoint: &Path, genes: &GeneIds, options: &Options) -> Result<Self, ModelError> {
        let mut chosen: Chosen = options.read()?;
        let found = Checkpoint::find(checkpoint, &chosen.version)?;
        chosen.version.clone_from(&found.version);
        let table = found.config.genes();
        let known = |ids: &[Option<String>]| ids.iter().flatten().any(|id| table.contains_key(id));
        let mut genes = genes.clone();
        let mut looked_up = false;
        if !known(&genes.ensembl)
            && let Some(symbols) = found.symbols()?
        {
            genes.ensembl = genes.resolve(&symbols).0;
            looked_up = true;
        }
        let examples: Vec<&str> = table.keys().map(String::as_str).take(3).collect();
        let vocabulary = Symbols {
            model: "CellPLM",
            genes: table.len(),
            examples: examples.join(", "),
            help: NO_GENES,
            find: &|name| table.get(name).copied(),
            aliases: Some(chosen.gene_aliases),
        };
        let Matched { ids, mut coverage } = Matched::by_symbol(&genes, Repeats::Keep, &vocabulary)?;
        if looked_up {
            coverage.by_symbol += std::mem::take(&mut coverage.by_id);
        }
        let info = TokenizerInfo {
            variant: found.version,
            vocabulary: digest(&table),
            vocabulary_size: found.config.gene_list.len(),
            context: found.config.gene_list.len(),
            has_values: true,
            options: written_out(&chosen),
        };
        Ok(Self { info, coverage, rows: ids })
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
        let mut out = CellTokens::default();
        for (column, count) in cell.expressed()? {
            if let Some(row) = self.rows.get(column).copied().flatten() {
                out.ids.push(row);
                #[expect(clippy::cast_possible_truncation, reason = "expression is single precision")]
                out.values.push(f64::from(count).ln_1p() as f32);
            }
        }
        if out.is_empty() {
            // Without any known gene a cell is zero, and still one of its neighbourhood, as in the original.
            (out.ids, out.values) = (vec![0], vec![0.0]);
        }
        Ok(out)
    }
}
