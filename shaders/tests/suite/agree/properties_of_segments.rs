//! Operations on ragged segments over random lengths (none, empty, 1, more than a block) and values among which
//! not-a-number and infinities may be: against f64, and a segment has the same bits wherever it stands in a batch.

use std::ops::Range;

use celldag_shaders::ops::{self, Csr, Denominator, KeyMaximum, PerformerSettings, Pool};
use celldag_shaders::{Device, Ids, Result, Segments, Tensor};
use proptest::prelude::*;

use crate::agree::properties::{Special, properties, size, special, values};
use crate::common::linear_attention::{Map, attention, flow};
use crate::common::{assert_close, cpu, gpu, noise, same_bits, upload};

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![3 => size(9), 2 => size(131), 1 => Just(300)], 0..6)
}

fn ranges(lengths: &[usize]) -> Vec<Range<usize>> {
    let mut end = 0;
    lengths
        .iter()
        .map(|length| {
            end += length;
            end - length..end
        })
        .collect()
}

/// The values of segments, the last one first.
fn rotated(values: &[f32], lengths: &[usize], width: usize) -> Vec<f32> {
    let mut values = values.to_vec();
    values.rotate_right(lengths.last().unwrap_or(&0) * width);
    values
}

/// Runs an operation on `operands` of `width` columns with one row for each row of segments, and on the same segments in
/// another order and with an empty one more; `width_out` values come out for each row, or for each segment.
fn in_any_order(
    device: &Device,
    lengths: &[usize],
    operands: &[(&[f32], usize)],
    by_row: bool,
    operation: impl Fn(&[Tensor], &Segments) -> Result<Tensor>,
) -> Vec<f32> {
    let run = |lengths: &[usize], operands: &[(Vec<f32>, usize)]| {
        let rows = lengths.iter().sum();
        let tensors: Vec<Tensor> =
            operands.iter().map(|(values, width)| upload(device, &[rows, *width], values)).collect();
        let out = operation(&tensors, &Segments::new(device, lengths).unwrap()).unwrap();
        let width = out.shape()[1];
        (out.read().unwrap(), width)
    };
    let plain: Vec<_> = operands.iter().map(|(values, width)| (values.to_vec(), *width)).collect();
    let (got, width) = run(lengths, &plain);
    let turned: Vec<_> =
        operands.iter().map(|(values, width)| (rotated(values, lengths, *width), *width)).collect();
    let mut order = lengths.to_vec();
    let turn = usize::from(!order.is_empty());
    order.rotate_right(turn);
    order.push(0);
    let (mut other, _) = run(&order, &turned);
    let last = if by_row { lengths.last().copied().unwrap_or(0) } else { usize::from(!lengths.is_empty()) };
    other.truncate(got.len());
    other.rotate_left(last * width);
    assert!(same_bits(&got, &other), "another order, {lengths:?} {device:?}");
    got
}

type Pooled = (Vec<usize>, usize, [usize; 2], Special);

/// Means, largest values and first rows, and means with weights.
fn pools(device: &Device, case: &Pooled) -> Vec<Vec<f32>> {
    let (lengths, columns, [skip_first, skip_last], special) = case;
    let (columns, skip_first, skip_last) = (*columns, *skip_first, *skip_last);
    let rows = lengths.iter().sum::<usize>();
    let x = values(1, rows * columns, *special);
    let weights: Vec<f32> = noise(2, rows).iter().map(|v| v + 1.1).collect();
    let mut results = Vec::new();
    for kind in [Pool::Mean { skip_first, skip_last }, Pool::Max { skip_first, skip_last }, Pool::First] {
        let got = in_any_order(device, lengths, &[(&x, columns)], false, |x, segments| {
            ops::pool(&x[0], segments, kind)
        });
        let mut want = Vec::new();
        for (range, column) in
            ranges(lengths).into_iter().flat_map(|r| (0..columns).map(move |c| (r.clone(), c)))
        {
            let start = (range.start + skip_first).min(range.end);
            let kept = match kind {
                Pool::First => range.start..range.end.min(range.start + 1),
                _ => start..range.end.saturating_sub(skip_last).max(start),
            };
            let count = kept.len() as f64;
            let kept = kept.map(|row| f64::from(x[row * columns + column]));
            want.push(match kind {
                _ if count == 0.0 => f64::NAN,
                Pool::Max { .. } => kept.reduce(|a, b| if a.is_nan() || a > b { a } else { b }).unwrap(),
                _ => kept.sum::<f64>() / count,
            });
        }
        assert_close(&format!("{kind:?} {case:?} {device:?}"), &got, &want, 1e-6);
        results.push(got);
    }
    let got = in_any_order(device, lengths, &[(&x, columns), (&weights, 1)], false, |x, segments| {
        ops::weighted_pool(&x[0], &x[1].reshape(&[x[1].len()])?, segments)
    });
    let mut want = Vec::new();
    for range in ranges(lengths) {
        let total: f64 = weights[range.clone()].iter().map(|&weight| f64::from(weight)).sum();
        want.extend((0..columns).map(|column| {
            let terms = range
                .clone()
                .map(|row| f64::from(weights[row]) / total * f64::from(x[row * columns + column]));
            if range.is_empty() { f64::NAN } else { terms.sum::<f64>() }
        }));
    }
    assert_close(&format!("weighted {case:?} {device:?}"), &got, &want, 3e-6);
    results.push(got);
    results
}

properties!(pool, pools, (lengths(), size(40), [0usize..3, 0usize..3], special()));

type Sparse = (Vec<usize>, usize, usize, Special);

/// Rows of no, few and many non-zeros, no column twice in a row; and the lookup of the segment's sum by its rows.
fn sparse(device: &Device, case: &Sparse) -> Vec<Vec<f32>> {
    let (lengths, genes, width, special) = case;
    let (genes, width) = ((*genes).max(1), *width);
    let lengths: Vec<usize> = lengths.iter().map(|&length| length.min(genes)).collect();
    let columns: Vec<u32> = lengths
        .iter()
        .enumerate()
        // A step without common divisor visits every gene once.
        .flat_map(|(row, &length)| (0..length).map(move |i| ((row * 5 + i) % genes) as u32))
        .collect();
    let mut offsets = vec![0];
    offsets.extend(ranges(&lengths).iter().map(|range| range.end));
    let factors = values(3, columns.len(), *special);
    let table = noise(4, genes * width);
    let csr = Csr::new(device, &offsets, &columns, genes).unwrap();
    let dense = upload(device, &[genes, width], &table);
    let out = ops::csr_matmul(&upload(device, &[factors.len()], &factors), &csr, &dense).unwrap();
    let mut want = Vec::new();
    for range in ranges(&lengths) {
        want.extend((0..width).map(|column| {
            let term =
                |k: usize| f64::from(factors[k]) * f64::from(table[columns[k] as usize * width + column]);
            range.clone().map(term).sum::<f64>()
        }));
    }
    let got = out.read().unwrap();
    assert_close(&format!("{case:?} {device:?}"), &got, &want, 2e-5);
    let owners: Vec<u32> =
        lengths.iter().enumerate().flat_map(|(row, &length)| vec![row as u32; length]).collect();
    let back = ops::embed(&out, &Ids::new(device, &owners).unwrap()).unwrap().read().unwrap();
    for (row, &owner) in owners.iter().enumerate() {
        let same = same_bits(&back[row * width..][..width], &got[owner as usize * width..][..width]);
        assert!(same, "{case:?} {device:?}");
    }
    vec![got, back]
}

properties!(csr, sparse, (lengths(), size(400), size(70), special()));

type Attention = (Vec<usize>, [usize; 3], bool);

/// All linear attentions.
fn linear_attentions(device: &Device, case: &Attention) -> Vec<Vec<f32>> {
    let (lengths, [heads, head_width, features], whole_batch) = case;
    let (heads, head_width, features) = (*heads, *head_width, *features);
    let width = heads * head_width;
    let count = lengths.iter().sum::<usize>() * width;
    let [q, k, v] = [5, 6, 7].map(|seed| noise(seed, count).iter().map(|v| v * 1.5).collect::<Vec<f32>>());
    let matrix = noise(8, features * head_width);
    let operands = [(&q[..], width), (&k[..], width), (&v[..], width)];
    let (settings, eps) =
        if *whole_batch { (KeyMaximum::WholeBatch, 1e-2) } else { (KeyMaximum::PerSegment, 1e-4) };
    let settings = PerformerSettings { eps, key_maximum: settings };
    let projection = upload(device, &[features, head_width], &matrix);
    let omega = upload(device, &[head_width, features], &matrix);
    let results = [
        in_any_order(device, lengths, &operands, true, |x, segments| {
            ops::performer_attention(&x[0], &x[1], &x[2], &projection, segments, heads, settings)
        }),
        in_any_order(device, lengths, &operands, true, |x, segments| {
            ops::feature_attention(&x[0], &x[1], &x[2], &omega, segments, heads, Denominator::Plus(1e-3))
        }),
        in_any_order(device, lengths, &operands, true, |x, segments| {
            ops::flow_attention(&x[0], &x[1], &x[2], segments, heads)
        }),
    ];
    let map = Map::Exponential { eps: f64::from(eps), whole_batch: *whole_batch };
    let tall = |feature: usize, c: usize| f64::from(matrix[feature * head_width + c]);
    let wide = |feature: usize, c: usize| f64::from(matrix[c * features + feature]);
    let wants = [
        attention([&q, &k, &v], heads, head_width, features, &tall, map, lengths),
        attention([&q, &k, &v], heads, head_width, features, &wide, Map::Plus(f64::from(1e-3f32)), lengths),
        flow([&q, &k, &v], heads, head_width, lengths),
    ];
    for (number, (got, want)) in results.iter().zip(&wants).enumerate() {
        assert_close(&format!("{number} of {case:?} {device:?}"), got, want, 3e-5);
    }
    results.to_vec()
}

properties!(
    linear_attention,
    linear_attentions,
    (lengths(), [1usize..4, 1usize..22, 1usize..40], any::<bool>())
);
