//! A perceptron on the tape.

use celldag_shaders::ops::{self, Activation, Loss};
use celldag_shaders::{Device, Ids, Tape, Tensor};

use crate::common::{assert_close, devices, noise, reference, upload};

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

/// The loss of a perceptron and the gradients of all parameters.
fn gradients(x: &Tensor, parameters: &[Tensor], loss: impl Fn(&Tensor) -> Loss) -> (f32, Vec<Tensor>) {
    let tape = Tape::new();
    let watched: Vec<Tensor> = parameters.iter().map(|parameter| tape.watch(parameter)).collect();
    let mut values = x.clone();
    for layer in 0..3 {
        let activation = if layer < 2 { Activation::Relu } else { Activation::None };
        let (weight, bias) = (&watched[2 * layer], &watched[2 * layer + 1]);
        values = ops::linear(&values, weight, Some(bias), activation).unwrap();
    }
    let loss = loss(&values);
    let mean = loss.mean().unwrap();
    let gradients = loss.gradients(tape).unwrap();
    (mean, watched.iter().map(|tensor| gradients.of(tensor).unwrap().clone()).collect())
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
                w * y * reference::softplus(-x) + (1.0 - y) * reference::softplus(*x)
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
