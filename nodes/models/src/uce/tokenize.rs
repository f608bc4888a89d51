//! The sentence of a cell: genes drawn with replacement by the logarithm of their counts, chromosome by chromosome in
//! random order, on a chromosome in the order of their places.
//!
//! Follows the authors' `eval_data.py` with two decisions of our own: each cell has its own random stream unless the
//! authors' single stream is asked for, and two genes with the same start stand in the order of their columns (numpy's
//! unstable sort leaves their order to the machine).

use std::collections::BTreeMap;

use celldag_data::GeneIds;

use super::checkpoint::Checkpoint;
use super::draws::{CellDraws, Draws, Mt19937};
use super::genome::{Genome, Locus};
use super::sampling::{Rng, Sampling};
use super::vocabulary::{CHROMOSOME_END, CLS, Vocabulary};
use crate::error::ModelError;
use crate::gene_aliases::GeneAliases;
use crate::matching::{Matched, Repeats, Symbols};
use crate::option::{Options, written_out};
use crate::tokens::{
    CellCounts, CellTokenizer, CellTokens, Coverage, TokenizerInfo, UnusableCount, WhyEmpty,
};

/// The authors' filter: genes of at least so many cells, then cells of at least so many of these genes.
const MIN_CELLS: u32 = 10;
const MIN_GENES: usize = 25;
/// The species that there is a table of other names of.
const HUMAN: &str = "human";

/// Makes sentences of the cells of one matrix.
#[derive(Clone, Debug)]
pub struct Tokenizer {
    info: TokenizerInfo,
    coverage: Coverage,
    /// Of each column of the matrix.
    loci: Vec<Option<Locus>>,
    sampling: Sampling,
    /// The stream over all cells.
    numpy: Mt19937,
    /// Cells in which each column was seen, then whether the filter keeps it.
    seen: Vec<u32>,
}

impl Tokenizer {
    /// A tokenizer for a matrix whose columns are called `genes`.
    ///
    /// # Errors
    /// When a file is missing or damaged, an option cannot be used, or no gene is known.
    pub fn new(checkpoint: &Checkpoint, genes: &GeneIds, options: &Options) -> Result<Self, ModelError> {
        let sampling: Sampling = options.read()?;
        // A sentence is at least <cls>, a chromosome, its genes, and the chromosome's end.
        if sampling.sample_size + 3 > sampling.pad_length {
            return Err(ModelError::Option(format!(
                "{} genes and three more tokens do not fit into pad_length = {}; lower sample_size",
                sampling.sample_size, sampling.pad_length
            )));
        }
        let start = u32::try_from(sampling.seed).ok();
        if sampling.rng == Rng::Numpy && start.is_none() {
            let message = format!("seed = {} is too large for numpy's generator (below 2^32)", sampling.seed);
            return Err(ModelError::Option(message));
        }
        let human = sampling.species == HUMAN;
        if sampling.gene_aliases == GeneAliases::Hgnc && !human {
            return Err(ModelError::Option(format!(
                "gene_aliases = hgnc knows human genes only, and the species is {}",
                sampling.species
            )));
        }
        let vocabulary = Vocabulary::read(checkpoint, sampling.chrom_token_offset, &sampling.version)?;
        let loci = Genome::read(checkpoint, &vocabulary, &sampling.species)?.loci;
        let examples: Vec<&str> = loci.keys().map(String::as_str).take(3).collect();
        let symbols = Symbols {
            model: &format!("UCE for the species {}", sampling.species),
            genes: loci.len(),
            examples: examples.join(", "),
            help: &format!(
                "Give gene symbols as var_names or in var[\"gene_symbol\"], and the species they are of with the option \
                 `species` (it is {})",
                sampling.species
            ),
            find: &|name| Some(loci.get(&name.to_uppercase())?.token),
            aliases: human.then_some(sampling.gene_aliases),
        };
        let Matched { ids, coverage } = Matched::by_symbol(genes, Repeats::Keep, &symbols)?;
        let by_token: BTreeMap<u32, Locus> = loci.values().map(|locus| (locus.token, *locus)).collect();
        let info = TokenizerInfo {
            variant: sampling.species.clone(),
            vocabulary: vocabulary.digest,
            vocabulary_size: vocabulary.size,
            context: sampling.pad_length,
            has_values: false,
            options: written_out(&sampling),
        };
        Ok(Self {
            info,
            coverage,
            seen: vec![0; ids.len()],
            loci: ids.into_iter().map(|id| by_token.get(&id?).copied()).collect(),
            numpy: Mt19937::new(start.unwrap_or_default()),
            sampling,
        })
    }

    /// Token, chromosome and start of each column of the matrix; `None` for genes that are not known.
    #[must_use]
    pub fn loci(&self) -> &[Option<Locus>] {
        &self.loci
    }

    /// Whether the filter keeps a column, after the survey.
    #[must_use]
    pub fn keeps(&self, column: usize) -> bool {
        !self.sampling.filter || self.seen.get(column).is_some_and(|&cells| cells >= MIN_CELLS)
    }

    /// Columns that can be drawn and their weights ln(1 + count), in the order of the columns.
    fn weights(&self, cell: &CellCounts<'_>) -> Result<CellTokens, UnusableCount> {
        let expressed = cell.expressed()?;
        let kept: Vec<(usize, f32)> =
            expressed.into_iter().filter(|&(column, _)| self.keeps(column)).collect();
        let mut out = CellTokens::default();
        if self.sampling.filter && kept.len() < MIN_GENES {
            return Ok(out);
        }
        for (column, count) in kept {
            // The authors store whole numbers: fractions are cut off.
            let count = f64::from(count).trunc();
            if count > 0.0 && self.loci.get(column).is_some_and(Option::is_some) {
                out.ids.push(u32::try_from(column).unwrap_or(u32::MAX));
                #[expect(clippy::cast_possible_truncation, reason = "weights are single precision")]
                out.values.push(count.ln_1p() as f32);
            }
        }
        Ok(out)
    }

    /// The sentence of the columns `drawable.ids` with the weights `drawable.values`.
    fn sentence(&self, drawable: &CellTokens, draws: &mut impl Draws) -> CellTokens {
        if drawable.is_empty() {
            return CellTokens::default();
        }
        let cumulative = cumulative(&drawable.values);
        let mut drawn: Vec<(u32, i64, u32, u32)> = (0..self.sampling.sample_size)
            .filter_map(|_| {
                let number = draws.uniform();
                let column =
                    drawable.ids[cumulative.partition_point(|&c| c <= number).min(drawable.len() - 1)];
                let locus = self.loci[column as usize]?;
                Some((locus.chromosome, locus.start, column, locus.token))
            })
            .collect();
        drawn.sort_unstable();
        let mut chromosomes: Vec<u32> = drawn.iter().map(|&(chromosome, ..)| chromosome).collect();
        chromosomes.dedup();
        draws.shuffle(&mut chromosomes);
        let mut ids = vec![CLS];
        for chromosome in chromosomes {
            let on_it =
                drawn.partition_point(|d| d.0 < chromosome)..drawn.partition_point(|d| d.0 <= chromosome);
            ids.push(chromosome);
            ids.extend(drawn[on_it].iter().map(|&(.., token)| token));
            ids.push(CHROMOSOME_END);
        }
        if ids.len() > self.sampling.pad_length {
            let (length, most) = (ids.len(), self.sampling.pad_length);
            tracing::warn!(
                length,
                most,
                "the sentence of a cell is too long: the genes lie on too many chromosomes"
            );
            return CellTokens::default();
        }
        ids.into()
    }
}

/// Upper ends of the genes' shares of the interval from 0 to 1, with the roundings of the authors: weights are divided by
/// their sum twice in single precision, the second time by a sum in the order of the genes, then added up in double.
fn cumulative(weights: &[f32]) -> Vec<f64> {
    #[expect(clippy::cast_possible_truncation, reason = "the authors' sum is single precision")]
    let sum = weights.iter().map(|&w| f64::from(w)).sum::<f64>() as f32;
    let again: f32 = weights.iter().map(|w| w / sum).sum();
    let mut end = 0.0;
    let mut ends: Vec<f64> = weights
        .iter()
        .map(|w| {
            end += f64::from(w / sum / again);
            end
        })
        .collect();
    ends.iter_mut().for_each(|e| *e /= end);
    ends
}

impl CellTokenizer for Tokenizer {
    fn info(&self) -> &TokenizerInfo {
        &self.info
    }

    fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    fn surveys(&self) -> bool {
        self.sampling.filter
    }

    fn survey(&mut self, cell: &CellCounts<'_>) -> Result<(), UnusableCount> {
        for (column, _) in cell.expressed()? {
            if let Some(cells) = self.seen.get_mut(column) {
                *cells += 1;
            }
        }
        Ok(())
    }

    /// With one stream over all cells this gives columns and weights, which [`CellTokenizer::in_order`] draws from.
    fn tokenize(&self, cell: &CellCounts<'_>) -> Result<CellTokens, UnusableCount> {
        let drawable = self.weights(cell)?;
        Ok(match self.sampling.rng {
            Rng::Cell => self.sentence(&drawable, &mut CellDraws::new(self.sampling.seed, cell.name)),
            Rng::Numpy => drawable,
        })
    }

    fn why_empty(&self, cell: &CellCounts<'_>) -> WhyEmpty {
        let expressed = cell.expressed().unwrap_or_default();
        let kept = expressed.iter().filter(|&&(column, _)| self.keeps(column)).count();
        let known = |column: usize| self.loci.get(column).is_some_and(Option::is_some);
        if self.sampling.filter && !expressed.is_empty() && kept < MIN_GENES {
            return WhyEmpty::LeftOut(format!(
                "have fewer than {MIN_GENES} genes that are seen in {MIN_CELLS} cells or more (filter)"
            ));
        }
        if expressed.iter().any(|&(column, count)| self.keeps(column) && known(column) && count >= 1.0) {
            let longest = self.sampling.pad_length;
            return WhyEmpty::LeftOut(format!("have sentences longer than pad_length = {longest}"));
        }
        if expressed.iter().any(|&(column, _)| known(column)) {
            return WhyEmpty::LeftOut("have no count of a known gene left that is 1 or more".to_owned());
        }
        cell.nothing_known()
    }

    fn has_order(&self) -> bool {
        self.sampling.rng == Rng::Numpy
    }

    fn in_order(&mut self, tokens: CellTokens) -> CellTokens {
        if self.sampling.rng == Rng::Cell {
            return tokens;
        }
        let mut numpy = self.numpy.clone();
        let sentence = self.sentence(&tokens, &mut numpy);
        self.numpy = numpy;
        sentence
    }
}
