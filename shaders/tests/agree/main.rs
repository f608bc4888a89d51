//! Every operation on both backends against a plain f64 reference, on odd shapes: 1, primes, tails of every tile,
//! empty segments, more rows than one axis of a grid holds; and not-a-number comes out where it went in.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

#[path = "../common/mod.rs"]
mod common;

use celldag_shaders::ops::{self, Activation, Layout, Pool};
use celldag_shaders::{Device, Ids, Segments};
use common::{assert_close, bits, cpu, devices, gpu, noise, reference, upload};

/// An activation in f64.
type Exact = fn(f64) -> f64;

#[test]
fn element_wise_operations() {
    for device in devices() {
        for (rows, columns) in [(1, 1), (3, 7), (67, 129), (513, 255)] {
            let count = rows * columns;
            let (a, b, row) = (noise(1, count), noise(2, count), noise(3, columns));
            let (ta, tb) = (upload(&device, &[rows, columns], &a), upload(&device, &[rows, columns], &b));
            let trow = upload(&device, &[columns], &row);
            let label = format!("{device:?} {rows} x {columns}");
            let sum: Vec<u32> = a.iter().zip(&b).map(|(a, b)| (a + b).to_bits()).collect();
            assert_eq!(bits(&ops::add(&ta, &tb).unwrap().read().unwrap()), sum, "add {label}");
            let sum: Vec<u32> = (0..count).map(|i| (a[i] + row[i % columns]).to_bits()).collect();
            assert_eq!(bits(&ops::add_row(&ta, &trow).unwrap().read().unwrap()), sum, "add_row {label}");
            let scaled: Vec<u32> = a.iter().map(|a| (a * 0.3).to_bits()).collect();
            assert_eq!(bits(&ops::scale(&ta, 0.3).unwrap().read().unwrap()), scaled, "scale {label}");
            let slope: Vec<u32> =
                (0..count).map(|i| if b[i] > 0.0 { a[i] } else { 0.0f32 }.to_bits()).collect();
            assert_eq!(
                bits(&ops::relu_backward(&ta, &tb).unwrap().read().unwrap()),
                slope,
                "relu_backward {label}"
            );
        }
    }
}

#[test]
fn activations() {
    let mut x: Vec<f32> = (-400..=400).map(|i| i as f32 * 0.05).collect();
    x.extend([0.0, -0.0, f32::NAN, 1e30, -1e30]);
    for device in devices() {
        let tensor = upload(&device, &[x.len()], &x);
        let exact: [(Activation, Exact); 5] = [
            (Activation::None, |x| x),
            (Activation::Relu, |x| if x < 0.0 { 0.0 } else { x }),
            (Activation::Gelu, reference::gelu),
            (Activation::GeluTanh, reference::gelu_tanh),
            (Activation::Sigmoid, reference::sigmoid),
        ];
        for (activation, exact) in exact {
            let want: Vec<f64> = x.iter().map(|&x| exact(f64::from(x))).collect();
            // Some drivers compute exp with a relative error of a few 1e-7.
            let tolerance = if device.info().backend == "cpu" { 2.5e-7 } else { 1e-6 };
            let got = ops::activate(&tensor, activation).unwrap().read().unwrap();
            assert_close(&format!("{activation:?} {device:?}"), &got, &want, tolerance);
        }
    }
}

#[test]
fn products_in_every_layout() {
    let sizes = [
        [1, 1, 1],
        [1, 17, 3],
        [5, 3, 2],
        [7, 16, 65],
        [31, 17, 33],
        [33, 64, 16],
        [64, 1, 129],
        [65, 127, 67],
        [67, 131, 515],
        [130, 24, 1100],
        [3, 200, 1],
    ];
    for device in devices() {
        for [m, n, k] in sizes {
            let (a, b) = (noise(4, m * k), noise(5, k * n));
            // The rounding of a chain of k multiply-adds, whose partial sums grow with the root of k.
            let tolerance = 3e-8 * k as f64 + 3e-7;
            for layout in [Layout::NN, Layout::NT, Layout::TN] {
                let (a_shape, b_shape) = match layout {
                    Layout::NN => ([m, k], [k, n]),
                    Layout::NT => ([m, k], [n, k]),
                    Layout::TN => ([k, m], [k, n]),
                };
                let a_at = |i: usize, t: usize| a[if layout == Layout::TN { t * m + i } else { i * k + t }];
                let b_at = |t: usize, j: usize| b[if layout == Layout::NT { j * k + t } else { t * n + j }];
                let want = reference::matmul([m, n, k], a_at, b_at);
                let product =
                    ops::matmul(&upload(&device, &a_shape, &a), &upload(&device, &b_shape, &b), layout)
                        .unwrap();
                assert_eq!(product.shape(), [m, n]);
                let label = format!("{layout:?} {m} x {n} x {k} {device:?}");
                assert_close(&label, &product.read().unwrap(), &want, tolerance);
            }
        }
    }
}

#[test]
fn linear_layers_with_bias_and_activation() {
    for device in devices() {
        for [rows, outputs, inputs] in [[1, 2, 9], [37, 19, 70], [65, 130, 33]] {
            let (x, w, bias) = (noise(6, rows * inputs), noise(7, outputs * inputs), noise(8, outputs));
            let tensors = (
                upload(&device, &[rows, inputs], &x),
                upload(&device, &[outputs, inputs], &w),
                upload(&device, &[outputs], &bias),
            );
            let plain = reference::matmul(
                [rows, outputs, inputs],
                |i, t| x[i * inputs + t],
                |t, j| w[j * inputs + t],
            );
            for (activation, exact) in
                [(Activation::None, (|x| x) as Exact), (Activation::Gelu, reference::gelu)]
            {
                let want: Vec<f64> =
                    plain.iter().enumerate().map(|(i, v)| exact(v + f64::from(bias[i % outputs]))).collect();
                let got = ops::linear(&tensors.0, &tensors.1, Some(&tensors.2), activation)
                    .unwrap()
                    .read()
                    .unwrap();
                assert_close(&format!("linear {activation:?} {device:?}"), &got, &want, 4e-6);
            }
        }
    }
}

#[test]
fn long_launches_are_cut_and_long_grids_folded() {
    let Some(device) = gpu() else { return };
    // About 0.8 GFLOP: several dispatches on a slow adapter.
    let [m, n, k] = [4100, 301, 310];
    let (a, b) = (noise(9, m * k), noise(10, n * k));
    let on = |device: &Device| {
        let product = ops::matmul(&upload(device, &[m, k], &a), &upload(device, &[n, k], &b), Layout::NT);
        product.unwrap().read().unwrap()
    };
    let want: Vec<f64> = on(&cpu(2)).iter().map(|&value| f64::from(value)).collect();
    assert_close("cut", &on(&device), &want, 2e-5);
    // One workgroup a row, more rows than one axis holds.
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

/// The kernels for hardware adapters run on every adapter, and give the bits of the kernels for software drivers.
#[test]
fn kernel_variants_agree_bit_by_bit() {
    // A device of its own: the choice of kernels belongs to the device.
    let Some(device) = gpu().and_then(|device| Device::open(&device.info().name, 0).ok()) else { return };
    let both = |run: &dyn Fn() -> Vec<f32>| {
        device.use_tiled_kernels(true);
        let tiled = run();
        device.use_tiled_kernels(false);
        assert_eq!(bits(&tiled), bits(&run()));
    };
    for [m, n, k] in [[1, 1, 1], [3, 70, 5], [65, 63, 17], [130, 131, 33], [64, 64, 515]] {
        for (layout, a_shape, b_shape) in
            [(Layout::NN, [m, k], [k, n]), (Layout::NT, [m, k], [n, k]), (Layout::TN, [k, m], [k, n])]
        {
            let (a, b) =
                (upload(&device, &a_shape, &noise(1, m * k)), upload(&device, &b_shape, &noise(2, n * k)));
            both(&|| ops::matmul(&a, &b, layout).unwrap().read().unwrap());
        }
        let (x, weight) =
            (upload(&device, &[m, k], &noise(3, m * k)), upload(&device, &[n, k], &noise(4, n * k)));
        let bias = upload(&device, &[n], &noise(5, n));
        both(&|| ops::linear(&x, &weight, Some(&bias), Activation::Gelu).unwrap().read().unwrap());
    }
    for (heads, head_width, lengths, causal) in
        [(2, 10, vec![3, 0, 70, 1], false), (4, 16, vec![33, 129], true), (2, 64, vec![65, 17], false)]
    {
        let (rows, width) = (lengths.iter().sum::<usize>(), heads * head_width);
        let [q, k, v] = [6, 7, 8].map(|seed| upload(&device, &[rows, width], &noise(seed, rows * width)));
        let segments = Segments::new(&device, &lengths).unwrap();
        both(&|| ops::attention(&q, &k, &v, &segments, heads, causal).unwrap().read().unwrap());
    }
}

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
fn attention_over_ragged_segments() {
    for device in devices() {
        for (heads, head_width, lengths, causal) in [
            (1, 4, vec![1], false),
            (2, 10, vec![3, 0, 70, 1], false),
            (4, 16, vec![33, 129, 0], true),
            (2, 64, vec![0, 65, 17], false),
            (1, 127, vec![40, 9], true),
            (3, 7, vec![530], false),
            (1, 20, vec![1030], true),
        ] {
            let (rows, width) = (lengths.iter().sum::<usize>(), heads * head_width);
            let [q, k, v] = [16, 17, 18].map(|seed| noise(seed, rows * width));
            // Large scores make the online rescaling matter.
            let q: Vec<f32> = q.iter().map(|q| q * 6.0).collect();
            let [tq, tk, tv] = [&q, &k, &v].map(|values| upload(&device, &[rows, width], values));
            let segments = Segments::new(&device, &lengths).unwrap();
            let got = ops::attention(&tq, &tk, &tv, &segments, heads, causal).unwrap().read().unwrap();
            let ranges: Vec<_> = segments.ranges().collect();
            let want = reference::attention([&q, &k, &v], width, heads, &ranges, causal);
            assert_close(&format!("{heads} x {head_width} {lengths:?} {device:?}"), &got, &want, 3e-6);
        }
    }
}

#[test]
fn pooling() {
    let lengths = [3, 0, 1, 100, 2];
    let (rows, columns) = (106, 5);
    let x = noise(19, rows * columns);
    for device in devices() {
        let tensor = upload(&device, &[rows, columns], &x);
        let segments = Segments::new(&device, &lengths).unwrap();
        let kinds = [
            Pool::Mean { skip_first: 0, skip_last: 0 },
            Pool::Mean { skip_first: 1, skip_last: 1 },
            Pool::First,
            Pool::Max,
        ];
        for kind in kinds {
            let mut want = Vec::new();
            for range in segments.ranges() {
                for column in 0..columns {
                    let values: Vec<f64> =
                        range.clone().map(|row| f64::from(x[row * columns + column])).collect();
                    let kept = match kind {
                        Pool::Mean { skip_first, skip_last } => {
                            let end = values.len().saturating_sub(skip_last);
                            values.get(skip_first..end).unwrap_or(&[])
                        }
                        Pool::First => &values[..values.len().min(1)],
                        Pool::Max => &values,
                    };
                    want.push(match kind {
                        _ if kept.is_empty() => f64::NAN,
                        Pool::Max => kept.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                        _ => kept.iter().sum::<f64>() / kept.len() as f64,
                    });
                }
            }
            let got = ops::pool(&tensor, &segments, kind).unwrap().read().unwrap();
            assert_close(&format!("{kind:?} {device:?}"), &got, &want, 3e-7);
        }
    }
}

#[test]
fn gathers_and_sums() {
    for device in devices() {
        for (rows, columns) in [(1, 1), (255, 3), (257, 33), (66_000, 2)] {
            let x = noise(20, rows * columns);
            let tensor = upload(&device, &[rows, columns], &x);
            let ids: Vec<u32> = (0..rows as u32).rev().step_by(3).collect();
            let picked: Vec<f32> =
                ids.iter().flat_map(|&id| x[id as usize * columns..][..columns].to_vec()).collect();
            let got = ops::embed(&tensor, &Ids::new(&device, &ids).unwrap()).unwrap();
            assert_eq!(got.read().unwrap(), picked, "embed {device:?}");
            let want: Vec<f64> = (0..columns)
                .map(|c| x.iter().skip(c).step_by(columns).map(|&v| f64::from(v)).sum())
                .collect();
            let got = ops::column_sum(&tensor).unwrap().read().unwrap();
            assert_close(&format!("column_sum {rows} {device:?}"), &got, &want, 1e-5);
            let got = ops::sum(&tensor).unwrap().read().unwrap();
            assert_close("sum", &got, &[want.iter().sum()], 2e-5);
        }
        let nothing = upload(&device, &[0, 3], &[]);
        assert_eq!(ops::column_sum(&nothing).unwrap().read().unwrap(), [0.0; 3]);
        assert!(ops::embed(&nothing, &Ids::new(&device, &[]).unwrap()).unwrap().read().unwrap().is_empty());
    }
}

#[test]
fn losses_and_their_gradients() {
    for device in devices() {
        for (rows, columns) in [(1, 1), (300, 2), (7, 5)] {
            let mut logits = noise(21, rows * columns);
            logits.iter_mut().for_each(|x| *x *= 20.0);
            let targets: Vec<f32> = noise(22, rows * columns).iter().map(|v| f32::from(*v > 0.0)).collect();
            let weight: Vec<f32> = noise(23, columns).iter().map(|v| 1.5 + v).collect();
            let [x, y] = [&logits, &targets].map(|values| upload(&device, &[rows, columns], values));
            for weighted in [false, true] {
                let (mut loss, mut gradient) = (vec![0.0; rows], Vec::new());
                for i in 0..rows * columns {
                    let (x, y) = (f64::from(logits[i]), f64::from(targets[i]));
                    let w = if weighted { f64::from(weight[i % columns]) } else { 1.0 };
                    loss[i / columns] += (w * y * reference::softplus(-x)
                        + (1.0 - y) * reference::softplus(x))
                        / columns as f64;
                    let slope = (1.0 - y) * reference::sigmoid(x) - w * y * reference::sigmoid(-x);
                    gradient.push(slope / (rows * columns) as f64);
                }
                let tensor = upload(&device, &[columns], &weight);
                let got = ops::bce_with_logits(&x, &y, weighted.then_some(&tensor)).unwrap();
                assert_close(&format!("bce {device:?}"), &got.rows.read().unwrap(), &loss, 6e-7);
                assert_close("bce gradient", &got.gradient.read().unwrap(), &gradient, 3e-7);
                let mean = loss.iter().sum::<f64>() / rows as f64;
                assert_close("bce mean", &[got.mean().unwrap()], &[mean], 1e-6);
            }
            let labels: Vec<u32> = (0..rows as u32).map(|row| row * 7 % columns as u32).collect();
            let (mut loss, mut gradient) = (Vec::new(), Vec::new());
            for (row, &label) in logits.chunks(columns).zip(&labels) {
                let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
                loss.push(total.ln() - f64::from(row[label as usize]));
                gradient.extend(row.iter().enumerate().map(|(class, &x)| {
                    (f64::from(x).exp() / total - f64::from(u8::from(class == label as usize))) / rows as f64
                }));
            }
            let got = ops::softmax_cross_entropy(&x, &Ids::new(&device, &labels).unwrap()).unwrap();
            assert_close(&format!("cross entropy {device:?}"), &got.rows.read().unwrap(), &loss, 1e-6);
            assert_close("cross entropy gradient", &got.gradient.read().unwrap(), &gradient, 3e-7);
        }
    }
}

#[test]
fn not_a_number_comes_out_where_it_went_in() {
    for device in devices() {
        let (rows, columns) = (70, 32);
        let mut x = noise(24, rows * columns);
        x[40 * columns + 3] = f32::NAN;
        let tensor = upload(&device, &[rows, columns], &x);
        let ones = upload(&device, &[columns], &vec![1.0; columns]);
        let weight = upload(&device, &[48, columns], &noise(25, 48 * columns));
        let segments = Segments::new(&device, &[20, 30, 20]).unwrap();
        let spoilt = |values: Vec<f32>, width: usize| -> Vec<usize> {
            let rows = values.chunks(width).enumerate().filter(|(_, row)| row.iter().any(|v| v.is_nan()));
            rows.map(|(row, _)| row).collect()
        };
        let linear = ops::linear(&tensor, &weight, None, Activation::Gelu).unwrap();
        assert_eq!(spoilt(linear.read().unwrap(), 48), [40], "linear {device:?}");
        let normed = ops::layer_norm(&tensor, None, &ones, &ones, 1e-5).unwrap();
        assert_eq!(spoilt(normed.read().unwrap(), columns), [40], "layer_norm {device:?}");
        let mixed = ops::attention(&tensor, &tensor, &tensor, &segments, 4, false).unwrap();
        assert_eq!(
            spoilt(mixed.read().unwrap(), columns),
            (20..50).collect::<Vec<_>>(),
            "attention {device:?}"
        );
        for kind in [Pool::Mean { skip_first: 0, skip_last: 0 }, Pool::Max] {
            let pooled = ops::pool(&tensor, &segments, kind).unwrap();
            assert_eq!(spoilt(pooled.read().unwrap(), columns), [1], "{kind:?} {device:?}");
        }
        assert!(ops::sum(&tensor).unwrap().read().unwrap()[0].is_nan());
    }
}
