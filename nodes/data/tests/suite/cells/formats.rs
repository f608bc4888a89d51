//! The field's formats: AnnData in all encodings and ages, Cell Ranger's files and folders.

use celldag_data::{CellsFile, Column, CountsSource, Csr, DataError, GeneIds, IdSource, OpenOptions, Table};

use crate::cells::fixtures::{counts, shared};

const VARIANTS: [&str; 9] = [
    "csr_f32_none",
    "csr_f32_gzip",
    "csr_f32_lzf",
    "csr_f64",
    "csr_i32",
    "csc_f32_gzip",
    "dense_f32_gzip",
    "ensembl_var_names",
    "ensembl_versioned",
];

#[test]
fn all_variants_hold_the_same_matrix() {
    let Some(folder) = shared("formats/h5ad_variants") else { return };
    let reference = counts(&folder.join("csr_f32_none.h5ad"));
    assert_eq!((reference.rows(), reference.n_cols(), reference.nnz()), (60, 2000, 45_781));
    for name in VARIANTS {
        let path = folder.join(format!("{name}.h5ad"));
        assert_eq!(counts(&path), reference, "{name}");
        let file = CellsFile::open(&path).unwrap();
        let matrix = file.counts_matrix(&CountsSource::Auto).unwrap();
        let mut whole = Csr::empty(2000);
        file.rows(&matrix, 7).for_each(|chunk| whole.append(&chunk.unwrap().1));
        assert_eq!(whole, reference, "{name} in chunks");
        let ids = GeneIds::detect(file.var());
        assert!(ids.ensembl.iter().all(Option::is_some), "{name}");
        assert_eq!((ids.source, ids.versions_removed), (IdSource::Column, 0), "{name}");
        if name.starts_with("ensembl") {
            // The index alone gives the same ids.
            let by_index = GeneIds::detect(&Table::new(file.var().index.clone()));
            assert_eq!(by_index.source, IdSource::Index);
            assert_eq!(by_index.ensembl, ids.ensembl);
            assert_eq!(by_index.versions_removed, if name == "ensembl_versioned" { 2000 } else { 0 });
        }
    }
}

#[test]
fn counts_are_found_beside_normalised_values() {
    let Some(folder) = shared("formats/h5ad_variants") else { return };
    let path = folder.join("lognorm_raw_and_counts_layer.h5ad");
    let file = CellsFile::open(&path).unwrap();
    assert_eq!(file.matrices(), ["X", "layers/counts", "raw/X"]);
    assert_eq!(file.counts_matrix(&CountsSource::Auto).unwrap().name(), "layers/counts");
    assert_eq!(counts(&path), counts(&folder.join("csr_f32_none.h5ad")));
    let error = file.counts_matrix(&CountsSource::Named("X".to_owned())).unwrap_err();
    let DataError::NotCounts { at, .. } = &error else { panic!("{error}") };
    assert_eq!((at.dataset.as_str(), &at.cell), ("X", &file.obs().index[0]));
    let matrix = file.matrix("X").unwrap();
    let x = file.read_matrix(&matrix).unwrap();
    let first = x.row(0).1.iter().position(|v| v.fract() != 0.0).unwrap();
    assert_eq!(
        (&at.gene, at.value as f32),
        (&file.var().index[x.row(0).0[first] as usize], x.row(0).1[first])
    );
    assert!(error.help().contains("counts: layers/counts"), "{}", error.help());
    let error = file.counts_matrix(&CountsSource::Named("layers/count".to_owned())).unwrap_err();
    assert!(error.to_string().contains("did you mean `layers/counts`"), "{error}");
}

#[test]
fn odd_values_and_empty_cells() {
    let Some(folder) = shared("formats/h5ad_variants") else { return };
    let file = CellsFile::open(folder.join("non_integer_counts.h5ad")).unwrap();
    assert!(matches!(file.counts_matrix(&CountsSource::Auto), Err(DataError::NotCounts { .. })));
    let csr = counts(&folder.join("one_empty_cell.h5ad"));
    assert_eq!((0..csr.rows()).filter(|&i| csr.row_nnz(i) == 0).count(), 1);
}

#[test]
fn anndata_0_5_is_read() {
    let Some(path) = shared("formats/legacy_h5ad/anndata_v0.5.0.h5ad") else { return };
    let file = CellsFile::open(path).unwrap();
    assert_eq!(
        (file.n_cells(), file.n_genes(), file.matrices()),
        (700, 765, vec!["X".to_owned(), "raw/X".to_owned()])
    );
    assert_eq!(file.obs().index[0], "AAAGCCTGGCTAAC-1");
    let Some(Column::Categorical { categories, .. }) = file.obs().column("bulk_labels") else {
        panic!("categorical")
    };
    assert_eq!(categories.len(), 10);
    assert_eq!(file.obs().text("bulk_labels", 0).as_deref(), Some("CD14+ Monocyte"));
    assert_eq!(file.obs().column("n_genes").and_then(|c| c.as_number(0)), Some(1003.0));
    assert_eq!(file.var().column("highly_variable").map(Column::kind), Some("boolean"));
    assert_eq!(file.obsm_names(), ["X_pca", "X_umap"]);
    let (rows, dim, values) = file.obsm("X_umap").unwrap();
    assert_eq!((rows, dim, values.len()), (700, 2, 1400));
    let raw = file.matrix("raw/X").unwrap();
    assert_eq!((raw.n_genes(), file.read_matrix(&raw).unwrap().nnz()), (765, 174_400));
    assert!(matches!(file.counts_matrix(&CountsSource::Auto), Err(DataError::NotCounts { .. })));
}

#[test]
fn anndata_0_7_is_read() {
    for (version, nnz) in [("0.7.0", 228), ("0.7.8", 239)] {
        let Some(path) = shared(&format!("formats/legacy_h5ad/anndata_v{version}.h5ad")) else { return };
        let file = CellsFile::open(path).unwrap();
        let obs = file.obs();
        assert_eq!(
            obs.columns.keys().collect::<Vec<_>>(),
            ["obs_cat", "cat_ordered", "int64", "float64", "uint8"]
        );
        assert!(matches!(obs.column("cat_ordered"), Some(Column::Categorical { ordered: true, .. })));
        assert!(matches!(obs.column("obs_cat"), Some(Column::Categorical { ordered: false, .. })));
        let x = file.matrix("X").unwrap();
        assert_eq!(file.read_matrix(&x).unwrap().nnz(), nnz);
        let raw = file.matrix("raw/X").unwrap();
        assert_eq!((raw.n_genes(), raw.var().len(), file.n_genes()), (40, 40, 20));
        assert_eq!(file.obsm_names(), ["array"]);
    }
}

#[test]
fn cell_ranger_files() {
    let Some(folder) = shared("formats/10x_h5") else { return };
    let v2 = CellsFile::open(folder.join("1.2.0_filtered_gene_bc_matrices_h5.h5")).unwrap();
    assert_eq!((v2.format(), v2.n_cells(), v2.n_genes()), ("10x-h5", 12, 343));
    let several = folder.join("1.2.0_multiple_genomes.h5");
    let error = CellsFile::open(&several).unwrap_err();
    assert!(
        matches!(error, DataError::Ambiguous { .. }) && error.help().contains("genome=\"another_genome\""),
        "{error}"
    );
    let open = |genome: &str| {
        CellsFile::open_with(
            &several,
            &OpenOptions { genome: Some(genome.to_owned()), ..OpenOptions::default() },
        )
    };
    let chosen = open("hg19_chr21").unwrap().read_counts(&CountsSource::Auto).unwrap();
    assert_eq!(chosen, v2.read_counts(&CountsSource::Auto).unwrap());
    assert!(open("hg19").unwrap_err().to_string().contains("did you mean `hg19_chr21`"));
    let v3 = CellsFile::open(folder.join("3.0.0_filtered_feature_bc_matrix.h5")).unwrap();
    let cells = v3.read_counts(&CountsSource::Auto).unwrap();
    assert_eq!((cells.x.rows(), cells.x.n_cols() == cells.var.len()), (1107, true));
    assert!(cells.var.columns.get("feature_types").is_some());
    if let Some(Column::Categorical { .. }) = cells.var.column("feature_types") {
        assert!(
            (0..cells.var.len())
                .all(|i| cells.var.text("feature_types", i).as_deref() == Some("Gene Expression"))
        );
    }
}

#[test]
fn cell_ranger_folders() {
    let Some(folder) = shared("formats/10x_v3_mtx") else { return };
    let v3 = CellsFile::open(&folder).unwrap();
    assert_eq!((v3.format(), v3.n_cells(), v3.n_genes()), ("10x-mtx", 200, 33_694));
    assert_eq!(v3.warnings().len(), 1, "duplicated symbols are reported: {:?}", v3.warnings());
    let cells = v3.read_counts(&CountsSource::Auto).unwrap();
    assert_eq!(cells.x.nnz(), 263_774);
    assert_eq!(cells.x.get(0, 60), 1.0);
    let ids = GeneIds::detect(&cells.var);
    assert_eq!((ids.source, ids.source_name.as_str()), (IdSource::Column, "ensembl_id"));
    assert_eq!(ids.ensembl[0].as_deref(), Some("ENSG00000243485"));
    let by_file = CellsFile::open(folder.join("matrix.mtx.gz")).unwrap();
    assert_eq!(by_file.read_counts(&CountsSource::Auto).unwrap(), cells);
    let Some(folder) = shared("formats/10x_v2_mtx") else { return };
    let v2 = CellsFile::open(folder).unwrap();
    assert_eq!((v2.n_cells(), v2.n_genes()), (20, 33_694));
    assert_eq!(v2.read_counts(&CountsSource::Auto).unwrap().x.nnz(), 25_595);
}
