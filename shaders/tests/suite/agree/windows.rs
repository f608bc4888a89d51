//! Tensors larger than what kernels can bind at once: the results have the bits of an adapter with a larger limit, except
//! for sparse products, whose sums go window by window of the table.

use celldag_shaders::ops::{self, Adagrad, Adam, CrossEntropy, Csr, Parameter, Pool};
use celldag_shaders::{Device, Ids, Result, Segments, Tape, Tensor};

use crate::common::{assert_close, bits, gpu, noise, small_bindings, upload};

const ROWS: usize = 4000;
const COLUMNS: usize = 21;

/// A result and the gradients at its operands.
fn run(
    device: &Device,
    operands: &[&[usize]],
    operation: impl Fn(&Device, &[Tensor]) -> Result<Tensor>,
) -> Vec<Vec<f32>> {
    let tape = Tape::new();
    let watched: Vec<Tensor> = operands
        .iter()
        .zip(90..)
        .map(|(shape, seed)| {
            // Positive, so that weights do not cancel.
            let values: Vec<f32> = noise(seed, shape.iter().product()).iter().map(|v| v + 1.5).collect();
            tape.watch(&upload(device, shape, &values))
        })
        .collect();
    let out = operation(device, &watched).unwrap();
    let gradients = tape.gradients(&out, &upload(device, out.shape(), &noise(89, out.len()))).unwrap();
    let slopes = watched.iter().map(|tensor| gradients.of(tensor).unwrap().read().unwrap());
    [vec![out.read().unwrap()], slopes.collect()].concat()
}

/// Runs on a device with small bindings and on one with the adapter's.
pub(crate) fn both(
    label: &str,
    operands: &[&[usize]],
    operation: impl Fn(&Device, &[Tensor]) -> Result<Tensor>,
) -> Option<[Vec<Vec<f32>>; 2]> {
    let (small, large) = (small_bindings()?, gpu()?);
    let results = [&small, &large].map(|device| run(device, operands, &operation));
    let shapes = results.each_ref().map(|values| values.iter().map(Vec::len).collect::<Vec<_>>());
    assert_eq!(shapes[0], shapes[1], "{label}");
    Some(results)
}

pub(crate) fn assert_same(
    label: &str,
    operands: &[&[usize]],
    operation: impl Fn(&Device, &[Tensor]) -> Result<Tensor>,
) {
    let Some([small, large]) = both(label, operands, operation) else { return };
    for (small, large) in small.iter().zip(&large) {
        assert!(bits(small) == bits(large), "{label}");
    }
}

/// Long segments, none, and many short ones.
fn lengths() -> Vec<usize> {
    let mut lengths = vec![1300, 0, 5, 901];
    lengths.resize(4 + (ROWS - 2206) / 3, 3);
    lengths.push(ROWS - lengths.iter().sum::<usize>());
    lengths
}

#[test]
fn pooling() {
    let x: &[usize] = &[ROWS, COLUMNS];
    for kind in
        [Pool::Mean { skip_first: 1, skip_last: 0 }, Pool::First, Pool::Max { skip_first: 0, skip_last: 1 }]
    {
        assert_same(&format!("{kind:?}"), &[x], |device, operands| {
            ops::pool(&operands[0], &Segments::new(device, &lengths())?, kind)
        });
    }
}

#[test]
fn sums_and_columns() {
    let x: &[usize] = &[ROWS, COLUMNS];
    assert_same("column_sum", &[x], |_, operands| ops::column_sum(&operands[0]));
    assert_same("mean", &[x], |_, operands| ops::mean(&operands[0]));
    assert_same("slice_columns", &[x], |_, operands| ops::slice_columns(&operands[0], 2..19));
    assert_same("concat_columns", &[x, &[ROWS, 3]], |_, operands| {
        ops::concat_columns([&operands[0], &operands[1]])
    });
}

#[test]
fn losses() {
    let x: &[usize] = &[ROWS, COLUMNS];
    let labels: Vec<u32> = (0..ROWS as u32).map(|row| row * 7 % COLUMNS as u32).collect();
    let smooth = CrossEntropy { class_weights: Some(vec![0.5; COLUMNS]), label_smoothing: 0.1 };
    assert_same("cross entropy", &[x], |device, operands| {
        ops::softmax_cross_entropy_with(&operands[0], &Ids::new(device, &labels)?, &smooth)?.value()
    });
    let targets = noise(95, ROWS * COLUMNS);
    assert_same("squared error", &[x], |device, operands| {
        ops::mean_squared_error(&operands[0], &upload(device, x, &targets))?.value()
    });
}

#[test]
fn steps_and_clipping() {
    let (Some(small), Some(large)) = (small_bindings(), gpu()) else { return };
    let shape = [ROWS, COLUMNS];
    let [small, large] = [small, large].map(|device| {
        let mut parameter = Parameter::new(upload(&device, &shape, &noise(96, ROWS * COLUMNS))).unwrap();
        let mut gradients = [upload(&device, &shape, &noise(97, ROWS * COLUMNS))];
        let norm = ops::clip_gradients(&mut gradients, 3.0).unwrap();
        ops::adamw(&mut parameter, &gradients[0], &Adam::default()).unwrap();
        let mut other = Parameter::new(parameter.value().clone()).unwrap();
        ops::adagrad(&mut other, &gradients[0], &Adagrad::default()).unwrap();
        [&norm, parameter.value(), other.value()].map(|tensor| bits(&tensor.read().unwrap()))
    });
    assert!(small == large);
}

#[test]
fn sparse_products() {
    let (genes, cells) = (3000, 1500);
    // The second cell has many genes, the third none.
    let mut offsets = vec![0, 7, 1300, 1300];
    offsets.extend((4..=cells).map(|cell| 1300 + (cell - 3) * 9));
    let count = offsets[cells];
    let columns: Vec<u32> = (0..count as u32).map(|i| i.wrapping_mul(2_654_435_761) % genes as u32).collect();
    let operation = |device: &Device, operands: &[Tensor]| {
        let csr = Csr::new(device, &offsets, &columns, genes)?;
        ops::csr_matmul(&operands[0], &csr, &operands[1])
    };
    let Some([small, large]) = both("csr", &[&[count], &[genes, COLUMNS]], operation) else { return };
    for (small, large) in small.iter().zip(&large) {
        let want: Vec<f64> = large.iter().map(|&value| f64::from(value)).collect();
        assert_close("csr", small, &want, 1e-6);
    }
    let x: &[usize] = &[ROWS, COLUMNS];
    let operation = |device: &Device, operands: &[Tensor]| {
        ops::weighted_pool(&operands[0], &operands[1], &Segments::new(device, &lengths())?)
    };
    let Some([small, large]) = both("weighted_pool", &[x, &[ROWS]], operation) else { return };
    for (small, large) in small.iter().zip(&large) {
        let want: Vec<f64> = large.iter().map(|&value| f64::from(value)).collect();
        assert_close("weighted_pool", small, &want, 1e-5);
    }
}
