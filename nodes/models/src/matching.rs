//! Genes of a file against the names of a vocabulary.

use std::collections::BTreeSet;

use celldag_data::GeneIds;

use crate::error::ModelError;
use crate::gene_aliases::{GeneAliases, Renamed, hint, renamed};
use crate::tokens::Coverage;

const EXAMPLES: usize = 5;

/// What to do with columns whose gene another column was already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeats {
    /// Every column counts for itself.
    Keep,
    /// The first column counts.
    First,
}

/// Where the columns of a matrix go in a vocabulary.
#[derive(Clone, Debug)]
pub struct Matched {
    /// Vocabulary id of each column; `None` for genes that the vocabulary does not know.
    pub ids: Vec<Option<u32>>,
    /// The report.
    pub coverage: Coverage,
}

/// A vocabulary of genes, for [`Matched::by_symbol`].
pub struct Symbols<'a> {
    /// Name of the model in messages.
    pub model: &'a str,
    /// Genes of the vocabulary.
    pub genes: usize,
    /// A few of them.
    pub examples: String,
    /// What to do when it knows no gene of the file.
    pub help: &'a str,
    /// The id of a name as the file writes it.
    pub find: &'a dyn Fn(&str) -> Option<u32>,
    /// Whether genes are looked up by other names too; `None` where there is no table of other names: genes of other species.
    pub aliases: Option<GeneAliases>,
}

/// What helps where a vocabulary of human gene symbols knows no gene of the file.
pub(crate) const GIVE_SYMBOLS: &str = "Give human gene symbols as var_names or in var[\"gene_symbol\"]";

impl Matched {
    /// Looks up the symbol of every gene, as the file writes it. A gene without a symbol is looked up by its Ensembl id,
    /// which some vocabularies have for genes without a name. Then, if it is wanted, what was not found is looked up by
    /// other names of the gene; a gene found that way is never one that another column is already.
    ///
    /// # Errors
    /// [`ModelError::NoGenes`] when the vocabulary knows none of them.
    pub fn by_symbol(
        genes: &GeneIds,
        repeats: Repeats,
        vocabulary: &Symbols<'_>,
    ) -> Result<Self, ModelError> {
        let find = |name: &Option<String>| name.as_deref().and_then(|name| named(name, vocabulary.find));
        let by_symbol: Vec<Option<u32>> = genes.symbols.iter().map(find).collect();
        let mut found: Vec<Option<u32>> =
            by_symbol.iter().zip(&genes.ensembl).map(|(symbol, id)| symbol.or_else(|| find(id))).collect();
        let others = match vocabulary.aliases {
            Some(_) => renamed(genes, &found, &|name| named(name, vocabulary.find)),
            None => Vec::new(),
        };
        let mut coverage =
            Coverage { genes: found.len(), vocabulary_genes: vocabulary.genes, ..Coverage::default() };
        if vocabulary.aliases == Some(GeneAliases::Hgnc) {
            for &Renamed { column, id, .. } in &others {
                found[column] = Some(id);
            }
            coverage.by_alias = others.len();
        } else {
            coverage.aliases_would_find = others.len();
        }
        let mut seen = BTreeSet::new();
        let mut ids = Vec::with_capacity(found.len());
        for (gene, (found, by_symbol)) in found.into_iter().zip(by_symbol).enumerate() {
            let new = found.is_some_and(|found| seen.insert(found));
            let kept = found.filter(|_| new || repeats == Repeats::Keep);
            ids.push(kept);
            if kept.is_some() {
                coverage.matched += 1;
                coverage.by_symbol += usize::from(by_symbol.is_some());
            } else if found.is_some() {
                coverage.repeated += 1;
            } else if coverage.unmatched_examples.len() < EXAMPLES {
                coverage.unmatched_examples.push(genes.name(gene));
            }
        }
        coverage.by_id = coverage.matched - coverage.by_symbol - coverage.by_alias;
        coverage.tokens = seen.len();
        if coverage.matched == 0 {
            return Err(ModelError::NoGenes {
                genes: coverage.genes,
                model: vocabulary.model.to_owned(),
                examples: coverage.unmatched_examples.join(", "),
                vocabulary: vocabulary.examples.clone(),
                help: format!("{}{}", vocabulary.help, hint(&coverage)),
            });
        }
        Ok(Self { ids, coverage })
    }
}

/// The id of a name. Blank names mean no gene, even if a vocabulary has one.
fn named(name: &str, find: &dyn Fn(&str) -> Option<u32>) -> Option<u32> {
    if name.trim().is_empty() { None } else { find(name) }
}

#[cfg(test)]
mod tests;
