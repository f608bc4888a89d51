//! Genes that a vocabulary knows by another name than the file: files and vocabularies are years apart, and genes are renamed.

use std::collections::BTreeSet;

use celldag_data::{GeneIds, HumanGene, HumanGenes, NameKind};
use serde::{Deserialize, Serialize};

use crate::option::{ModelOption, OptionDefault, OptionType};
use crate::tokens::Coverage;

/// The option of every tokenizer that looks genes up.
pub const GENE_ALIASES: ModelOption = ModelOption {
    name: "gene_aliases",
    ty: OptionType::Choice(&["none", "hgnc"]),
    default: OptionDefault::Value("none"),
    about: "genes that the vocabulary does not have as the file names them: none, they are left out, as the authors do it; hgnc, \
            they are looked up by their Ensembl id, current, previous and alias symbols in HGNC's table",
};

/// Whether genes are looked up by other names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GeneAliases {
    /// A gene is what the file calls it.
    #[default]
    None,
    /// HGNC's table of human genes.
    Hgnc,
}

/// A column of a matrix that is in the vocabulary by another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Renamed {
    pub(crate) column: usize,
    /// Its name in the vocabulary.
    pub(crate) name: &'static str,
    pub(crate) id: u32,
}

/// How sure it is which gene a column is, the surest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    Id,
    Name(NameKind),
}

/// The columns without an id in `found` that HGNC leads to an id of the vocabulary: which gene a column is follows from its
/// Ensembl id, or else from its symbol; then `find` is asked for every name of that gene.
///
/// Names of several genes lead nowhere. An id or a gene that is there already is not found again: of several columns of one
/// gene the one that is surest counts, then the first.
pub(crate) fn renamed(
    genes: &GeneIds,
    found: &[Option<u32>],
    find: &dyn Fn(&str) -> Option<u32>,
) -> Vec<Renamed> {
    let human = HumanGenes::get();
    let mut taken: BTreeSet<u32> = found.iter().flatten().copied().collect();
    let mut taken_genes: BTreeSet<&str> = BTreeSet::new();
    let mut candidates: Vec<(Evidence, usize, &HumanGene)> = Vec::new();
    for (column, found) in found.iter().enumerate() {
        match gene_of(genes, column, human) {
            Some((_, gene)) if found.is_some() => {
                taken_genes.insert(gene.symbol);
            }
            Some((evidence, gene)) => candidates.push((evidence, column, gene)),
            None => {}
        }
    }
    // Stable: columns of equal evidence stay in their order.
    candidates.sort_by_key(|&(evidence, ..)| evidence);
    let mut out = Vec::new();
    for (_, column, gene) in candidates {
        if taken_genes.contains(gene.symbol) {
            continue;
        }
        let Some((name, id)) = human.names_of(gene).find_map(|name| Some((name, find(name)?))) else {
            continue;
        };
        taken_genes.insert(gene.symbol);
        if taken.insert(id) {
            out.push(Renamed { column, name, id });
        }
    }
    out.sort_by_key(|renamed| renamed.column);
    out
}

/// What an error about a file without known genes says of other names; empty if they would not help.
pub(crate) fn hint(coverage: &Coverage) -> String {
    match coverage.aliases_would_find {
        0 => String::new(),
        would => format!(
            ". With gene_aliases = hgnc, {would} of the {} genes are found by their Ensembl id or another name",
            coverage.genes
        ),
    }
}

fn gene_of<'a>(genes: &GeneIds, column: usize, human: &'a HumanGenes) -> Option<(Evidence, &'a HumanGene)> {
    let by_id = genes.ensembl[column].as_deref().and_then(|id| human.with_id(id));
    let by_name = || human.named(genes.symbols[column].as_deref()?);
    by_id
        .map(|gene| (Evidence::Id, gene))
        .or_else(|| by_name().map(|(gene, kind)| (Evidence::Name(kind), gene)))
}
