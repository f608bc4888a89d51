//! Attention: ragged batches, grouped queries, masks, and tensors above the binding limit.

use celldag_shaders::ops::{self, Attention};
use celldag_shaders::{Device, DeviceError, DeviceOptions, Error, Segments, Tape, testing};
use proptest::prelude::*;

use crate::common::attention::Case;
use crate::common::{assert_close, bits, cpu, devices, gpu, noise, upload};

fn settings(case: &Case) -> Attention {
    Attention { heads: case.heads, kv_heads: case.kv_heads, causal: case.causal, scale: case.scale }
}

/// Queries, keys and values. Large scores make the online rescaling matter.
fn operands(case: &Case) -> [Vec<f32>; 3] {
    let [q, k] = case.shapes().map(|shape| shape.iter().product());
    [noise(16, q).iter().map(|q| q * 6.0).collect(), noise(17, k), noise(18, k)]
}

fn run(device: &Device, case: &Case, [q, k, v]: [&[f32]; 3]) -> Vec<f32> {
    let [q_shape, k_shape] = case.shapes();
    let (q, k, v) = (upload(device, &q_shape, q), upload(device, &k_shape, k), upload(device, &k_shape, v));
    let segments = Segments::new(device, &case.lengths).unwrap();
    ops::attention_with(&q, &k, &v, &segments, &settings(case)).unwrap().read().unwrap()
}

fn assert_exact(device: &Device, case: &Case) {
    let operands = operands(case);
    let operands = operands.each_ref().map(Vec::as_slice);
    let [want, ..] = case.exact(operands, &vec![0.0; operands[0].len()]);
    assert_close(&format!("{case:?} {device:?}"), &run(device, case, operands), &want, 3e-6);
}

#[test]
fn ragged_segments() {
    for device in devices() {
        for case in [
            Case::plain(1, 4, &[1], false),
            Case::plain(2, 10, &[3, 0, 70, 1], false),
            Case::plain(4, 16, &[33, 129, 0], true),
            Case::plain(2, 64, &[0, 65, 17], false),
            Case::plain(1, 127, &[40, 9], true),
            Case::plain(3, 7, &[530], false),
            Case::plain(1, 20, &[1030], true),
            Case::plain(2, 10, &[], false),
        ] {
            assert_exact(&device, &case);
        }
    }
}

#[test]
fn grouped_queries_and_scales() {
    for device in devices() {
        let base = Case::plain(6, 10, &[50, 0, 97], true);
        assert_exact(&device, &Case { kv_heads: 2, ..base.clone() });
        assert_exact(&device, &Case { kv_heads: 1, scale: Some(0.1), ..base.clone() });
        assert_exact(&device, &Case { kv_heads: 3, scale: Some(-0.4), causal: false, ..base });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape(
        lengths in prop::collection::vec(0usize..140, 0..5),
        kv_heads in 1usize..4,
        share in 1usize..4,
        head_width in 1usize..=128,
        causal: bool,
    ) {
        let case = Case { kv_heads, ..Case::plain(kv_heads * share, head_width, &lengths, causal) };
        assert_exact(&cpu(2), &case);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]

    /// Few cases, of a head width that other tests compile anyway.
    #[test]
    fn any_shape_on_a_gpu(
        lengths in prop::collection::vec(0usize..140, 0..5),
        kv_heads in 1usize..3,
        share in 1usize..3,
        causal: bool,
    ) {
        let case = Case { kv_heads, ..Case::plain(kv_heads * share, 10, &lengths, causal) };
        if let Some(device) = gpu() {
            assert_exact(&device, &case);
        }
    }
}

/// What a row must not see does not reach it, even if it is not a number.
#[test]
fn the_future_is_hidden() {
    let case = Case { kv_heads: 1, ..Case::plain(2, 10, &[3, 100, 7], true) };
    let [q, k, v] = operands(&case);
    let (spoilt, width, kv_width) = (3 + 37, 20, 10);
    let (mut bad_k, mut bad_v) = (k.clone(), v.clone());
    bad_k[spoilt * kv_width..][..kv_width].fill(f32::NAN);
    bad_v[spoilt * kv_width..][..kv_width].fill(f32::INFINITY);
    let check = |device: &Device| {
        let want = run(device, &case, [&q, &k, &v]);
        let got = run(device, &case, [&q, &bad_k, &bad_v]);
        let label = format!("{device:?}");
        assert_eq!(bits(&got[..spoilt * width]), bits(&want[..spoilt * width]), "{label}");
        assert!(got[spoilt * width..103 * width].iter().all(|value| value.is_nan()), "{label}");
        assert_eq!(bits(&got[103 * width..]), bits(&want[103 * width..]), "{label}");
    };
    check(&cpu(1));
    // A device of its own: the choice of kernels belongs to the device.
    let Some(device) = gpu().and_then(|device| Device::open(&device.info().name, 0).ok()) else { return };
    for tiled in [false, true] {
        testing::use_tiled_kernels(&device, tiled);
        check(&device);
    }
}

#[test]
fn keys_without_weight_may_come_first() {
    let case = Case::plain(1, 1, &[300], false);
    let (q, mut k, v) = (vec![1.0; 300], noise(1, 300), noise(2, 300));
    k[..200].fill(f32::NEG_INFINITY);
    let got = run(&cpu(1), &case, [&q, &k, &v]);
    let weights: Vec<f64> = k[200..].iter().map(|k| f64::from(*k).exp()).collect();
    let sum: f64 = weights.iter().zip(&v[200..]).map(|(weight, v)| weight * f64::from(*v)).sum();
    assert_close("late keys", &got, &vec![sum / weights.iter().sum::<f64>(); 300], 1e-6);
}

#[test]
fn not_a_number_stays_in_its_segment() {
    for device in devices() {
        let case = Case::plain(2, 10, &[20, 30, 20], false);
        let mut x = noise(24, 70 * 20);
        x[40 * 20 + 3] = f32::NAN;
        let out = run(&device, &case, [&x, &x, &x]);
        let spoilt = |row: &&[f32]| row.iter().any(|value| value.is_nan());
        assert_eq!(out[..20 * 20].chunks(20).filter(spoilt).count(), 0, "{device:?}");
        assert_eq!(out[20 * 20..50 * 20].chunks(20).filter(spoilt).count(), 30, "{device:?}");
        assert_eq!(out[50 * 20..].chunks(20).filter(spoilt).count(), 0, "{device:?}");
    }
}

/// The results of every kernel for the forward pass, with and without the logarithms for a backward pass.
fn by_every_kernel(device: &Device, case: &Case) -> Vec<(&'static str, Vec<u32>)> {
    let [q, k, v] = operands(case);
    let [q_shape, k_shape] = case.shapes();
    let (q, k, v) =
        (upload(device, &q_shape, &q), upload(device, &k_shape, &k), upload(device, &k_shape, &v));
    let segments = Segments::new(device, &case.lengths).unwrap();
    let mut results = Vec::new();
    for kernel in testing::attention_kernels() {
        testing::use_attention_kernel(device, Some(kernel));
        for traced in [false, true] {
            if kernel.starts_with("backward") {
                continue;
            }
            let tape = Tape::new();
            let q = if traced { tape.watch(&q) } else { q.clone() };
            let out = ops::attention_with(&q, &k, &v, &segments, &settings(case)).unwrap();
            assert_eq!(out.is_traced(), traced);
            results.push((kernel, bits(&out.read().unwrap())));
        }
    }
    results
}

/// The kernels for hardware adapters run on every adapter, and give the bits of the kernels for software drivers.
#[test]
fn kernel_variants_agree_bit_by_bit() {
    let Some(device) = gpu().and_then(|device| Device::open(&device.info().name, 0).ok()) else { return };
    for case in [
        Case { kv_heads: 1, ..Case::plain(2, 10, &[3, 0, 70, 1], false) },
        Case::plain(4, 16, &[33, 129], true),
        Case::plain(2, 64, &[65, 17], false),
    ] {
        let results = by_every_kernel(&device, &case);
        for (kernel, result) in &results {
            assert!(*result == results[0].1, "{kernel} {case:?}");
        }
    }
}

/// A segment that is larger than a binding is worked on in parts, which do not show in the bits.
#[test]
fn segments_above_the_binding_limit() {
    let Some(device) = gpu() else { return };
    let mut options = DeviceOptions::new(&device.info().name, 0);
    options.binding_limit = Some(64 << 10);
    let small = Device::open_with(&options).unwrap();
    for causal in [false, true] {
        // 128 rows of 480 bytes fit.
        let case = Case { kv_heads: 4, ..Case::plain(12, 10, &[5, 300, 0, 140, 40], causal) };
        let operands = operands(&case);
        let want = bits(&run(&device, &case, operands.each_ref().map(Vec::as_slice)));
        for (kernel, result) in by_every_kernel(&small, &case) {
            assert!(result == want, "{kernel} {case:?}");
        }
    }
    // Less than the rows between two places where bindings may start.
    let wide = Case::plain(4, 64, &[129], false);
    let [q_shape, _] = wide.shapes();
    let x = upload(&small, &q_shape, &noise(1, 129 * 256));
    let segments = Segments::new(&small, &[129]).unwrap();
    let error = ops::attention_with(&x, &x, &x, &segments, &settings(&wide)).unwrap_err();
    assert!(matches!(error, Error::Device(DeviceError::TooLarge { .. })), "{error}");
}

/// Two threads ask for the same unknown choice: it is measured once, and remembered in a file.
#[test]
fn measured_choices_are_remembered() {
    let folder = std::env::temp_dir().join(format!("celldag-tune-attention-{}", std::process::id()));
    let Some(plain) = gpu() else { return };
    let open = || {
        let options = DeviceOptions {
            driver_folder: Some(folder.clone()),
            ..DeviceOptions::new(&plain.info().name, 0)
        };
        Device::open_with(&options).unwrap()
    };
    let case = Case::plain(2, 64, &[700], true);
    let operands = operands(&case);
    let operands = operands.each_ref().map(Vec::as_slice);
    let want = bits(&run(&plain, &case, operands));
    let first = open();
    std::thread::scope(|scope| {
        let threads = [0, 1].map(|_| scope.spawn(|| bits(&run(&first, &case, operands))));
        assert!(threads.map(|thread| thread.join().unwrap()).iter().all(|got| *got == want));
    });
    let measured = testing::measured_kernels(&first);
    let keys: Vec<&str> = measured.keys().map(String::as_str).collect();
    if first.info().software {
        // On hardware this is too little work to measure.
        assert_eq!(keys, ["attention 64 2^9 causal"]);
    }
    assert!(measured.values().all(|name| testing::attention_kernels().contains(&name.as_str())));
    drop(first);
    assert_eq!(testing::measured_kernels(&open()), measured);
    let _ = fs_err::remove_dir_all(folder);
}

#[test]
fn operands_must_fit() {
    let device = cpu(1);
    let tensor = |columns: usize| upload(&device, &[3, columns], &vec![0.0; 3 * columns]);
    let segments = Segments::new(&device, &[3]).unwrap();
    let error = |q: usize, k: usize, heads: usize, kv_heads: usize| {
        let settings = Attention { heads, kv_heads, causal: false, scale: None };
        let (q, k) = (tensor(q), tensor(k));
        ops::attention_with(&q, &k, &k, &segments, &settings).unwrap_err().to_string()
    };
    assert_eq!(error(12, 4, 3, 2), "attention: 3 heads of queries cannot share 2 heads of keys and values");
    assert_eq!(error(12, 12, 4, 1), "attention: `k` must have shape [3, 3], it has [3, 12]");
    assert_eq!(
        error(258, 258, 2, 2),
        "attention: 258 columns cannot be cut into 2 heads of 1 to 128 columns"
    );
    assert_eq!(error(7, 7, 2, 2), "attention: 7 columns cannot be cut into 2 heads of 1 to 128 columns");
}

#[test]
fn tensors_above_the_binding_limit_are_worked_on_in_parts() {
    let Some(device) = gpu() else { return };
    let (heads, width, length) = (64, 4096, 3);
    let limit = device.largest_unsplit_bytes();
    if limit > 1 << 28 {
        return;
    }
    // All segments are the same, so all results must be.
    let count = (limit as usize / (4 * width)).div_ceil(length) + 50;
    let values = noise(1, length * width);
    let x = upload(&device, &[count * length, width], &values.repeat(count));
    let segments = Segments::new(&device, &vec![length; count]).unwrap();
    let got = ops::attention(&x, &x, &x, &segments, heads, false).unwrap().read().unwrap();
    let one = upload(&device, &[length, width], &values);
    let alone = Segments::new(&device, &[length]).unwrap();
    let want = bits(&ops::attention(&one, &one, &one, &alone, heads, false).unwrap().read().unwrap());
    assert!(got.chunks(length * width).all(|segment| bits(segment) == want));
}
