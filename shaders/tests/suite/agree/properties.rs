//! Products, lookups, row-wise operations and losses over random shapes (nothing, 1, primes, tails of tiles) and values
//! among which not-a-number and infinities may be: against f64 on both backends, the CPU with the same bits for any number
//! of threads. Many cases on the CPU, few on the GPU, where kernels are compiled.

use celldag_shaders::ops::{self, Activation, CrossEntropy, Layout};
use celldag_shaders::{Device, Element, Ids, Tensor};
use proptest::prelude::*;

use crate::common::{assert_close, bits, cpu, gpu, noise, reference, upload};

/// Defines two properties of a name: on the CPU with one and three threads, whose bits must agree, and on the GPU. The body
/// of `fn check(device, case)` compares with the reference and gives what was computed.
macro_rules! properties {
    ($name:ident, $check:ident, $cases:expr) => {
        mod $name {
            use super::*;

            proptest! {
                #![proptest_config(ProptestConfig {
                    cases: 24, failure_persistence: None, ..ProptestConfig::default()
                })]

                #[test]
                fn on_the_cpu(case in $cases) {
                    let [one, three] = [1, 3].map(|threads| $check(&cpu(threads), &case));
                    let same = one.iter().zip(&three).all(|(a, b)| crate::common::same_bits(a, b));
                    prop_assert!(same, "threads: {:?}", case);
                }
            }

            proptest! {
                #![proptest_config(ProptestConfig {
                    cases: 4, failure_persistence: None, ..ProptestConfig::default()
                })]

                #[test]
                fn on_a_gpu(case in $cases) {
                    if let Some(device) = gpu() {
                        $check(&device, &case);
                    }
                }
            }
        }
    };
}
pub(crate) use properties;

/// Sizes at which tiles, vectors and blocks begin and end.
pub(crate) fn size(largest: usize) -> impl Strategy<Value = usize> {
    let edges: Vec<usize> = [0, 1, 2, 3, 4, 7, 8, 13, 16, 31, 32, 37, 63, 64, 65, 67, 127, 131]
        .into_iter()
        .filter(|&n| n <= largest)
        .collect();
    prop_oneof![prop::sample::select(edges), 0..=largest]
}

/// A place among `count` values, and what stands there instead.
pub(crate) type Special = Option<(usize, f32)>;

/// No special value in half of the cases.
pub(crate) fn special() -> impl Strategy<Value = Special> {
    let values = prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
    prop::option::of((any::<prop::sample::Index>().prop_map(|index| index.index(usize::MAX)), values))
}

/// Reproducible values with a special one.
pub(crate) fn values(seed: u64, count: usize, special: Special) -> Vec<f32> {
    let mut values = noise(seed, count);
    if let Some((place, value)) = special.filter(|_| count > 0) {
        values[place % count] = value;
    }
    values
}

fn layouts() -> impl Strategy<Value = Layout> {
    prop::sample::select(vec![Layout::NN, Layout::NT, Layout::TN])
}

type Product = (Layout, [usize; 3], Option<usize>, [bool; 2], Special);

/// Batches, single matrices, and matrices that a batch shares.
fn products(device: &Device, case: &Product) -> Vec<Vec<f32>> {
    let (layout, size @ [m, n, k], batch, shared, special) = *case;
    let (a_shape, b_shape) = match layout {
        Layout::NN => ([m, k], [k, n]),
        Layout::NT => ([m, k], [n, k]),
        Layout::TN => ([k, m], [k, n]),
    };
    let count = |own: bool| batch.filter(|_| own);
    let (a_count, b_count) = (count(!shared[0]), count(!shared[1] || shared[0]));
    let shape =
        |count: Option<usize>, matrix: [usize; 2]| count.into_iter().chain(matrix).collect::<Vec<_>>();
    let a = values(1, a_count.unwrap_or(1) * m * k, special);
    let b = noise(2, b_count.unwrap_or(1) * n * k);
    let (ta, tb) =
        (upload(device, &shape(a_count, a_shape), &a), upload(device, &shape(b_count, b_shape), &b));
    let got = ops::matmul(&ta, &tb, layout).unwrap().read().unwrap();
    let mut want = Vec::new();
    for i in 0..a_count.or(b_count).unwrap_or(1) {
        let a = &a[a_count.map_or(0, |_| i * m * k)..];
        let b = &b[b_count.map_or(0, |_| i * n * k)..];
        want.extend(reference::matmul(
            size,
            |i, t| a[if layout == Layout::TN { t * m + i } else { i * k + t }],
            |t, j| b[if layout == Layout::NT { j * k + t } else { t * n + j }],
        ));
    }
    assert_close(&format!("{case:?} {device:?}"), &got, &want, 1e-7 * k as f64 + 1e-6);
    vec![got]
}

properties!(
    product,
    products,
    (
        layouts(),
        [size(140), size(140), size(140)],
        prop::option::of(0usize..4),
        [any::<bool>(), any::<bool>()],
        special()
    )
);

type Linear = ([usize; 3], Element, bool, Activation, Special);

/// Linear layers with weights of every type of element, and all epilogues.
fn linears(device: &Device, case: &Linear) -> Vec<Vec<f32>> {
    let ([m, n, k], element, biased, activation, special) = *case;
    let (x, bias) = (values(3, m * k, special), noise(5, n));
    let mut weight = noise(4, n * k);
    let stored = if element == Element::F32 {
        upload(device, &[n, k], &weight)
    } else {
        let stored = element.round(&weight);
        weight = element.widen(&stored);
        device.upload_half(&[n, k], element, &stored).unwrap()
    };
    let tensor = upload(device, &[n], &bias);
    let out = ops::linear(&upload(device, &[m, k], &x), &stored, biased.then_some(&tensor), activation);
    let got = out.unwrap().read().unwrap();
    let mut want = reference::matmul([m, n, k], |i, t| x[i * k + t], |t, j| weight[j * k + t]);
    for (i, value) in want.iter_mut().enumerate() {
        let sum = *value + if biased { f64::from(bias[i % n]) } else { 0.0 };
        *value = match activation {
            Activation::Relu if sum.is_nan() => sum,
            Activation::Relu => sum.max(0.0),
            Activation::Sigmoid => reference::sigmoid(sum),
            // As torch's own kernels.
            Activation::Gelu if sum.is_infinite() => f64::NAN,
            Activation::Gelu => reference::gelu(sum),
            _ => sum,
        };
    }
    assert_close(&format!("{case:?} {device:?}"), &got, &want, 1e-7 * k as f64 + 2e-6);
    vec![got]
}

properties!(
    linear,
    linears,
    (
        [size(80), size(140), size(80)],
        prop::sample::select(vec![Element::F32, Element::F16, Element::Bf16]),
        any::<bool>(),
        prop::sample::select(vec![Activation::None, Activation::Relu, Activation::Gelu, Activation::Sigmoid]),
        special()
    )
);

type Lookup = ([usize; 2], usize, Element, Special);

/// Rows of tables come out as they are.
fn lookups(device: &Device, case: &Lookup) -> Vec<Vec<f32>> {
    let ([entries, columns], count, element, special) = *case;
    let mut table = values(6, entries * columns, special);
    let tensor = if element == Element::F32 {
        upload(device, &[entries, columns], &table)
    } else {
        let stored = element.round(&table);
        table = element.widen(&stored);
        device.upload_half(&[entries, columns], element, &stored).unwrap()
    };
    let count = if entries == 0 { 0 } else { count };
    let ids: Vec<u32> = noise(7, count).iter().map(|v| ((v + 1.0) / 2.0 * entries as f32) as u32).collect();
    let got = ops::embed(&tensor, &Ids::new(device, &ids).unwrap()).unwrap().read().unwrap();
    let want: Vec<f32> =
        ids.iter().flat_map(|&id| table[id as usize * columns..][..columns].to_vec()).collect();
    assert!(crate::common::same_bits(&got, &want), "{case:?} {device:?}");
    vec![got]
}

properties!(
    lookup,
    lookups,
    (
        [size(131), size(67)],
        size(140),
        prop::sample::select(vec![Element::F32, Element::F16, Element::Bf16]),
        special()
    )
);

type Rows = ([usize; 2], Special);

/// Norms and softmax of rows. A row with a special value is not a number as a whole; the others do not see it.
fn row_wise(device: &Device, case: &Rows) -> Vec<Vec<f32>> {
    let ([rows, columns], special) = *case;
    let (x, gamma, beta) = (values(8, rows * columns, special), noise(9, columns), noise(10, columns));
    let tensor = upload(device, &[rows, columns], &x);
    let [scale, shift] = [&gamma, &beta].map(|values| upload(device, &[columns], values));
    let results = [
        ops::layer_norm(&tensor, None, &scale, &shift, 1e-2),
        ops::rms_norm(&tensor, None, &scale, 1e-2),
        ops::softmax(&tensor),
    ];
    let results = results.map(|out| out.unwrap().read().unwrap());
    let mut want = [const { Vec::new() }; 3];
    for row in x.chunks(columns.max(1)) {
        let row: Vec<f64> = row.iter().map(|&value| f64::from(value)).collect();
        want[0].extend(reference::layer_norm(&row, &gamma, &beta, 1e-2));
        let square = row.iter().map(|value| value * value).sum::<f64>() / columns as f64;
        want[1].extend(row.iter().zip(&gamma).map(|(x, g)| x / (square + 1e-2).sqrt() * f64::from(*g)));
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = row.iter().map(|value| (value - largest).exp()).sum();
        want[2].extend(row.iter().map(|value| (value - largest).exp() / total));
    }
    for (number, (got, want)) in results.iter().zip(&want).enumerate() {
        assert_close(&format!("{number} of {case:?} {device:?}"), got, want, 2e-5);
    }
    results.to_vec()
}

properties!(rows, row_wise, ([size(40), size(300)], special()));

type Losses = ([usize; 2], bool, Special);

/// The loss of every row and its gradient.
fn losses(device: &Device, case: &Losses) -> Vec<Vec<f32>> {
    let ([rows, columns], weighted, special) = *case;
    let (rows, columns) = (rows.max(1), columns.max(1));
    let x = values(11, rows * columns, special);
    let labels: Vec<u32> = (0..rows).map(|row| (row * 7 % columns) as u32).collect();
    let targets: Vec<f32> = noise(12, rows * columns).iter().map(|v| (v + 1.0) / 2.0).collect();
    let weights: Vec<f32> = noise(13, columns).iter().map(|v| v + 1.5).collect();
    let tensor = upload(device, &[rows, columns], &x);
    let goals = upload(device, &[rows, columns], &targets);
    let ids = Ids::new(device, &labels).unwrap();
    let settings = CrossEntropy { class_weights: weighted.then(|| weights.clone()), label_smoothing: 0.0 };
    let cross = ops::softmax_cross_entropy_with(&tensor, &ids, &settings).unwrap();
    let square = ops::mean_squared_error(&tensor, &goals).unwrap();
    let weight = |class: usize| if weighted { f64::from(weights[class]) } else { 1.0 };
    let total: f64 = labels.iter().map(|&label| weight(label as usize)).sum();
    let mut want = [const { Vec::new() }; 4];
    for (row, (x, targets)) in x.chunks(columns).zip(targets.chunks(columns)).enumerate() {
        let x: Vec<f64> = x.iter().map(|&value| f64::from(value)).collect();
        let label = labels[row] as usize;
        let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = x.iter().map(|x| (x - largest).exp()).sum();
        want[0].push(weight(label) * rows as f64 / total * (sum.ln() + largest - x[label]));
        want[1].extend(x.iter().enumerate().map(|(class, x)| {
            let goal = f64::from(u8::from(class == label));
            ((x - largest).exp() / sum - goal) * weight(label) / total
        }));
        let errors: Vec<f64> = x.iter().zip(targets).map(|(x, y)| x - f64::from(*y)).collect();
        want[2].push(errors.iter().map(|error| error * error).sum::<f64>() / columns as f64);
        want[3].extend(errors.iter().map(|error| 2.0 * error / (rows * columns) as f64));
    }
    let got = [&cross.rows, &cross.gradient, &square.rows, &square.gradient];
    let got = got.map(|tensor: &Tensor| tensor.read().unwrap());
    for (number, (got, want)) in got.iter().zip(&want).enumerate() {
        assert_close(&format!("{number} of {case:?} {device:?}"), got, want, 5e-6);
    }
    got.to_vec()
}

properties!(loss, losses, ([size(70), size(140)], any::<bool>(), special()));

/// Bits of a number are compared, not those of not-a-number.
#[test]
fn same_bits_tell_signs_apart() {
    assert!(crate::common::same_bits(&[f32::NAN, 1.0], &[-f32::NAN, 1.0]));
    assert!(!crate::common::same_bits(&[0.0], &[-0.0]) && bits(&[0.0]) != bits(&[-0.0]));
}
