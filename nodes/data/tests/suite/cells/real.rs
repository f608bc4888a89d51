//! Real data sets: shapes and sums as their README states them.

use celldag_data::{CellsFile, CountsSource, GeneIds};

use crate::cells::fixtures::shared;

/// File, cells, genes, genes with an Ensembl id.
const SETS: [(&str, usize, usize, usize); 7] = [
    ("gbm_panobinostat_300g/gbm_panobinostat_300g.h5ad", 5000, 300, 0),
    ("lung5_mixology/lung5_mixology.h5ad", 992, 28_455, 28_455),
    ("kang_ifnb_2k/kang_ifnb_2k.h5ad", 2000, 9015, 9015),
    ("tnbc_10x/tnbc_10x.h5ad", 302, 33_694, 0),
    ("pbmc4k_annotated/pbmc4k_annotated.h5ad", 2170, 33_694, 33_694),
    ("pbmc68k_700/pbmc68k_700.h5ad", 700, 765, 701),
    ("folds/kang_thin10.h5ad", 2000, 9015, 0),
];

#[test]
fn real_sets_open_and_hold_counts() {
    for (name, cells, genes, with_id) in SETS {
        let Some(path) = shared(name) else { continue };
        let file = CellsFile::open(&path).unwrap();
        assert_eq!((file.n_cells(), file.n_genes()), (cells, genes), "{name}");
        let matrix = file.counts_matrix(&CountsSource::Auto).unwrap();
        let mut nnz = 0;
        for chunk in file.rows(&matrix, 500) {
            nnz += chunk.unwrap().1.nnz() as u64;
        }
        assert_eq!(nnz, matrix.stored_values(), "{name} stores no zeros");
        if with_id > 0 {
            let ids = GeneIds::detect(file.var());
            assert_eq!(ids.ensembl.iter().flatten().count(), with_id, "{name}");
        }
    }
}
