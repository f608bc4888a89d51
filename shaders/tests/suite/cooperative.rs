//! Cooperative matrices, on adapters that have them: accuracy of both precisions on shapes that fill no tile. Elsewhere the
//! precisions must be refused, never replaced.

use crate::common::{assert_close, cpu, gpu, noise, reference, upload};
use celldag_shaders::ops::{self, Activation, Layout};
use celldag_shaders::{Device, DeviceError, DeviceOptions, Element, Precision, list_adapters};

/// The device to test on in another precision; none if its adapter cannot, which it must say.
fn open(precision: Precision) -> Option<Device> {
    let plain = gpu()?;
    let options = DeviceOptions { precision, ..DeviceOptions::new(&plain.info().name, 0) };
    let adapter = list_adapters().into_iter().find(|adapter| adapter.name == plain.info().name).unwrap();
    let fits = adapter.cooperative.iter().any(|shape| {
        let square = [8, 16].iter().any(|size| [shape.m, shape.n, shape.k] == [*size; 3]);
        square && shape.f16_factors && !shape.f16_sums
    });
    match Device::open_with(&options) {
        Ok(device) => {
            assert!(fits, "opened in {precision} without cooperative matrices");
            Some(device)
        }
        Err(error) => {
            assert!(!fits || error.to_string().contains("subgroups"), "{error}");
            assert!(matches!(error, DeviceError::Precision { .. }), "{error}");
            assert!(error.to_string().contains("f32"), "the message says what to do: {error}");
            eprintln!("SKIP cooperative matrices: {error}");
            None
        }
    }
}

/// Products and a linear layer on shapes of several tiles, none of them whole.
fn accuracy(precision: Precision, tolerance: f64) {
    let Some(device) = open(precision) else { return };
    for [m, n, k] in [[1, 1, 1], [70, 133, 45], [136, 60, 128], [37, 200, 515]] {
        let (a, b, bias) = (noise(1, m * k), noise(2, n * k), noise(3, n));
        let tolerance = tolerance * (k as f64).sqrt();
        for layout in [Layout::NN, Layout::NT, Layout::TN] {
            let (a_shape, b_shape) = match layout {
                Layout::NN => ([m, k], [k, n]),
                Layout::NT => ([m, k], [n, k]),
                Layout::TN => ([k, m], [k, n]),
            };
            let a_at = |i: usize, t: usize| a[if layout == Layout::TN { t * m + i } else { i * k + t }];
            let b_at = |t: usize, j: usize| b[if layout == Layout::NT { j * k + t } else { t * n + j }];
            let want = reference::matmul([m, n, k], a_at, b_at);
            let got = ops::matmul(&upload(&device, &a_shape, &a), &upload(&device, &b_shape, &b), layout);
            assert_close(&format!("{layout:?} {precision}"), &got.unwrap().read().unwrap(), &want, tolerance);
        }
        let x = upload(&device, &[m, k], &a);
        let stored = Element::F16.round(&b);
        let weight = device.upload_half(&[n, k], Element::F16, &stored).unwrap();
        let got = ops::linear(&x, &weight, Some(&upload(&device, &[n], &bias)), Activation::Relu).unwrap();
        let wide = Element::F16.widen(&stored);
        let plain = reference::matmul([m, n, k], |i, t| a[i * k + t], |t, j| wide[j * k + t]);
        let want = plain.iter().enumerate().map(|(at, sum)| (sum + f64::from(bias[at % n])).max(0.0));
        let got = got.read().unwrap();
        assert_close(&format!("linear {precision}"), &got, &want.collect::<Vec<_>>(), tolerance);
    }
    // The same rows have the same bits whatever stands below them.
    let (rows, width) = (150, 48);
    let (x, weight) = (noise(4, rows * width), noise(5, 70 * width));
    let weight = upload(&device, &[70, width], &weight);
    let first = |rows: usize| {
        let x = upload(&device, &[rows, width], &x[..rows * width]);
        ops::matmul(&x, &weight, Layout::NT).unwrap().read().unwrap()[..9 * 70].to_vec()
    };
    assert_eq!(crate::common::bits(&first(9)), crate::common::bits(&first(rows)));
}

#[test]
fn split_factors_are_as_accurate_as_f32() {
    accuracy(Precision::F32x3, 2e-6);
}

#[test]
fn rounded_factors_have_the_accuracy_of_f16() {
    accuracy(Precision::F16, 3e-3);
}

#[test]
fn a_precision_is_never_replaced() {
    for precision in [Precision::F16, Precision::F32x3] {
        let options = DeviceOptions { precision, ..DeviceOptions::new("cpu", 1) };
        let error = Device::open_with(&options).unwrap_err();
        assert!(
            matches!(&error, DeviceError::Precision { precision: asked, .. } if *asked == precision),
            "{error}"
        );
        if let Ok(device) = Device::open_with(&DeviceOptions { precision, ..DeviceOptions::new("auto", 1) }) {
            assert_eq!((device.precision(), device.info().backend), (precision, "gpu"));
        }
    }
    assert_eq!(cpu(1).precision(), Precision::F32);
}
