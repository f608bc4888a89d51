//! What the genes of a matrix are called in a sentence.

use std::collections::BTreeSet;

use celldag_data::{GeneIds, HumanGenes};

use crate::error::ModelError;
use crate::gene_aliases::{GeneAliases, hint};
use crate::tokens::Coverage;

const EXAMPLES: usize = 5;

/// The word for each column of a matrix.
#[derive(Clone, Debug)]
pub struct GeneNames {
    /// The symbol as the file writes it; the id where a gene has no symbol; `None` where it has neither.
    pub words: Vec<Option<String>>,
    /// The report: every name is known to a text model, so what is counted is the genes that have one.
    pub coverage: Coverage,
}

impl GeneNames {
    /// Names for a matrix whose columns are called `genes`, read by the model called `model`. With other names, a gene without
    /// a symbol has the approved one of its id, unless another column is called so.
    ///
    /// # Errors
    /// [`ModelError::NoGenes`] when no gene has a symbol: a text model knows nothing about ids.
    pub fn new(genes: &GeneIds, model: &str, aliases: GeneAliases) -> Result<Self, ModelError> {
        let present = |name: &Option<String>| name.clone().filter(|name| !name.trim().is_empty());
        let mut coverage = Coverage { genes: genes.symbols.len(), ..Coverage::default() };
        let mut words = Vec::with_capacity(coverage.genes);
        let mut taken: BTreeSet<String> = genes.symbols.iter().filter_map(present).collect();
        for (gene, (symbol, id)) in genes.symbols.iter().zip(&genes.ensembl).enumerate() {
            let symbol = present(symbol);
            let mut approved = || {
                let gene = HumanGenes::get().with_id(id.as_deref()?)?;
                taken.insert(gene.symbol.to_owned()).then(|| gene.symbol.to_owned())
            };
            let other = if symbol.is_none() { approved() } else { None };
            coverage.by_symbol += usize::from(symbol.is_some());
            let symbol = if aliases == GeneAliases::Hgnc {
                coverage.by_alias += usize::from(other.is_some());
                symbol.or(other)
            } else {
                coverage.aliases_would_find += usize::from(other.is_some());
                symbol
            };
            coverage.by_id += usize::from(symbol.is_none() && id.is_some());
            if symbol.is_none() && coverage.unmatched_examples.len() < EXAMPLES {
                coverage.unmatched_examples.push(genes.name(gene));
            }
            words.push(symbol.or_else(|| present(id)));
        }
        if coverage.by_symbol + coverage.by_alias == 0 {
            return Err(ModelError::NoGenes {
                genes: coverage.genes,
                model: model.to_owned(),
                examples: coverage.unmatched_examples.join(", "),
                vocabulary: "CD74, HLA-DRA".to_owned(),
                help: format!(
                    "Give gene symbols as var_names or in var[\"gene_symbol\"]: ids mean nothing to a text model{}",
                    hint(&coverage)
                ),
            });
        }
        coverage.matched = coverage.by_symbol + coverage.by_alias + coverage.by_id;
        coverage.tokens = coverage.matched;
        coverage.vocabulary_genes = coverage.matched;
        Ok(Self { words, coverage })
    }
}
