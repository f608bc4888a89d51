//! The kind `qc`: cells and genes that pass thresholds, with their quality metrics.
//!
//! Two walks over the file in chunks: one measures, one writes. Only the metrics are held in memory.

use celldag_data::{CellsFile, Column, CountsSource, H5adWriter, MatrixRef, Table, WriteOptions};
use celldag_engine::{
    InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, ParamType, Params, Step,
};
use serde::Deserialize;
use serde_json::json;

use super::metrics::{CellMetrics, GeneMetrics, GeneSet};
use super::thresholds::{CellFilter, Criterion, GeneFilter};
use crate::artifacts::CELLS;
use crate::prep::Rows;
use crate::prep::cells::{FileRows, data, open, positions, symbols};
use crate::prep::normalize::median;

/// Quality control of cells and genes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Qc;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    min_genes: u32,
    max_genes: Option<u32>,
    min_counts: Option<f64>,
    max_counts: Option<f64>,
    max_mito_fraction: Option<f64>,
    min_cells: u32,
    mito_prefix: String,
    ribo_prefixes: Vec<String>,
    counts: String,
}

impl Options {
    fn cell_filter(&self) -> CellFilter {
        CellFilter {
            min_genes: (self.min_genes > 0).then_some(self.min_genes),
            max_genes: self.max_genes,
            min_counts: self.min_counts,
            max_counts: self.max_counts,
            max_share: self.max_mito_fraction,
            share_set: 0,
        }
    }
}

impl Kind for Qc {
    fn spec(&self) -> KindSpec {
        const LARGEST: i64 = u32::MAX as i64;
        KindSpec {
            name: "qc",
            epoch: 1,
            about: "keeps cells and genes that pass thresholds and adds quality metrics",
            inputs: vec![InPort {
                name: "cells",
                ty: CELLS,
                many: Multiplicity::One,
                about: "raw counts: AnnData, 10x or a table",
            }],
            outputs: vec![OutPort {
                name: "cells",
                ty: CELLS,
                file: "cells.h5ad",
                about: "counts of the kept cells and genes in X; metrics of the cells over all measured genes in obs, \
                        of the genes over the kept cells in var",
            }],
            params: vec![
                Param::int("min_genes", "fewest genes with a count; 0 keeps empty cells")
                    .range(0, LARGEST)
                    .default(200)
                    .unit("genes"),
                Param::int("max_genes", "most genes with a count; more point to two cells in one droplet")
                    .range(1, LARGEST)
                    .unit("genes")
                    .optional(),
                Param::float("min_counts", 0.0, 1e12, "fewest counts of a cell").unit("counts").optional(),
                Param::float("max_counts", 0.0, 1e12, "most counts of a cell").unit("counts").optional(),
                Param::float(
                    "max_mito_fraction",
                    0.0,
                    1.0,
                    "largest share of mitochondrial counts; usual are 0.05 to 0.2, more in heart, muscle and tumours",
                )
                .unit("share of counts, 0 to 1")
                .optional(),
                Param::int("min_cells", "fewest kept cells that express a gene; 0 keeps all genes")
                    .range(0, LARGEST)
                    .default(3)
                    .unit("cells"),
                Param::text("mito_prefix", "beginning of the names of mitochondrial genes, in any case")
                    .default("MT-"),
                Param::list("ribo_prefixes", ParamType::Text, "beginnings of the names of ribosomal protein genes")
                    .default(json!(["RPS", "RPL"])),
                Param::text("counts", "matrix with raw counts: auto, X, raw/X or layers/NAME").default("auto"),
            ],
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let number = |name: &str| params.get(name).and_then(serde_json::Value::as_f64);
        let mut wrong = Vec::new();
        for what in ["genes", "counts"] {
            let (min, max) = (format!("min_{what}"), format!("max_{what}"));
            if let (Some(least), Some(most)) = (number(&min), number(&max))
                && least > most
            {
                wrong.push((max, format!("{most} is less than {min} = {least}, so no cell can pass")));
            }
        }
        for name in ["mito_prefix", "counts"] {
            if params.get(name).and_then(serde_json::Value::as_str) == Some("") {
                wrong.push((name.to_owned(), "must not be empty".to_owned()));
            }
        }
        wrong
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let options: Options = step.read_params()?;
        let file = open(step)?;
        let Ok(source) = options.counts.parse::<CountsSource>();
        let matrix = file.counts_matrix(&source).map_err(data)?;
        let rows = FileRows { file: &file, matrix: &matrix, step };
        step.progress.total(2 * file.n_cells() as u64, "cells");

        let sets = gene_sets(step, &options, matrix.var());
        let filter = options.cell_filter();
        let mut cells = CellMetrics::default();
        let mut genes = GeneMetrics::new(matrix.n_genes());
        rows.each_row(&mut |cell, columns, values| {
            cells.add(columns, values, &sets);
            if filter.keeps(&cells, cell) {
                genes.add(columns, values);
            }
        })?;
        let kept_cells = positions(&filter.mask(&cells));
        state_removed(step, &cells, &filter);
        if kept_cells.is_empty() {
            return Err(no_cells(&file, &cells, &filter));
        }
        let gene_filter = GeneFilter { min_cells: Some(options.min_cells), ..GeneFilter::default() };
        let kept_genes = positions(&gene_filter.mask(&genes));
        if kept_genes.is_empty() {
            return Err(no_genes(&file, &genes, options.min_cells));
        }
        state_kept(step, &cells, &kept_cells, &matrix, kept_genes.len());
        write(&rows, &sets, &cells, &genes, &kept_cells, &kept_genes)
    }
}

/// Mitochondrial genes first, then ribosomal ones.
fn gene_sets(step: &Step<'_>, options: &Options, var: &Table) -> Vec<GeneSet> {
    let names = symbols(var);
    let mito = GeneSet::by_prefix("mt", std::slice::from_ref(&options.mito_prefix), &names);
    if mito.is_empty() && options.max_mito_fraction.is_some() {
        step.warn(format!(
            "no gene begins with `{}`, so max_mito_fraction removes no cell (genes are called `{}`, ...)",
            options.mito_prefix,
            names.first().map_or("", String::as_str)
        ));
    }
    step.fact("mito_genes", mito.len());
    let ribo = GeneSet::by_prefix("ribo", &options.ribo_prefixes, &names);
    step.fact("ribo_genes", ribo.len());
    vec![mito, ribo]
}

/// The second walk: rows and columns that are kept, with the metrics.
fn write(
    rows: &FileRows<'_>,
    sets: &[GeneSet],
    cells: &CellMetrics,
    genes: &GeneMetrics,
    kept_cells: &[usize],
    kept_genes: &[usize],
) -> Result<(), NodeError> {
    let obs = with_columns(rows.file.obs().select(kept_cells), cells.columns(sets, kept_cells))?;
    let var = with_columns(rows.matrix.var().select(kept_genes), genes.columns(kept_genes))?;
    let output = rows.step.output("cells")?;
    let mut writer = H5adWriter::create(output, &obs, &var, &WriteOptions::default()).map_err(data)?;
    rows.copy(&mut writer, "X", |first, chunk| {
        let from = kept_cells.partition_point(|&cell| cell < first);
        let to = kept_cells.partition_point(|&cell| cell < first + chunk.rows());
        let local: Vec<usize> = kept_cells[from..to].iter().map(|cell| cell - first).collect();
        let chunk = if local.len() == chunk.rows() { chunk } else { chunk.select_rows(&local) };
        if kept_genes.len() == chunk.n_cols() { chunk } else { chunk.select_columns(kept_genes) }
    })?;
    writer.finish().map_err(data)
}

/// Adds metrics to a table; numbers of cells and genes as integers, as Scanpy has them.
fn with_columns(mut table: Table, columns: Vec<(String, Vec<f64>)>) -> Result<Table, NodeError> {
    for (name, values) in columns {
        let column = if name.starts_with("n_") {
            Column::Int(values.into_iter().map(|v| Some(v as i64)).collect())
        } else {
            Column::Float(values)
        };
        table.insert(name, column).map_err(|e| NodeError::failed(e.to_string()))?;
    }
    Ok(table)
}

/// Name of a bound as the user writes it.
fn parameter(criterion: Criterion) -> &'static str {
    match criterion {
        Criterion::MinGenes => "min_genes",
        Criterion::MaxGenes => "max_genes",
        Criterion::MinCounts => "min_counts",
        Criterion::MaxCounts => "max_counts",
        Criterion::MaxShare => "max_mito_fraction",
    }
}

/// How many cells fail each bound that is set; one cell may fail several.
fn removed(cells: &CellMetrics, filter: &CellFilter) -> Vec<(Criterion, usize)> {
    let set = Criterion::ALL.into_iter().filter(|criterion| criterion.bound(filter).is_some());
    set.map(|criterion| (criterion, (0..cells.len()).filter(|&c| criterion.fails(cells, filter, c)).count()))
        .collect()
}

fn state_removed(step: &Step<'_>, cells: &CellMetrics, filter: &CellFilter) {
    step.fact("cells_in", cells.len());
    for (criterion, count) in removed(cells, filter) {
        step.fact(&format!("cells_failing_{}", parameter(criterion)), count);
    }
}

fn state_kept(step: &Step<'_>, cells: &CellMetrics, kept: &[usize], matrix: &MatrixRef, genes: usize) {
    let middle = |f: &dyn Fn(usize) -> f64| median(&mut kept.iter().map(|&cell| f(cell)).collect::<Vec<_>>());
    step.fact("cells_out", kept.len());
    step.fact("genes_in", matrix.n_genes());
    step.fact("genes_out", genes);
    step.fact("median_genes", middle(&|cell| f64::from(cells.n_genes[cell])));
    step.fact("median_counts", middle(&|cell| cells.total_counts[cell]));
    step.fact("counts_from", matrix.name());
}

/// Which bound removes how many cells, and what the cells are like.
fn no_cells(file: &CellsFile, cells: &CellMetrics, filter: &CellFilter) -> NodeError {
    let mut message =
        format!("{}: none of the {} cells passes the filters", file.path().display(), cells.len());
    for (criterion, count) in removed(cells, filter) {
        let mut values: Vec<f64> = (0..cells.len())
            .map(|cell| criterion.value(cells, filter, cell))
            .filter(|v| !v.is_nan())
            .collect();
        let Some(middle) = median(&mut values) else { continue };
        let (low, high) = (values[0], values[values.len() - 1]);
        let unit = match criterion {
            Criterion::MinGenes | Criterion::MaxGenes => "genes with a count",
            Criterion::MinCounts | Criterion::MaxCounts => "counts",
            Criterion::MaxShare => "as mitochondrial share",
        };
        let bound = criterion.bound(filter).unwrap_or_default();
        message.push_str(&format!(
            "\n  {} = {bound} removes {count}: cells have {} to {} {unit}, median {}",
            parameter(criterion),
            short(low),
            short(high),
            short(middle)
        ));
    }
    NodeError::data(message)
        .help("loosen the filter that removes most cells, or check that the counts are complete")
}

fn no_genes(file: &CellsFile, genes: &GeneMetrics, min_cells: u32) -> NodeError {
    let most = genes.n_cells.iter().copied().max().unwrap_or_default();
    NodeError::data(format!(
        "{}: no gene has a count in min_cells = {min_cells} of the {} kept cells; the most widespread has one in {most}",
        file.path().display(),
        genes.cells
    ))
    .help("lower min_cells, or loosen the filters of cells")
}

/// A number with at most four decimals.
fn short(value: f64) -> String {
    let rounded = (value * 1e4).round() / 1e4;
    rounded.to_string()
}
