//! Linear attentions against their formulas in f64.

use celldag_shaders::ops::{self, Denominator, KeyMaximum, Performer, PerformerSettings};
use celldag_shaders::{Device, Error, Ids, Segments};

use crate::common::linear_attention::{Map, attention, flow};
use crate::common::{assert_close, bits, cpu, devices, gpu, noise, upload};

/// Heads, columns of a head, features, lengths.
type Case = (usize, usize, usize, &'static [usize]);

const CASES: [Case; 6] = [
    (1, 4, 1, &[1]),
    (2, 20, 33, &[3, 0, 70, 1]),
    (3, 10, 32, &[0, 131, 17, 0]),
    (2, 64, 266, &[65, 300]),
    (1, 128, 70, &[9, 33]),
    (1, 7, 19, &[1030]),
];

/// Values that are large enough for the exponentials to span many orders.
fn operands(case: Case) -> ([Vec<f32>; 3], Vec<f32>) {
    let (heads, head_width, features, lengths) = case;
    let count = lengths.iter().sum::<usize>() * heads * head_width;
    let [mut q, mut k, v] = [1, 2, 3].map(|seed| noise(seed, count));
    q.iter_mut().chain(&mut k).for_each(|value| *value *= 2.0);
    let projection = noise(4, features * head_width).iter().map(|value| value * 1.7).collect();
    ([q, k, v], projection)
}

fn performer(device: &Device, case: Case, settings: PerformerSettings) -> Vec<f32> {
    let (heads, head_width, features, lengths) = case;
    let (values, projection) = operands(case);
    let shape = [lengths.iter().sum(), heads * head_width];
    let [q, k, v] = values.each_ref().map(|values| upload(device, &shape, values));
    let projection = upload(device, &[features, head_width], &projection);
    let segments = Segments::new(device, lengths).unwrap();
    let out = ops::performer_attention(&q, &k, &v, &projection, &segments, heads, settings).unwrap();
    assert_eq!(out.shape(), shape);
    out.read().unwrap()
}

fn features(device: &Device, case: Case, denominator: Denominator) -> Vec<f32> {
    let (heads, head_width, features, lengths) = case;
    let (values, omega) = operands(case);
    let shape = [lengths.iter().sum(), heads * head_width];
    let [q, k, v] = values.each_ref().map(|values| upload(device, &shape, values));
    let omega = upload(device, &[head_width, features], &omega);
    let segments = Segments::new(device, lengths).unwrap();
    ops::feature_attention(&q, &k, &v, &omega, &segments, heads, denominator).unwrap().read().unwrap()
}

#[test]
fn performers() {
    for case in CASES {
        for (eps, key_maximum) in [(1e-4, KeyMaximum::PerSegment), (1e-2, KeyMaximum::WholeBatch)] {
            let settings = PerformerSettings { eps, key_maximum };
            let (heads, head_width, features, lengths) = case;
            let ([q, k, v], projection) = operands(case);
            let whole_batch = key_maximum == KeyMaximum::WholeBatch;
            let map = Map::Exponential { eps: f64::from(eps), whole_batch };
            let column = |feature: usize, c: usize| f64::from(projection[feature * head_width + c]);
            let want = attention([&q, &k, &v], heads, head_width, features, &column, map, lengths);
            for device in devices() {
                let label = format!("{case:?} {settings:?} {device:?}");
                assert_close(&label, &performer(&device, case, settings), &want, 4e-6);
            }
        }
    }
}

/// One row that stands for many has the results of the many, as for CellLM's padding, whose values are zero.
#[test]
fn copies_are_rows() {
    let (heads, head_width, features) = (2, 20, 33);
    let (lengths, width) = ([300, 0, 7, 1], heads * head_width);
    let rows = 308;
    let mut copies = vec![1u32; rows];
    for (row, count) in [(299, 700), (306, 5), (307, 40), (3, 2)] {
        copies[row] = count;
    }
    let [q, k, mut v] = [12, 13, 14].map(|seed| noise(seed, rows * width));
    v[299 * width..300 * width].fill(0.0);
    let projection: Vec<f32> = noise(15, features * head_width).iter().map(|value| value * 1.7).collect();
    let repeated = |values: &[f32]| -> Vec<f32> {
        let times = |(row, count): (&[f32], &u32)| row.repeat(*count as usize);
        values.chunks(width).zip(&copies).flat_map(times).collect()
    };
    let all = [300 + 699 + 1, 0, 7 + 4, 40];
    for (eps, key_maximum) in [(1e-4, KeyMaximum::PerSegment), (1e-2, KeyMaximum::WholeBatch)] {
        let settings = PerformerSettings { eps, key_maximum };
        let map =
            Map::Exponential { eps: f64::from(eps), whole_batch: key_maximum == KeyMaximum::WholeBatch };
        let column = |feature: usize, c: usize| f64::from(projection[feature * head_width + c]);
        let long = [&q, &k, &v].map(|values| repeated(values));
        let long =
            attention(long.each_ref().map(Vec::as_slice), heads, head_width, features, &column, map, &all);
        let mut want = Vec::new();
        let mut at = 0;
        for &count in &copies {
            want.extend_from_slice(&long[at..at + width]);
            at += count as usize * width;
        }
        for device in devices() {
            let [q, k, v] = [&q, &k, &v].map(|values| upload(&device, &[rows, width], values));
            let projection = upload(&device, &[features, head_width], &projection);
            let segments = Segments::new(&device, &lengths).unwrap();
            let run = |copies: Option<&[u32]>| {
                let copies = copies.map(|copies| Ids::new(&device, copies).unwrap());
                let performer =
                    Performer { projection: &projection, heads, settings, copies: copies.as_ref() };
                ops::performer_attention_with(&q, &k, &v, &segments, &performer)
            };
            let got = run(Some(&copies)).unwrap().read().unwrap();
            assert_close(&format!("{settings:?} {device:?}"), &got, &want, 4e-6);
            let [one, none] =
                [Some(&vec![1; rows][..]), None].map(|copies| run(copies).unwrap().read().unwrap());
            assert!(bits(&one) == bits(&none), "{device:?}");
            for wrong in [&[][..], &vec![0; rows], &vec![(1 << 24) + 1; rows], &vec![1; rows - 1]] {
                assert!(matches!(run(Some(wrong)), Err(Error::Shape { .. })));
            }
        }
    }
}

#[test]
fn rectified_features() {
    for case in CASES {
        for denominator in [Denominator::AtLeast(1e-6), Denominator::Plus(1e-6), Denominator::AtLeast(2.0)] {
            let (heads, head_width, count, lengths) = case;
            let ([q, k, v], omega) = operands(case);
            let map = match denominator {
                Denominator::AtLeast(least) => Map::AtLeast(f64::from(least)),
                Denominator::Plus(added) => Map::Plus(f64::from(added)),
            };
            let column = |feature: usize, c: usize| f64::from(omega[c * count + feature]);
            let want = attention([&q, &k, &v], heads, head_width, count, &column, map, lengths);
            for device in devices() {
                let label = format!("{case:?} {denominator:?} {device:?}");
                assert_close(&label, &features(&device, case, denominator), &want, 3e-6);
            }
        }
    }
}

/// A query without any positive projection gives zero, whichever way the denominator is kept from zero.
#[test]
fn queries_without_features_give_zero() {
    for device in devices() {
        let segments = Segments::new(&device, &[2]).unwrap();
        let [q, k, v] = [[-1.0, -1.0, 1.0, 2.0], [1.0, 1.0, 1.0, 0.5], [3.0, 4.0, 5.0, 6.0]]
            .map(|values| upload(&device, &[2, 2], &values));
        let omega = upload(&device, &[2, 2], &[1.0, 0.0, 0.0, 1.0]);
        for denominator in [Denominator::AtLeast(1e-6), Denominator::Plus(1e-6)] {
            let out = ops::feature_attention(&q, &k, &v, &omega, &segments, 1, denominator).unwrap();
            let out = out.read().unwrap();
            assert_eq!(out[..2], [0.0; 2]);
            assert!(out[2] > 3.0 && out[2] < 5.0);
        }
    }
}

#[test]
fn not_a_number_stays_in_its_segment() {
    for device in devices() {
        let (lengths, width) = ([20, 30, 20], 32);
        let segments = Segments::new(&device, &lengths).unwrap();
        let mut spoilt = noise(5, 70 * width);
        spoilt[40 * width + 3] = f32::NAN;
        let clean = upload(&device, &[70, width], &noise(6, 70 * width));
        let spoilt = upload(&device, &[70, width], &spoilt);
        let projection = upload(&device, &[8, 8], &noise(7, 64));
        let settings = PerformerSettings::default();
        let rows = |out: celldag_shaders::Result<celldag_shaders::Tensor>| -> Vec<usize> {
            let out = out.unwrap().read().unwrap();
            let rows =
                out.chunks(width).enumerate().filter(|(_, row)| row.iter().any(|value| value.is_nan()));
            rows.map(|(row, _)| row).collect()
        };
        let run = |q, k, v| ops::performer_attention(q, k, v, &projection, &segments, 4, settings);
        assert_eq!(rows(run(&spoilt, &clean, &clean)), [40], "queries {device:?}");
        assert_eq!(rows(run(&clean, &spoilt, &clean)), (20..50).collect::<Vec<_>>(), "keys {device:?}");
        assert_eq!(rows(run(&clean, &clean, &spoilt)), (20..50).collect::<Vec<_>>(), "values {device:?}");
    }
}

#[test]
fn mistakes_are_errors() {
    for device in [cpu(1)].into_iter().chain(gpu()) {
        let segments = Segments::new(&device, &[3]).unwrap();
        let x = upload(&device, &[3, 8], &noise(1, 24));
        let settings = PerformerSettings::default();
        for (shape, heads) in [([5, 4], 3), ([5, 3], 2), ([5, 4], 0), ([0, 4], 2)] {
            let projection = upload(&device, &shape, &noise(2, shape[0] * shape[1]));
            let out = ops::performer_attention(&x, &x, &x, &projection, &segments, heads, settings);
            assert!(out.is_err(), "{shape:?} {heads}");
        }
        let projection = upload(&device, &[5, 4], &noise(2, 20));
        let short = Segments::new(&device, &[2]).unwrap();
        assert!(ops::performer_attention(&x, &x, &x, &projection, &short, 2, settings).is_err());
        let nothing = upload(&device, &[0, 8], &[]);
        let none = Segments::new(&device, &[0, 0]).unwrap();
        let out = ops::performer_attention(&nothing, &nothing, &nothing, &projection, &none, 2, settings);
        assert!(out.unwrap().read().unwrap().is_empty());
    }
}

/// Bits of a segment alone and in a batch, for 1 and 3 threads.
#[test]
fn segments_do_not_see_their_batch() {
    let devices: Vec<Device> = devices();
    let together: Case = (2, 20, 33, &[3, 300, 0, 70, 600]);
    let width = 40;
    let (values, projection) = operands(together);
    let mut first = None;
    for device in &devices {
        let run = |rows: std::ops::Range<usize>, lengths: &[usize]| {
            let [q, k, v] = values.each_ref().map(|values| {
                upload(device, &[rows.len(), width], &values[rows.start * width..rows.end * width])
            });
            let segments = Segments::new(device, lengths).unwrap();
            let settings = PerformerSettings::default();
            let rows = upload(device, &[33, 20], &projection);
            let performer = ops::performer_attention(&q, &k, &v, &rows, &segments, 2, settings).unwrap();
            let omega = upload(device, &[20, 33], &projection);
            let denominator = Denominator::Plus(1e-6);
            let other = ops::feature_attention(&q, &k, &v, &omega, &segments, 2, denominator).unwrap();
            let flow = ops::flow_attention(&q, &k, &v, &segments, 2).unwrap();
            [performer, other, flow].map(|out| bits(&out.read().unwrap()))
        };
        let all = run(0..973, together.3);
        let mut start = 0;
        for length in together.3 {
            let alone = run(start..start + length, &[*length]);
            for (alone, all) in alone.iter().zip(&all) {
                assert!(*alone == all[start * width..(start + length) * width], "{length} rows, {device:?}");
            }
            start += length;
        }
        if device.info().backend == "cpu" {
            assert!(*first.get_or_insert_with(|| all.clone()) == all, "threads");
        }
    }
}

#[test]
fn flows() {
    for case in CASES {
        let (heads, head_width, _, lengths) = case;
        let ([q, k, v], _) = operands(case);
        let shape = [lengths.iter().sum(), heads * head_width];
        let want = flow([&q, &k, &v], heads, head_width, lengths);
        for device in devices() {
            let [q, k, v] = [&q, &k, &v].map(|values| upload(&device, &shape, values));
            let segments = Segments::new(&device, lengths).unwrap();
            let out = ops::flow_attention(&q, &k, &v, &segments, heads).unwrap();
            assert_close(&format!("{case:?} {device:?}"), &out.read().unwrap(), &want, 3e-6);
        }
    }
}

/// More rows than a GPU takes at once: where the cut falls depends on the order of the segments, and changes no bit.
#[test]
fn cuts_change_no_bits() {
    let (features, head_width, rows) = (8192, 4, 1108);
    let projection = noise(8, features * head_width);
    let values = [9, 10, 11].map(|seed| noise(seed, rows * head_width));
    for device in [Some(cpu(2)), gpu()].into_iter().flatten() {
        let projection = upload(&device, &[features, head_width], &projection);
        let run = |values: [Vec<f32>; 3], lengths: &[usize]| {
            let [q, k, v] = values.map(|values| upload(&device, &[rows, head_width], &values));
            let segments = Segments::new(&device, lengths).unwrap();
            let settings = PerformerSettings::default();
            let out = ops::performer_attention(&q, &k, &v, &projection, &segments, 1, settings).unwrap();
            bits(&out.read().unwrap())
        };
        let mut want = run(values.clone(), &[1100, 3, 5]);
        want.rotate_left(1100 * head_width);
        let rotated = values.clone().map(|mut values| {
            values.rotate_left(1100 * head_width);
            values
        });
        assert!(run(rotated, &[3, 5, 1100]) == want, "{device:?}");
    }
}
