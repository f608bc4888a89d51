//! Softmax attention: central differences on small shapes, exact gradients on larger ones, and what must not change a bit.

use celldag_shaders::ops::{self, Attention};
use celldag_shaders::{Device, DeviceOptions, Segments, Tape, testing};

use crate::common::attention::Case;
use crate::common::gradient::{check, operand};
use crate::common::{assert_close, bits, cpu, devices, gpu, noise, upload};

fn settings(case: &Case) -> Attention {
    Attention { heads: case.heads, kv_heads: case.kv_heads, causal: case.causal, scale: case.scale }
}

/// Queries, keys, values, and the gradient of the result.
fn operands(case: &Case) -> [Vec<f32>; 4] {
    let [q, k] = case.shapes().map(|shape| shape.iter().product());
    [noise(16, q).iter().map(|q| q * 3.0).collect(), noise(17, k), noise(18, k), noise(19, q)]
}

/// The gradients of q, k and v.
fn run(device: &Device, case: &Case, [q, k, v, gradient]: [&[f32]; 4]) -> [Vec<f32>; 3] {
    let [q_shape, k_shape] = case.shapes();
    let tape = Tape::new();
    let watched = [(q_shape, q), (k_shape, k), (k_shape, v)]
        .map(|(shape, values)| tape.watch(&upload(device, &shape, values)));
    let segments = Segments::new(device, &case.lengths).unwrap();
    let out = ops::attention_with(&watched[0], &watched[1], &watched[2], &segments, &settings(case)).unwrap();
    let gradients = tape.gradients(&out, &upload(device, &q_shape, gradient)).unwrap();
    watched.map(|tensor| gradients.of(&tensor).unwrap().read().unwrap())
}

#[test]
fn differences() {
    let base = Case::plain(2, 3, &[4, 0, 2], false);
    for case in [
        base.clone(),
        Case { causal: true, kv_heads: 1, ..base.clone() },
        Case { kv_heads: 1, scale: Some(-0.8), lengths: vec![5], ..base },
    ] {
        let [q, k] = case.shapes();
        let operands = [operand(1, &q), operand(2, &k), operand(3, &k)];
        check(&format!("{case:?}"), &operands, 3e-3, |device, operands| {
            let segments = Segments::new(device, &case.lengths)?;
            ops::attention_with(&operands[0], &operands[1], &operands[2], &segments, &settings(&case))
        });
    }
}

#[test]
fn exact_gradients_of_larger_shapes() {
    for device in devices() {
        for case in [
            Case { kv_heads: 2, ..Case::plain(4, 64, &[70, 0, 33, 1], true) },
            Case::plain(2, 10, &[1, 131], false),
            Case { kv_heads: 1, scale: Some(0.2), ..Case::plain(3, 127, &[67], true) },
        ] {
            let operands = operands(&case);
            let [q, k, v, gradient] = operands.each_ref().map(Vec::as_slice);
            let [_, want @ ..] = case.exact([q, k, v], gradient);
            let got = run(&device, &case, [q, k, v, gradient]);
            for ((got, want), name) in got.iter().zip(&want).zip(["q", "k", "v"]) {
                assert_close(&format!("{name} of {case:?} {device:?}"), got, want, 1e-5);
            }
        }
    }
    // Several tiles of keys and queries; slow on a software driver.
    for case in [Case::plain(2, 33, &[500, 3, 193], true), Case::plain(1, 64, &[385], false)] {
        let operands = operands(&case);
        let [q, k, v, gradient] = operands.each_ref().map(Vec::as_slice);
        let [_, want @ ..] = case.exact([q, k, v], gradient);
        let got = run(&cpu(2), &case, [q, k, v, gradient]);
        for ((got, want), name) in got.iter().zip(&want).zip(["q", "k", "v"]) {
            assert_close(&format!("{name} of {case:?}"), got, want, 1e-5);
        }
    }
}

/// Rows `rows` of an operand.
fn part(values: &[f32], all: usize, rows: std::ops::Range<usize>) -> &[f32] {
    let width = values.len() / all;
    &values[rows.start * width..rows.end * width]
}

#[test]
fn neither_threads_nor_the_batch_change_bits() {
    for (device, lengths) in [(Some(cpu(1)), vec![300, 0, 31, 49]), (gpu(), vec![70, 0, 5])]
        .into_iter()
        .filter_map(|(d, l)| Some((d?, l)))
    {
        for causal in [false, true] {
            let case = Case { kv_heads: 1, ..Case::plain(2, 10, &lengths, causal) };
            let operands = operands(&case);
            let together = run(&device, &case, operands.each_ref().map(Vec::as_slice));
            if device.info().backend == "cpu" {
                let other = run(&cpu(3), &case, operands.each_ref().map(Vec::as_slice));
                assert_eq!(together.each_ref().map(|values| bits(values)), other.map(|values| bits(&values)));
            }
            for range in case.ranges() {
                let alone = Case { lengths: vec![range.len()], ..case.clone() };
                let cut = operands.each_ref().map(|values| part(values, case.rows(), range.clone()));
                for (together, alone) in together.iter().zip(run(&device, &alone, cut)) {
                    let together = part(together, case.rows(), range.clone());
                    assert_eq!(bits(together), bits(&alone), "{range:?} {device:?}");
                }
            }
        }
    }
}

/// A gradient that is not a number reaches its own query and the keys that this query sees, and nothing else.
#[test]
fn the_future_is_hidden() {
    for device in devices() {
        let case = Case { kv_heads: 1, ..Case::plain(2, 10, &[2, 90], true) };
        let [q, k, v, gradient] = operands(&case);
        let want = run(&device, &case, [&q, &k, &v, &gradient]);
        let (row, rows) = (2 + 40, 92);
        let mut spoilt = gradient.clone();
        spoilt[row * 20..][..20].fill(f32::NAN);
        let [dq, dk, dv] = run(&device, &case, [&q, &k, &v, &spoilt]);
        for (rows_kept, got, want) in [
            (0..row, &dq, &want[0]),
            (row + 1..rows, &dq, &want[0]),
            (row + 1..rows, &dk, &want[1]),
            (row + 1..rows, &dv, &want[2]),
            (0..2, &dk, &want[1]),
        ] {
            let [got, want] = [got, want].map(|values| bits(part(values, rows, rows_kept.clone())));
            assert_eq!(got, want, "rows {rows_kept:?} {device:?}");
        }
        assert!(part(&dq, rows, row..row + 1).iter().all(|value| value.is_nan()));
        assert!(part(&dv, rows, 2..row + 1).iter().all(|value| value.is_nan()));
    }
}

/// All kernels give the same bits, also where a segment is larger than a binding and is worked on in parts.
#[test]
fn neither_kernels_nor_parts_change_bits() {
    let Some(device) = gpu() else { return };
    let mut options = DeviceOptions::new(&device.info().name, 0);
    options.binding_limit = Some(64 << 10);
    let small = Device::open_with(&options).unwrap();
    for causal in [false, true] {
        // 128 rows of 480 bytes fit.
        let case = Case { kv_heads: 4, ..Case::plain(12, 10, &[5, 200, 0, 40], causal) };
        let operands = operands(&case);
        let operands = operands.each_ref().map(Vec::as_slice);
        let want = run(&device, &case, operands).map(|values| bits(&values));
        for kernel in ["backward-32", "backward-16"] {
            testing::use_attention_kernel(&small, Some(kernel));
            let got = run(&small, &case, operands).map(|values| bits(&values));
            assert!(got == want, "{kernel} {case:?}");
        }
    }
}

#[test]
fn only_what_is_wanted_gets_a_gradient() {
    let device = cpu(1);
    let x = upload(&device, &[4, 6], &noise(1, 24));
    let segments = Segments::new(&device, &[4]).unwrap();
    let tape = Tape::new();
    let v = tape.watch(&x);
    let out = ops::attention(&x, &x, &v, &segments, 2, false).unwrap();
    let gradients = tape.gradients(&out, &x).unwrap();
    assert_eq!(gradients.of(&v).unwrap().shape(), [4, 6]);
}
