//! What the genes of a matrix are called: Ensembl ids and symbols, found in whatever columns the file has.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::Table;

mod hgnc;

pub use hgnc::{HumanGene, HumanGenes, NameKind};

#[cfg(test)]
mod tests;

/// Where the Ensembl ids of a matrix were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdSource {
    /// A column of `var`: `ensembl_id`, `gene_ids` and the like.
    Column,
    /// The index of `var`.
    Index,
    /// Nowhere: the index holds symbols.
    None,
}

/// Names of the genes of a matrix, one entry per column.
#[derive(Debug, Clone, PartialEq)]
pub struct GeneIds {
    /// Ensembl id without version, upper case; `None` where the file gives none.
    pub ensembl: Vec<Option<String>>,
    /// Gene symbol as the file writes it; `None` where the file gives none.
    pub symbols: Vec<Option<String>>,
    /// Where the Ensembl ids come from.
    pub source: IdSource,
    /// Name of that column, or of the index.
    pub source_name: String,
    /// Number of ids that carried a version (`ENSG00000000003.12`), which was removed.
    pub versions_removed: usize,
}

/// How many genes of a matrix could be named.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Coverage {
    /// Genes in the matrix.
    pub genes: usize,
    /// Genes with an id.
    pub matched: usize,
    /// Of these: the id stands in the file.
    pub by_id: usize,
    /// Of these: the id was looked up by symbol.
    pub by_symbol: usize,
    /// Genes whose id an earlier gene of the matrix has already.
    pub duplicates: usize,
    /// The first few genes without an id, as the file names them.
    pub unmatched_examples: Vec<String>,
}

const ID_COLUMNS: [&str; 8] = [
    "ensembl_id",
    "gene_ids",
    "gene_id",
    "ensembl",
    "ensembl_gene_id",
    "ensembl_ids",
    "ensembl_gene",
    "ENSEMBL",
];
const SYMBOL_COLUMNS: [&str; 8] = [
    "gene_symbol",
    "gene_symbols",
    "gene_name",
    "gene_names",
    "feature_name",
    "symbol",
    "hgnc_symbol",
    "gene_short_name",
];
const EXAMPLES: usize = 10;

impl GeneIds {
    /// Looks for Ensembl ids in the usual columns of `var`, then in its index, and for symbols likewise.
    #[must_use]
    pub fn detect(var: &Table) -> Self {
        let by_column = ID_COLUMNS.iter().find_map(|&name| {
            let texts: Vec<Option<String>> = column_texts(var, name)?;
            let (ids, removed) = clean(texts.iter().map(Option::as_deref));
            ids.iter().any(Option::is_some).then(|| (ids, removed, name.to_owned()))
        });
        let (index_ids, index_removed) = clean(var.index.iter().map(|name| Some(name.as_str())));
        // A few symbols look like ids (clone names kept as ids); an index of ids is one in which ids prevail.
        let index_is_ids = 2 * index_ids.iter().flatten().count() > var.len();
        let (ensembl, versions_removed, source, source_name) = match by_column {
            Some((mut ids, removed, name)) => {
                for (id, fallback) in ids.iter_mut().zip(&index_ids) {
                    if id.is_none() {
                        id.clone_from(fallback);
                    }
                }
                (ids, removed, IdSource::Column, name)
            }
            None if index_is_ids => {
                (index_ids.clone(), index_removed, IdSource::Index, var.index_name.clone())
            }
            None => (index_ids.clone(), index_removed, IdSource::None, var.index_name.clone()),
        };
        let symbols = SYMBOL_COLUMNS.iter().find_map(|&name| column_texts(var, name)).unwrap_or_else(|| {
            let symbol = |(name, id): (&String, &Option<String>)| {
                (id.is_none() && !name.trim().is_empty()).then(|| name.clone())
            };
            var.index.iter().zip(&index_ids).map(symbol).collect()
        });
        Self { ensembl, symbols, source, source_name, versions_removed }
    }

    /// One Ensembl id per gene: the file's own where it has one, else the one that `symbol_to_id` gives for the
    /// symbol (as written, then in upper case). The report counts both ways and repeated ids; what to do with
    /// repeated ids is the tokenizer's rule.
    #[must_use]
    pub fn resolve(&self, symbol_to_id: &IndexMap<String, String>) -> (Vec<Option<String>>, Coverage) {
        let mut coverage = Coverage { genes: self.ensembl.len(), ..Coverage::default() };
        let mut seen: BTreeMap<String, ()> = BTreeMap::new();
        let mut ids = Vec::with_capacity(self.ensembl.len());
        for (gene, (own, symbol)) in self.ensembl.iter().zip(&self.symbols).enumerate() {
            let looked_up = || {
                let symbol = symbol.as_deref()?;
                symbol_to_id.get(symbol).or_else(|| symbol_to_id.get(&symbol.to_uppercase()))
            };
            let id = if let Some(own) = own {
                coverage.by_id += 1;
                Some(own.clone())
            } else if let Some(id) = looked_up() {
                coverage.by_symbol += 1;
                Some(ensembl_id(id).map_or_else(|| id.clone(), |(id, _)| id))
            } else {
                if coverage.unmatched_examples.len() < EXAMPLES {
                    coverage.unmatched_examples.push(self.name(gene));
                }
                None
            };
            if let Some(id) = &id {
                coverage.matched += 1;
                coverage.duplicates += usize::from(seen.insert(id.clone(), ()).is_some());
            }
            ids.push(id);
        }
        (ids, coverage)
    }

    /// How the genes are covered by a vocabulary of symbols or ids: `known` is asked with the symbol, then with the id.
    #[must_use]
    pub fn coverage_in(&self, mut known: impl FnMut(&str) -> bool) -> Coverage {
        let mut coverage = Coverage { genes: self.ensembl.len(), ..Coverage::default() };
        let mut seen: BTreeMap<&str, ()> = BTreeMap::new();
        for (gene, (id, symbol)) in self.ensembl.iter().zip(&self.symbols).enumerate() {
            let by_symbol = symbol.as_deref().filter(|&name| known(name));
            let mut by_id = || id.as_deref().filter(|&name| known(name));
            let name = if by_symbol.is_some() { by_symbol } else { by_id() };
            match name {
                Some(name) => {
                    coverage.matched += 1;
                    *(if by_symbol.is_some() { &mut coverage.by_symbol } else { &mut coverage.by_id }) += 1;
                    coverage.duplicates += usize::from(seen.insert(name, ()).is_some());
                }
                None if coverage.unmatched_examples.len() < EXAMPLES => {
                    coverage.unmatched_examples.push(self.name(gene));
                }
                None => {}
            }
        }
        coverage
    }

    /// What the file calls gene `gene`: its symbol, else its id; `None` for a gene without a name.
    #[must_use]
    pub fn written(&self, gene: usize) -> Option<&str> {
        let names = [&self.symbols[gene], &self.ensembl[gene]];
        names.into_iter().flatten().map(String::as_str).find(|name| !name.trim().is_empty())
    }

    /// The best name of gene `gene` for messages: its symbol, else its id, else its position.
    #[must_use]
    pub fn name(&self, gene: usize) -> String {
        self.written(gene).map_or_else(|| format!("gene {gene}"), str::to_owned)
    }
}

fn column_texts(var: &Table, name: &str) -> Option<Vec<Option<String>>> {
    let column = var.column(name)?;
    let text = |i| column.as_text(i).map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    Some((0..column.len()).map(text).collect())
}

/// Ids without version, and how many had one.
fn clean<'a>(names: impl Iterator<Item = Option<&'a str>>) -> (Vec<Option<String>>, usize) {
    let mut removed = 0;
    let ids = names
        .map(|name| {
            let (id, versioned) = ensembl_id(name?)?;
            removed += usize::from(versioned);
            Some(id)
        })
        .collect();
    (ids, removed)
}

/// The bare Ensembl gene id in `name` (upper case) and whether a version was cut off; `None` if it is no such id.
/// Forms: `ENSG00000000003`, `ENSG00000000003.12`, `ENSMUSG00000000001.4`, `ENSG00000182378.15_PAR_Y`.
fn ensembl_id(name: &str) -> Option<(String, bool)> {
    let name = name.trim();
    let base = name.strip_suffix("_PAR_Y").unwrap_or(name);
    let (id, version) = match base.split_once('.') {
        Some((id, version)) => (id, Some(version)),
        None => (base, None),
    };
    if version.is_some_and(|v| v.is_empty() || !v.bytes().all(|b| b.is_ascii_digit())) {
        return None;
    }
    let upper = id.to_ascii_uppercase();
    let digits = upper.strip_prefix("ENS")?.trim_start_matches(|c: char| c.is_ascii_uppercase());
    let letters = &upper[3..upper.len() - digits.len()];
    let valid = letters.ends_with('G') && digits.len() == 11 && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then_some((upper, version.is_some()))
}
