//! Filters, number types and columns, on files made by `tests/python/make_h5ad_filters.py`.

use std::borrow::Cow;

use celldag_data::{CellsFile, Column, CountsSource, Csr, DataError};
use serde_json::json;

use crate::cells::fixtures::own;

const CELLS: usize = 12;
const GENES: usize = 20;

fn expected() -> Csr {
    let value =
        |i: usize, j: usize| if (i + j).is_multiple_of(3) { ((i * 7 + j * 3) % 5) as f32 } else { 0.0 };
    let dense: Vec<f32> = (0..CELLS).flat_map(|i| (0..GENES).map(move |j| value(i, j))).collect();
    Csr::from_dense(GENES, &dense)
}

#[test]
fn every_filter_and_number_type_gives_the_same_matrix() {
    let mut seen = 0;
    for name in ["filters.h5ad", "encodings.h5ad"] {
        let file = CellsFile::open(own(name)).unwrap();
        for layer in file.matrices() {
            let matrix = file.counts_matrix(&CountsSource::Named(layer.clone())).unwrap();
            let csr = file.read_matrix(&matrix).unwrap();
            if layer == "layers/truth" {
                assert!(csr.values().iter().all(|&v| v == 1.0));
                assert_eq!(csr.indices(), expected().indices());
            } else {
                assert_eq!(csr, expected(), "{name} {layer}");
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 13);
}

#[test]
fn chunks_of_any_size_join_to_the_whole() {
    let file = CellsFile::open(own("encodings.h5ad")).unwrap();
    for layer in ["layers/unsorted", "layers/dense_uint8"] {
        let matrix = file.matrix(layer).unwrap();
        for size in [0, 1, 5, 12, usize::MAX] {
            let mut whole = Csr::empty(GENES);
            for chunk in file.rows(&matrix, size) {
                let (start, csr) = chunk.unwrap();
                assert_eq!(start, whole.rows());
                whole.append(&csr);
            }
            assert_eq!(whole, expected(), "{layer} in chunks of {size}");
        }
    }
}

#[test]
fn unknown_filters_are_named_before_anything_is_read() {
    let file = CellsFile::open(own("unreadable.h5ad")).unwrap();
    for (layer, name) in [
        ("layers/bitshuffle", "bitshuffle (HDF5 filter 32008)"),
        ("layers/blosc2", "Blosc2 (HDF5 filter 32026)"),
    ] {
        let error = file.matrix(layer).unwrap_err();
        let DataError::Filter { filter, dataset, .. } = &error else { panic!("{error}") };
        assert_eq!(filter, name);
        assert!(dataset.starts_with(layer), "{dataset}");
        assert!(error.help().contains("hdf5plugin"), "{}", error.help());
    }
    // The rest of the file stays readable.
    assert_eq!(file.read_counts(&CountsSource::Auto).unwrap().x, expected());
}

#[test]
fn every_kind_of_column_is_read() {
    let file = CellsFile::open(own("columns.h5ad")).unwrap();
    assert_eq!(file.warnings(), [""; 0]);
    let obs = file.obs();
    let kinds: Vec<(&str, &str)> =
        obs.columns.iter().map(|(name, column)| (name.as_str(), column.kind())).collect();
    assert_eq!(
        kinds,
        [
            ("text", "text"),
            ("category", "categorical"),
            ("number_category", "categorical"),
            ("ordered", "categorical"),
            ("float", "number"),
            ("half", "number"),
            ("int", "integer"),
            ("nullable_int", "integer"),
            ("bool", "boolean"),
            ("nullable_bool", "boolean"),
        ]
    );
    let row =
        |i: usize| kinds.iter().map(|(name, _)| obs.text(name, i).map(Cow::into_owned)).collect::<Vec<_>>();
    let text =
        |values: [&str; 10]| values.iter().map(|v| (*v != "-").then(|| (*v).to_owned())).collect::<Vec<_>>();
    assert_eq!(row(0), text(["t0", "ä", "0", "low", "0", "0", "0", "0", "true", "true"]));
    assert_eq!(row(1), text(["t1", "-", "1", "low", "-", "0.5", "1", "-", "false", "-"]));
    assert_eq!(row(11), text(["t11", "b", "2", "high", "5.5", "5.5", "11", "11", "true", "true"]));
    let Some(Column::Categorical { ordered, categories, .. }) = obs.column("ordered") else {
        panic!("categorical")
    };
    assert!(*ordered);
    assert_eq!(categories, &["low", "high"]);
}

#[test]
fn embeddings_and_notes_are_read() {
    let file = CellsFile::open(own("parts.h5ad")).unwrap();
    assert_eq!(file.obsm_names(), ["X_pca"]);
    let (rows, dim, values) = file.obsm("X_pca").unwrap();
    assert_eq!((rows, dim), (CELLS, 3));
    assert_eq!(values, (0..36).map(|v| v as f32).collect::<Vec<_>>());
    assert!(matches!(file.obsm("X_pac"), Err(DataError::Missing { .. })));
    let expected = json!({"flag": true, "list": [1, 2], "name": "x", "value": 0.5, "words": ["a", "b"]});
    assert_eq!(file.uns("info").unwrap(), Some(expected));
    assert_eq!(file.uns("info/name").unwrap(), Some(json!("x")));
    assert_eq!(file.uns("nothing").unwrap(), None);
    // A scaled layer can be read as what it is, not as counts.
    let scaled = file.matrix("layers/scaled").unwrap();
    assert_eq!(file.read_matrix(&scaled).unwrap().get(0, 1), -1.0);
    let error = file.counts_matrix(&CountsSource::Named("layers/scaled".to_owned())).unwrap_err();
    assert!(matches!(&error, DataError::NotCounts { at, .. } if at.value == -1.0), "{error}");
}
