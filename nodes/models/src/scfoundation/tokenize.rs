//! Cells to tokens: the expressed genes of the list in its order, each with its value, then T and S.
//!
//! Where the authors align columns only if there are fewer than 19,264 of them, they are aligned always here.

use std::sync::{Arc, Once};

use celldag_data::GeneIds;
use serde::{Deserialize, Serialize};

use super::checkpoint::Checkpoint;
use super::depth::TargetDepth;
use super::vocabulary::Vocabulary;
use crate::error::ModelError;
use crate::gene_aliases::{GENE_ALIASES, GeneAliases};
use crate::matching::{GIVE_SYMBOLS, Matched, Repeats, Symbols};
use crate::option::{ModelOption, OptionDefault, OptionType, Options, written_out};
use crate::tokens::{
    CellCounts, CellTokenizer, CellTokens, Coverage, TokenizerInfo, UnusableCount, WhyEmpty,
};

/// Counts of a cell are scaled to this total.
const TARGET_SUM: f64 = 1e4;

pub(super) const OPTIONS: &[ModelOption] = &[
    GENE_ALIASES,
    ModelOption {
        name: "input",
        ty: OptionType::Choice(&["single-cell", "bulk"]),
        default: OptionDefault::Value("single-cell"),
        about: "bulk: rows are samples; counts are scaled to the median total of all samples, and T = S",
    },
    ModelOption {
        name: "pre_normalized",
        ty: OptionType::Choice(&["F", "T", "A"]),
        default: OptionDefault::Value("F"),
        about: "F: raw counts; T: ln(1 + counts per 10^4), as the authors read it, without the depth of the cell; A: the same, and \
                the last column holds the total of raw counts",
    },
    ModelOption {
        name: "target_depth",
        ty: OptionType::Text,
        default: OptionDefault::Decided("t4"),
        about: "depth that is asked for: t4, 10^4 counts; f2, twice those of the cell; a1, 10^1 times those of the cell. Not used \
                for bulk",
    },
];

/// What a row of the matrix is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Input {
    /// A cell.
    #[default]
    SingleCell,
    /// A sample of many cells.
    Bulk,
}

/// What a value of the matrix is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub enum Normalized {
    /// A raw count.
    #[default]
    #[serde(rename = "F")]
    Raw,
    /// ln(1 + counts per 10⁴).
    #[serde(rename = "T")]
    Logarithms,
    /// The same; the last column holds the total of raw counts.
    #[serde(rename = "A")]
    WithTotal,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Chosen {
    gene_aliases: GeneAliases,
    input: Input,
    pre_normalized: Normalized,
    target_depth: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Settings {
    gene_aliases: GeneAliases,
    input: Input,
    pre_normalized: Normalized,
    /// None: not used.
    target_depth: Option<TargetDepth>,
}

/// Tokenizes cells of one matrix.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    info: TokenizerInfo,
    coverage: Coverage,
    input: Input,
    normalized: Normalized,
    depth: TargetDepth,
    /// Position of each column.
    positions: Vec<Option<u32>>,
    /// Positions of T and S.
    last: [u32; 2],
    /// Total counts of all samples, until they are all seen; then their median.
    totals: Vec<f64>,
    median: Option<f64>,
    /// So that one strange cell is told, not thousands.
    told: Arc<[Once; 2]>,
}

/// Whether the values of a file must be raw counts: those of bulk samples and of normalised cells need not be.
pub(super) fn reads_counts(options: &Options) -> bool {
    let chosen = options.read::<Chosen>();
    !chosen.is_ok_and(|c| matches!(c.input, Input::Bulk) || !matches!(c.pre_normalized, Normalized::Raw))
}

impl Tokenizer {
    /// A tokenizer for a matrix whose columns are called `genes`. Symbols are compared as they are written; of several
    /// columns of one gene the first counts.
    ///
    /// # Errors
    /// When the list of genes cannot be read or has none of the genes, or an option cannot be used.
    pub fn new(checkpoint: &Checkpoint, genes: &GeneIds, options: &Options) -> Result<Self, ModelError> {
        let Chosen { gene_aliases, input, pre_normalized: normalized, target_depth } = options.read()?;
        let depth = target_depth.as_deref().map_or_else(|| Ok(TargetDepth::default()), str::parse);
        let depth: TargetDepth = depth.map_err(ModelError::Option)?;
        if input == Input::Bulk && target_depth.is_some() {
            let message = "input = bulk: a sample's T is its S, so target_depth does not apply";
            return Err(ModelError::Option(message.to_owned()));
        }
        if input == Input::Bulk && normalized == Normalized::WithTotal {
            return Err(ModelError::Option("input = bulk: pre_normalized can be F or T".to_owned()));
        }
        let list = Vocabulary::read(&checkpoint.gene_list)?;
        let symbols = Symbols {
            model: "scFoundation",
            genes: list.genes.len(),
            examples: list.genes.keys().take(3).cloned().collect::<Vec<_>>().join(", "),
            help: GIVE_SYMBOLS,
            find: &|symbol| list.genes.get(symbol).copied(),
            aliases: Some(gene_aliases),
        };
        let Matched { ids, coverage } = Matched::by_symbol(genes, Repeats::First, &symbols)?;
        let last = genes.symbols.len().checked_sub(1).and_then(|last| genes.written(last));
        let is_gene = |name: &str| list.genes.contains_key(name) || ids.last().is_some_and(Option::is_some);
        if normalized == Normalized::WithTotal
            && let Some(name) = last.filter(|name| is_gene(name))
        {
            return Err(ModelError::Option(format!(
                "pre_normalized = A: the last column must hold the total of raw counts, but `{name}` is a gene"
            )));
        }
        let settings = Settings {
            gene_aliases,
            input,
            pre_normalized: normalized,
            target_depth: (input == Input::SingleCell).then_some(depth),
        };
        let info = TokenizerInfo {
            variant: format!("{} genes", list.genes.len()),
            vocabulary_size: list.positions(),
            context: list.positions(),
            has_values: true,
            options: written_out(&settings),
            vocabulary: list.digest,
        };
        Ok(Self {
            info,
            coverage,
            input,
            normalized,
            depth,
            positions: ids,
            last: [list.target, list.source],
            totals: Vec::new(),
            median: None,
            told: Arc::new([Once::new(), Once::new()]),
        })
    }

    /// Position and value of the genes of a cell that are in the list, by position.
    fn found(&self, cell: &CellCounts<'_>) -> Result<Vec<(u32, f64)>, UnusableCount> {
        let place = |(column, value): (usize, f32)| Some(((*self.positions.get(column)?)?, f64::from(value)));
        let mut found: Vec<(u32, f64)> = cell.expressed()?.into_iter().filter_map(place).collect();
        found.sort_unstable_by_key(|&(position, _)| position);
        Ok(found)
    }

    /// The last column of the matrix.
    fn given_total(&self, cell: &CellCounts<'_>) -> f64 {
        let last = cell.columns.iter().position(|&column| column as usize + 1 == self.positions.len());
        last.map_or(0.0, |at| f64::from(cell.counts[at]))
    }

    /// Says once when the values do not look like what the option says they are.
    fn doubt(&self, cell: &CellCounts<'_>, found: &[(u32, f64)]) {
        let whole = found.iter().all(|(_, value)| value.fract() == 0.0);
        if whole == (self.normalized == Normalized::Raw) || found.is_empty() {
            return;
        }
        self.told[0].call_once(|| {
            let cell = cell.name;
            if whole {
                tracing::warn!(
                    cell,
                    "values are whole numbers, but pre_normalized says that they are logarithms"
                );
            } else {
                tracing::warn!(
                    cell,
                    "values are no whole numbers, but pre_normalized = F says that they are raw counts"
                );
            }
        });
    }
}

fn sum(found: &[(u32, f64)]) -> f64 {
    found.iter().map(|&(_, value)| value).sum()
}

fn scaled(found: &mut [(u32, f64)], total: f64, target: f64) {
    for (_, value) in found {
        *value = (*value / total * target).ln_1p();
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
        let mut found = self.found(cell)?;
        self.doubt(cell, &found);
        let total = match self.normalized {
            // T: the authors' code takes the sum of the logarithms for the count.
            Normalized::Raw | Normalized::Logarithms => sum(&found),
            Normalized::WithTotal => self.given_total(cell),
        };
        if found.is_empty() {
            return Ok(CellTokens::default());
        }
        let depths = match (self.input, self.normalized) {
            (Input::SingleCell, normalized) => {
                if normalized == Normalized::Raw {
                    scaled(&mut found, total, TARGET_SUM);
                }
                [self.depth.of(total), total.log10()]
            }
            (Input::Bulk, Normalized::Raw) => {
                scaled(&mut found, total, self.median.unwrap_or(total));
                [sum(&found).log10(); 2]
            }
            (Input::Bulk, _) => [total; 2],
        };
        if !depths.iter().all(|depth| *depth > 0.0 && depth.is_finite()) {
            // The authors' code drops such a token, and then reads genes where it expects T and S.
            self.told[1].call_once(|| {
                let (cell, [t, s]) = (cell.name, depths);
                tracing::warn!(
                    cell,
                    total,
                    t,
                    s,
                    "T and S must be above 0: cells of so few counts get no tokens"
                );
            });
            return Ok(CellTokens::default());
        }
        let mut tokens = CellTokens::default();
        #[expect(clippy::cast_possible_truncation, reason = "the model reads single precision")]
        for (position, value) in found.into_iter().chain(self.last.into_iter().zip(depths)) {
            if value as f32 > 0.0 {
                tokens.ids.push(position);
                tokens.values.push(value as f32);
            }
        }
        Ok(tokens)
    }

    fn why_empty(&self, cell: &CellCounts<'_>) -> WhyEmpty {
        if self.found(cell).is_ok_and(|found| !found.is_empty()) {
            return WhyEmpty::LeftOut("have so few counts that T or S is not above 0".to_owned());
        }
        cell.nothing_known()
    }

    fn surveys(&self) -> bool {
        self.input == Input::Bulk && self.normalized == Normalized::Raw
    }

    fn survey(&mut self, cell: &CellCounts<'_>) -> Result<(), UnusableCount> {
        let total = sum(&self.found(cell)?);
        if total > 0.0 {
            self.totals.push(total);
        }
        Ok(())
    }

    fn surveyed(&mut self) {
        let mut totals = std::mem::take(&mut self.totals);
        totals.sort_by(f64::total_cmp);
        let middle = totals.len() / 2;
        self.median = match totals.len() {
            0 => None,
            odd if odd % 2 == 1 => Some(totals[middle]),
            _ => Some(f64::midpoint(totals[middle - 1], totals[middle])),
        };
    }
}
