//! Normalisations of rows, and softmax.

use celldag_shaders::ops;
use celldag_shaders::{Device, Tape, Tensor};

use crate::common::gradient::{check, operand};
use crate::common::{assert_close, bits, cpu, gpu, noise, upload};

#[test]
fn layer_norms() {
    for (rows, columns) in [(1, 3), (4, 5), (3, 67)] {
        let operands = [
            operand(1, &[rows, columns]),
            operand(2, &[columns]),
            operand(3, &[columns]),
            operand(4, &[rows, columns]),
        ];
        check("layer_norm", &operands[..3], 5e-3, |_, operands| {
            ops::layer_norm(&operands[0], None, &operands[1], &operands[2], 0.1)
        });
        check("layer_norm with residual", &operands, 5e-3, |_, operands| {
            ops::layer_norm(&operands[0], Some(&operands[3]), &operands[1], &operands[2], 0.1)
        });
        check("layer_norm of twice the same", &operands[..3], 5e-3, |_, operands| {
            ops::layer_norm(&operands[0], Some(&operands[0]), &operands[1], &operands[2], 0.1)
        });
    }
}

#[test]
fn rms_and_group_norms() {
    for (rows, columns) in [(1, 4), (3, 66)] {
        let operands = [
            operand(5, &[rows, columns]),
            operand(6, &[columns]),
            operand(7, &[columns]),
            operand(8, &[rows, columns]),
        ];
        check("rms_norm", &operands[..2], 5e-3, |_, operands| {
            ops::rms_norm(&operands[0], None, &operands[1], 0.1)
        });
        check("group_norm", &operands[..3], 5e-3, |_, operands| {
            ops::group_norm(&operands[0], 2, &operands[1], &operands[2], 0.1)
        });
        let with_residual = [operands[0].clone(), operands[1].clone(), operands[3].clone()];
        check("rms_norm with residual", &with_residual, 5e-3, |_, operands| {
            ops::rms_norm(&operands[0], Some(&operands[2]), &operands[1], 0.1)
        });
    }
}

#[test]
fn softmax() {
    for shape in [[1, 1], [4, 5], [2, 70]] {
        let operands = [operand(15, &shape)];
        check("softmax", &operands, 5e-3, |_, operands| ops::softmax(&operands[0]));
    }
}

/// Gradients at input, scale and shift of a layer norm of `x` with a residual.
fn slopes(device: &Device, rows: usize, columns: usize, x: &[f32]) -> [Vec<f32>; 3] {
    let tape = Tape::new();
    let x = tape.watch(&upload(device, &[rows, columns], x));
    let residual = upload(device, &[rows, columns], &noise(9, rows * columns));
    let [gamma, beta] = [10, 11].map(|seed| tape.watch(&upload(device, &[columns], &noise(seed, columns))));
    let out = ops::layer_norm(&x, Some(&residual), &gamma, &beta, 1e-12).unwrap();
    let gradients = tape.gradients(&out, &upload(device, out.shape(), &noise(12, out.len()))).unwrap();
    [&x, &gamma, &beta].map(|tensor: &Tensor| gradients.of(tensor).unwrap().read().unwrap())
}

#[test]
fn backends_and_threads_agree() {
    for (rows, columns) in [(1, 2), (301, 129), (40, 1031)] {
        let x = noise(13, rows * columns);
        let want = slopes(&cpu(1), rows, columns, &x);
        assert_eq!(want.each_ref().map(|v| bits(v)), slopes(&cpu(3), rows, columns, &x).map(|v| bits(&v)));
        let Some(device) = gpu() else { continue };
        for (got, want) in slopes(&device, rows, columns, &x).iter().zip(&want) {
            let want: Vec<f64> = want.iter().map(|&value| f64::from(value)).collect();
            assert_close(&format!("{rows} x {columns}"), got, &want, 2e-5);
        }
    }
}

#[test]
fn a_row_has_the_same_slopes_in_every_batch() {
    let (rows, columns) = (9, 131);
    let x = noise(14, rows * columns);
    for device in [Some(cpu(2)), gpu()].into_iter().flatten() {
        let [together, ..] = slopes(&device, rows, columns, &x);
        // The first rows of the batch: residual and gradient are prefixes too.
        let [alone, ..] = slopes(&device, 4, columns, &x[..4 * columns]);
        assert_eq!(bits(&alone), bits(&together[..4 * columns]), "{device:?}");
    }
}

#[test]
fn rows_without_anything() {
    for device in [Some(cpu(1)), gpu()].into_iter().flatten() {
        let [x, gamma, beta] = slopes(&device, 0, 5, &[]);
        assert!(x.is_empty());
        assert_eq!([gamma, beta], [[0.0; 5], [0.0; 5]]);
    }
}
