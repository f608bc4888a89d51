//! Operations on single values and pairs of them: activations, products, masks, gates, dropout, rotations.

use celldag_shaders::ops::{self, Activation, Dropout, Rotary};
use celldag_shaders::{Device, Ids, Tape};

use crate::common::gradient::{Operand, check, operand};
use crate::common::{assert_close, cpu, gpu, noise, upload};

/// A function in f64.
type Exact = fn(f64) -> f64;

/// One of each kind.
const ACTIVATIONS: [Activation; 8] = [
    Activation::None,
    Activation::Relu,
    Activation::Gelu,
    Activation::GeluTanh,
    Activation::Sigmoid,
    Activation::Silu,
    Activation::Tanh,
    Activation::leaky_relu(0.1),
];

/// Values up to `range`, none within 0.05 of the kink at 0.
fn away_from_zero(seed: u64, shape: &[usize], range: f32) -> Operand {
    let Operand { shape, values } = operand(seed, shape);
    let values = values.iter().map(|value| (range * value) + 0.05f32.copysign(*value)).collect();
    Operand { shape, values }
}

#[test]
fn activations() {
    let operands = [away_from_zero(1, &[5, 7], 3.0)];
    for activation in ACTIVATIONS {
        check(&format!("{activation:?}"), &operands, 2e-3, |_, operands| {
            ops::activate(&operands[0], activation)
        });
    }
}

#[test]
fn activations_behind_a_linear_layer() {
    let operands = [operand(2, &[4, 3]), operand(3, &[5, 3]), operand(4, &[5])];
    for activation in [Activation::Gelu, Activation::Silu] {
        check(&format!("linear {activation:?}"), &operands, 2e-3, |_, operands| {
            ops::linear(&operands[0], &operands[1], Some(&operands[2]), activation)
        });
    }
}

#[test]
fn products() {
    let operands = [operand(5, &[3, 5]), operand(6, &[3, 5])];
    check("mul", &operands, 1e-3, |_, operands| ops::mul(&operands[0], &operands[1]));
    check("square", &operands[..1], 1e-3, |_, operands| ops::mul(&operands[0], &operands[0]));
    check("row_dot", &operands, 1e-3, |_, operands| ops::row_dot(&operands[0], &operands[1]));
    check("squared length", &operands[..1], 1e-3, |_, operands| ops::row_dot(&operands[0], &operands[0]));
    let operands = [operand(7, &[3, 5]), operand(8, &[5])];
    check("mul_row", &operands, 1e-3, |_, operands| ops::mul_row(&operands[0], &operands[1]));
    let operands = [operand(9, &[3, 5]), operand(10, &[3])];
    check("mul_column", &operands, 1e-3, |_, operands| ops::mul_column(&operands[0], &operands[1]));
}

#[test]
fn masks() {
    let operands = [operand(11, &[3, 5])];
    check("mask", &operands, 1e-3, |device, operands| {
        let keep: Vec<f32> = (0..15).map(|i| f32::from(i % 4 != 1)).collect();
        ops::mask(&operands[0], &upload(device, &[3, 5], &keep), 2.0)
    });
    check("mask_rows", &operands, 1e-3, |device, operands| {
        ops::mask_rows(&operands[0], &upload(device, &[3], &[1.0, 0.0, 1.0]), -1.0)
    });
}

#[test]
fn gates() {
    let operands = [away_from_zero(12, &[4, 5], 2.0), operand(13, &[4, 5])];
    check("swiglu", &operands, 2e-3, |_, operands| ops::swiglu(&operands[0], &operands[1]));
    // One whose slope comes from the operand, those from the result, and the two special ones.
    for activation in [Activation::Gelu, Activation::Tanh, Activation::Relu, Activation::None] {
        check(&format!("gate {activation:?}"), &operands, 2e-3, |_, operands| {
            ops::gated(&operands[0], &operands[1], activation)
        });
    }
    check("gated by itself", &operands[..1], 2e-3, |_, operands| ops::swiglu(&operands[0], &operands[0]));
}

#[test]
fn dropout() {
    let operands = [operand(14, &[6, 7])];
    let noise = Dropout { probability: 0.4, seed: 3, stream: 4 };
    check("dropout", &operands, 1e-3, |_, operands| ops::dropout(&operands[0], noise, None));
}

#[test]
fn rotary() {
    let operands = [operand(15, &[5, 12])];
    check("rotary", &operands, 1e-3, |device, operands| {
        let table = Rotary::new(device, &Rotary::frequencies(100.0, 6), 9)?;
        ops::rotary(&operands[0], &table, &Ids::new(device, &[0, 1, 8, 3, 0])?)
    });
}

/// Derivatives in f64, by differences of the definition with a step that f64 affords.
#[test]
fn slopes_are_accurate_far_out() {
    let x: Vec<f32> = (-2000..=2000).map(|i| i as f32 * 0.01 + 0.003).collect();
    let exact: [(Activation, Exact); 6] = [
        (Activation::Gelu, crate::common::reference::gelu),
        (Activation::GeluTanh, crate::common::reference::gelu_tanh),
        (Activation::Sigmoid, crate::common::reference::sigmoid),
        (Activation::Silu, |x| x * crate::common::reference::sigmoid(x)),
        (Activation::Tanh, f64::tanh),
        (Activation::leaky_relu(0.1), |x| if x > 0.0 { x } else { x * f64::from(0.1f32) }),
    ];
    for device in [Some(cpu(2)), gpu()].into_iter().flatten() {
        let ones = upload(&device, &[x.len()], &vec![1.0; x.len()]);
        for (activation, exact) in exact {
            let tape = Tape::new();
            let watched = tape.watch(&upload(&device, &[x.len()], &x));
            let out = ops::activate(&watched, activation).unwrap();
            let got = tape.gradients(&out, &ones).unwrap().of(&watched).unwrap().read().unwrap();
            let slope = |x: f64| (exact(x + 1e-4) - exact(x - 1e-4)) / 2e-4;
            let want: Vec<f64> = x.iter().map(|&x| slope(f64::from(x))).collect();
            assert_close(&format!("{activation:?} {device:?}"), &got, &want, 2e-6);
        }
    }
}

#[test]
fn not_a_number_and_infinity_pass_back() {
    let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, 1.0];
    for device in [Some(cpu(1)), gpu()].into_iter().flatten() {
        for activation in ACTIVATIONS {
            let slopes = |gradient: &[f32; 6]| {
                let tape = Tape::new();
                let watched = tape.watch(&upload(&device, &[6], &x));
                let out = ops::activate(&watched, activation).unwrap();
                tape.gradients(&out, &upload(&device, &[6], gradient))
                    .unwrap()
                    .of(&watched)
                    .unwrap()
                    .read()
                    .unwrap()
            };
            let label = format!("{activation:?} {device:?}");
            let got = slopes(&[f32::NAN; 6]);
            let let_through = if activation == Activation::Relu {
                // What the rectifier holds back stays 0.
                [true, true, false, true, false, true]
            } else {
                [true; 6]
            };
            assert_eq!(got.iter().map(|slope| slope.is_nan()).collect::<Vec<_>>(), let_through, "{label}");
            let got = slopes(&[1.0; 6]);
            assert!(got[3..].iter().all(|slope| slope.is_finite()), "{label}: {got:?}");
        }
    }
}

#[test]
fn both_backends_give_the_same_slopes() {
    let Some(device) = gpu() else { return };
    let (x, gradient) = (noise(5, 70_001), noise(6, 70_001));
    let x: Vec<f32> = x.iter().map(|x| 6.0 * x).collect();
    for activation in ACTIVATIONS {
        let on = |device: &Device| {
            let tape = Tape::new();
            let x = tape.watch(&upload(device, &[70_001], &x));
            let out = ops::activate(&x, activation).unwrap();
            let gradients = tape.gradients(&out, &upload(device, &[70_001], &gradient)).unwrap();
            gradients.of(&x).unwrap().read().unwrap()
        };
        let want: Vec<f64> = on(&cpu(3)).iter().map(|&value| f64::from(value)).collect();
        assert_close(&format!("{activation:?}"), &on(&device), &want, 1.5e-6);
    }
}
