//! Batches of products against the reference and against single products, and products whose rows must not see each
//! other.

use celldag_shaders::ops::{self, Activation, Layout};
use celldag_shaders::{Device, Error, Tensor};

use crate::common::{assert_close, bits, cpu, devices, noise, reference, upload};

const LAYOUTS: [Layout; 3] = [Layout::NN, Layout::NT, Layout::TN];

/// Shapes of the operands.
fn shapes(layout: Layout, [m, n, k]: [usize; 3]) -> [[usize; 2]; 2] {
    match layout {
        Layout::NN => [[m, k], [k, n]],
        Layout::NT => [[m, k], [n, k]],
        Layout::TN => [[k, m], [k, n]],
    }
}

/// Matrices of one shape, with a batch axis unless they are shared.
fn operand(device: &Device, values: &[f32], batch: usize, shape: [usize; 2], shared: bool) -> Tensor {
    if shared { upload(device, &shape, values) } else { upload(device, &[batch, shape[0], shape[1]], values) }
}

#[test]
fn batches_are_products_side_by_side() {
    let sizes = [
        (3, [1, 1, 1]),
        (2, [5, 3, 2]),
        (70, [4, 20, 9]),
        (3, [31, 17, 33]),
        (2, [65, 130, 35]),
        (0, [2, 3, 4]),
        (2, [0, 3, 4]),
        (2, [2, 3, 0]),
        (2, [20, 0, 4]),
    ];
    for device in devices() {
        for (batch, size @ [m, n, k]) in sizes {
            for layout in LAYOUTS {
                for (a_shared, b_shared) in [(false, false), (false, true), (true, false)] {
                    let [a_shape, b_shape] = shapes(layout, size);
                    let count = |shared| if shared { 1 } else { batch };
                    let (a, b) = (noise(1, count(a_shared) * m * k), noise(2, count(b_shared) * n * k));
                    let (ta, tb) = (
                        operand(&device, &a, batch, a_shape, a_shared),
                        operand(&device, &b, batch, b_shape, b_shared),
                    );
                    let got = ops::matmul(&ta, &tb, layout).unwrap();
                    assert_eq!(got.shape(), [batch, m, n]);
                    let label = format!("{layout:?} {batch} of {size:?}, {a_shared} {b_shared} {device:?}");
                    let mut want = Vec::new();
                    for i in 0..batch {
                        let a = &a[if a_shared { 0 } else { i * m * k }..];
                        let b = &b[if b_shared { 0 } else { i * n * k }..];
                        want.extend(reference::matmul(
                            size,
                            |i, t| a[if layout == Layout::TN { t * m + i } else { i * k + t }],
                            |t, j| b[if layout == Layout::NT { j * k + t } else { t * n + j }],
                        ));
                    }
                    assert_close(&label, &got.read().unwrap(), &want, 3e-8 * k as f64 + 3e-7);
                }
            }
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let device = cpu(1);
    let zeros = |shape: &[usize]| device.zeros(shape).unwrap();
    for (a, b) in [
        (zeros(&[2, 3, 4]), zeros(&[3, 4, 5])),
        (zeros(&[2, 3, 4]), zeros(&[2, 5, 5])),
        (zeros(&[4]), zeros(&[4, 5])),
        (zeros(&[1, 1, 3, 4]), zeros(&[4, 5])),
    ] {
        assert!(matches!(ops::matmul(&a, &b, Layout::NN), Err(Error::Shape { .. })));
    }
    let batch = ops::linear(&zeros(&[1, 3, 4]), &zeros(&[5, 4]), None, Activation::None);
    assert!(matches!(batch, Err(Error::Shape { .. })));
}

/// Every way through the CPU backend (few rows, blocks, panels that are kept or made, operands read in place) gives the
/// same bits.
#[test]
fn rows_do_not_see_each_other() {
    let most = 300;
    for (n, k) in [(17, 3), (64, 64), (65, 513), (70, 514), (130, 1100), (16, 70), (3, 600)] {
        for layout in [Layout::NN, Layout::NT] {
            let [_, b_shape] = shapes(layout, [most, n, k]);
            let (a, b) = (noise(3, most * k), noise(4, n * k));
            let whole = {
                let device = cpu(1);
                let b = upload(&device, &b_shape, &b);
                bits(&ops::matmul(&upload(&device, &[most, k], &a), &b, layout).unwrap().read().unwrap())
            };
            for threads in [1, 3] {
                let device = cpu(threads);
                let b = upload(&device, &b_shape, &b);
                // The second and later products find panels that the first ones left.
                for rows in [1, 2, 11, 47, 48, 49, 145, 253, 256, 257, 300, 1, 20] {
                    let part = upload(&device, &[rows, k], &a[..rows * k]);
                    let got = bits(&ops::matmul(&part, &b, layout).unwrap().read().unwrap());
                    assert!(got == whole[..rows * n], "{layout:?} {rows} x {n} x {k}, {threads} threads");
                }
            }
        }
    }
}

/// The gradient of a weight is a long sum; threads must not change its bits.
#[test]
fn long_sums_do_not_depend_on_threads() {
    for [m, n, k] in [[70, 40, 2100], [9, 130, 1030], [130, 9, 1030], [512, 65, 600]] {
        let (a, b) = (noise(5, m * k), noise(6, n * k));
        let run = |threads| {
            let device = cpu(threads);
            let (a, b) = (upload(&device, &[k, m], &a), upload(&device, &[k, n], &b));
            bits(&ops::matmul(&a, &b, Layout::TN).unwrap().read().unwrap())
        };
        let one = run(1);
        assert!(one == run(2) && one == run(5), "{m} x {n} x {k}");
    }
}

/// Panels of a weight are forgotten when the weight changes.
#[test]
fn weights_that_change_are_packed_again() {
    let device = cpu(2);
    let (rows, outputs, inputs) = (60, 70, 33);
    let x = upload(&device, &[rows, inputs], &noise(7, rows * inputs));
    let start = upload(&device, &[outputs, inputs], &noise(8, outputs * inputs));
    let mut parameter = ops::Parameter::new(start).unwrap();
    let settings = ops::Sgd { lr: 0.5, momentum: 0.0, weight_decay: 0.0 };
    let gradient = upload(&device, &[outputs, inputs], &noise(9, outputs * inputs));
    for _ in 0..3 {
        let mut again = Vec::new();
        for _ in 0..3 {
            let out = ops::linear(&x, parameter.value(), None, Activation::None).unwrap();
            again.push(bits(&out.read().unwrap()));
        }
        let copy = upload(&device, &[outputs, inputs], &parameter.value().read().unwrap());
        let fresh = ops::linear(&x, &copy, None, Activation::None).unwrap();
        again.push(bits(&fresh.read().unwrap()));
        assert!(again.windows(2).all(|pair| pair[0] == pair[1]));
        ops::sgd_momentum(&mut parameter, &gradient, &settings).unwrap();
    }
}
