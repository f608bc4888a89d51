//! What training a multilayer perceptron needs, on both backends: gradients against finite differences, optimiser steps
//! against the formulas in f64, and snapshots that keep their values.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod common;

use celldag_shaders::ops::{self, Activation, Adam, Layout, Loss, Parameter, Sgd};
use celldag_shaders::{Device, Ids, Tensor};
use common::{assert_close, bits, cpu, devices, noise, upload};

const SIZES: [usize; 4] = [20, 24, 17, 2];
const ROWS: usize = 48;

/// Weights and biases of three layers.
fn parameters() -> Vec<(Vec<usize>, Vec<f32>)> {
    let mut all = Vec::new();
    for layer in 0..3 {
        let (inputs, outputs) = (SIZES[layer], SIZES[layer + 1]);
        let scale = 1.0 / (inputs as f32).sqrt();
        let weight = noise(30 + layer as u64, inputs * outputs).iter().map(|w| w * scale).collect();
        all.push((vec![outputs, inputs], weight));
        all.push((vec![outputs], noise(40 + layer as u64, outputs)));
    }
    all
}

/// The forward pass on a device and the gradients of all parameters by the backward operations.
fn gradients(x: &Tensor, parameters: &[Tensor], loss: impl Fn(&Tensor) -> Loss) -> (f32, Vec<Tensor>) {
    let mut inputs = vec![x.clone()];
    for layer in 0..3 {
        let activation = if layer < 2 { Activation::Relu } else { Activation::None };
        let y =
            ops::linear(&inputs[layer], &parameters[2 * layer], Some(&parameters[2 * layer + 1]), activation);
        inputs.push(y.unwrap());
    }
    let loss = loss(&inputs[3]);
    let mut slope = loss.gradient.clone();
    let mut gradients = Vec::new();
    for layer in (0..3).rev() {
        gradients.push(ops::column_sum(&slope).unwrap());
        gradients.push(ops::matmul(&slope, &inputs[layer], Layout::TN).unwrap());
        if layer > 0 {
            let before = ops::matmul(&slope, &parameters[2 * layer], Layout::NN).unwrap();
            slope = ops::relu_backward(&before, &inputs[layer]).unwrap();
        }
    }
    gradients.reverse();
    (loss.mean().unwrap(), gradients)
}

/// The loss in f64.
fn exact_loss(x: &[f32], parameters: &[(Vec<usize>, Vec<f64>)], loss: impl Fn(&[f64]) -> f64) -> f64 {
    let mut values: Vec<f64> = x.iter().map(|&x| f64::from(x)).collect();
    for layer in 0..3 {
        let (inputs, outputs) = (SIZES[layer], SIZES[layer + 1]);
        let (weight, bias) = (&parameters[2 * layer].1, &parameters[2 * layer + 1].1);
        let mut next = Vec::new();
        for row in values.chunks(inputs) {
            for output in 0..outputs {
                let weights = &weight[output * inputs..][..inputs];
                let sum = bias[output] + row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
                next.push(if layer < 2 { sum.max(0.0) } else { sum });
            }
        }
        values = next;
    }
    loss(&values)
}

/// Compares the gradients of every device with central differences of the f64 loss.
fn check_gradients(on_device: impl Fn(&Device, &Tensor) -> Loss, exact: impl Fn(&[f64]) -> f64 + Copy) {
    let x = noise(50, ROWS * SIZES[0]);
    let wide: Vec<(Vec<usize>, Vec<f64>)> = parameters()
        .into_iter()
        .map(|(shape, values)| (shape, values.into_iter().map(f64::from).collect()))
        .collect();
    let mut want = Vec::new();
    for at in 0..wide.len() {
        let difference = |i: usize| {
            let shifted = |h: f64| {
                let mut moved = wide.clone();
                moved[at].1[i] += h;
                exact_loss(&x, &moved, exact)
            };
            (shifted(1e-6) - shifted(-1e-6)) / 2e-6
        };
        want.push((0..wide[at].1.len()).map(difference).collect::<Vec<f64>>());
    }
    for device in devices() {
        let tensors: Vec<Tensor> =
            parameters().iter().map(|(shape, values)| upload(&device, shape, values)).collect();
        let input = upload(&device, &[ROWS, SIZES[0]], &x);
        let (loss, gradients) = gradients(&input, &tensors, |logits| on_device(&device, logits));
        assert_close(&format!("loss {device:?}"), &[loss], &[exact_loss(&x, &wide, exact)], 1e-6);
        for (at, gradient) in gradients.iter().enumerate() {
            assert_eq!(gradient.shape(), wide[at].0);
            assert_close(&format!("gradient {at} {device:?}"), &gradient.read().unwrap(), &want[at], 3e-7);
        }
    }
}

#[test]
fn gradients_of_binary_cross_entropy() {
    let targets: Vec<f32> = noise(51, ROWS * 2).iter().map(|v| f32::from(*v > 0.2)).collect();
    let weight = [2.5, 0.7];
    check_gradients(
        |device, logits| {
            let weight = upload(device, &[2], &weight);
            ops::bce_with_logits(logits, &upload(device, &[ROWS, 2], &targets), Some(&weight)).unwrap()
        },
        |logits| {
            let term = |(i, x): (usize, &f64)| {
                let (y, w) = (f64::from(targets[i]), f64::from(weight[i % 2]));
                w * y * common::reference::softplus(-x) + (1.0 - y) * common::reference::softplus(*x)
            };
            logits.iter().enumerate().map(term).sum::<f64>() / logits.len() as f64
        },
    );
}

#[test]
fn gradients_of_cross_entropy() {
    let labels: Vec<u32> = noise(52, ROWS).iter().map(|v| u32::from(*v > 0.0)).collect();
    check_gradients(
        |device, logits| ops::softmax_cross_entropy(logits, &Ids::new(device, &labels).unwrap()).unwrap(),
        |logits| {
            let row =
                |(row, &label): (&[f64], &u32)| (row[0].exp() + row[1].exp()).ln() - row[label as usize];
            logits.chunks(2).zip(&labels).map(row).sum::<f64>() / ROWS as f64
        },
    );
}

#[test]
fn optimisers_follow_their_formulas() {
    let start = noise(60, 777);
    for device in devices() {
        for decoupled in [false, true] {
            let settings = Adam { lr: 0.01, weight_decay: 0.1, ..Adam::default() };
            let mut parameter = Parameter::new(upload(&device, &[777], &start)).unwrap();
            let mut state: Vec<[f64; 3]> = start.iter().map(|&v| [f64::from(v), 0.0, 0.0]).collect();
            for step in 1..=5 {
                let gradient = noise(60 + step as u64, 777);
                let tensor = upload(&device, &[777], &gradient);
                let take = if decoupled { ops::adamw } else { ops::adam };
                take(&mut parameter, &tensor, &settings).unwrap();
                for ([value, m, v], &g) in state.iter_mut().zip(&gradient) {
                    let mut g = f64::from(g);
                    if decoupled {
                        *value *= 1.0 - settings.lr * settings.weight_decay;
                    } else {
                        g += settings.weight_decay * *value;
                    }
                    *m = 0.9 * *m + 0.1 * g;
                    *v = 0.999 * *v + 0.001 * g * g;
                    let corrected = (*v / (1.0 - 0.999f64.powi(step))).sqrt() + settings.eps;
                    *value -= settings.lr / (1.0 - 0.9f64.powi(step)) * *m / corrected;
                }
            }
            let want: Vec<f64> = state.iter().map(|s| s[0]).collect();
            let got = parameter.value().read().unwrap();
            assert_close(&format!("adam {decoupled} {device:?}"), &got, &want, 1e-6);
            assert_eq!(parameter.steps(), 5);
        }
        let settings = Sgd { lr: 0.05, momentum: 0.9, weight_decay: 0.001 };
        let mut parameter = Parameter::new(upload(&device, &[777], &start)).unwrap();
        let mut state: Vec<[f64; 2]> = start.iter().map(|&v| [f64::from(v), 0.0]).collect();
        for step in 1..=5 {
            let gradient = noise(70 + step, 777);
            ops::sgd_momentum(&mut parameter, &upload(&device, &[777], &gradient), &settings).unwrap();
            for ([value, velocity], &g) in state.iter_mut().zip(&gradient) {
                *velocity = settings.momentum * *velocity + f64::from(g) + settings.weight_decay * *value;
                *value -= settings.lr * *velocity;
            }
        }
        let want: Vec<f64> = state.iter().map(|s| s[0]).collect();
        assert_close(&format!("sgd {device:?}"), &parameter.value().read().unwrap(), &want, 1e-6);
    }
}

#[test]
fn a_snapshot_keeps_its_values() {
    for device in devices() {
        let start = noise(61, 100);
        let mut parameter = Parameter::new(upload(&device, &[100], &start)).unwrap();
        let gradient = upload(&device, &[100], &noise(62, 100));
        let snapshot = parameter.value().clone();
        for _ in 0..3 {
            ops::adam(&mut parameter, &gradient, &Adam::default()).unwrap();
        }
        assert_eq!(bits(&snapshot.read().unwrap()), bits(&start), "{device:?}");
        let trained = parameter.value().read().unwrap();
        assert_ne!(bits(&trained), bits(&start), "{device:?}");
        parameter.set(snapshot).unwrap();
        assert_eq!(bits(&parameter.value().read().unwrap()), bits(&start));
    }
}

#[test]
fn a_step_refuses_a_gradient_of_another_shape_or_device() {
    let device = cpu(1);
    let mut parameter = Parameter::new(upload(&device, &[4], &[0.0; 4])).unwrap();
    let wrong = upload(&device, &[5], &[0.0; 5]);
    assert!(ops::adam(&mut parameter, &wrong, &Adam::default()).unwrap_err().to_string().contains("[4]"));
    let elsewhere = upload(&cpu(1), &[4], &[0.0; 4]);
    assert!(ops::adam(&mut parameter, &elsewhere, &Adam::default()).is_err());
    assert_eq!(parameter.steps(), 0);
}
