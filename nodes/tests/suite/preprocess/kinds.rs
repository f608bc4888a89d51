//! The kinds on files.

use std::path::{Path, PathBuf};

use celldag_data::{CellsFile, Column, CountsSource};
use celldag_engine::alone::run_alone;
use celldag_engine::{FailureCause, Kind, NodeError, Summary};
use celldag_nodes::prep::hvg::Hvg;
use celldag_nodes::prep::normalize::Normalize;
use celldag_nodes::prep::pca::PcaKind;
use celldag_nodes::prep::qc::Qc;
use serde_json::{Map, Value, json};

use crate::preprocess::reference::{Reference, close, folder};

fn run(kind: &dyn Kind, with: &Value, input: &Path, out: &Path) -> Result<(Summary, PathBuf), NodeError> {
    let with: Map<String, Value> = with.as_object().cloned().expect("parameters");
    let (summary, outputs) = run_alone(kind, with, &[("cells", "", input)], out, "cpu")?;
    Ok((summary, outputs.into_values().next().expect("one output")))
}

fn temporary() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn floats(table: &celldag_data::Table, name: &str) -> Vec<f64> {
    match table.column(name) {
        Some(Column::Float(values)) => values.clone(),
        Some(Column::Int(values)) => values.iter().map(|v| v.map_or(f64::NAN, |v| v as f64)).collect(),
        Some(Column::Bool(values)) => values.iter().map(|v| f64::from(u8::from(*v == Some(true)))).collect(),
        other => panic!("column {name}: {other:?}"),
    }
}

/// qc (no filter of cells, genes in >= 3 cells) → normalize → hvg → pca gives the arrays of the reference.
#[test]
fn the_chain_gives_the_reference() {
    for name in ["kang", "pbmc4k"] {
        let (Some(folder), Some(reference)) = (folder(name), Reference::open(name)) else { return };
        let dir = temporary();
        let at = |step: &str| dir.path().join(step);
        let with = json!({"min_genes": 0, "min_cells": 3});
        let (summary, qc) = run(&Qc, &with, &folder.join("input.h5ad"), &at("qc")).expect("qc");
        let genes = reference.mask("chain.gene_mask");
        let kept = genes.iter().filter(|&&kept| kept).count();
        assert_eq!(summary.facts["cells_out"], 300);
        assert_eq!(summary.facts["genes_in"], genes.len());
        assert_eq!(summary.facts["genes_out"], kept);
        let file = CellsFile::open(&qc).expect("readable output");
        for column in ["total_counts", "n_genes_by_counts", "pct_counts_mt", "pct_counts_in_top_50_genes"] {
            reference.close(&format!("qc.obs.{column}"), &floats(file.obs(), column), 1e-12);
        }
        let dropout = reference.f64("qc.var.pct_dropout_by_counts");
        let dropout: Vec<f64> =
            (0..genes.len()).filter(|&gene| genes[gene]).map(|gene| dropout[gene]).collect();
        close("pct_dropout_by_counts", &floats(file.var(), "pct_dropout_by_counts"), &dropout, 1e-12);

        let (summary, normal) = run(&Normalize, &json!({}), &qc, &at("normalize")).expect("normalize");
        assert_eq!(summary.facts["target_sum"], 1e4);
        let file = CellsFile::open(&normal).expect("readable output");
        let x = file.read_matrix(&file.matrix("X").expect("X")).expect("values");
        let values: Vec<f64> = x.values().iter().map(|&v| f64::from(v)).collect();
        reference.close("log1p.data_f32", &values, 1e-6);
        let counts = file.read_counts(&CountsSource::Auto).expect("counts kept as a layer");
        let before =
            CellsFile::open(&qc).and_then(|file| file.read_counts(&CountsSource::Auto)).expect("counts");
        assert_eq!(counts.x, before.x);

        let (summary, hvg) = run(&Hvg, &json!({"n_top_genes": 500}), &normal, &at("hvg")).expect("hvg");
        assert_eq!(summary.facts["highly_variable"], 500);
        let file = CellsFile::open(&hvg).expect("readable output");
        for (column, tolerance) in [("highly_variable", 0.0), ("means", 1e-6), ("dispersions_norm", 1e-4)] {
            reference.close(&format!("hvg.seurat_top500.{column}"), &floats(file.var(), column), tolerance);
        }
        assert_eq!(file.matrices(), ["X", "layers/counts"]);
        let v3 = json!({"flavor": "seurat_v3", "n_top_genes": 500, "subset": true});
        let (summary, v3) = run(&Hvg, &v3, &normal, &at("v3")).expect("hvg");
        assert_eq!(summary.facts["genes_out"], 500);
        let file = CellsFile::open(&v3).expect("readable output");
        assert_eq!(file.n_genes(), 500);
        assert!(floats(file.var(), "highly_variable_rank").iter().all(|rank| *rank < 500.0));

        let (summary, pca) = run(&PcaKind, &json!({}), &hvg, &at("pca")).expect("pca");
        assert_eq!(summary.facts["genes"], 500);
        let file = CellsFile::open(&pca).expect("readable output");
        let (cells, dim, scores) = file.obsm("X_pca").expect("an embedding");
        assert_eq!((cells, dim), (300, 50));
        assert!(file.obs().column("condition").is_some(), "obs is carried over");
        // Values in the file are f32; late components have close eigenvalues and turn a little.
        let first = |all: &[f64]| all.chunks_exact(50).flat_map(|row| row[..30].to_vec()).collect::<Vec<_>>();
        let ours: Vec<f64> = scores.iter().map(|&v| f64::from(v)).collect();
        close("X_pca", &first(&ours), &first(&reference.f64("pca.X")), 2e-3);
    }
}

#[test]
fn thresholds_that_keep_the_same_cells_give_the_same_bytes() {
    let Some(folder) = folder("kang") else { return };
    let dir = temporary();
    let input = folder.join("input.h5ad");
    let bytes = |with: &Value, name: &str| {
        let (summary, path) = run(&Qc, with, &input, &dir.path().join(name)).expect("qc");
        (summary, fs_err::read(path).expect("an output"))
    };
    // The two smallest cells have 64 and 290 genes, the largest 7,770 counts.
    let (_, loose) = bytes(&json!({"min_genes": 65}), "a");
    let (_, looser) = bytes(&json!({"min_genes": 290, "max_counts": 7770.0}), "b");
    assert!(loose == looser, "the same cells and genes must be the same bytes");
    let (summary, strict) = bytes(&json!({"min_genes": 500, "max_counts": 2500.0}), "c");
    assert!(strict != loose);
    // 175 cells have 500 genes (filter.cells_min_genes_500), 252 have at most 2500 counts.
    assert_eq!(summary.facts["cells_failing_min_genes"], 125);
    assert_eq!(summary.facts["cells_failing_max_counts"], 48);
}

#[test]
fn removing_every_cell_is_explained() {
    let Some(folder) = folder("pbmc4k") else { return };
    let dir = temporary();
    let with = json!({"min_genes": 100_000, "max_mito_fraction": 0.5});
    let error = run(&Qc, &with, &folder.join("input.h5ad"), dir.path()).expect_err("no cell is left");
    assert_eq!(error.cause, FailureCause::Data);
    assert!(error.message.contains("none of the 300 cells"), "{error}");
    assert!(error.message.contains("min_genes = 100000 removes 300"), "{error}");
    assert!(error.message.contains("max_mito_fraction = 0.5 removes 0"), "{error}");
    let error = run(&Qc, &json!({"min_cells": 301}), &folder.join("input.h5ad"), dir.path());
    let error = error.expect_err("no gene is left");
    assert!(error.message.contains("min_cells = 301"), "{error}");
}

#[test]
fn wrong_input_is_refused_with_the_way_out() {
    let Some(folder) = folder("kang") else { return };
    let dir = temporary();
    let input = folder.join("input.h5ad");
    for kind in [&Hvg as &dyn Kind, &PcaKind] {
        let error = run(kind, &json!({}), &input, dir.path()).expect_err("raw counts");
        assert_eq!(error.cause, FailureCause::Data);
        assert!(error.message.contains("raw counts"), "{error}");
        assert!(error.help.expect("help").contains("normalize"));
    }
    let (_, normal) = run(&Normalize, &json!({}), &input, &dir.path().join("n")).expect("normalize");
    let named = json!({"counts": "X"});
    let error = run(&Normalize, &named, &normal, &dir.path().join("m")).expect_err("normalised values");
    assert_eq!(error.cause, FailureCause::Data);
    let (_, plain) =
        run(&Normalize, &json!({"log1p": false}), &input, &dir.path().join("l")).expect("normalize");
    let error = run(&Hvg, &json!({}), &plain, &dir.path().join("o")).expect_err("no logarithm");
    assert!(error.help.expect("help").contains("log1p"));
    let error = run(&PcaKind, &json!({"n_components": 301}), &normal, &dir.path().join("p"));
    assert_eq!(error.expect_err("too many").cause, FailureCause::Parameter);
    let error = run(&Hvg, &json!({"batch_key": "sample"}), &normal, &dir.path().join("h"));
    let error = error.expect_err("no such column");
    assert_eq!(error.cause, FailureCause::Parameter);
    assert!(error.help.expect("help").contains("condition"));
}

#[test]
fn batches_and_bounds() {
    let (Some(folder), Some(reference)) = (folder("kang"), Reference::open("kang")) else { return };
    let dir = temporary();
    let at = |step: &str| dir.path().join(step);
    let with = json!({"min_genes": 0});
    let (_, qc) = run(&Qc, &with, &folder.join("input.h5ad"), &at("qc")).expect("qc");
    let (_, normal) = run(&Normalize, &json!({}), &qc, &at("normalize")).expect("normalize");
    let batched = json!({"n_top_genes": 500, "batch_key": "batch"});
    let (_, path) = run(&Hvg, &batched, &normal, &at("batch")).expect("hvg");
    let file = CellsFile::open(path).expect("readable output");
    for column in ["highly_variable", "highly_variable_nbatches", "highly_variable_intersection"] {
        reference.close(&format!("hvg.seurat_top500_batch.{column}"), &floats(file.var(), column), 0.0);
    }
    let (summary, path) = run(&Hvg, &json!({"n_top_genes": null}), &normal, &at("bounds")).expect("hvg");
    let file = CellsFile::open(path).expect("readable output");
    let theirs = reference.mask("hvg.seurat_cutoffs.highly_variable").iter().filter(|&&v| v).count();
    assert_eq!(summary.facts["highly_variable"], theirs);
    reference.close("hvg.seurat_cutoffs.highly_variable", &floats(file.var(), "highly_variable"), 0.0);
}

/// Every default must be readable by the kind itself, and contradictions must be found without data.
#[test]
fn parameters_fit_the_kinds() {
    let check = |kind: &dyn Kind, with: Value| {
        let mut all = Map::new();
        for param in kind.spec().params {
            all.insert(param.name.to_owned(), param.default.expect("a default"));
        }
        all.extend(with.as_object().cloned().expect("parameters"));
        kind.check(&celldag_engine::Params(all)).into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    for kind in [&Qc as &dyn Kind, &Normalize, &Hvg, &PcaKind] {
        assert!(check(kind, json!({})).is_empty());
    }
    assert_eq!(check(&Qc, json!({"max_genes": 100})), ["max_genes"]);
    assert_eq!(check(&Qc, json!({"min_counts": 10.0, "max_counts": 9.0})), ["max_counts"]);
    assert_eq!(check(&Hvg, json!({"flavor": "seurat_v3", "n_top_genes": null})), ["n_top_genes"]);
    assert_eq!(check(&Hvg, json!({"n_top_genes": null, "min_mean": 4.0})), ["max_mean"]);
}
