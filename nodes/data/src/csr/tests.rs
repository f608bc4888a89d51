use proptest::prelude::*;

use super::{Csr, CsrError};

/// Row lengths and unsorted, repeated, zero-valued entries.
fn raw() -> impl Strategy<Value = (usize, Vec<Vec<(u32, f32)>>)> {
    (1_usize..12).prop_flat_map(|n_cols| {
        let entry = (0..n_cols as u32, 0_u8..4).prop_map(|(column, value)| (column, f32::from(value)));
        (Just(n_cols), prop::collection::vec(prop::collection::vec(entry, 0..20), 0..8))
    })
}

fn arrays(rows: &[Vec<(u32, f32)>]) -> (Vec<u64>, Vec<u32>, Vec<f32>) {
    let mut indptr = vec![0];
    for row in rows {
        indptr.push(indptr.last().unwrap() + row.len() as u64);
    }
    let flat = rows.iter().flatten();
    (indptr, flat.clone().map(|e| e.0).collect(), flat.map(|e| e.1).collect())
}

fn dense(n_cols: usize, rows: &[Vec<(u32, f32)>]) -> Vec<Vec<f32>> {
    rows.iter()
        .map(|row| {
            let mut out = vec![0.0; n_cols];
            row.iter().for_each(|&(column, value)| out[column as usize] += value);
            out
        })
        .collect()
}

proptest! {
    #[test]
    fn arrays_become_canonical_and_keep_their_sums((n_cols, rows) in raw()) {
        let (indptr, indices, values) = arrays(&rows);
        let csr = Csr::new(n_cols, indptr, indices, values).unwrap();
        prop_assert!(csr.values().iter().all(|&v| v != 0.0));
        for (i, expected) in dense(n_cols, &rows).iter().enumerate() {
            prop_assert!(csr.row(i).0.is_sorted_by(|a, b| a < b));
            prop_assert_eq!(&csr.to_dense_row(i), expected);
        }
        let flat: Vec<f32> = dense(n_cols, &rows).concat();
        prop_assert_eq!(&Csr::from_dense(n_cols, &flat), &csr);
        prop_assert_eq!(csr.transpose().transpose(), csr);
    }

    #[test]
    fn selections_equal_dense_indexing((n_cols, rows) in raw(), picks in prop::collection::vec(0_usize..100, 0..10)) {
        let (indptr, indices, values) = arrays(&rows);
        let csr = Csr::new(n_cols, indptr, indices, values).unwrap();
        let full = dense(n_cols, &rows);
        let columns: Vec<usize> = picks.iter().map(|p| p % n_cols).collect();
        let picked = csr.select_columns(&columns);
        for (i, row) in full.iter().enumerate() {
            let expected: Vec<f32> = columns.iter().map(|&c| row[c]).collect();
            prop_assert_eq!(picked.to_dense_row(i), expected);
            prop_assert!(picked.row(i).0.is_sorted_by(|a, b| a < b));
        }
        if !rows.is_empty() {
            let take: Vec<usize> = picks.iter().map(|p| p % rows.len()).collect();
            let some = csr.select_rows(&take);
            prop_assert_eq!(some.rows(), take.len());
            for (i, &row) in take.iter().enumerate() {
                prop_assert_eq!(&some.to_dense_row(i), &full[row]);
            }
        }
        let middle = rows.len() / 2;
        let mut whole = csr.slice_rows(0, middle);
        whole.append(&csr.slice_rows(middle, rows.len()));
        prop_assert_eq!(whole, csr);
    }
}

#[test]
fn broken_arrays_are_refused() {
    let new =
        |indptr: &[u64], indices: &[u32], n| Csr::new(3, indptr.to_vec(), indices.to_vec(), vec![1.0; n]);
    assert!(matches!(new(&[], &[], 0), Err(CsrError::Indptr { at: 0, .. })));
    assert!(matches!(new(&[1, 2], &[0, 1], 2), Err(CsrError::Indptr { at: 0, .. })));
    assert!(matches!(new(&[0, 2, 1], &[0], 1), Err(CsrError::Indptr { at: 2, .. })));
    assert!(matches!(new(&[0, 1], &[0, 1], 2), Err(CsrError::Indptr { at: 1, .. })));
    assert!(matches!(new(&[0, u64::MAX], &[0], 1), Err(CsrError::Indptr { at: 1, .. })));
    assert_eq!(new(&[0, 1], &[0], 2), Err(CsrError::Lengths { indices: 1, values: 2 }));
    assert_eq!(new(&[0, 0, 1], &[3], 1), Err(CsrError::Column { row: 1, column: 3, n_cols: 3 }));
}

#[test]
fn mapping_to_zero_drops_the_entry() {
    let mut csr = Csr::from_dense(2, &[1.0, 2.0, 3.0, 0.0]);
    csr.map_values(|row, column, value| if row == 0 && column == 0 { 0.0 } else { value * 2.0 });
    assert_eq!(csr, Csr::from_dense(2, &[0.0, 4.0, 6.0, 0.0]));
}
