//! Rank-value encoding: the genes of a cell in the order of count / total / median, highest first.
//!
//! Follows the authors' `TranscriptomeTokenizer` (package state of November 2025) to the bit, with one decision of our
//! own: genes of exactly equal value stand in the order of their columns. (The original sorts unstably, so its order
//! depends on processor and numpy version.) The total is that of all genes in the matrix, also of those that the
//! vocabulary does not know; it is summed here instead of read from `obs["n_counts"]`, which may be missing or rounded.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use celldag_data::vocabulary::{read_numbers, read_texts};
use celldag_data::{GeneIds, IdSource};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::vocabulary::Vocabulary;
use crate::error::ModelError;
use crate::gene_aliases::{GENE_ALIASES, GeneAliases, hint, renamed};
use crate::option::{ModelOption, Options, written_out};
use crate::tokens::{CellCounts, CellTokenizer, CellTokens, Coverage, TokenizerInfo, UnusableCount};

pub(super) const OPTIONS: &[ModelOption] = &[GENE_ALIASES];

/// Counts are scaled to this total. Matters only through rounding.
const TARGET_SUM: f64 = 10_000.0;
const EXAMPLES: usize = 5;

const NO_GENES: &str = "Give human Ensembl gene ids in var[\"ensembl_id\"]. Gene symbols as var_names are understood only if the \
     checkpoint has a symbol dictionary: put the model's gene_name_id_dict*.pkl (or .json) beside its token_dictionary*, \
     with the same ending of the name";

#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Chosen {
    gene_aliases: GeneAliases,
}

/// Tokenizes cells of one matrix.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    info: TokenizerInfo,
    coverage: Coverage,
    frame: Option<(u32, u32)>,
    /// Place of each column of the matrix among `genes`; `None` for genes that are not in the vocabulary.
    place: Vec<Option<u32>>,
    /// Places from here on are sums of several columns.
    first_sum: usize,
    genes: Vec<Gene>,
}

#[derive(Clone, Copy, Debug)]
struct Gene {
    token: u32,
    /// 1 / median.
    factor: f64,
}

impl Tokenizer {
    /// A tokenizer for a matrix whose columns are called `genes`. Ids of the file are taken at their word; symbols are
    /// only looked up when the file has no ids at all, or for genes that are not known, if other names are asked for.
    ///
    /// # Errors
    /// When a dictionary is damaged, no gene is known, or an option cannot be used.
    pub fn new(checkpoint: &Checkpoint, genes: &GeneIds, options: &Options) -> Result<Self, ModelError> {
        let chosen: Chosen = options.read()?;
        let files = &checkpoint.dictionaries;
        let vocabulary = Vocabulary::new(&checkpoint.tokens, &files.tokens)?;
        let factors = factors(&read_numbers(&files.medians)?, &vocabulary, &files.medians)?;
        let mapping = files.mapping.as_deref().map(read_texts).transpose()?;
        let by_symbol = genes.source == IdSource::None && files.names.is_some();
        let mut ids = match &files.names {
            Some(names) if by_symbol => genes.resolve(&read_texts(names)?).0,
            _ => genes.ensembl.clone(),
        };
        let token = |id: &str| vocabulary.genes.get(current(id, mapping.as_ref())?).copied();
        let found: Vec<Option<u32>> = ids.iter().map(|id| token(id.as_deref()?)).collect();
        let others = renamed(genes, &found, &token);
        let mut coverage =
            Coverage { genes: ids.len(), vocabulary_genes: vocabulary.genes.len(), ..Coverage::default() };
        if chosen.gene_aliases == GeneAliases::Hgnc {
            for other in &others {
                ids[other.column] = Some(other.name.to_owned());
            }
            coverage.by_alias = others.len();
        } else {
            coverage.aliases_would_find = others.len();
        }
        let columns = Columns::plan(&ids, mapping.as_ref(), &vocabulary);
        let unmatched = (0..ids.len()).filter(|&c| columns.place[c].is_none());
        let unmatched_examples: Vec<String> = unmatched.take(EXAMPLES).map(|c| genes.name(c)).collect();
        if columns.names.is_empty() {
            return Err(ModelError::NoGenes {
                genes: ids.len(),
                model: "Geneformer".to_owned(),
                examples: unmatched_examples.join(", "),
                vocabulary: vocabulary.genes.keys().take(3).cloned().collect::<Vec<_>>().join(", "),
                help: format!("{NO_GENES}{}", hint(&coverage)),
            });
        }
        coverage.matched = columns.place.iter().flatten().count();
        let direct = coverage.matched - coverage.by_alias;
        *(if by_symbol { &mut coverage.by_symbol } else { &mut coverage.by_id }) = direct;
        coverage.tokens = columns.names.iter().collect::<BTreeSet<_>>().len();
        coverage.summed =
            columns.place.iter().flatten().filter(|&&p| p as usize >= columns.first_sum).count();
        coverage.unmatched_examples = unmatched_examples;
        let gene = |name: &String| Gene { token: vocabulary.genes[name], factor: factors[name] };
        Ok(Self {
            coverage,
            frame: vocabulary.frame,
            genes: columns.names.iter().map(gene).collect(),
            place: columns.place,
            first_sum: columns.first_sum,
            info: TokenizerInfo {
                variant: vocabulary.variant().to_owned(),
                vocabulary: vocabulary.digest,
                vocabulary_size: vocabulary.size,
                context: checkpoint.config.max_position_embeddings,
                has_values: false,
                options: written_out(&chosen),
            },
        })
    }

    /// Genes of a cell with their rank values, in the order of the tokens; special tokens are left out and nothing is
    /// cut off.
    ///
    /// # Errors
    /// When a value is no count.
    pub fn rank(&self, columns: &[u32], counts: &[f32]) -> Result<Vec<(f64, u32)>, UnusableCount> {
        let mut total = 0.0_f64;
        let mut found: Vec<(usize, f64)> = Vec::with_capacity(columns.len());
        let mut sums: BTreeMap<usize, f64> = BTreeMap::new();
        for (&column, &value) in columns.iter().zip(counts) {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(UnusableCount { column: column as usize, value });
            }
            let count = f64::from(value);
            total += count;
            match self.place.get(column as usize).copied().flatten() {
                Some(place) if (place as usize) < self.first_sum => found.push((place as usize, count)),
                Some(place) => *sums.entry(place as usize).or_default() += count,
                None => {}
            }
        }
        found.extend(sums);
        // scipy divides a sparse matrix by multiplying with reciprocals; plain division would round differently.
        let scale = 1.0 / total;
        let value = |(place, count): (usize, f64)| {
            let gene = self.genes[place];
            (count * scale * TARGET_SUM * gene.factor, gene.token)
        };
        let mut ranked: Vec<(f64, u32)> = found.into_iter().filter(|&(_, n)| n != 0.0).map(value).collect();
        ranked.sort_by(|a, b| b.0.total_cmp(&a.0));
        Ok(ranked)
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
        let ranked = self.rank(cell.columns, cell.counts)?;
        if ranked.is_empty() {
            return Ok(CellTokens::default());
        }
        let genes = ranked.into_iter().map(|(_, token)| token);
        let ids: Vec<u32> = match self.frame {
            None => genes.take(self.info.context).collect(),
            Some((cls, eos)) => {
                std::iter::once(cls).chain(genes.take(self.info.context - 2)).chain([eos]).collect()
            }
        };
        Ok(ids.into())
    }
}

/// The id that the checkpoint uses for a gene of this id: with a table of retired ids, only what stands in it has one.
fn current<'a>(id: &'a str, mapping: Option<&'a IndexMap<String, String>>) -> Option<&'a str> {
    mapping.map_or(Some(id), |mapping| mapping.get(id).map(String::as_str))
}

/// Where the columns of a matrix go: kept columns in their order, behind them the sums of columns that are one gene.
struct Columns {
    place: Vec<Option<u32>>,
    names: Vec<String>,
    first_sum: usize,
}

impl Columns {
    fn plan(
        ids: &[Option<String>],
        mapping: Option<&IndexMap<String, String>>,
        vocabulary: &Vocabulary,
    ) -> Self {
        let name_of = |id: &String| {
            let name = current(id, mapping)?;
            vocabulary.genes.contains_key(name).then(|| name.to_owned())
        };
        let mapped: Vec<Option<String>> = ids.iter().map(|id| name_of(id.as_ref()?)).collect();
        let known: BTreeSet<&String> = ids
            .iter()
            .zip(&mapped)
            .filter(|(_, to)| to.is_some())
            .filter_map(|(id, _)| id.as_ref())
            .collect();
        let mut columns_of: IndexMap<&String, usize> = IndexMap::new();
        for name in mapped.iter().flatten() {
            *columns_of.entry(name).or_default() += 1;
        }
        // The authors' test: an id that stands twice is only added up when some other pair of ids collapses.
        let collapse = known.len() != columns_of.len();
        let is_sum = |name: &String| collapse && columns_of.get(name).is_some_and(|&n| n > 1);
        let mut place = vec![None; ids.len()];
        let mut names: Vec<String> = Vec::new();
        let index = |n: usize| u32::try_from(n).ok();
        for (column, name) in mapped.iter().enumerate() {
            if let Some(name) = name.as_ref().filter(|name| !is_sum(name)) {
                place[column] = index(names.len());
                names.push(name.clone());
            }
        }
        let first_sum = names.len();
        let sums: Vec<&String> = columns_of.keys().copied().filter(|name| is_sum(name)).collect();
        let sum_place: BTreeMap<&String, usize> =
            sums.iter().enumerate().map(|(at, &name)| (name, first_sum + at)).collect();
        names.extend(sums.iter().map(|&name| name.clone()));
        for (column, name) in mapped.iter().enumerate() {
            if let Some(&at) = name.as_ref().and_then(|name| sum_place.get(name)) {
                place[column] = index(at);
            }
        }
        Self { place, names, first_sum }
    }
}

/// 1 / median of every gene of the vocabulary.
fn factors(
    medians: &IndexMap<String, f64>,
    vocabulary: &Vocabulary,
    file: &Path,
) -> Result<BTreeMap<String, f64>, ModelError> {
    let refuse = |reason: String| ModelError::Config { path: file.to_path_buf(), reason };
    let mut out = BTreeMap::new();
    for gene in vocabulary.genes.keys() {
        let Some(&median) = medians.get(gene) else {
            let reason = format!(
                "there is no median of `{gene}`, which the token dictionary has; the two dictionaries do not belong together"
            );
            return Err(refuse(reason));
        };
        if !(median > 0.0 && median.is_finite()) {
            return Err(refuse(format!("the median of `{gene}` is {median}")));
        }
        out.insert(gene.clone(), 1.0 / median);
    }
    Ok(out)
}

#[cfg(test)]
mod tests;
