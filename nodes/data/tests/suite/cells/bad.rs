//! Broken, hostile and mistaken inputs: each gives its own error, none a panic.

use std::path::{Path, PathBuf};

use celldag_data::{CellsFile, CountsSource, DataError, Dtype, H5adWriter, Table, WriteOptions};

use crate::cells::fixtures::own;

fn error(path: &Path) -> DataError {
    CellsFile::open(path).and_then(|file| file.read_counts(&CountsSource::Auto)).map(|_| ()).unwrap_err()
}

/// Checks the error and that it says where and what to do.
fn expect(path: &Path, matches: impl Fn(&DataError) -> bool) {
    let error = error(path);
    assert!(matches(&error), "{}: {error:?}", path.display());
    assert_eq!(error.path(), path);
    assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    assert!(error.help().len() > 20, "{error} needs a way out");
}

#[test]
fn files_that_are_something_else() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| -> PathBuf {
        let path = folder.path().join(name);
        fs_err::write(&path, bytes).unwrap();
        path
    };
    expect(&folder.path().join("absent.h5ad"), |e| matches!(e, DataError::Io { .. }));
    expect(&write("empty.h5ad", b""), |e| matches!(e, DataError::NotHdf5 { .. }));
    expect(&write("lfs.h5ad", b"version https://git-lfs.github.com/spec/v1\n"), |e| {
        e.help().contains("git lfs pull")
    });
    expect(&write("packed.h5ad", &[0x1f, 0x8b, 8, 0, 0]), |e| e.help().contains("gunzip"));
    expect(&write("noise.bin", &[0, 1, 2, 3, 255, 254]), |e| matches!(e, DataError::UnknownFormat { .. }));
    expect(&write("signature.h5ad", b"\x89HDF\r\n\x1a\n"), |e| {
        matches!(e, DataError::Hdf5 { .. } | DataError::Truncated { .. })
    });
    let empty = folder.path().join("folder");
    fs_err::create_dir(&empty).unwrap();
    expect(&empty, |e| matches!(e, DataError::UnknownFormat { .. }));
}

#[test]
fn folders_with_missing_or_broken_parts() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs_err::write(folder.path().join(name), text).unwrap();
    let header = "%%MatrixMarket matrix coordinate integer general\n";
    write("matrix.mtx", &format!("{header}2 1 1\n1 1 5\n"));
    expect(folder.path(), |e| matches!(e, DataError::Missing { wanted, .. } if wanted == "barcodes.tsv"));
    write("barcodes.tsv", "AAAC-1\n");
    expect(folder.path(), |e| matches!(e, DataError::Missing { wanted, .. } if wanted == "features.tsv"));
    write("genes.tsv", "ENSG1\tA\nENSG2\tB\n");
    let cells = CellsFile::open(folder.path()).unwrap().read_counts(&CountsSource::Auto).unwrap();
    assert_eq!(cells.x.to_dense_row(0), [5.0, 0.0]);
    let matrix = folder.path().join("matrix.mtx");
    for (text, line) in [
        (format!("{header}3 1 1\n1 1 5\n"), 2),
        (format!("{header}2 1 1\n3 1 5\n"), 3),
        (format!("{header}2 1 1\n0 1 5\n"), 3),
        (format!("{header}2 1 1\n1 1 x\n"), 3),
        (format!("{header}2 1 1\n1 1 5 6\n"), 3),
        (format!("{header}2 1\n"), 2),
        ("%%MatrixMarket matrix array real general\n".to_owned(), 1),
        (String::new(), 1),
    ] {
        write("matrix.mtx", &text);
        let error = error(folder.path());
        assert!(matches!(&error, DataError::Text { line: l, .. } if *l == line), "{text}: {error}");
        assert_eq!(error.path(), matrix);
    }
    write("matrix.mtx", &format!("{header}2 1 9000000000000\n1 1 5\n"));
    assert!(matches!(error(folder.path()), DataError::Truncated { .. }));
    write("GSM2_matrix.mtx", header);
    assert!(matches!(error(folder.path()), DataError::Ambiguous { .. }));
}

#[test]
fn truncation_anywhere_is_an_error_and_never_a_panic() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["filters.h5ad", "columns.h5ad"] {
        let bytes = fs_err::read(own(name)).unwrap();
        let path = folder.path().join("cut.h5ad");
        let mut lengths: Vec<usize> = (0..bytes.len()).step_by(211).collect();
        lengths.extend([1, 7, 8, 9, 47, 48, 96, bytes.len() - 1]);
        for length in lengths {
            fs_err::write(&path, &bytes[..length]).unwrap();
            let error = error(&path);
            let expected = matches!(
                error,
                DataError::NotHdf5 { .. } | DataError::Truncated { .. } | DataError::Hdf5 { .. }
            );
            assert!(expected, "{name} cut to {length}: {error:?}");
        }
    }
    let path = folder.path().join("cut.h5ad");
    let bytes = fs_err::read(own("filters.h5ad")).unwrap();
    fs_err::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    expect(&path, |e| matches!(e, DataError::Truncated { detail, .. } if detail.contains("bytes")));
}

#[test]
fn damaged_datasets_never_panic() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.h5ad");
    let bytes = fs_err::read(own("filters.h5ad")).unwrap();
    let mut refused = 0;
    // The header stays whole, so that damage reaches groups, attributes, heaps and compressed chunks.
    for at in (100..bytes.len()).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0xff;
        fs_err::write(&path, &damaged).unwrap();
        let Ok(file) = CellsFile::open(&path) else {
            refused += 1;
            continue;
        };
        for name in file.matrices() {
            let read =
                file.counts_matrix(&CountsSource::Named(name)).and_then(|matrix| file.read_matrix(&matrix));
            refused += usize::from(read.is_err());
        }
    }
    assert!(refused > 10, "damage must be noticed where it matters, {refused} times");
}

#[test]
fn names_that_repeat_and_tables_without_content() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cells.h5ad");
    let table = |names: &[&str]| Table::new(names.iter().map(|&n| n.to_owned()).collect());
    let write = |cells: &[&str], genes: &[&str]| {
        let (obs, var) = (table(cells), table(genes));
        let mut writer = H5adWriter::create(&path, &obs, &var, &WriteOptions::default()).unwrap();
        writer.begin_matrix("X", Dtype::F32).unwrap();
        writer
            .append(&celldag_data::Csr::from_dense(genes.len(), &vec![1.0; cells.len() * genes.len()]))
            .unwrap();
        // A matrix without columns has rows all the same.
        if genes.is_empty() {
            for _ in cells {
                let mut row = celldag_data::Csr::empty(0);
                row.push_row(&mut Vec::new());
                writer.append(&row).unwrap();
            }
        }
        writer.finish().unwrap();
    };
    write(&["a", "b", "a"], &["g"]);
    expect(
        &path,
        |e| matches!(e, DataError::DuplicateCell { barcode, first: 0, second: 2, .. } if barcode == "a"),
    );
    write(&["a", "b"], &["g", "h", "g"]);
    let file = CellsFile::open(&path).unwrap();
    assert!(file.warnings()[0].contains("`g` occurs twice"), "{:?}", file.warnings());
    assert_eq!(file.read_counts(&CountsSource::Auto).unwrap().x.n_cols(), 3);
    write(&[], &["g"]);
    expect(&path, |e| matches!(e, DataError::Empty { cells: 0, genes: 1, .. }));
    write(&["a"], &[]);
    expect(&path, |e| matches!(e, DataError::Empty { cells: 1, genes: 0, .. }));
}
