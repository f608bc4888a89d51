//! Operations on single values: sums, products, masks, activations and gates.

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Device, Tensor};

use crate::common::{assert_close, bits, devices, noise, reference, upload};

/// An activation in f64.
type Exact = fn(f64) -> f64;

/// Shapes with tails of every kind.
const SHAPES: [(usize, usize); 5] = [(1, 1), (3, 7), (67, 129), (513, 255), (0, 3)];

/// Bits of a result, and of what it should be at each place.
fn same(label: &str, got: celldag_shaders::Result<Tensor>, want: impl Iterator<Item = f32>) {
    let want: Vec<u32> = want.map(f32::to_bits).collect();
    assert_eq!(bits(&got.unwrap().read().unwrap()), want, "{label}");
}

#[test]
fn sums_and_products() {
    for device in devices() {
        for (rows, columns) in SHAPES {
            let count = rows * columns;
            let (a, b) = (noise(1, count), noise(2, count));
            let (row, column) = (noise(3, columns), noise(4, rows));
            let [ta, tb] = [&a, &b].map(|values| upload(&device, &[rows, columns], values));
            let (trow, tcolumn) = (upload(&device, &[columns], &row), upload(&device, &[rows], &column));
            let label = |op: &str| format!("{op} {device:?} {rows} x {columns}");
            let all = 0..count;
            same(&label("add"), ops::add(&ta, &tb), all.clone().map(|i| a[i] + b[i]));
            same(&label("add_row"), ops::add_row(&ta, &trow), all.clone().map(|i| a[i] + row[i % columns]));
            same(&label("scale"), ops::scale(&ta, 0.3), all.clone().map(|i| a[i] * 0.3));
            same(&label("mul"), ops::mul(&ta, &tb), all.clone().map(|i| a[i] * b[i]));
            same(&label("mul_row"), ops::mul_row(&ta, &trow), all.clone().map(|i| a[i] * row[i % columns]));
            let want = all.clone().map(|i| a[i] * column[i / columns]);
            same(&label("mul_column"), ops::mul_column(&ta, &tcolumn), want);
            let dots: Vec<f64> = (0..rows)
                .map(|i| {
                    (0..columns).map(|j| f64::from(a[i * columns + j]) * f64::from(b[i * columns + j])).sum()
                })
                .collect();
            assert_close(&label("row_dot"), &ops::row_dot(&ta, &tb).unwrap().read().unwrap(), &dots, 2e-6);
        }
    }
}

#[test]
fn masks_let_nothing_through() {
    let (rows, columns) = (71, 33);
    for device in devices() {
        let mut x = noise(5, rows * columns);
        x.iter_mut().step_by(3).for_each(|value| *value = f32::NAN);
        x.iter_mut().skip(1).step_by(3).for_each(|value| *value = f32::INFINITY);
        // Every value that is not a number is masked; -0 masks, and not a number does not.
        let keep: Vec<f32> = (0..x.len()).map(|i| [0.0, -0.0, 1.0, 0.0, -0.0, f32::NAN][i % 6]).collect();
        let tensor = upload(&device, &[rows, columns], &x);
        let got = ops::mask(&tensor, &upload(&device, &[rows, columns], &keep), -7.5);
        same("mask", got, (0..x.len()).map(|i| if i % 3 == 2 { x[i] } else { -7.5 }));
        let keep: Vec<f32> = (0..rows).map(|row| f32::from(row % 2 == 0)).collect();
        let got = ops::mask_rows(&tensor, &upload(&device, &[rows], &keep), 0.0).unwrap().read().unwrap();
        for (row, (got, x)) in got.chunks(columns).zip(x.chunks(columns)).enumerate() {
            let want = if row % 2 == 0 { bits(x) } else { vec![0; columns] };
            assert_eq!(bits(got), want, "row {row} {device:?}");
        }
    }
}

#[test]
fn activations() {
    let mut x: Vec<f32> = (-400..=400).map(|i| i as f32 * 0.05).collect();
    x.extend([0.0, -0.0, f32::NAN, 1e30, -1e30, 1e-6, -3e-20]);
    for device in devices() {
        let tensor = upload(&device, &[x.len()], &x);
        let ones = upload(&device, &[x.len()], &vec![1.0; x.len()]);
        let exact: [(Activation, Exact); 8] = [
            (Activation::None, |x| x),
            (Activation::Relu, |x| if x < 0.0 { 0.0 } else { x }),
            (Activation::Gelu, reference::gelu),
            (Activation::GeluTanh, reference::gelu_tanh),
            (Activation::Sigmoid, reference::sigmoid),
            (Activation::Silu, |x| x * reference::sigmoid(x)),
            (Activation::Tanh, f64::tanh),
            (Activation::leaky_relu(0.1), |x| if x < 0.0 { x * f64::from(0.1f32) } else { x }),
        ];
        for (activation, exact) in exact {
            let want: Vec<f64> = x.iter().map(|&x| exact(f64::from(x))).collect();
            // Some drivers compute exp with a relative error of a few 1e-7.
            let tolerance = if device.info().backend == "cpu" { 2.5e-7 } else { 1e-6 };
            let got = ops::activate(&tensor, activation).unwrap().read().unwrap();
            assert_close(&format!("{activation:?} {device:?}"), &got, &want, tolerance);
            let gate = ops::gated(&tensor, &ones, activation).unwrap().read().unwrap();
            assert_close(&format!("gate {activation:?} {device:?}"), &gate, &want, tolerance);
        }
    }
}

#[test]
fn tanh_keeps_the_digits_of_small_values() {
    let x: Vec<f32> = (0..200).map(|i| 1e-6 * 1.07f32.powi(i)).collect();
    for device in devices() {
        let got = ops::activate(&upload(&device, &[x.len()], &x), Activation::Tanh).unwrap().read().unwrap();
        for (x, got) in x.iter().zip(got) {
            let want = f64::from(*x).tanh();
            assert!((f64::from(got) / want - 1.0).abs() < 1e-6, "{x}: {got} {device:?}");
        }
    }
}

#[test]
fn gates() {
    for device in devices() {
        for (rows, columns) in SHAPES {
            let (gate, up) = (noise(6, rows * columns), noise(7, rows * columns));
            let [g, u] = [&gate, &up].map(|values| upload(&device, &[rows, columns], values));
            let want: Vec<f64> = gate
                .iter()
                .zip(&up)
                .map(|(&gate, &up)| f64::from(gate) * reference::sigmoid(f64::from(gate)) * f64::from(up))
                .collect();
            assert_close("swiglu", &ops::swiglu(&g, &u).unwrap().read().unwrap(), &want, 3e-7);
        }
    }
}

#[test]
fn operands_that_do_not_fit_are_errors() {
    let (device, other) = (Device::cpu(1).unwrap(), Device::cpu(1).unwrap());
    let x = upload(&device, &[2, 3], &[0.0; 6]);
    let [long, short] = [3, 2].map(|length| upload(&device, &[length], &vec![0.0; length]));
    let strange = upload(&other, &[2, 3], &[0.0; 6]);
    for wrong in [&long, &strange] {
        assert!(ops::mul(&x, wrong).is_err());
        assert!(ops::mask(&x, wrong, 0.0).is_err());
        assert!(ops::swiglu(&x, wrong).is_err());
        assert!(ops::row_dot(&x, wrong).is_err());
    }
    assert!(ops::mul_row(&x, &short).is_err() && ops::mul_row(&x, &long).is_ok());
    assert!(ops::mul_column(&x, &long).is_err() && ops::mul_column(&x, &short).is_ok());
    assert!(ops::mask_rows(&x, &long, 0.0).is_err() && ops::mask_rows(&x, &short, 0.0).is_ok());
}
