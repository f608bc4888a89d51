//! Operations on whole rows: layer, group and RMS norm, and softmax.

use celldag_shaders::ops;

use crate::common::{assert_close, cpu, devices, gpu, noise, reference, upload};

#[test]
fn layer_norms() {
    for device in devices() {
        for (rows, columns) in [(1, 2), (5, 63), (9, 256), (33, 515)] {
            let (x, residual) = (noise(12, rows * columns), noise(13, rows * columns));
            let (gamma, beta) = (noise(14, columns), noise(15, columns));
            let tensors = [&x, &residual].map(|values| upload(&device, &[rows, columns], values));
            let [scale, shift] = [&gamma, &beta].map(|values| upload(&device, &[columns], values));
            for with in [false, true] {
                let input: Vec<f64> =
                    x.iter().zip(&residual).map(|(x, r)| f64::from(if with { x + r } else { *x })).collect();
                let want = reference::layer_norm(&input, &gamma, &beta, 1e-12);
                let got =
                    ops::layer_norm(&tensors[0], with.then_some(&tensors[1]), &scale, &shift, 1e-12).unwrap();
                assert_close(&format!("layer_norm {columns} {device:?}"), &got.read().unwrap(), &want, 3e-6);
            }
        }
    }
}

#[test]
fn group_norms_are_layer_norms_of_each_group() {
    for device in devices() {
        for (rows, groups, width) in [(1, 1, 5), (7, 3, 2), (5, 4, 67)] {
            let columns = groups * width;
            let (x, gamma, beta) = (noise(16, rows * columns), noise(17, columns), noise(18, columns));
            let mut want = vec![0.0; rows * columns];
            for row in 0..rows {
                for group in 0..groups {
                    let (from, at) = (group * width, row * columns + group * width);
                    let part: Vec<f64> = x[at..at + width].iter().map(|&value| f64::from(value)).collect();
                    let scale = (&gamma[from..from + width], &beta[from..from + width]);
                    want[at..at + width]
                        .copy_from_slice(&reference::layer_norm(&part, scale.0, scale.1, 1e-5));
                }
            }
            let [scale, shift] = [&gamma, &beta].map(|values| upload(&device, &[columns], values));
            let x = upload(&device, &[rows, columns], &x);
            let got = ops::group_norm(&x, groups, &scale, &shift, 1e-5).unwrap().read().unwrap();
            assert_close(&format!("group_norm {groups} x {width} {device:?}"), &got, &want, 1e-5);
        }
        let x = upload(&device, &[1, 6], &[0.0; 6]);
        let weights = upload(&device, &[6], &[1.0; 6]);
        for groups in [0, 4] {
            assert!(ops::group_norm(&x, groups, &weights, &weights, 1e-5).is_err());
        }
    }
}

#[test]
fn rms_norms() {
    for device in devices() {
        for (rows, columns) in [(1, 1), (5, 63), (33, 515)] {
            let (x, residual) = (noise(19, rows * columns), noise(20, rows * columns));
            let weight = noise(21, columns);
            let tensors = [&x, &residual].map(|values| upload(&device, &[rows, columns], values));
            let scale = upload(&device, &[columns], &weight);
            for with in [false, true] {
                let input: Vec<f64> =
                    x.iter().zip(&residual).map(|(x, r)| f64::from(if with { x + r } else { *x })).collect();
                let want: Vec<f64> = input
                    .chunks(columns)
                    .flat_map(|row| {
                        let mean = row.iter().map(|v| v * v).sum::<f64>() / columns as f64;
                        let scaled = row.iter().zip(&weight);
                        scaled.map(|(v, w)| v / (mean + 1e-5).sqrt() * f64::from(*w)).collect::<Vec<_>>()
                    })
                    .collect();
                let got = ops::rms_norm(&tensors[0], with.then_some(&tensors[1]), &scale, 1e-5).unwrap();
                assert_close(&format!("rms_norm {columns} {device:?}"), &got.read().unwrap(), &want, 1e-6);
            }
        }
    }
}

#[test]
fn more_rows_than_an_axis_of_a_grid_holds() {
    let Some(device) = gpu() else { return };
    // One workgroup a row.
    let (rows, columns) = (65_535 * 2 + 77, 2);
    let x = noise(11, rows * columns);
    let got = ops::layer_norm(
        &upload(&device, &[rows, columns], &x),
        None,
        &upload(&device, &[columns], &[2.0, 3.0]),
        &upload(&device, &[columns], &[0.0, 1.0]),
        1e-5,
    );
    let wide: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    let want = reference::layer_norm(&wide, &[2.0, 3.0], &[0.0, 1.0], 1e-5);
    // Two nearly equal columns leave few digits of their difference.
    assert_close("folded", &got.unwrap().read().unwrap(), &want, 1e-3);
}

#[test]
fn softmax_of_rows() {
    for device in devices() {
        for (rows, columns) in [(1, 1), (5, 63), (129, 7), (3, 1030)] {
            // Far beyond what exp could take.
            let x: Vec<f32> = noise(22, rows * columns).iter().map(|x| 300.0 * x).collect();
            let mut want = Vec::new();
            for row in x.chunks(columns) {
                let largest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let weights: Vec<f64> =
                    row.iter().map(|x| (f64::from(*x) - f64::from(largest)).exp()).collect();
                let total: f64 = weights.iter().sum();
                want.extend(weights.iter().map(|weight| weight / total));
            }
            let got = ops::softmax(&upload(&device, &[rows, columns], &x)).unwrap().read().unwrap();
            // The difference of scores of this size is known to 3e-5 only.
            assert_close(&format!("softmax {columns} {device:?}"), &got, &want, 3e-6);
        }
    }
}

#[test]
fn softmax_of_infinities_is_that_of_torch() {
    const LOW: f32 = f32::NEG_INFINITY;
    let rows = [
        [LOW, LOW, LOW],
        [LOW, 0.0, 0.0],
        [f32::INFINITY, 0.0, 1.0],
        [f32::NAN, 0.0, LOW],
        [0.0, LOW, f32::NAN],
        [3e38, -3e38, 3e38],
    ];
    for device in devices() {
        let x = upload(&device, &[rows.len(), 3], rows.as_flattened());
        let got = ops::softmax(&x).unwrap().read().unwrap();
        for row in [0, 3, 4] {
            assert!(
                got[3 * row..3 * row + 3].iter().all(|value| value.is_nan()),
                "row {row} {got:?} {device:?}"
            );
        }
        assert_eq!(got[3..6], [0.0, 0.5, 0.5], "{device:?}");
        assert!(got[6].is_nan(), "{device:?}");
        assert_eq!(got[15..], [0.5, 0.0, 0.5], "{device:?}");
    }
}

#[test]
fn rows_without_columns_give_rows_without_columns() {
    for device in [Some(cpu(1)), gpu()].into_iter().flatten() {
        let x = upload(&device, &[4, 0], &[]);
        let weight = upload(&device, &[0], &[]);
        assert_eq!(ops::layer_norm(&x, None, &weight, &weight, 1e-5).unwrap().shape(), [4, 0]);
        assert!(ops::rms_norm(&x, None, &weight, 1e-5).unwrap().read().unwrap().is_empty());
        assert!(ops::softmax(&x).unwrap().read().unwrap().is_empty());
    }
}
