//! Flavour `seurat_v3`: the variance of counts, standardised by what a gene of that mean usually has.

use super::loess::loess;
use super::select;
use super::table::{Batches, HvgError, HvgTable, Selection, Settings, Spread};
use crate::prep::normalize::median;
use crate::prep::{GeneMoments, Rows};

/// Per gene of one batch: what counts are centred at, divided by and clipped at.
struct Standard {
    means: Vec<f64>,
    sds: Vec<f64>,
    clips: Vec<f64>,
    cells: f64,
    sum: Vec<f64>,
    sum_squares: Vec<f64>,
}

/// Ranks genes in every batch and combines the ranks.
pub(super) fn by_variance<R: Rows>(
    rows: &R,
    batches: &Batches,
    batched: bool,
    settings: &Settings,
) -> Result<HvgTable, HvgError<R::Error>> {
    let n_genes = rows.n_cols();
    let mut overall = GeneMoments::new(n_genes);
    let mut moments = vec![GeneMoments::new(n_genes); batches.names.len()];
    rows.each_row(&mut |row, columns, values| {
        overall.add(columns, values);
        moments[batches.of_cell[row] as usize].add(columns, values);
    })
    .map_err(HvgError::Rows)?;

    let mut warnings = Vec::new();
    let mut standards = Vec::with_capacity(moments.len());
    for (batch, name) in moments.iter().zip(&batches.names) {
        standards.push(standard(batch, name, settings.span, &mut warnings)?);
    }
    rows.each_row(&mut |row, columns, values| {
        let standard = &mut standards[batches.of_cell[row] as usize];
        for (&column, &value) in columns.iter().zip(values) {
            let gene = column as usize;
            let clipped = value.min(standard.clips[gene]);
            standard.sum[gene] += clipped;
            standard.sum_squares[gene] += clipped * clipped;
        }
    })
    .map_err(HvgError::Rows)?;

    let variances_norm: Vec<Vec<f64>> = standards.iter().map(standardised_variance).collect();
    let n = match settings.selection {
        Selection::Top(n) => n,
        // Bounds are defined for dispersions only; every gene is ranked then.
        Selection::Within(_) => n_genes,
    };
    let (rank, n_batches) = combined_ranks(&variances_norm, n);
    let mut order: Vec<usize> = (0..n_genes).collect();
    order.sort_by(|&a, &b| {
        select::nan_last(rank[a], rank[b], |x, y| x.total_cmp(&y)).then(n_batches[b].cmp(&n_batches[a]))
    });
    let count = variances_norm.len() as f64;
    let mean_over_batches = |gene: usize| variances_norm.iter().map(|v| v[gene]).sum::<f64>() / count;
    Ok(HvgTable {
        highly_variable: select::first(&order, n, n_genes),
        means: (0..n_genes).map(|gene| overall.mean(gene)).collect(),
        spread: Spread::Variance {
            variances: (0..n_genes).map(|gene| overall.variance(gene)).collect(),
            variances_norm: (0..n_genes).map(mean_over_batches).collect(),
            rank,
        },
        n_batches: batched.then_some(n_batches),
        intersection: None,
        warnings,
    })
}

/// Expected sd of every gene from a local regression of log10 variance on log10 mean.
fn standard<E>(
    moments: &GeneMoments,
    batch: &str,
    span: f64,
    warnings: &mut Vec<String>,
) -> Result<Standard, HvgError<E>> {
    let n_genes = moments.n_cols();
    let varying: Vec<usize> =
        (0..n_genes).filter(|&g| moments.variance(g) > 0.0 && moments.mean(g) > 0.0).collect();
    let x: Vec<f64> = varying.iter().map(|&gene| moments.mean(gene).log10()).collect();
    let y: Vec<f64> = varying.iter().map(|&gene| moments.variance(gene).log10()).collect();
    let fit = loess(&x, &y, span).ok_or_else(|| HvgError::NothingVaries { batch: batch.to_owned() })?;
    if fit.singular > 0 {
        warnings.push(format!(
            "the local regression of variance on mean ({batch}, span {span}) has too few distinct means at {} of its {} \
             vertices and was solved there with the smallest coefficients; a larger span avoids this",
            fit.singular, fit.vertices
        ));
    }
    let mut sds = vec![1.0; n_genes];
    for (&gene, &log_variance) in varying.iter().zip(&fit.fitted) {
        sds[gene] = 10_f64.powf(log_variance).sqrt();
    }
    let cells = moments.n_rows() as f64;
    let means: Vec<f64> = (0..n_genes).map(|gene| moments.mean(gene)).collect();
    let clips = means.iter().zip(&sds).map(|(mean, sd)| sd * cells.sqrt() + mean).collect();
    Ok(Standard { means, sds, clips, cells, sum: vec![0.0; n_genes], sum_squares: vec![0.0; n_genes] })
}

/// Variance of (clipped count - mean) / sd over all cells of the batch, zeros included.
fn standardised_variance(s: &Standard) -> Vec<f64> {
    let one = |gene: usize| {
        let (mean, sd) = (s.means[gene], s.sds[gene]);
        let squares = s.cells * mean * mean + s.sum_squares[gene] - 2.0 * s.sum[gene] * mean;
        squares / ((s.cells - 1.0) * sd * sd)
    };
    (0..s.means.len()).map(one).collect()
}

/// Per gene: median of its ranks over the batches where it is among the first `n` (NaN if none), and their number.
fn combined_ranks(variances_norm: &[Vec<f64>], n: usize) -> (Vec<f64>, Vec<u32>) {
    let n_genes = variances_norm.first().map_or(0, Vec::len);
    let mut ranks: Vec<Vec<f64>> = vec![Vec::new(); n_genes];
    for scores in variances_norm {
        for (rank, gene) in select::descending(scores).into_iter().take(n).enumerate() {
            ranks[gene].push(rank as f64);
        }
    }
    let counts = ranks.iter().map(|ranks| ranks.len() as u32).collect();
    let medians = ranks.into_iter().map(|mut ranks| median(&mut ranks).unwrap_or(f64::NAN)).collect();
    (medians, counts)
}
