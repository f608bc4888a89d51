//! The kind `pca`: principal components of log-normalised cells as an embedding.

use celldag_data::{CellsFile, Column, Csr, H5adWriter, Table, WriteOptions};
use celldag_engine::{
    FailureCause, InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Params, Step,
};
use serde::Deserialize;
use serde_json::json;

use super::scale::{ScaledRows, Scaling};
use super::solve::{PcaError, pca};
use crate::artifacts::{CELLS, EMBEDDING};
use crate::prep::GeneMoments;
use crate::prep::cells::{FileRows, Watch, data, open, positions};

/// Principal components.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pca;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    n_components: usize,
    use_highly_variable: bool,
    scale: bool,
    max_value: Option<f64>,
    zero_center: bool,
}

impl Kind for Pca {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "pca",
            epoch: 1,
            about: "exact principal components of log-normalised values",
            inputs: vec![InPort {
                name: "cells",
                ty: CELLS,
                many: Multiplicity::One,
                about: "log-normalised values in X",
            }],
            outputs: vec![OutPort {
                name: "embedding",
                ty: EMBEDDING,
                file: "embedding.h5ad",
                about: "obsm[\"X_pca\"], obs carried over, variances in uns[\"celldag\"]",
            }],
            params: vec![
                Param::int("n_components", "how many components; at most the number of cells and of genes")
                    .range(1, 10_000)
                    .default(50),
                Param::bool(
                    "use_highly_variable",
                    "only genes with var[\"highly_variable\"], if there is such a column",
                )
                .default(true),
                Param::bool("scale", "bring genes to standard deviation 1 first").default(true),
                Param::float("max_value", 1e-6, 1e12, "clip scaled values above this; null: never")
                    .unit("standard deviations")
                    .default(10.0),
                Param::bool("zero_center", "subtract the mean of every gene").default(true),
            ],
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, _: &Params) -> Vec<(String, String)> {
        Vec::new()
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let options: Options = step.read_params()?;
        let file = open(step)?;
        step.progress.total(file.n_cells() as u64, "cells");
        let genes = genes(step, &file, options.use_highly_variable)?;
        let (matrix, moments) = read(step, &file, genes.as_deref())?;
        let scaling = if options.scale {
            Scaling::from_moments(&moments, options.zero_center, options.max_value)
        } else {
            Scaling::identity(matrix.n_cols())
        };
        let scaled = ScaledRows { matrix: &matrix, scaling: &scaling };
        let stop = || step.cancel.is_cancelled();
        let result =
            pca(&scaled, options.n_components, options.zero_center, &stop).map_err(|e| failure(&e, &file))?;

        let none = Table::new(Vec::new());
        let output = step.output("embedding")?;
        let mut writer =
            H5adWriter::create(output, file.obs(), &none, &WriteOptions::default()).map_err(data)?;
        writer.obsm("X_pca", options.n_components, &result.scores.to_f32()).map_err(data)?;
        let record = json!({
            "model": "pca",
            "dimensions": options.n_components,
            "genes": matrix.n_cols(),
            "scale": options.scale,
            "zero_center": options.zero_center,
            "variance": result.variance,
            "variance_ratio": result.variance_ratio,
        });
        writer.uns_json("celldag", &record).map_err(data)?;
        writer.finish().map_err(data)?;

        step.fact("cells", file.n_cells());
        step.fact("genes", matrix.n_cols());
        step.fact("dimensions", options.n_components);
        step.fact("variance_explained", result.variance_ratio.iter().sum::<f64>());
        Ok(())
    }
}

/// Positions of the highly variable genes; `None` for all genes.
fn genes(step: &Step<'_>, file: &CellsFile, wanted: bool) -> Result<Option<Vec<usize>>, NodeError> {
    if !wanted {
        return Ok(None);
    }
    let mask: Vec<bool> = match file.var().column("highly_variable") {
        Some(Column::Bool(values)) => values.iter().map(|value| *value == Some(true)).collect(),
        Some(_) => {
            let place =
                format!("{}: var[\"highly_variable\"] is no column of true and false", file.path().display());
            return Err(NodeError::data(place)
                .help("put a node `hvg` before this one, or set use_highly_variable: false"));
        }
        None => {
            step.warn(format!(
                "var has no column `highly_variable`: all {} genes are used; a node `hvg` before this one marks them",
                file.n_genes()
            ));
            return Ok(None);
        }
    };
    let chosen = positions(&mask);
    if chosen.is_empty() {
        let place = format!("{}: no gene is marked in var[\"highly_variable\"]", file.path().display());
        return Err(NodeError::data(place).help("loosen the node `hvg`, or set use_highly_variable: false"));
    }
    Ok(Some(chosen))
}

/// The values of the genes used, sparse in memory, and their moments.
fn read(step: &Step<'_>, file: &CellsFile, genes: Option<&[usize]>) -> Result<(Csr, GeneMoments), NodeError> {
    let matrix = file.matrix("X").map_err(data)?;
    let n_genes = genes.map_or(matrix.n_genes(), <[usize]>::len);
    let mut all = Csr::empty(n_genes);
    let mut moments = GeneMoments::new(n_genes);
    let watch = Watch::new();
    let mut wide = Vec::new();
    FileRows { file, matrix: &matrix, step }.each_chunk(|_, chunk| {
        let chunk = match genes {
            Some(genes) => chunk.select_columns(genes),
            None => chunk,
        };
        for (columns, values) in chunk.iter() {
            wide.clear();
            wide.extend(values.iter().map(|&v| watch.see(f64::from(v))));
            moments.add(columns, &wide);
        }
        all.append(&chunk);
        Ok(())
    })?;
    watch.log_normalised(file, "X", true)?;
    Ok((all, moments))
}

fn failure(error: &PcaError, file: &CellsFile) -> NodeError {
    let place = file.path().display();
    match error {
        PcaError::TooMany { cells, features, .. } => NodeError::parameter(format!("{place}: {error}"))
            .help(format!("set n_components to at most {}", cells.min(features))),
        PcaError::TooLarge { .. } => NodeError::data(format!("{place}: {error}"))
            .help("choose genes with a node `hvg` before this one"),
        PcaError::NotFinite => NodeError::data(format!("{place}: {error}")).help("check the values in X"),
        PcaError::Stopped => NodeError::new(FailureCause::Cancelled, "stopped"),
        PcaError::NoConvergence => NodeError::failed(format!("{place}: {error}")),
    }
}
