//! The kind `evaluate-embedding` itself: files, parameters.

use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, Param, ParamType, Params, Step};
use serde::Deserialize;
use serde_json::json;

use super::run::NAMES;
use crate::artifacts::{CELLS, EMBEDDING};
use crate::evaluate::files::outputs;
use crate::evaluate::models::NAME;

/// Measures embeddings without training anything on them.
#[derive(Clone, Copy, Debug, Default)]
pub struct EvaluateEmbedding;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    pub(super) label: String,
    pub(super) batch: Option<String>,
    pub(super) clusters: Option<String>,
    pub(super) key: Option<String>,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) neighbors: usize,
    pub(super) graph_neighbors: usize,
    pub(super) max_cells: usize,
    pub(super) baselines: Vec<String>,
    pub(super) seed: u64,
}

impl Kind for EvaluateEmbedding {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "evaluate-embedding",
            epoch: 2,
            about: "measures how embeddings keep labels apart and batches together (AvgBIO, LISI, ASW ...), beside PCA and variable genes",
            inputs: vec![
                InPort {
                    name: "embedding",
                    ty: EMBEDDING,
                    many: Multiplicity::Many,
                    about: "one vector a cell in obsm; labels and batches are columns of obs",
                },
                InPort {
                    name: "cells",
                    ty: CELLS,
                    many: Multiplicity::Optional,
                    about: "counts of the same cells, for the baselines",
                },
            ],
            outputs: outputs(
                "all measures, with a reason where one is undefined (celldag.report/1)",
                "model, scope, fold, metric, value",
            ),
            params: vec![
                Param::text("label", "column of obs with cell types or other labels that should stay apart"),
                Param::text("batch", "column of obs with technical batches that should mix").optional(),
                Param::text("clusters", "column of obs with clusters (leiden ...); default: k-means, as many as labels")
                    .optional(),
                Param::text("key", "array of obsm; default: the only one there is").optional(),
                Param::text("name", "name of the embedding in tables when there is one only; several are named by their nodes and axes")
                    .default(NAME),
                Param::text("title", "heading of the report").default("Embedding quality"),
                Param::int("neighbors", "cells of a neighbourhood of LISI and kBET, the cell itself included; the perplexity is a third")
                    .range(6, 10_000)
                    .unit("cells")
                    .default(90),
                Param::int("graph_neighbors", "the same for graph connectivity").range(2, 10_000).unit("cells").default(15),
                Param::int("max_cells", "more cells are thinned to this many, chosen by name: distances are exact, and all pairs are looked at")
                    .range(10, 1_000_000)
                    .unit("cells")
                    .default(5000),
                Param::list(
                    "baselines",
                    ParamType::Choice(NAMES.to_vec()),
                    "what the embedding is compared with: pca (50 components of 2,000 variable genes), hvg (these genes themselves)",
                )
                .default(json!(NAMES)),
                Param::int("seed", "seed of k-means").default(0),
            ],
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let text = |name: &str| params.get(name).and_then(|v| v.as_str());
        match (text("label"), text("batch")) {
            (Some(label), Some(batch)) if label == batch => {
                vec![(
                    "batch".to_owned(),
                    "is the label column itself; name the column of technical batches".to_owned(),
                )]
            }
            _ => Vec::new(),
        }
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        super::run::run(step, &step.read_params()?)
    }
}
