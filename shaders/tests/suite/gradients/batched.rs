//! Gradients of batches of products, also of operands that the batch shares.

use celldag_shaders::ops::{self, Layout};
use celldag_shaders::{Device, Tape};

use crate::common::gradient::{Operand, check, operand};
use crate::common::{assert_close, cpu, gpu, noise, upload};

const LAYOUTS: [Layout; 3] = [Layout::NN, Layout::NT, Layout::TN];

/// Shapes of the operands; those that are not shared have a batch axis.
fn shapes(layout: Layout, batch: usize, [m, n, k]: [usize; 3], shared: [bool; 2]) -> [Vec<usize>; 2] {
    let [a, b] = match layout {
        Layout::NN => [[m, k], [k, n]],
        Layout::NT => [[m, k], [n, k]],
        Layout::TN => [[k, m], [k, n]],
    };
    [(a, shared[0]), (b, shared[1])]
        .map(|(shape, shared)| if shared { shape.to_vec() } else { [&[batch][..], &shape].concat() })
}

#[test]
fn differences_in_every_layout() {
    for layout in LAYOUTS {
        for shared in [[false, false], [true, false], [false, true]] {
            let [a, b] = shapes(layout, 3, [2, 4, 3], shared);
            let operands: [Operand; 2] = [operand(1, &a), operand(2, &b)];
            check(&format!("batch {layout:?} {shared:?}"), &operands, 2e-3, |_, operands| {
                ops::matmul(&operands[0], &operands[1], layout)
            });
        }
    }
}

#[test]
fn backends_agree_on_larger_sizes() {
    let Some(gpu) = gpu() else { return };
    let size @ [m, n, k] = [37, 21, 67];
    for layout in LAYOUTS {
        for shared in [[false, false], [true, false], [false, true]] {
            let [a, b] = shapes(layout, 5, size, shared);
            let values = [noise(3, a.iter().product()), noise(4, b.iter().product())];
            let run = |device: &Device| {
                let tape = Tape::new();
                let [ta, tb] =
                    [(&a, &values[0]), (&b, &values[1])].map(|(s, v)| tape.watch(&upload(device, s, v)));
                let out = ops::matmul(&ta, &tb, layout).unwrap();
                assert_eq!(out.shape(), [5, m, n]);
                let gradients =
                    tape.gradients(&out, &upload(device, &[5, m, n], &noise(5, 5 * m * n))).unwrap();
                [ta, tb].map(|tensor| gradients.of(&tensor).unwrap().read().unwrap())
            };
            let (native, other) = (run(&cpu(3)), run(&gpu));
            for (native, other) in native.iter().zip(&other) {
                let want: Vec<f64> = native.iter().map(|&value| f64::from(value)).collect();
                assert_close(&format!("{layout:?} {shared:?} {k}"), other, &want, 5e-6);
            }
        }
    }
}
