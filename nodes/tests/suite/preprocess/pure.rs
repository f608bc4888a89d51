//! The pure functions against every array of the reference.

use celldag_nodes::prep::hvg::{
    Batches, Cutoffs, Flavor, HvgTable, Selection, Settings, Spread, highly_variable_genes,
};
use celldag_nodes::prep::normalize::{Normalization, SizeFactors, log1p, size_factors};
use celldag_nodes::prep::pca::{Scaling, pca};
use celldag_nodes::prep::qc::{CellFilter, CellMetrics, GeneFilter, GeneMetrics, GeneSet};
use celldag_nodes::prep::{Dense, Rows, SparseRows};

use crate::preprocess::input::{Case, read};
use crate::preprocess::reference::{Reference, close};

const CASES: [&str; 2] = ["kang", "pbmc4k"];

fn cases() -> impl Iterator<Item = (&'static str, Case, Reference)> {
    CASES.into_iter().filter_map(|name| Some((name, read(name)?, Reference::open(name)?)))
}

fn ok<T>(result: Result<T, std::convert::Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

fn sets(case: &Case) -> [GeneSet; 2] {
    let prefixes = |list: &[&str]| list.iter().map(|&p| p.to_owned()).collect::<Vec<_>>();
    [
        GeneSet::by_prefix("mt", &prefixes(&["MT-"]), &case.genes),
        GeneSet::by_prefix("ribo", &prefixes(&["RPS", "RPL"]), &case.genes),
    ]
}

#[test]
fn quality_metrics() {
    for (_, case, reference) in cases() {
        let rows = SparseRows::all(&case.counts);
        let all_cells: Vec<usize> = (0..case.counts.rows()).collect();
        let all_genes: Vec<usize> = (0..case.counts.n_cols()).collect();
        let sets = sets(&case);
        let cells = ok(CellMetrics::of(&rows, &sets));
        let columns = cells.columns(&sets, &all_cells);
        assert_eq!(columns.len(), 13);
        for (name, values) in columns {
            reference.close(&format!("qc.obs.{name}"), &values, 1e-12);
        }
        let columns = ok(GeneMetrics::of(&rows)).columns(&all_genes);
        assert_eq!(columns.len(), 6);
        for (name, values) in columns {
            reference.close(&format!("qc.var.{name}"), &values, 1e-12);
        }
    }
}

#[test]
fn filters() {
    for (_, case, reference) in cases() {
        let rows = SparseRows::all(&case.counts);
        let cells = ok(CellMetrics::of(&rows, &sets(&case)));
        let cell_filters = [
            ("cells_min_genes_500", CellFilter { min_genes: Some(500), ..Default::default() }),
            ("cells_max_genes_900", CellFilter { max_genes: Some(900), ..Default::default() }),
            ("cells_min_counts_1200", CellFilter { min_counts: Some(1200.0), ..Default::default() }),
            ("cells_max_counts_2500", CellFilter { max_counts: Some(2500.0), ..Default::default() }),
            ("pct_ribo_below_30", CellFilter { max_share: Some(0.3), share_set: 1, ..Default::default() }),
        ];
        for (name, filter) in cell_filters {
            assert_eq!(filter.mask(&cells), reference.mask(&format!("filter.{name}")), "{name}");
        }
        let genes = ok(GeneMetrics::of(&rows));
        let gene_filters = [
            ("genes_min_cells_3", GeneFilter { min_cells: Some(3), ..Default::default() }),
            ("genes_min_cells_30", GeneFilter { min_cells: Some(30), ..Default::default() }),
            ("genes_min_counts_10", GeneFilter { min_counts: Some(10.0), ..Default::default() }),
            ("genes_max_cells_200", GeneFilter { max_cells: Some(200), ..Default::default() }),
        ];
        for (name, filter) in gene_filters {
            assert_eq!(filter.mask(&genes), reference.mask(&format!("filter.{name}")), "{name}");
        }
        let chain = GeneFilter { min_cells: Some(3), ..Default::default() }.mask(&genes);
        assert_eq!(chain, reference.mask("chain.gene_mask"));
    }
}

/// Values of the first `cells` rows, row after row.
fn values<R: Rows<Error = std::convert::Infallible>>(rows: &R, cells: usize) -> Vec<f64> {
    let mut out = Vec::new();
    ok(rows.each_row(&mut |row, _, values| {
        if row < cells {
            out.extend_from_slice(values);
        }
    }));
    out
}

#[test]
fn normalisation_and_log() {
    for (name, case, reference) in cases() {
        let mask = reference.mask("chain.gene_mask");
        let counts = SparseRows::all(&case.counts);
        let counts = counts.genes(&mask);
        let mut starts = vec![0.0];
        ok(counts.each_row(&mut |row, columns, _| starts.push(starts[row] + columns.len() as f64)));
        reference.close("chain.indptr", &starts, 0.0);

        let exclude = Normalization { exclude_highly_expressed: true, ..Default::default() };
        let median = Normalization { target_sum: None, ..Default::default() };
        for (label, how) in
            [("target_1e4", Normalization::default()), ("target_median", median), ("exclude_high", exclude)]
        {
            let SizeFactors { factors, excluded, .. } = ok(size_factors(&counts, &how));
            reference.close(&format!("norm.{label}.norm_factor"), &factors, 1e-13);
            let first = values(&counts.map(|row, v| v / factors[row]), 20);
            reference.close(&format!("norm.{label}.first20cells_data"), &first, 1e-13);
            if label == "exclude_high" {
                // The mask lists the genes that were left out of the sizes.
                assert_eq!(excluded, reference.mask("norm.exclude_high.gene_mask"), "{name}");
            } else {
                assert!(!excluded.contains(&true));
            }
        }
        let factors = ok(size_factors(&counts, &Normalization::default())).factors;
        let logged = counts.map(|row, v| log1p(v / factors[row], None));
        reference.close("log1p.first20cells_data", &values(&logged, 20), 1e-13);
        reference.close("log1p.data_f32", &values(&logged, usize::MAX), 1e-6);
        let base2 = counts.map(|row, v| log1p(v / factors[row], Some(2.0)));
        reference.close("log1p_base2.first20cells_data", &values(&base2, 20), 1e-13);
    }
}

/// Compares a table with the reference arrays `hvg.LABEL.*`. `cut` are the values that the genes were ordered by: chosen
/// sets may differ in genes that tie with the last chosen one.
fn compare(reference: &Reference, label: &str, table: &HvgTable, tolerance: f64) {
    let name = |array: &str| format!("hvg.{label}.{array}");
    reference.close(&name("means"), &table.means, 1e-11);
    let theirs = reference.mask(&name("highly_variable"));
    match &table.spread {
        Spread::Dispersion { dispersions, dispersions_norm } => {
            reference.close(&name("dispersions"), dispersions, 1e-10);
            reference.close(&name("dispersions_norm"), dispersions_norm, tolerance);
            assert_eq!(table.highly_variable, theirs, "{label}");
        }
        Spread::Variance { variances, variances_norm, rank } => {
            reference.close(&name("variances"), variances, 1e-11);
            reference.close(&name("variances_norm"), variances_norm, tolerance);
            let norm = reference.f64(&name("variances_norm"));
            let cut = theirs.iter().zip(&norm).filter(|(chosen, _)| **chosen).map(|(_, &v)| v);
            let cut = cut.fold(f64::INFINITY, f64::min);
            assert_eq!(table.count(), theirs.iter().filter(|&&v| v).count(), "{label}");
            let their_rank = reference.f64(&name("highly_variable_rank"));
            for gene in 0..theirs.len() {
                // With batches the order is that of median ranks, and ties are ties of ranks' inputs.
                let tied = table.n_batches.is_none() && (norm[gene] - cut).abs() < 1e-6;
                if table.n_batches.is_none() && !tied {
                    assert_eq!(table.highly_variable[gene], theirs[gene], "{label}: gene {gene}");
                    let near = norm.iter().filter(|v| (*v - norm[gene]).abs() < 1e-6).count() as f64;
                    let same = rank[gene].is_nan() && their_rank[gene].is_nan()
                        || (rank[gene] - their_rank[gene]).abs() < near;
                    assert!(same, "{label}: rank of gene {gene}: {} and {}", rank[gene], their_rank[gene]);
                }
            }
        }
    }
    if let Some(intersection) = &table.intersection {
        assert_eq!(*intersection, reference.mask(&name("highly_variable_intersection")), "{label}");
    }
}

fn overlap(a: &[bool], b: &[bool]) -> usize {
    a.iter().zip(b).filter(|(a, b)| **a && **b).count()
}

#[test]
fn highly_variable_by_dispersion() {
    for (_, case, reference) in cases() {
        let mask = reference.mask("chain.gene_mask");
        let all = SparseRows::all(&case.counts);
        let counts = all.genes(&mask);
        let factors = ok(size_factors(&counts, &Normalization::default())).factors;
        let logged = counts.map(|row, v| log1p(v / factors[row], None));
        let find = |batches: Option<&Batches>, settings: &Settings| {
            highly_variable_genes(&logged, batches, settings).expect("variable genes")
        };
        let seurat = Settings::top(Flavor::Seurat, 500);
        compare(&reference, "seurat_top500", &find(None, &seurat), 1e-9);
        let within = Settings { selection: Selection::Within(Cutoffs::default()), ..seurat };
        compare(&reference, "seurat_cutoffs", &find(None, &within), 1e-9);
        let cell_ranger = Settings::top(Flavor::CellRanger, 500);
        compare(&reference, "cell_ranger_top500", &find(None, &cell_ranger), 1e-9);
        let table = find(Some(&Batches::by_name(&case.batch)), &seurat);
        compare(&reference, "seurat_top500_batch", &table, 1e-9);
        let n: Vec<f64> = table.n_batches.expect("batches").into_iter().map(f64::from).collect();
        reference.close("hvg.seurat_top500_batch.highly_variable_nbatches", &n, 0.0);
    }
}

#[test]
fn highly_variable_by_variance() {
    for (name, case, reference) in cases() {
        let mask = reference.mask("chain.gene_mask");
        let all = SparseRows::all(&case.counts);
        let counts = all.genes(&mask);
        let settings = Settings::top(Flavor::SeuratV3, 500);
        let table = highly_variable_genes(&counts, None, &settings).expect("variable genes");
        compare(&reference, "seurat_v3_top500", &table, 1e-7);
        assert!(table.warnings.is_empty(), "{:?}", table.warnings);

        let batches = Batches::by_name(&case.condition);
        let span = if name == "kang" { 0.5 } else { 0.3 };
        let table = highly_variable_genes(&counts, Some(&batches), &Settings { span, ..settings });
        let table = table.expect("variable genes");
        compare(&reference, "seurat_v3_top500_batch", &table, 1e-7);
        let label = "hvg.seurat_v3_top500_batch";
        let theirs = reference.mask(&format!("{label}.highly_variable"));
        let common = overlap(&table.highly_variable, &theirs);
        assert!(common >= 498, "{name}: {common} of 500 genes chosen over batches agree");
        let n: Vec<f64> = table.n_batches.clone().expect("batches").into_iter().map(f64::from).collect();
        let differ = n.iter().zip(reference.f64(&format!("{label}.highly_variable_nbatches")));
        let differ = differ.filter(|(a, b)| *a != b).count();
        assert!(differ <= 100, "{name}: {differ} genes differ in the number of batches");
    }
}

#[test]
fn a_singular_local_regression_is_no_crash() {
    let (Some(case), Some(reference)) = (read("kang"), Reference::open("kang")) else { return };
    let mask = reference.mask("chain.gene_mask");
    let all = SparseRows::all(&case.counts);
    let batches = Batches::by_name(&case.condition);
    let settings = Settings::top(Flavor::SeuratV3, 500);
    let table = highly_variable_genes(&all.genes(&mask), Some(&batches), &settings).expect("variable genes");
    assert_eq!(table.count(), 500);
    assert!(table.warnings.iter().any(|w| w.contains("span 0.3")), "{:?}", table.warnings);
    let theirs = reference.mask("hvg.seurat_v3_top500_batch.highly_variable");
    let common = overlap(&table.highly_variable, &theirs);
    assert!(common > 450, "{common} genes in common with span 0.5");
}

#[test]
fn scaling_and_components() {
    for (name, case, reference) in cases() {
        let mask = reference.mask("chain.gene_mask");
        let chosen = reference.mask("hvg.seurat_top500.highly_variable");
        let all = SparseRows::all(&case.counts);
        let counts = all.genes(&mask);
        let factors = ok(size_factors(&counts, &Normalization::default())).factors;
        let logged = counts.map(|row, v| log1p(v / factors[row], None));
        let genes = logged.genes(&chosen);

        let scaling = ok(Scaling::fit(&genes, true, Some(10.0)));
        reference.close("scale.mean", &scaling.means, 1e-12);
        reference.close("scale.std", &scaling.sds, 1e-12);
        let scaled = ok(scaling.dense(&genes));
        reference.close("scale.clip10", scaled.data(), 1e-6);
        let plain = ok(ok(Scaling::fit(&genes, false, None)).dense(&genes));
        reference.close("scale.no_center.first20", &plain.data()[..20 * 500], 1e-12);

        let result = pca(&scaled, 50, true, &|| false).expect("components");
        reference.close("pca.variance", &result.variance, 1e-10);
        reference.close("pca.variance_ratio", &result.variance_ratio, 1e-12);
        // The gaps between eigenvalues shrink to a thousandth at the end: vectors lose digits in proportion.
        reference.close("pca.X", result.scores.data(), 1e-8);
        let width = reference.columns("pca.loadings_first10");
        let loadings: Vec<f64> =
            (0..500).flat_map(|gene| result.loadings.row(gene)[..width].to_vec()).collect();
        reference.close("pca.loadings_first10", &loadings, 1e-9);

        let again = result.transform(&scaled);
        close(&format!("{name}: transform"), again.data(), result.scores.data(), 1e-10);
        both_ways_agree(&scaled);
    }
}

/// 300 cells × 500 genes go through the products of cells, a part with fewer genes than cells through those of genes:
/// both must agree on a matrix that either could take.
fn both_ways_agree(scaled: &Dense) {
    let part = |rows: usize, columns: usize| {
        let data = (0..rows).flat_map(|row| scaled.row(row)[..columns].to_vec()).collect();
        Dense::from_vec(rows, columns, data).expect("a full matrix")
    };
    let tall = pca(&part(300, 200), 10, true, &|| false).expect("components");
    let mut wide = Dense::zeros(300, 301);
    for row in 0..300 {
        wide.row_mut(row)[..200].copy_from_slice(&scaled.row(row)[..200]);
    }
    let wide = pca(&wide, 10, true, &|| false).expect("components");
    close("variance by cells and by genes", &tall.variance, &wide.variance, 1e-10);
    close("scores by cells and by genes", tall.scores.data(), wide.scores.data(), 1e-8);
}
