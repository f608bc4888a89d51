//! Products of sparse and dense matrices, and pooling with weights.

use celldag_shaders::ops::{self, Csr};
use celldag_shaders::{Device, Segments, Tape};

use crate::common::{assert_close, bits, cpu, devices, gpu, noise, upload};

/// Offsets and columns of a matrix with rows of the given numbers of non-zeros.
fn pattern(seed: u64, lengths: &[usize], width: usize) -> (Vec<usize>, Vec<u32>) {
    let mut offsets = vec![0];
    offsets.extend(lengths.iter().scan(0, |end, length| {
        *end += length;
        Some(*end)
    }));
    let random = noise(seed, offsets[lengths.len()]);
    let columns = random.iter().map(|v| ((v + 1.0) / 2.0 * width as f32) as u32).collect();
    (offsets, columns)
}

fn product(
    (offsets, columns): &(Vec<usize>, Vec<u32>),
    values: &[f32],
    dense: impl Fn(usize) -> f32,
    width: usize,
) -> Vec<f64> {
    let mut out = Vec::new();
    for pair in offsets.windows(2) {
        for column in 0..width {
            let terms = (pair[0]..pair[1])
                .map(|k| f64::from(values[k]) * f64::from(dense(columns[k] as usize * width + column)));
            out.push(terms.sum());
        }
    }
    out
}

#[test]
fn sparse_times_dense() {
    for (lengths, genes, width) in [
        (vec![], 3, 4),
        (vec![0, 0], 1, 1),
        (vec![1, 0, 5, 131, 2], 17, 7),
        (vec![300, 64, 65, 0, 1], 211, 36),
        (vec![1000], 90, 3),
    ] {
        let matrix = pattern(1, &lengths, genes);
        let (values, dense) = (noise(2, matrix.1.len()), noise(3, genes * width));
        let want = product(&matrix, &values, |at| dense[at], width);
        for device in devices() {
            let csr = Csr::new(&device, &matrix.0, &matrix.1, genes).unwrap();
            let factors = upload(&device, &[values.len()], &values);
            let table = upload(&device, &[genes, width], &dense);
            let got = ops::csr_matmul(&factors, &csr, &table).unwrap();
            assert_eq!(got.shape(), [lengths.len(), width]);
            assert_close(&format!("csr {lengths:?} {device:?}"), &got.read().unwrap(), &want, 3e-6);
        }
    }
    // No columns, no rows of the table.
    let device = cpu(1);
    let csr = Csr::new(&device, &[0, 0], &[], 0).unwrap();
    let nothing = upload(&device, &[0], &[]);
    assert_eq!(
        ops::csr_matmul(&nothing, &csr, &upload(&device, &[0, 2], &[])).unwrap().read().unwrap(),
        [0.0; 2]
    );
    assert!(ops::csr_matmul(&nothing, &csr, &upload(&device, &[1, 2], &[0.0; 2])).is_err());
}

#[test]
fn sparse_rows_do_not_see_their_batch() {
    // Alone, a long row is cut and its parts are added up in parallel; many rows are not cut.
    let (genes, width) = (50, 132);
    let lengths: Vec<usize> = [700, 3].into_iter().chain(std::iter::repeat_n(2, 2100)).collect();
    let matrix = pattern(4, &lengths, genes);
    let (values, dense) = (noise(5, matrix.1.len()), noise(6, genes * width));
    let run = |device: &Device, rows: usize| {
        let end = matrix.0[rows];
        let csr = Csr::new(device, &matrix.0[..=rows], &matrix.1[..end], genes).unwrap();
        let out = ops::csr_matmul(
            &upload(device, &[end], &values[..end]),
            &csr,
            &upload(device, &[genes, width], &dense),
        );
        bits(&out.unwrap().read().unwrap())
    };
    assert_eq!(run(&cpu(1), lengths.len()), run(&cpu(3), lengths.len()));
    for device in [Some(cpu(3)), gpu()].into_iter().flatten() {
        assert_eq!(run(&device, 1), run(&device, lengths.len())[..width], "{device:?}");
    }
}

#[test]
fn weighted_pooling() {
    for (lengths, columns) in [(vec![3, 0, 1, 100, 2], 5), (vec![700, 1], 12)] {
        let rows: usize = lengths.iter().sum();
        let x = noise(7, rows * columns);
        let weights: Vec<f32> = noise(8, rows).iter().map(|v| v + 1.1).collect();
        for device in devices() {
            let segments = Segments::new(&device, &lengths).unwrap();
            let mut want = Vec::new();
            for range in segments.ranges() {
                let total: f64 = range.clone().map(|row| f64::from(weights[row])).sum();
                for column in 0..columns {
                    let terms = range
                        .clone()
                        .map(|row| f64::from(weights[row]) * f64::from(x[row * columns + column]));
                    want.push(terms.sum::<f64>() / total);
                }
            }
            let (x, weights) = (upload(&device, &[rows, columns], &x), upload(&device, &[rows], &weights));
            let got = ops::weighted_pool(&x, &weights, &segments).unwrap().read().unwrap();
            assert_close(&format!("weighted {lengths:?} {device:?}"), &got, &want, 1e-6);
        }
    }
}

#[test]
fn gradients_of_long_rows_agree_between_backends() {
    let Some(device) = gpu() else { return };
    let (lengths, genes, width) = ([333, 0, 1, 64, 65, 2], 41, 70);
    let matrix = pattern(9, &lengths, genes);
    let count = matrix.1.len();
    let on = |device: &Device| {
        let tape = Tape::new();
        let values = tape.watch(&upload(device, &[count], &noise(10, count)));
        let table = tape.watch(&upload(device, &[genes, width], &noise(11, genes * width)));
        let csr = Csr::new(device, &matrix.0, &matrix.1, genes).unwrap();
        let out = ops::csr_matmul(&values, &csr, &table).unwrap();
        let gradients = tape.gradients(&out, &upload(device, out.shape(), &noise(12, out.len()))).unwrap();
        [&values, &table].map(|tensor| gradients.of(tensor).unwrap().read().unwrap())
    };
    let (here, there) = (on(&cpu(2)), on(&device));
    for (here, there) in here.iter().zip(&there) {
        let want: Vec<f64> = here.iter().map(|&value| f64::from(value)).collect();
        assert_close("csr gradient", there, &want, 2e-6);
    }
}

#[test]
fn more_non_zeros_than_workgroups_of_an_axis() {
    let Some(device) = gpu() else { return };
    let count = 65_535 + 77;
    let (left, right) = (noise(13, 2 * 3), noise(14, 5 * 3));
    let columns: Vec<u32> = (0..count as u32).map(|i| i % 5).collect();
    let tape = Tape::new();
    let values = tape.watch(&upload(&device, &[count], &vec![1.0; count]));
    let csr = Csr::new(&device, &[0, 40_000, count], &columns, 5).unwrap();
    let out = ops::csr_matmul(&values, &csr, &upload(&device, &[5, 3], &right)).unwrap();
    let gradients = tape.gradients(&out, &upload(&device, &[2, 3], &left)).unwrap();
    let dot = |row: usize, column: usize| -> f64 {
        (0..3).map(|i| f64::from(left[row * 3 + i]) * f64::from(right[column * 3 + i])).sum()
    };
    let want: Vec<f64> = (0..count).map(|i| dot(usize::from(i >= 40_000), i % 5)).collect();
    assert_close("dots", &gradients.of(&values).unwrap().read().unwrap(), &want, 1e-6);
}

#[test]
fn a_rehearsed_gradient_leaves_the_matrix_usable() {
    for device in devices() {
        let csr = Csr::new(&device, &[0, 2, 3], &[1, 0, 1], 2).unwrap();
        let (values, table) = (upload(&device, &[3], &[1.0, 2.0, 3.0]), upload(&device, &[2, 1], &[1.0; 2]));
        let gradient = || -> celldag_shaders::Result<Vec<f32>> {
            let tape = Tape::new();
            let table = tape.watch(&table);
            let out = ops::csr_matmul(&values, &csr, &table)?;
            tape.gradients(&out, &upload(&device, &[2, 1], &[1.0, 10.0]))?.of(&table).unwrap().read()
        };
        assert!(device.rehearse(gradient).unwrap() > 0);
        assert_eq!(gradient().unwrap(), [2.0, 31.0], "{device:?}");
    }
}
