//! Weights stored in 16 bits: the same bits as with the widened weight, and refused where f32 is needed.

use celldag_shaders::ops::{self, Activation, Layout};
use celldag_shaders::{Element, Error, Ids, Tape};

use crate::common::{bits, devices, noise, upload};

const STORED: [Element; 2] = [Element::F16, Element::Bf16];

#[test]
fn values_come_back_widened() {
    for device in devices() {
        for element in STORED {
            for shape in [[3, 5], [1, 1], [2, 4], [0, 7]] {
                let stored = element.round(&noise(1, shape[0] * shape[1]));
                let tensor = device.upload_half(&shape, element, &stored).unwrap();
                assert_eq!(tensor.element(), element);
                assert_eq!(bits(&tensor.read().unwrap()), bits(&element.widen(&stored)));
            }
        }
        assert!(device.upload_half(&[1], Element::F32, &[0]).is_err());
        assert!(device.upload_half(&[2], Element::F16, &[0]).is_err());
    }
}

#[test]
fn products_have_the_bits_of_the_widened_weight() {
    for device in devices() {
        for [m, n, k] in [[1, 17, 3], [7, 16, 65], [33, 130, 16], [50, 70, 515], [65, 66, 2]] {
            let a = upload(&device, &[m, k], &noise(2, m * k));
            let bias = upload(&device, &[n], &noise(3, n));
            for element in STORED {
                let stored = element.round(&noise(4, n * k));
                let wide = element.widen(&stored);
                let label = format!("{element} {m} x {n} x {k} {device:?}");
                let run = |layout: Layout, shape: &[usize; 2]| {
                    let half = device.upload_half(shape, element, &stored).unwrap();
                    let pair = [half, upload(&device, shape, &wide)];
                    let [half, wide] =
                        pair.map(|b| bits(&ops::matmul(&a, &b, layout).unwrap().read().unwrap()));
                    assert_eq!(half, wide, "{layout:?} {label}");
                };
                run(Layout::NT, &[n, k]);
                run(Layout::NN, &[k, n]);
                let half = device.upload_half(&[n, k], element, &stored).unwrap();
                let wide = upload(&device, &[n, k], &wide);
                let [half, wide] = [half, wide].map(|weight| {
                    let out = ops::linear(&a, &weight, Some(&bias), Activation::Relu).unwrap();
                    bits(&out.read().unwrap())
                });
                assert_eq!(half, wide, "linear {label}");
            }
        }
    }
}

/// A frozen 16-bit weight lets gradients through to what is below it.
#[test]
fn gradients_pass_through() {
    let [m, n, k] = [9, 20, 33];
    for device in devices() {
        let x = upload(&device, &[m, k], &noise(5, m * k));
        let seed = upload(&device, &[m, n], &noise(6, m * n));
        let stored = Element::Bf16.round(&noise(7, n * k));
        let half = device.upload_half(&[n, k], Element::Bf16, &stored).unwrap();
        let wide = upload(&device, &[n, k], &Element::Bf16.widen(&stored));
        let [half, wide] = [half, wide].map(|weight| {
            let tape = Tape::new();
            let x = tape.watch(&x);
            let out = ops::linear(&x, &weight, None, Activation::None).unwrap();
            let gradients = tape.gradients(&out, &seed).unwrap();
            bits(&gradients.of(&x).unwrap().read().unwrap())
        });
        assert_eq!(half, wide, "{device:?}");
    }
}

#[test]
fn other_operations_refuse() {
    for device in devices() {
        let stored = Element::F16.round(&noise(8, 12));
        let half = device.upload_half(&[3, 4], Element::F16, &stored).unwrap();
        let batch = half.reshape(&[1, 3, 4]).unwrap();
        let wide = upload(&device, &[3, 4], &noise(9, 12));
        let one = upload(&device, &[1, 3, 4], &noise(9, 12));
        let row = device.upload_half(&[4], Element::F16, &stored[..4]).unwrap();
        let results = [
            ops::add(&half, &half),
            ops::add(&wide, &half),
            ops::add_row(&wide, &row),
            ops::scale(&half, 2.0),
            ops::matmul(&half, &wide, Layout::NT),
            ops::matmul(&wide, &half, Layout::TN),
            ops::matmul(&one, &batch, Layout::NT),
            ops::linear(&wide, &wide, Some(&row.reshape(&[4]).unwrap()), Activation::None)
                .and(ops::column_sum(&half)),
            ops::layer_norm(&wide, None, &row, &row, 1e-5),
        ];
        for (number, result) in results.into_iter().enumerate() {
            let refused = matches!(result, Err(Error::Element { element: Element::F16, .. }));
            assert!(refused || number == 7, "case {number} {device:?}: {result:?}");
        }
        let fine = ops::embed(&half, &Ids::new(&device, &[2]).unwrap()).unwrap();
        assert_eq!(fine.element(), Element::F32);
    }
}
