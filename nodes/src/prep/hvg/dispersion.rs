//! Flavours `seurat` and `cell_ranger`: dispersions standardised among genes of similar mean.

use super::bins;
use super::select;
use super::table::{Batches, Flavor, HvgError, HvgTable, Selection, Settings, Spread};
use crate::prep::normalize::median;
use crate::prep::{GeneMoments, Rows};

/// The 75th percentile of the standard normal distribution: makes a median absolute deviation comparable to an sd.
const NORMAL_QUARTILE: f64 = 0.674_489_750_196_081_7;

/// Scores of one batch, one element a gene.
struct Scores {
    means: Vec<f64>,
    dispersions: Vec<f64>,
    norm: Vec<f64>,
    chosen: Vec<bool>,
}

/// Scores every batch and combines them.
pub(super) fn by_dispersion<R: Rows>(
    rows: &R,
    batches: &Batches,
    batched: bool,
    settings: &Settings,
) -> Result<HvgTable, HvgError<R::Error>> {
    let n_genes = rows.n_cols();
    let mut moments = vec![GeneMoments::new(n_genes); batches.names.len()];
    let mut counts = Vec::new();
    rows.each_row(&mut |row, columns, values| {
        let batch = &mut moments[batches.of_cell[row] as usize];
        if settings.flavor == Flavor::Seurat {
            counts.clear();
            counts.extend(values.iter().map(|v| v.exp_m1()));
            batch.add(columns, &counts);
        } else {
            batch.add(columns, values);
        }
    })
    .map_err(HvgError::Rows)?;

    if !batched {
        let all: Vec<usize> = (0..n_genes).collect();
        let scores = score(&moments[0], &all, settings);
        let spread = Spread::Dispersion { dispersions: scores.dispersions, dispersions_norm: scores.norm };
        let (highly_variable, means) = (scores.chosen, scores.means);
        return Ok(HvgTable {
            highly_variable,
            means,
            spread,
            n_batches: None,
            intersection: None,
            warnings: Vec::new(),
        });
    }
    Ok(combine(&moments, n_genes, settings))
}

/// Means of the scores over batches. A gene that a batch does not express counts with 0 there, as in Scanpy.
fn combine(moments: &[GeneMoments], n_genes: usize, settings: &Settings) -> HvgTable {
    let mut means = Average::new(n_genes);
    let mut dispersions = Average::new(n_genes);
    let mut norm = Average::new(n_genes);
    let mut n_batches = vec![0_u32; n_genes];
    for batch in moments {
        let expressed: Vec<usize> = (0..n_genes).filter(|&gene| batch.nonzero(gene) > 0).collect();
        let scores = score(batch, &expressed, settings);
        let mut next = expressed.iter().enumerate().peekable();
        for (gene, chosen_in) in n_batches.iter_mut().enumerate() {
            let at = next.next_if(|&(_, &expressed)| expressed == gene).map(|(at, _)| at);
            means.add(gene, at.map_or(0.0, |at| scores.means[at]));
            dispersions.add(gene, at.map_or(0.0, |at| scores.dispersions[at]));
            norm.add(gene, at.map_or(0.0, |at| scores.norm[at]));
            *chosen_in += u32::from(at.is_some_and(|at| scores.chosen[at]));
        }
    }
    let (means, dispersions, norm) = (means.finish(), dispersions.finish(), norm.finish());
    let highly_variable = match settings.selection {
        Selection::Top(n) => {
            // Most batches first, then the larger dispersion: the order of Seurat's SelectIntegrationFeatures.
            let mut order = select::descending(&norm);
            order.sort_by_key(|&gene| std::cmp::Reverse(n_batches[gene]));
            select::first(&order, n, n_genes)
        }
        Selection::Within(bounds) => select::within(&means, &norm, &bounds),
    };
    let intersection = n_batches.iter().map(|&n| n as usize == moments.len()).collect();
    HvgTable {
        highly_variable,
        means,
        spread: Spread::Dispersion { dispersions, dispersions_norm: norm },
        n_batches: Some(n_batches),
        intersection: Some(intersection),
        warnings: Vec::new(),
    }
}

/// Scores `genes` of one batch.
fn score(moments: &GeneMoments, genes: &[usize], settings: &Settings) -> Scores {
    let seurat = settings.flavor == Flavor::Seurat;
    let (mut means, mut dispersions) = (Vec::with_capacity(genes.len()), Vec::with_capacity(genes.len()));
    for &gene in genes {
        let mean = moments.mean(gene);
        // A gene that no cell expresses gets a tiny mean, so that its dispersion is 0 rather than 0 / 0.
        let mean = if mean == 0.0 { 1e-12 } else { mean };
        let dispersion = moments.variance(gene) / mean;
        means.push(if seurat { mean.ln_1p() } else { mean });
        dispersions.push(match (seurat, dispersion == 0.0) {
            (true, true) => f64::NAN,
            (true, false) => dispersion.ln(),
            (false, _) => dispersion,
        });
    }
    let norm = standardise(&means, &dispersions, settings);
    let chosen = match settings.selection {
        Selection::Top(n) => select::top(&norm, n),
        Selection::Within(bounds) => select::within(&means, &norm, &bounds),
    };
    Scores { means, dispersions, norm, chosen }
}

/// (dispersion - centre of its bin) / spread of its bin.
fn standardise(means: &[f64], dispersions: &[f64], settings: &Settings) -> Vec<f64> {
    if means.is_empty() {
        return Vec::new();
    }
    let seurat = settings.flavor == Flavor::Seurat;
    let edges = if seurat { bins::equal_width(means, settings.n_bins) } else { bins::percentiles(means) };
    let bin: Vec<Option<usize>> = means.iter().map(|&mean| bins::bin_of(&edges, mean)).collect();
    let mut members = vec![Vec::new(); edges.len() - 1];
    for (&bin, &dispersion) in bin.iter().zip(dispersions) {
        if let (Some(bin), false) = (bin, dispersion.is_nan()) {
            members[bin].push(dispersion);
        }
    }
    let stats: Vec<(f64, f64)> = members
        .into_iter()
        .map(|group| if seurat { mean_and_sd(&group) } else { median_and_mad(group) })
        .collect();
    let one = |(&bin, &dispersion): (&Option<usize>, &f64)| {
        bin.map_or(f64::NAN, |bin| (dispersion - stats[bin].0) / stats[bin].1)
    };
    bin.iter().zip(dispersions).map(one).collect()
}

/// Mean and sd (n - 1). A gene alone in its bin gets a standardised dispersion of 1.
fn mean_and_sd(group: &[f64]) -> (f64, f64) {
    let n = group.len() as f64;
    let mean = group.iter().sum::<f64>() / n;
    if group.len() < 2 {
        return (0.0, mean);
    }
    let squares: f64 = group.iter().map(|v| (v - mean) * (v - mean)).sum();
    (mean, (squares / (n - 1.0)).sqrt())
}

/// Median and scaled median absolute deviation.
fn median_and_mad(mut group: Vec<f64>) -> (f64, f64) {
    let centre = median(&mut group).unwrap_or(f64::NAN);
    let mut deviations: Vec<f64> = group.iter().map(|v| (v - centre).abs()).collect();
    (centre, median(&mut deviations).unwrap_or(f64::NAN) / NORMAL_QUARTILE)
}

/// Mean over batches that skips NaN.
struct Average {
    sums: Vec<f64>,
    counts: Vec<u32>,
}

impl Average {
    fn new(genes: usize) -> Self {
        Self { sums: vec![0.0; genes], counts: vec![0; genes] }
    }

    fn add(&mut self, gene: usize, value: f64) {
        if !value.is_nan() {
            self.sums[gene] += value;
            self.counts[gene] += 1;
        }
    }

    fn finish(self) -> Vec<f64> {
        self.sums.iter().zip(&self.counts).map(|(sum, &count)| sum / f64::from(count)).collect()
    }
}
