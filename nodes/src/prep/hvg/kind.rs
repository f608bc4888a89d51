//! The kind `hvg`: marks highly variable genes in `var`.

use celldag_data::{CellsFile, Column, CountsSource, H5adWriter, MatrixRef, Table, WriteOptions};
use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Params, Step};
use serde::Deserialize;

use super::table::{Batches, Cutoffs, Flavor, HvgError, HvgTable, Selection, Settings, Spread};
use crate::artifacts::CELLS;
use crate::prep::Rows;
use crate::prep::cells::{FileRows, Watch, data, open, positions};

/// Highly variable genes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hvg;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    flavor: String,
    n_top_genes: Option<usize>,
    min_mean: f64,
    max_mean: f64,
    min_disp: f64,
    max_disp: Option<f64>,
    n_bins: usize,
    span: f64,
    batch_key: Option<String>,
    subset: bool,
    counts: String,
}

impl Options {
    fn settings(&self) -> Settings {
        let flavor = match self.flavor.as_str() {
            "cell_ranger" => Flavor::CellRanger,
            "seurat_v3" => Flavor::SeuratV3,
            _ => Flavor::Seurat,
        };
        let bounds = Cutoffs {
            min_mean: self.min_mean,
            max_mean: self.max_mean,
            min_disp: self.min_disp,
            max_disp: self.max_disp.unwrap_or(f64::INFINITY),
        };
        let selection = self.n_top_genes.map_or(Selection::Within(bounds), Selection::Top);
        Settings { flavor, selection, n_bins: self.n_bins, span: self.span }
    }
}

impl Kind for Hvg {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "hvg",
            epoch: 1,
            about: "marks genes that vary more between cells than their mean explains",
            inputs: vec![InPort {
                name: "cells",
                ty: CELLS,
                many: Multiplicity::One,
                about: "log-normalised values in X; flavor seurat_v3 takes the raw counts",
            }],
            outputs: vec![OutPort {
                name: "cells",
                ty: CELLS,
                file: "cells.h5ad",
                about: "the same cells; var[\"highly_variable\"] and the scores behind it",
            }],
            params: vec![
                Param::choice(
                    "flavor",
                    &["seurat", "cell_ranger", "seurat_v3"],
                    "dispersion of log-normalised values (seurat, cell_ranger) or variance of counts (seurat_v3)",
                )
                .default("seurat"),
                Param::int("n_top_genes", "how many genes; null: those within the bounds of mean and dispersion")
                    .range(1, 1_000_000)
                    .unit("genes")
                    .default(2000),
                Param::float("min_mean", -1e6, 1e6, "mean above this, if n_top_genes is null").default(0.0125),
                Param::float("max_mean", -1e6, 1e6, "mean below this, if n_top_genes is null").default(3.0),
                Param::float("min_disp", -1e6, 1e6, "standardised dispersion above this, if n_top_genes is null")
                    .default(0.5),
                Param::float("max_disp", -1e6, 1e6, "standardised dispersion below this, if n_top_genes is null")
                    .optional(),
                Param::int("n_bins", "bins of mean expression; seurat only").range(1, 10_000).default(20),
                Param::float("span", 0.01, 1.0, "share of genes in a local fit; seurat_v3 only").default(0.3),
                Param::text("batch_key", "column of obs: choose genes that vary within batches").optional(),
                Param::bool("subset", "keep the chosen genes only").default(false),
                Param::text("counts", "matrix with raw counts for seurat_v3: auto, X or layers/NAME")
                    .default("auto"),
            ],
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let Ok(options) = params.read::<Options>() else { return Vec::new() };
        let mut wrong = Vec::new();
        let bounded = options.n_top_genes.is_none();
        if bounded && options.flavor == "seurat_v3" {
            let problem =
                "seurat_v3 ranks genes and needs a number; the bounds are for seurat and cell_ranger";
            wrong.push(("n_top_genes".to_owned(), problem.to_owned()));
        }
        if bounded && options.min_mean >= options.max_mean {
            wrong.push(("max_mean".to_owned(), "must be above min_mean".to_owned()));
        }
        if bounded && options.max_disp.is_some_and(|max| options.min_disp >= max) {
            wrong.push(("max_disp".to_owned(), "must be above min_disp".to_owned()));
        }
        for (name, empty) in
            [("batch_key", options.batch_key.as_deref() == Some("")), ("counts", options.counts.is_empty())]
        {
            if empty {
                wrong.push((name.to_owned(), "must not be empty".to_owned()));
            }
        }
        wrong
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let options: Options = step.read_params()?;
        let settings = options.settings();
        let file = open(step)?;
        let batches = options.batch_key.as_ref().map(|key| batches(&file, key)).transpose()?;
        let matrices = copied(&file)?;
        let walks = matrices.len() + if settings.flavor == Flavor::SeuratV3 { 2 } else { 1 };
        step.progress.total((walks * file.n_cells()) as u64, "cells");

        let table = find(step, &file, batches.as_ref(), &settings, &options.counts)?;
        for warning in &table.warnings {
            step.warn(warning.clone());
        }
        if let Some(n) = options.n_top_genes.filter(|&n| n > table.count()) {
            step.warn(format!("{n} genes were asked for, {} have a score", table.count()));
        }
        if table.count() == 0 {
            return Err(NodeError::parameter(format!("no gene of {} is within the bounds", file.n_genes()))
                .help("widen min_mean, max_mean and min_disp, or give n_top_genes"));
        }
        let var = annotate(file.var(), &table)?;
        let kept = options.subset.then(|| positions(&table.highly_variable));
        write(step, &file, &matrices, &var, kept.as_deref())?;

        step.fact("cells", file.n_cells());
        step.fact("genes_in", file.n_genes());
        step.fact("highly_variable", table.count());
        step.fact("genes_out", kept.as_ref().map_or(file.n_genes(), Vec::len));
        if let Some(batches) = &batches {
            step.fact("batches", batches.names.len());
        }
        Ok(())
    }
}

/// Batches from a column of `obs`.
fn batches(file: &CellsFile, key: &str) -> Result<Batches, NodeError> {
    let obs = file.obs();
    if obs.column(key).is_none() {
        let columns: Vec<&str> = obs.columns.keys().map(String::as_str).collect();
        let error =
            NodeError::parameter(format!("{}: obs has no column `{key}` (batch_key)", file.path().display()));
        return Err(error.help(format!("there is: {}", columns.join(", "))));
    }
    let mut names = Vec::with_capacity(obs.len());
    for (cell, barcode) in obs.index.iter().enumerate() {
        let Some(name) = obs.text(key, cell) else {
            let place = format!("{}: obs[\"{key}\"] of cell `{barcode}` is missing", file.path().display());
            return Err(
                NodeError::data(place).help("every cell needs a batch; give one or leave batch_key out")
            );
        };
        names.push(name.into_owned());
    }
    Ok(Batches::by_name(&names))
}

/// Chooses genes from X or, for `seurat_v3`, from the counts.
fn find(
    step: &Step<'_>,
    file: &CellsFile,
    batches: Option<&Batches>,
    settings: &Settings,
    counts: &str,
) -> Result<HvgTable, NodeError> {
    if settings.flavor == Flavor::SeuratV3 {
        let Ok(source) = counts.parse::<CountsSource>();
        let matrix = file.counts_matrix(&source).map_err(data)?;
        if matrix.var().index != file.var().index {
            let place =
                format!("{}: the genes of `{}` are not those of X", file.path().display(), matrix.name());
            return Err(NodeError::data(place)
                .help("put raw counts into layers[\"counts\"]; a node `normalize` does"));
        }
        let rows = FileRows { file, matrix: &matrix, step };
        return super::highly_variable_genes(&rows, batches, settings).map_err(|e| failure(e, file));
    }
    let matrix = file.matrix("X").map_err(data)?;
    let rows = FileRows { file, matrix: &matrix, step };
    let watch = Watch::new();
    let watched = rows.map(|_, value| watch.see(value));
    let table = super::highly_variable_genes(&watched, batches, settings).map_err(|e| failure(e, file))?;
    watch.log_normalised(file, "X", false)?;
    Ok(table)
}

fn failure(error: HvgError<NodeError>, file: &CellsFile) -> NodeError {
    let place = file.path().display().to_string();
    match error {
        HvgError::Rows(error) => error,
        HvgError::SmallBatch { .. } => NodeError::data(format!("{place}: {error}"))
            .help("remove or merge small batches, or leave batch_key out"),
        HvgError::NothingVaries { .. } => NodeError::data(format!("{place}: {error}"))
            .help("check that the file holds more than one kind of cell"),
    }
}

/// X and the layers: what has the genes of `var`.
fn copied(file: &CellsFile) -> Result<Vec<MatrixRef>, NodeError> {
    let names = file.matrices().into_iter().filter(|name| name == "X" || name.starts_with("layers/"));
    names.map(|name| file.matrix(&name).map_err(data)).collect()
}

/// `var` with the columns that Scanpy writes.
fn annotate(var: &Table, table: &HvgTable) -> Result<Table, NodeError> {
    let yes = |mask: &[bool]| Column::Bool(mask.iter().map(|&v| Some(v)).collect());
    let mut columns =
        vec![("highly_variable", yes(&table.highly_variable)), ("means", Column::Float(table.means.clone()))];
    match &table.spread {
        Spread::Dispersion { dispersions, dispersions_norm } => {
            columns.push(("dispersions", Column::Float(dispersions.clone())));
            columns.push(("dispersions_norm", Column::Float(dispersions_norm.clone())));
        }
        Spread::Variance { variances, variances_norm, rank } => {
            columns.push(("highly_variable_rank", Column::Float(rank.clone())));
            columns.push(("variances", Column::Float(variances.clone())));
            columns.push(("variances_norm", Column::Float(variances_norm.clone())));
        }
    }
    if let Some(n) = &table.n_batches {
        let column = Column::Int(n.iter().map(|&n| Some(i64::from(n))).collect());
        columns.push(("highly_variable_nbatches", column));
    }
    if let Some(mask) = &table.intersection {
        columns.push(("highly_variable_intersection", yes(mask)));
    }
    let mut var = var.clone();
    for (name, column) in columns {
        var.insert(name, column).map_err(|e| NodeError::failed(e.to_string()))?;
    }
    Ok(var)
}

/// The same cells with the new `var`.
fn write(
    step: &Step<'_>,
    file: &CellsFile,
    matrices: &[MatrixRef],
    var: &Table,
    kept: Option<&[usize]>,
) -> Result<(), NodeError> {
    let selected = kept.map(|kept| var.select(kept));
    let var = selected.as_ref().unwrap_or(var);
    let output = step.output("cells")?;
    let mut writer = H5adWriter::create(output, file.obs(), var, &WriteOptions::default()).map_err(data)?;
    for matrix in matrices {
        let rows = FileRows { file, matrix, step };
        rows.copy(&mut writer, matrix.name(), |_, chunk| match kept {
            Some(kept) => chunk.select_columns(kept),
            None => chunk,
        })?;
    }
    for name in file.obsm_names() {
        let (_, dim, values) = file.obsm(&name).map_err(data)?;
        writer.obsm(&name, dim, &values).map_err(data)?;
    }
    if let Some(record) = file.uns("celldag").map_err(data)? {
        match record.as_str() {
            Some(text) => writer.uns_text("celldag", text),
            None => writer.uns_json("celldag", &record),
        }
        .map_err(data)?;
    }
    writer.finish().map_err(data)
}
