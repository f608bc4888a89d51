//! Encodings and lies that no writer of the field produces, made with HDF5 directly.

use std::path::{Path, PathBuf};

use hdf5::types::VarLenUnicode;
use hdf5::{File, Group};
use proptest::prelude::*;

use crate::{CellsFile, CountsSource, Csr, DataError};

fn attribute(group: &Group, name: &str, text: &str) {
    let value: VarLenUnicode = text.parse().unwrap();
    group.new_attr::<VarLenUnicode>().create(name).unwrap().write_scalar(&value).unwrap();
}

fn table(file: &File, name: &str, rows: usize) {
    let group = file.create_group(name).unwrap();
    attribute(&group, "_index", "_index");
    let names: Vec<VarLenUnicode> = (0..rows).map(|i| format!("{name}{i}").parse().unwrap()).collect();
    group.new_dataset_builder().with_data(&names).create("_index").unwrap();
}

/// An AnnData file whose X is `encoding` with these three arrays.
struct Sparse<'a> {
    encoding: &'a str,
    shape: [i64; 2],
    indptr: Vec<i64>,
    indices: Vec<i64>,
    data: Vec<f64>,
}

impl Sparse<'_> {
    fn write(&self, folder: &Path, cells: usize, genes: usize) -> PathBuf {
        let path = folder.join("x.h5ad");
        let file = File::create(&path).unwrap();
        table(&file, "obs", cells);
        table(&file, "var", genes);
        let group = file.create_group("X").unwrap();
        attribute(&group, "encoding-type", self.encoding);
        group.new_attr::<i64>().shape(2).create("shape").unwrap().write_raw(&self.shape).unwrap();
        group.new_dataset_builder().with_data(&self.indptr).create("indptr").unwrap();
        group.new_dataset_builder().with_data(&self.indices).create("indices").unwrap();
        group.new_dataset_builder().with_data(&self.data).create("data").unwrap();
        path
    }

    /// 2 cells × 3 genes: [[1, 0, 2], [0, 3, 0]].
    fn good() -> Self {
        Self {
            encoding: "csr_matrix",
            shape: [2, 3],
            indptr: vec![0, 2, 3],
            indices: vec![0, 2, 1],
            data: vec![1.0, 2.0, 3.0],
        }
    }
}

fn error(sparse: &Sparse<'_>) -> DataError {
    let folder = tempfile::tempdir().unwrap();
    let path = sparse.write(folder.path(), 2, 3);
    CellsFile::open(&path).and_then(|file| file.read_counts(&CountsSource::Auto)).map(|_| ()).unwrap_err()
}

#[test]
fn arrays_that_do_not_fit_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = Sparse::good().write(folder.path(), 2, 3);
    let cells = CellsFile::open(&path).unwrap().read_counts(&CountsSource::Auto).unwrap();
    assert_eq!(cells.x, Csr::from_dense(3, &[1.0, 0.0, 2.0, 0.0, 3.0, 0.0]));
    let cases: [(Sparse<'_>, &str); 9] = [
        (Sparse { indptr: vec![0, 2], ..Sparse::good() }, "X/indptr"),
        (Sparse { indptr: vec![0, 3, 2], ..Sparse::good() }, "X/indptr"),
        (Sparse { indptr: vec![0, 2, 4], ..Sparse::good() }, "X/indptr"),
        (Sparse { indptr: vec![0, -1, 3], ..Sparse::good() }, "X/indptr"),
        (Sparse { indices: vec![0, 3, 1], ..Sparse::good() }, "X/indices"),
        (Sparse { indices: vec![0, -2, 1], ..Sparse::good() }, "X/indices"),
        (Sparse { indices: vec![0, 2], ..Sparse::good() }, "X/indices"),
        (Sparse { shape: [3, 3], ..Sparse::good() }, "X"),
        (Sparse { encoding: "coo_matrix", ..Sparse::good() }, "X"),
    ];
    for (sparse, place) in cases {
        let error = error(&sparse);
        assert!(
            matches!(&error, DataError::Malformed { dataset, .. } if dataset == place),
            "{place}: {error:?}"
        );
    }
}

#[test]
fn values_that_are_no_counts_are_named() {
    for (value, words) in [
        (0.5, "normalised"),
        (-1.0, "negative"),
        (f64::NAN, "not a number"),
        (f64::INFINITY, "infinite"),
        (1e300, "infinite"),
        (16_777_217.0, "16,777,216"),
    ] {
        let csr = Sparse { data: vec![1.0, value, 3.0], ..Sparse::good() };
        // The same matrix by gene: genes 0, 1, 2 hold cells 0, 1, 0.
        let csc = Sparse {
            encoding: "csc_matrix",
            indptr: vec![0, 1, 2, 3],
            indices: vec![0, 1, 0],
            data: vec![1.0, 3.0, value],
            ..Sparse::good()
        };
        for sparse in [csr, csc] {
            let error = error(&sparse);
            let DataError::NotCounts { at, reason, .. } = &error else { panic!("{error:?}") };
            assert_eq!((at.cell.as_str(), at.gene.as_str()), ("obs0", "var2"), "{}", sparse.encoding);
            assert!(reason.contains(words), "{reason}");
        }
    }
}

#[test]
fn a_header_that_claims_the_moon_costs_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.h5ad");
    let file = File::create(&path).unwrap();
    table(&file, "obs", 2);
    table(&file, "var", 3);
    let dense = |name: &str, shape: Vec<usize>| {
        file.new_dataset::<f32>().chunk(vec![1; shape.len()]).shape(shape).create(name).unwrap();
    };
    dense("X", vec![1 << 40, 1 << 20]);
    let layers = file.create_group("layers").unwrap();
    let group = layers.create_group("counts").unwrap();
    attribute(&group, "encoding-type", "csr_matrix");
    group.new_attr::<i64>().shape(2).create("shape").unwrap().write_raw(&[2_i64, 3]).unwrap();
    for name in ["indptr", "indices", "data"] {
        dense(&format!("layers/counts/{name}"), vec![1 << 45]);
    }
    drop((file, layers, group));
    let file = CellsFile::open(&path).unwrap();
    for name in file.matrices() {
        let error = file.matrix(&name).unwrap_err();
        assert!(error.to_string().contains("claims more than"), "{name}: {error}");
    }
}

#[test]
fn a_file_without_tables_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.h5ad");
    let file = File::create(&path).unwrap();
    file.create_group("stuff").unwrap();
    drop(file);
    let error = CellsFile::open(&path).unwrap_err();
    assert!(matches!(&error, DataError::UnknownFormat { found, .. } if found.contains("stuff")), "{error}");
    let file = File::create(&path).unwrap();
    table(&file, "obs", 2);
    drop(file);
    let error = CellsFile::open(&path).unwrap_err();
    assert!(matches!(&error, DataError::Missing { wanted, .. } if wanted == "var"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// Gene-compressed matrices read in blocks of few values equal the matrix that was meant.
    #[test]
    fn columns_become_rows_within_any_budget(
        dense in (1_usize..12, 1_usize..9).prop_flat_map(|(cells, genes)| {
            (Just(genes), prop::collection::vec(0_u8..3, cells * genes))
        }),
        budget in 1_u64..20,
        chunk in 1_usize..6,
    ) {
        let (genes, values) = (dense.0, dense.1.iter().map(|&v| f32::from(v)).collect::<Vec<_>>());
        let expected = Csr::from_dense(genes, &values);
        let by_gene = expected.transpose();
        let sparse = Sparse {
            encoding: "csc_matrix",
            shape: [expected.rows() as i64, genes as i64],
            indptr: by_gene.indptr().iter().map(|&v| v as i64).collect(),
            indices: by_gene.indices().iter().map(|&v| i64::from(v)).collect(),
            data: by_gene.values().iter().map(|&v| f64::from(v)).collect(),
        };
        prop_assume!(expected.nnz() > 0);
        let folder = tempfile::tempdir().unwrap();
        let path = sparse.write(folder.path(), expected.rows(), genes);
        let file = CellsFile::open(&path).unwrap();
        let matrix = file.counts_matrix(&CountsSource::Auto).unwrap();
        let mut whole = Csr::empty(genes);
        for rows in file.rows(&matrix, chunk).with_budget(budget) {
            whole.append(&rows.unwrap().1);
        }
        prop_assert_eq!(whole, expected);
    }
}
