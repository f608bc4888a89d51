//! Matrix products: every layout, kernel and way of storing weights against f64, and against each other bit by bit.

use celldag_shaders::ops::{self, Activation, Layout};
use celldag_shaders::{Device, DeviceOptions, Element, Tensor, testing};

use crate::common::{assert_close, bits, cpu, devices, gpu, noise, reference, upload};

/// An activation in f64.
type Exact = fn(f64) -> f64;

/// A device of its own, for tests that change the choice of kernels.
fn own_gpu(change: impl FnOnce(&mut DeviceOptions)) -> Option<Device> {
    let mut options = DeviceOptions::new(&gpu()?.info().name, 0);
    change(&mut options);
    Device::open_with(&options).ok()
}

/// Operands of a product in a layout.
fn operands(device: &Device, layout: Layout, [m, n, k]: [usize; 3]) -> [Tensor; 2] {
    let (a_shape, b_shape) = match layout {
        Layout::NN => ([m, k], [k, n]),
        Layout::NT => ([m, k], [n, k]),
        Layout::TN => ([k, m], [k, n]),
    };
    [upload(device, &a_shape, &noise(1, m * k)), upload(device, &b_shape, &noise(2, n * k))]
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
fn long_launches_are_cut() {
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
}

/// Every kernel runs on every adapter; most are made for hardware.
fn same_bits(layouts: &[Layout], sizes: &[[usize; 3]]) {
    let Some(device) = own_gpu(|_| ()) else { return };
    let subgroups_of_8 = device.info().software && device.info().features.contains(&"subgroups");
    for &size in sizes {
        for &layout in layouts {
            let [a, b] = operands(&device, layout, size);
            let mut first = None;
            for kernel in testing::product_kernels() {
                // Reading single values is the same code in tiles of all sizes, and drivers compile slowly.
                let few = ["tile-64x64", "tile-16x256", "register-32", "direct-16"];
                let odd = size.iter().any(|side| !side.is_multiple_of(4));
                if kernel.starts_with("register") && !subgroups_of_8 || odd && !few.contains(&kernel) {
                    continue;
                }
                testing::use_product_kernel(&device, Some(kernel));
                let got = bits(&ops::matmul(&a, &b, layout).unwrap().read().unwrap());
                let want = first.get_or_insert_with(|| got.clone());
                assert!(*want == got, "{kernel} {layout:?} {size:?}");
            }
        }
    }
}

// Sizes that are multiples of four are read in vectors. The second of each kind has more than one of the largest tiles, and
// few columns, which the register kernels take as rows.
#[test]
fn kernels_agree_bit_by_bit_nt() {
    same_bits(&[Layout::NT], &[[68, 132, 36], [260, 12, 20], [67, 131, 35], [259, 11, 19]]);
}

#[test]
fn kernels_agree_bit_by_bit_nn() {
    same_bits(&[Layout::NN], &[[68, 132, 36], [260, 12, 20], [67, 131, 35], [259, 11, 19]]);
}

#[test]
fn kernels_agree_bit_by_bit_tn() {
    same_bits(&[Layout::TN], &[[68, 132, 36], [260, 12, 20], [67, 131, 35], [259, 11, 19]]);
}

#[test]
fn epilogues_agree_bit_by_bit() {
    let Some(device) = own_gpu(|_| ()) else { return };
    for [m, n, k] in [[20, 36, 8], [33, 9, 7]] {
        let [x, weight] = operands(&device, Layout::NT, [m, n, k]);
        let bias = upload(&device, &[n], &noise(3, n));
        let run = |tiled| {
            testing::use_tiled_kernels(&device, tiled);
            bits(&ops::linear(&x, &weight, Some(&bias), Activation::Gelu).unwrap().read().unwrap())
        };
        assert!(run(true) == run(false), "{m} x {n} x {k}");
    }
}

/// Operands and results above the limit of a binding are worked on in parts, which do not show in the bits.
#[test]
fn products_above_the_binding_limit() {
    let limit = 1 << 20;
    let Some(small) = own_gpu(|options| options.binding_limit = Some(limit)) else { return };
    let Some(device) = gpu() else { return };
    for tiled in [false, true] {
        testing::use_tiled_kernels(&small, tiled);
        for (layout, size) in [
            // More rows and columns than fit.
            (Layout::NT, [700, 1500, 300]),
            // Longer sums than fit.
            (Layout::NN, [300, 200, 1900]),
            (Layout::TN, [100, 200, 4000]),
        ] {
            let run = |device: &Device| {
                let [a, b] = operands(device, layout, size);
                bits(&ops::matmul(&a, &b, layout).unwrap().read().unwrap())
            };
            let largest = size.iter().map(|side| side * 4).max().unwrap_or(0) * size[0].min(size[1]);
            assert!(largest as u64 > limit / 2, "{size:?}");
            assert!(run(&small) == run(&device), "{layout:?} {size:?}");
        }
    }
    // The bias goes with the columns and, like the activation, behind the last part of the sums.
    let [m, n, k] = [130, 1500, 300];
    let run = |device: &Device| {
        let [x, weight] = operands(device, Layout::NT, [m, n, k]);
        let bias = upload(device, &[n], &noise(3, n));
        bits(&ops::linear(&x, &weight, Some(&bias), Activation::Relu).unwrap().read().unwrap())
    };
    assert!(run(&small) == run(&device), "bias");
    let batch = |device: &Device| {
        let a = upload(device, &[300, 20, 30], &noise(4, 180_000));
        let b = upload(device, &[300, 30, 40], &noise(5, 360_000));
        bits(&ops::matmul(&a, &b, Layout::NN).unwrap().read().unwrap())
    };
    assert!(batch(&small) == batch(&device), "batch");
}

/// A product with a stored weight has the bits of the product with the widened weight.
#[test]
fn weights_in_16_bits() {
    for device in devices() {
        for element in [Element::F16, Element::Bf16] {
            for (rows, outputs, inputs) in [(9, 20, 36), (300, 5, 33)] {
                let x = upload(&device, &[rows, inputs], &noise(6, rows * inputs));
                let stored = element.round(&noise(7, outputs * inputs));
                let packed = device.upload_half(&[outputs, inputs], element, &stored).unwrap();
                let wide = upload(&device, &[outputs, inputs], &element.widen(&stored));
                let back = upload(&device, &[rows, outputs], &noise(8, rows * outputs));
                let label = format!("{element} {rows} x {outputs} x {inputs} {device:?}");
                for tiled in [true, false] {
                    testing::use_tiled_kernels(&device, tiled && !device.info().software);
                    let run = |weight: &Tensor| {
                        let out = ops::linear(&x, weight, None, Activation::None).unwrap();
                        let slope = ops::matmul(&back, weight, Layout::NN).unwrap();
                        [bits(&out.read().unwrap()), bits(&slope.read().unwrap())]
                    };
                    assert!(run(&packed) == run(&wide), "{label}");
                }
            }
        }
    }
}

#[test]
fn batches_are_products_side_by_side() {
    for device in devices() {
        let (count, [m, n, k]) = (3, [33, 20, 12]);
        for layout in [Layout::NN, Layout::NT, Layout::TN] {
            let (a_shape, b_shape) = match layout {
                Layout::NN => ([m, k], [k, n]),
                Layout::NT => ([m, k], [n, k]),
                Layout::TN => ([k, m], [k, n]),
            };
            let (a, b) = (noise(9, count * m * k), noise(10, count * n * k));
            let tensor = |values: &[f32], [rows, columns]: [usize; 2], batched: bool| {
                let shape = [count, rows, columns];
                if batched {
                    upload(&device, &shape, values)
                } else {
                    upload(&device, &shape[1..], &values[..rows * columns])
                }
            };
            for (of_a, of_b) in [(true, true), (true, false), (false, true)] {
                let got =
                    ops::matmul(&tensor(&a, a_shape, of_a), &tensor(&b, b_shape, of_b), layout).unwrap();
                assert_eq!(got.shape(), [count, m, n]);
                let mut want = Vec::new();
                for i in 0..count {
                    let part = |values: &[f32], shape: [usize; 2], batched: bool| {
                        let one = shape[0] * shape[1];
                        upload(&device, &shape, &values[if batched { i * one } else { 0 }..][..one])
                    };
                    let one =
                        ops::matmul(&part(&a, a_shape, of_a), &part(&b, b_shape, of_b), layout).unwrap();
                    want.extend(one.read().unwrap());
                }
                let label = format!("{layout:?} {of_a} {of_b} {device:?}");
                assert!(bits(&got.read().unwrap()) == bits(&want), "{label}");
            }
        }
    }
}

#[test]
fn not_a_number_stays_in_its_row() {
    for device in devices() {
        let mut x = noise(11, 70 * 32);
        x[40 * 32 + 3] = f32::NAN;
        x[41 * 32 + 5] = f32::INFINITY;
        let x = upload(&device, &[70, 32], &x);
        let weight = upload(&device, &[48, 32], &noise(12, 48 * 32));
        let out = ops::matmul(&x, &weight, Layout::NT).unwrap().read().unwrap();
        for (row, values) in out.chunks(48).enumerate() {
            assert_eq!(values.iter().all(|value| value.is_nan()), row == 40, "row {row} {device:?}");
            assert_eq!(values.iter().all(|value| value.is_infinite()), row == 41, "row {row} {device:?}");
        }
    }
}

/// The fastest kernel is measured once and remembered in a file; the bits stay.
#[test]
fn measured_choices_are_remembered() {
    let folder = std::env::temp_dir().join(format!("celldag-tune-{}", std::process::id()));
    let open = || own_gpu(|options| options.driver_folder = Some(folder.clone()));
    let (Some(first), Some(plain)) = (open(), gpu()) else { return };
    let run = |device: &Device| {
        let [a, b] = operands(device, Layout::NT, [512, 512, 400]);
        bits(&ops::matmul(&a, &b, Layout::NT).unwrap().read().unwrap())
    };
    assert!(testing::measured_kernels(&first).is_empty());
    let want = run(&plain);
    assert!(run(&first) == want);
    let measured = testing::measured_kernels(&first);
    assert!(measured.keys().eq(["product nt f32 1x 2^9 2^9 2^8"]), "{measured:?}");
    assert!(testing::product_kernels().iter().any(|name| measured.values().any(|chosen| chosen == name)));
    drop(first);
    let second = open().unwrap();
    assert_eq!(testing::measured_kernels(&second), measured);
    assert!(run(&second) == want);
    assert!(
        testing::measured_kernels(&plain).is_empty(),
        "software drivers measure only if they are given a folder"
    );
    let _ = fs_err::remove_dir_all(folder);
}
