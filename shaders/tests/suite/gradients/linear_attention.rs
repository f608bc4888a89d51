//! Linear attentions: central differences, and the two backends against each other on larger shapes.

use celldag_shaders::ops::{self, Denominator, KeyMaximum, Performer, PerformerSettings};
use celldag_shaders::{Device, Ids, Result, Segments, Tape, Tensor};

use crate::common::gradient::{Operand, check, operand};
use crate::common::{bits, cpu, gpu, noise, upload};

fn scaled(seed: u64, shape: &[usize], factor: f32) -> Operand {
    let mut operand = operand(seed, shape);
    operand.values.iter_mut().for_each(|value| *value *= factor);
    operand
}

/// A constant that is large against the features makes the gradients of the maxima large.
#[test]
fn performers() {
    let (lengths, features) = ([3, 0, 4], 5);
    let operands = [scaled(1, &[7, 6], 1.5), scaled(2, &[7, 6], 1.5), operand(3, &[7, 6])];
    let projection: Vec<f32> = noise(4, features * 3).iter().map(|value| value * 2.0).collect();
    for (eps, key_maximum) in
        [(1e-4, KeyMaximum::PerSegment), (0.3, KeyMaximum::PerSegment), (0.3, KeyMaximum::WholeBatch)]
    {
        let settings = PerformerSettings { eps, key_maximum };
        check(&format!("{settings:?}"), &operands, 4e-3, |device, operands| {
            let projection = upload(device, &[features, 3], &projection);
            let segments = Segments::new(device, &lengths)?;
            let [q, k, v] = [0, 1, 2].map(|at| &operands[at]);
            ops::performer_attention(q, k, v, &projection, &segments, 2, settings)
        });
    }
}

/// Rows that stand for several equal ones.
#[test]
fn copies() {
    let (lengths, features) = ([3, 0, 4], 5);
    let operands = [1, 2, 3].map(|seed| scaled(seed, &[7, 6], 1.5));
    let projection: Vec<f32> = noise(4, features * 3).iter().map(|value| value * 2.0).collect();
    for key_maximum in [KeyMaximum::PerSegment, KeyMaximum::WholeBatch] {
        let settings = PerformerSettings { eps: 0.3, key_maximum };
        check(&format!("copies, {key_maximum:?}"), &operands, 4e-3, |device, operands| {
            let projection = upload(device, &[features, 3], &projection);
            let copies = Ids::new(device, &[1, 5, 2, 1, 1, 3, 9])?;
            let performer = Performer { projection: &projection, heads: 2, settings, copies: Some(&copies) };
            let [q, k, v] = [0, 1, 2].map(|at| &operands[at]);
            ops::performer_attention_with(q, k, v, &Segments::new(device, &lengths)?, &performer)
        });
    }
}

/// The gradient at the largest key projection is a difference of sums that nearly cancel where the exponentials vanish
/// beside the constant: in a segment whose keys are far below the maximum of the batch. Its error is that of the result
/// times the gradient there, so a key of another segment, to which nothing flows, gets at most rounding errors of them.
#[test]
fn a_maximum_far_away_gets_rounding_errors_only() {
    let (rows, width, features) = (300, 8, 20);
    let [q, mut k, v, mut slope] = [50, 51, 52, 53].map(|seed| noise(seed, rows * width));
    let projection = noise(54, features * width);
    // The second segment has the maximum, and no gradient.
    k[200 * width..].iter_mut().for_each(|value| *value *= 60.0);
    slope[200 * width..].fill(0.0);
    for device in [Some(cpu(2)), gpu()].into_iter().flatten() {
        let [q, v] = [&q, &v].map(|values| upload(&device, &[rows, width], values));
        let tape = Tape::new();
        let k = tape.watch(&upload(&device, &[rows, width], &k));
        let settings = PerformerSettings { eps: 1e-4, key_maximum: KeyMaximum::WholeBatch };
        let segments = Segments::new(&device, &[200, 100]).unwrap();
        let matrix = upload(&device, &[features, width], &projection);
        let out = ops::performer_attention(&q, &k, &v, &matrix, &segments, 1, settings).unwrap();
        let values = out.read().unwrap();
        let gradients = tape.gradients(&out, &upload(&device, &[rows, width], &slope)).unwrap();
        let at_k = gradients.of(&k).unwrap().read().unwrap();
        let flow: f32 = values.iter().zip(&slope).map(|(value, slope)| (value * slope).abs()).sum();
        let largest = at_k.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
        // What flows from the first segment: nothing but e^-60 of it.
        assert!(largest <= 4.0 * f32::EPSILON * flow, "{largest:e} of {flow:e}, {device:?}");
    }
}

/// Away from the kinks of the rectified projections, and on both sides of the least denominator.
#[test]
fn rectified_features() {
    let (lengths, features) = ([3, 0, 4], 5);
    let operands = [scaled(1, &[7, 6], 1.5), scaled(22, &[7, 6], 1.5), operand(3, &[7, 6])];
    let omega: Vec<f32> = noise(4, features * 3).iter().map(|value| value * 2.0).collect();
    for denominator in [Denominator::AtLeast(1e-6), Denominator::AtLeast(8.0), Denominator::Plus(0.5)] {
        check(&format!("{denominator:?}"), &operands, 2e-2, |device, operands| {
            let omega = upload(device, &[3, features], &omega);
            let segments = Segments::new(device, &lengths)?;
            let [q, k, v] = [0, 1, 2].map(|at| &operands[at]);
            ops::feature_attention(q, k, v, &omega, &segments, 2, denominator)
        });
    }
}

/// With scores on both sides of the clamp, none near it.
#[test]
fn flows() {
    let operands = [scaled(1, &[7, 6], 2.0), scaled(5, &[7, 6], 3.0), operand(3, &[7, 6])];
    check("flow", &operands, 5e-3, |device, operands| {
        let segments = Segments::new(device, &[3, 0, 4])?;
        ops::flow_attention(&operands[0], &operands[1], &operands[2], &segments, 2)
    });
}

/// Gradients at three operands, of the sum of the results times fixed weights; `wanted` of them are watched.
fn gradients(
    device: &Device,
    shape: [usize; 2],
    wanted: [bool; 3],
    operation: &dyn Fn([&Tensor; 3]) -> Result<Tensor>,
) -> [Option<Vec<f32>>; 3] {
    let tape = Tape::new();
    let operands = [0, 1, 2].map(|at| {
        let values: Vec<f32> = noise(30 + at as u64, shape[0] * shape[1]).iter().map(|v| v * 1.5).collect();
        let tensor = upload(device, &shape, &values);
        if wanted[at] { tape.watch(&tensor) } else { tensor }
    });
    let out = operation(operands.each_ref()).unwrap();
    let slopes = tape.gradients(&out, &upload(device, &shape, &noise(33, out.len()))).unwrap();
    operands.each_ref().map(|operand| slopes.of(operand).map(|slope| slope.read().unwrap()))
}

type Attention = fn(&Device, [&Tensor; 3], &[f32], &[usize]) -> Result<Tensor>;

const FAMILY: [(&str, Attention); 4] = [
    ("performer", |device, [q, k, v], projection, lengths| {
        let projection = upload(device, &[70, 20], projection);
        let settings = PerformerSettings { eps: 1e-2, key_maximum: KeyMaximum::PerSegment };
        ops::performer_attention(q, k, v, &projection, &Segments::new(device, lengths)?, 2, settings)
    }),
    ("performer, whole batch", |device, [q, k, v], projection, lengths| {
        let projection = upload(device, &[70, 20], projection);
        let settings = PerformerSettings { eps: 1e-2, key_maximum: KeyMaximum::WholeBatch };
        ops::performer_attention(q, k, v, &projection, &Segments::new(device, lengths)?, 2, settings)
    }),
    ("rectified", |device, [q, k, v], projection, lengths| {
        let omega = upload(device, &[20, 70], projection);
        let segments = Segments::new(device, lengths)?;
        ops::feature_attention(q, k, v, &omega, &segments, 2, Denominator::AtLeast(1e-6))
    }),
    ("flow", |device, [q, k, v], _, lengths| {
        ops::flow_attention(q, k, v, &Segments::new(device, lengths)?, 2)
    }),
];

#[test]
fn backends_agree() {
    let Some(device) = gpu() else { return };
    let lengths = [67, 0, 1, 300];
    let projection = noise(40, 70 * 20);
    for (name, attention) in FAMILY {
        let on = |device: &Device| {
            gradients(device, [368, 40], [true; 3], &|operands| {
                attention(device, operands, &projection, &lengths)
            })
        };
        for (at, (got, want)) in on(&device).iter().zip(on(&cpu(2))).enumerate() {
            let (got, want) = (got.as_ref().unwrap(), want.unwrap());
            let largest = want.iter().fold(0.0f32, |largest, value| largest.max(value.abs()));
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                assert!((got - want).abs() <= 2e-5 * largest, "{name} {at}, {i}: {got:e} and {want:e}");
            }
        }
    }
}

/// The same bits for 1 and 3 threads, for a segment alone and in a batch, and whichever gradients are wanted.
#[test]
fn gradients_do_not_see_threads_or_batch() {
    let projection = noise(40, 70 * 20);
    for (name, attention) in FAMILY {
        let all = |device: &Device, wanted| {
            let slopes = gradients(device, [368, 40], wanted, &|operands| {
                attention(device, operands, &projection, &[67, 0, 1, 300])
            });
            slopes.map(|slope| slope.map(|slope| bits(&slope)))
        };
        let want = all(&cpu(1), [true; 3]);
        assert!(want == all(&cpu(3), [true; 3]), "{name}: threads");
        for wanted in [[true, false, false], [false, true, false], [false, false, true]] {
            for (at, slope) in all(&cpu(1), wanted).into_iter().enumerate() {
                assert_eq!(slope.is_some(), wanted[at], "{name}");
                assert!(slope.is_none() || slope == want[at], "{name}: operand {at} alone");
            }
        }
        if !name.contains("batch") {
            let alone = gradients(&cpu(1), [67, 40], [true; 3], &|operands| {
                attention(operands[0].device(), operands, &projection, &[67])
            });
            for (at, (alone, want)) in alone.iter().zip(&want).enumerate() {
                let (alone, want) = (bits(alone.as_ref().unwrap()), want.as_ref().unwrap());
                // The weights of the result differ after its first rows.
                assert!(alone[..] == want[..67 * 40], "{name}: operand {at} of a segment alone");
            }
        }
    }
}
