//! Counts to expression levels 0 to 5, as scBERT's preprocessing does it: the total is that of the genes of the vocabulary
//! alone, the logarithm is to the base 2, and levels are whole numbers cut off, not rounded.

use celldag_data::GeneIds;

use super::gene_list::GeneList;
use crate::error::ModelError;
use crate::gene_aliases::GeneAliases;
use crate::matching::{GIVE_SYMBOLS, Matched, Repeats, Symbols};
use crate::tokens::{CellCounts, Coverage, UnusableCount};

/// Counts are scaled to this total.
const TARGET_SUM: f32 = 1e4;
/// All higher values are this level.
const HIGHEST: f32 = 5.0;
const EXAMPLES: usize = 3;

/// Expression levels of the cells of one matrix.
#[derive(Clone, Debug)]
pub struct Levels {
    /// Gene of each column of the matrix.
    genes: Vec<Option<u32>>,
    coverage: Coverage,
}

impl Levels {
    /// For a matrix whose columns are called `genes`. If a gene occurs twice, its first column counts.
    ///
    /// # Errors
    /// When none of the genes is in the list.
    pub fn new(
        genes: &GeneIds,
        list: &GeneList,
        model: &str,
        aliases: GeneAliases,
    ) -> Result<Self, ModelError> {
        let find = |symbol: &str| list.genes.get(symbol).copied();
        let vocabulary = Symbols {
            model,
            genes: list.genes.len(),
            examples: list.genes.keys().take(EXAMPLES).cloned().collect::<Vec<_>>().join(", "),
            help: GIVE_SYMBOLS,
            find: &find,
            aliases: Some(aliases),
        };
        let Matched { ids, coverage } = Matched::by_symbol(genes, Repeats::First, &vocabulary)?;
        Ok(Self { genes: ids, coverage })
    }

    /// How the genes of the file are covered.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Gene and level of the expressed genes of a cell, by gene; levels below 1 are 0.
    ///
    /// # Errors
    /// When a value is no count.
    pub fn of(&self, cell: &CellCounts<'_>) -> Result<Vec<(u32, u32)>, UnusableCount> {
        let gene = |(column, count): (usize, f32)| Some((self.genes.get(column).copied()??, count));
        let mut found: Vec<(u32, f32)> = cell.expressed()?.into_iter().filter_map(gene).collect();
        found.sort_by_key(|&(gene, _)| gene);
        let total: f64 = found.iter().map(|&(_, count)| f64::from(count)).sum();
        let scale = rounded(total) / TARGET_SUM;
        Ok(found.into_iter().map(|(gene, count)| (gene, level(count / scale))).collect())
    }
}

/// floor(log2(1 + x)), at most 5. In steps of f32, as the authors' tools do it: 1 + x of just below a power of two is then
/// the level that they give it.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 5")]
fn level(x: f32) -> u32 {
    (rounded(f64::from(x).ln_1p()) / std::f32::consts::LN_2).min(HIGHEST).floor() as u32
}

#[expect(clippy::cast_possible_truncation, reason = "rounding is what is wanted")]
fn rounded(x: f64) -> f32 {
    x as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_begin_at_powers_of_two() {
        for (x, wanted) in
            [(0.0, 0), (0.99, 0), (1.0, 1), (2.99, 1), (3.0, 2), (7.0, 3), (15.0, 4), (30.9, 4)]
        {
            assert_eq!(level(x), wanted, "{x}");
        }
        assert_eq!([level(31.0), level(1e4)], [5, 5]);
    }
}
