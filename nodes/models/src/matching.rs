//! Genes of a file against a vocabulary of gene symbols.

use std::collections::BTreeSet;

use celldag_data::GeneIds;

use crate::error::ModelError;
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

/// A vocabulary of symbols, for [`Matched::by_symbol`].
pub struct Symbols<'a> {
    /// Name of the model in messages.
    pub model: &'a str,
    /// Genes of the vocabulary.
    pub genes: usize,
    /// A few of them.
    pub examples: String,
    /// The id of a symbol as the file writes it.
    pub find: &'a dyn Fn(&str) -> Option<u32>,
}

impl Matched {
    /// Looks up the symbol of every gene, as the file writes it. A gene without a symbol is looked up by its Ensembl id,
    /// which some vocabularies have for genes without a name.
    ///
    /// # Errors
    /// [`ModelError::NoGenes`] when the vocabulary knows none of them.
    pub fn by_symbol(
        genes: &GeneIds,
        repeats: Repeats,
        vocabulary: &Symbols<'_>,
    ) -> Result<Self, ModelError> {
        let mut coverage = Coverage {
            genes: genes.symbols.len(),
            vocabulary_genes: vocabulary.genes,
            ..Coverage::default()
        };
        let mut seen = BTreeSet::new();
        let mut ids = Vec::with_capacity(coverage.genes);
        for (gene, (symbol, id)) in genes.symbols.iter().zip(&genes.ensembl).enumerate() {
            let by_symbol = symbol.as_deref().and_then(vocabulary.find);
            let by_id = || id.as_deref().and_then(vocabulary.find);
            let found = by_symbol.or_else(by_id);
            let new = found.is_some_and(|found| seen.insert(found));
            let kept = found.filter(|_| new || repeats == Repeats::Keep);
            ids.push(kept);
            if kept.is_some() {
                coverage.matched += 1;
                *(if by_symbol.is_some() { &mut coverage.by_symbol } else { &mut coverage.by_id }) += 1;
            } else if found.is_some() {
                coverage.repeated += 1;
            } else if coverage.unmatched_examples.len() < EXAMPLES {
                coverage.unmatched_examples.push(genes.name(gene));
            }
        }
        coverage.tokens = seen.len();
        if coverage.matched == 0 {
            return Err(ModelError::NoGenes {
                genes: coverage.genes,
                model: vocabulary.model.to_owned(),
                examples: coverage.unmatched_examples.join(", "),
                vocabulary: vocabulary.examples.clone(),
                help: "Give human gene symbols as var_names or in var[\"gene_symbol\"]".to_owned(),
            });
        }
        Ok(Self { ids, coverage })
    }
}

#[cfg(test)]
mod tests {
    use celldag_data::Table;

    use super::*;

    fn matched(names: &[&str], repeats: Repeats) -> Result<Matched, ModelError> {
        let genes = GeneIds::detect(&Table::new(names.iter().map(|&n| n.to_owned()).collect()));
        let known = ["CD3D", "LYZ", "ENSG00000000003"];
        let find = |name: &str| known.iter().position(|&k| k == name).and_then(|at| u32::try_from(at).ok());
        Matched::by_symbol(
            &genes,
            repeats,
            &Symbols { model: "m", genes: 3, examples: "CD3D".to_owned(), find: &find },
        )
    }

    #[test]
    fn symbols_then_ids_and_repeated_columns() {
        let names = ["LYZ", "nothing", "CD3D", "LYZ", "ENSG00000000003.4"];
        let kept = matched(&names, Repeats::Keep).unwrap();
        assert_eq!(kept.ids, [Some(1), None, Some(0), Some(1), Some(2)]);
        let first = matched(&names, Repeats::First).unwrap();
        assert_eq!(first.ids, [Some(1), None, Some(0), None, Some(2)]);
        let Coverage { matched, by_symbol, by_id, tokens, repeated, .. } = first.coverage;
        assert_eq!((matched, by_symbol, by_id, tokens, repeated), (3, 2, 1, 3, 1));
    }

    #[test]
    fn no_known_gene_is_an_error_with_examples() {
        let message = matched(&["a", "b"], Repeats::Keep).unwrap_err().to_string();
        assert!(message.contains("a, b") && message.contains("CD3D"), "{message}");
    }
}
