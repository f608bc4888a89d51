//! The kind `normalize`: raw counts to log-normalised values, counts kept as a layer.

use celldag_data::{CountsSource, H5adWriter, WriteOptions};
use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, Params, Step};
use serde::Deserialize;
use serde_json::json;

use super::size::{Normalization, log1p, size_factors};
use crate::artifacts::CELLS;
use crate::prep::cells::{FileRows, data, open};

/// Size normalisation and logarithm.
#[derive(Clone, Copy, Debug, Default)]
pub struct Normalize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    target_sum: Option<f64>,
    exclude_highly_expressed: bool,
    max_fraction: f64,
    log1p: bool,
    counts: String,
}

impl Kind for Normalize {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "normalize",
            epoch: 1,
            about: "brings every cell to one number of counts and takes ln(1 + x)",
            inputs: vec![InPort { name: "cells", ty: CELLS, many: Multiplicity::One, about: "raw counts" }],
            outputs: vec![OutPort {
                name: "cells",
                ty: CELLS,
                file: "cells.h5ad",
                about: "normalised values in X, raw counts in layers[\"counts\"]",
            }],
            params: vec![
                Param::float(
                    "target_sum",
                    1e-6,
                    1e12,
                    "counts per cell afterwards; null: median of the cells",
                )
                .unit("counts")
                .default(1e4),
                Param::bool(
                    "exclude_highly_expressed",
                    "leave genes out of the size that make up more than max_fraction of any cell",
                )
                .default(false),
                Param::float(
                    "max_fraction",
                    0.0,
                    1.0,
                    "share of a cell above which a gene is highly expressed",
                )
                .unit("share of counts, 0 to 1")
                .default(0.05),
                Param::bool("log1p", "take ln(1 + x) of the normalised values").default(true),
                Param::text("counts", "matrix with raw counts: auto, X, raw/X or layers/NAME")
                    .default("auto"),
            ],
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let empty = params.get("counts").and_then(serde_json::Value::as_str) == Some("");
        empty.then(|| ("counts".to_owned(), "must not be empty".to_owned())).into_iter().collect()
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let options: Options = step.read_params()?;
        let file = open(step)?;
        let Ok(source) = options.counts.parse::<CountsSource>();
        let matrix = file.counts_matrix(&source).map_err(data)?;
        let rows = FileRows { file: &file, matrix: &matrix, step };
        let walks = if options.exclude_highly_expressed { 4 } else { 3 };
        step.progress.total(walks * file.n_cells() as u64, "cells");

        let how = Normalization {
            target_sum: options.target_sum,
            exclude_highly_expressed: options.exclude_highly_expressed,
            max_fraction: options.max_fraction,
        };
        let sizes = size_factors(&rows, &how)?;
        let output = step.output("cells")?;
        let writer = H5adWriter::create(output, file.obs(), matrix.var(), &WriteOptions::default());
        let mut writer = writer.map_err(data)?;
        let mut empty = 0_usize;
        rows.copy(&mut writer, "X", |first, mut chunk| {
            empty += (0..chunk.rows()).filter(|&row| chunk.row_nnz(row) == 0).count();
            chunk.map_values(|row, _, value| {
                let value = f64::from(value) / sizes.factors[first + row];
                (if options.log1p { log1p(value, None) } else { value }) as f32
            });
            chunk
        })?;
        rows.copy(&mut writer, "layers/counts", |_, chunk| chunk)?;
        let record = json!({"kind": "normalize", "target_sum": sizes.target, "log1p": options.log1p});
        writer.uns_json("celldag", &record).map_err(data)?;
        writer.finish().map_err(data)?;

        step.fact("cells", file.n_cells());
        step.fact("genes", matrix.n_genes());
        step.fact("target_sum", sizes.target);
        step.fact("counts_from", matrix.name());
        if options.exclude_highly_expressed {
            step.fact("genes_excluded_from_size", sizes.excluded.iter().filter(|&&out| out).count());
        }
        if empty > 0 {
            step.warn(format!(
                "{empty} cell(s) have no counts and stay zero; a node `qc` before this one removes them"
            ));
        }
        Ok(())
    }
}
