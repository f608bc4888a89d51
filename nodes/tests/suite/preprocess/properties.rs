//! What holds for any counts.

use std::convert::Infallible;

use celldag_data::Csr;
use celldag_nodes::prep::hvg::{Flavor, Settings, highly_variable_genes};
use celldag_nodes::prep::normalize::{Normalization, size_factors};
use celldag_nodes::prep::pca::{Scaling, pca};
use celldag_nodes::prep::qc::{CellFilter, CellMetrics, GeneFilter, GeneMetrics};
use celldag_nodes::prep::{Dense, GeneMoments, Rows, SparseRows};
use proptest::prelude::*;

fn ok<T>(result: Result<T, Infallible>) -> T {
    match result {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// Counts of up to 30 cells and 20 genes, half of them zero.
fn counts() -> impl Strategy<Value = Csr> {
    (2_usize..30, 2_usize..20).prop_flat_map(|(cells, genes)| {
        let value = prop_oneof![Just(0.0_f32), (1_u16..50).prop_map(f32::from)];
        proptest::collection::vec(value, cells * genes).prop_map(move |block| Csr::from_dense(genes, &block))
    })
}

fn positions(mask: &[bool]) -> Vec<usize> {
    (0..mask.len()).filter(|&i| mask[i]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn normalised_cells_have_the_target_size(matrix in counts(), target in proptest::option::of(1.0_f64..1e5)) {
        let rows = SparseRows::all(&matrix);
        let sizes = ok(size_factors(&rows, &Normalization { target_sum: target, ..Default::default() }));
        ok(rows.map(|row, v| v / sizes.factors[row]).each_row(&mut |_, _, values| {
            let sum: f64 = values.iter().sum();
            assert!(values.is_empty() || (sum - sizes.target).abs() < 1e-9 * sizes.target, "{sum}");
        }));
    }

    /// Filtering cells does not change the metrics of those that stay, so a second pass removes nothing.
    #[test]
    fn filtering_cells_twice_is_filtering_once(matrix in counts(), genes in 0_u32..10, most in 1.0_f64..500.0) {
        let filter = CellFilter { min_genes: Some(genes), max_counts: Some(most), ..Default::default() };
        let once = positions(&filter.mask(&ok(CellMetrics::of(&SparseRows::all(&matrix), &[]))));
        let again = filter.mask(&ok(CellMetrics::of(&SparseRows::subset(&matrix, &once), &[])));
        prop_assert!(again.into_iter().all(|kept| kept));
    }

    #[test]
    fn filtering_genes_twice_is_filtering_once(matrix in counts(), cells in 0_u32..10) {
        let filter = GeneFilter { min_cells: Some(cells), ..Default::default() };
        let rows = SparseRows::all(&matrix);
        let mask = filter.mask(&ok(GeneMetrics::of(&rows)));
        let again = filter.mask(&ok(GeneMetrics::of(&rows.genes(&mask))));
        prop_assert!(again.into_iter().all(|kept| kept));
    }

    #[test]
    fn moments_are_those_of_the_dense_matrix(matrix in counts()) {
        let rows = SparseRows::all(&matrix);
        let (moments, dense) = (ok(GeneMoments::of(&rows)), ok(Dense::from_rows(&rows)));
        let n = dense.n_rows() as f64;
        for gene in 0..dense.n_cols() {
            let column: Vec<f64> = (0..dense.n_rows()).map(|row| dense.get(row, gene)).collect();
            let mean = column.iter().sum::<f64>() / n;
            let variance = column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
            prop_assert_eq!(moments.mean(gene), mean);
            prop_assert!((moments.variance(gene) - variance).abs() < 1e-9 * variance.max(1.0));
        }
    }

    /// Few cells, few genes, constant genes, empty genes: numbers or an error, never a panic.
    #[test]
    fn variable_genes_of_anything(matrix in counts(), n in 1_usize..30) {
        let rows = SparseRows::all(&matrix);
        for flavor in [Flavor::Seurat, Flavor::CellRanger, Flavor::SeuratV3] {
            let logged = rows.map(|_, v| if flavor == Flavor::SeuratV3 { v } else { v.ln_1p() });
            if let Ok(table) = highly_variable_genes(&logged, None, &Settings::top(flavor, n)) {
                prop_assert_eq!(table.highly_variable.len(), matrix.n_cols());
                prop_assert!(flavor != Flavor::SeuratV3 || table.count() == n.min(matrix.n_cols()));
            }
        }
    }

    #[test]
    fn components_are_orthogonal_and_lose_nothing(matrix in counts()) {
        let scaled = ok(ok(Scaling::fit(&SparseRows::all(&matrix), true, None)).dense(&SparseRows::all(&matrix)));
        let k = scaled.n_rows().min(scaled.n_cols());
        let result = pca(&scaled, k, true, &|| false).expect("components");
        let total: f64 = scaled.data().iter().map(|v| v * v).sum();
        let kept: f64 = result.scores.data().iter().map(|v| v * v).sum();
        prop_assert!((total - kept).abs() < 1e-8 * total.max(1.0), "{} of {}", kept, total);
        prop_assert!(result.variance.windows(2).all(|pair| pair[0] >= pair[1]));
        for a in 0..k {
            for b in 0..a {
                let dot: f64 = (0..scaled.n_rows()).map(|i| result.scores.get(i, a) * result.scores.get(i, b)).sum();
                prop_assert!(dot.abs() < 1e-7 * total.max(1.0), "components {} and {}: {}", a, b, dot);
            }
        }
    }
}

/// The same bits on one thread and on seven.
#[test]
fn components_do_not_depend_on_threads() {
    let (cells, genes) = (700, 600);
    let value = |i: usize| ((i * 2_654_435_761) % 1009) as f64 / 1009.0;
    let wide = Dense::from_vec(cells, 2 * cells, (0..2 * cells * cells).map(value).collect()).expect("full");
    let tall = Dense::from_vec(cells, genes, (0..cells * genes).map(value).collect()).expect("full");
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| [&wide, &tall].map(|matrix| pca(matrix, 5, true, &|| false).expect("components")))
    };
    assert_eq!(on(1), on(7));
}

#[test]
fn a_stop_is_heard() {
    let matrix = Dense::zeros(10, 5);
    assert!(pca(&matrix, 2, true, &|| true).is_err());
}
