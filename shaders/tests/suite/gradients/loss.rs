//! Losses as values on a tape, alone and added up.

use celldag_shaders::ops::{self, CrossEntropy};
use celldag_shaders::{Ids, Tape};

use crate::common::gradient::{check, operand};
use crate::common::{bits, devices, noise, upload};

#[test]
fn losses() {
    let operands = [operand(40, &[4, 3])];
    let goals = noise(41, 12).iter().map(|v| (v + 1.0) / 2.0).collect::<Vec<f32>>();
    check("bce", &operands, 2e-3, |device, operands| {
        let weight = upload(device, &[3], &[0.5, 1.0, 3.0]);
        ops::bce_with_logits(&operands[0], &upload(device, &[4, 3], &goals), Some(&weight))?.value()
    });
    check("squared error", &operands, 2e-3, |device, operands| {
        ops::mean_squared_error(&operands[0], &upload(device, &[4, 3], &goals))?.value()
    });
    for settings in [
        CrossEntropy::default(),
        CrossEntropy { class_weights: Some(vec![0.5, 2.0, 1.25]), label_smoothing: 0.0 },
        CrossEntropy { class_weights: None, label_smoothing: 0.1 },
        CrossEntropy { class_weights: Some(vec![0.0, 2.0, 1.25]), label_smoothing: 0.3 },
    ] {
        check(&format!("{settings:?}"), &operands, 2e-3, |device, operands| {
            let labels = Ids::new(device, &[2, 0, 1, 1])?;
            ops::softmax_cross_entropy_with(&operands[0], &labels, &settings)?.value()
        });
    }
    let operands = [operand(42, &[4, 3]), operand(43, &[4, 2])];
    check("a sum of losses", &operands, 2e-3, |device, operands| {
        let first = ops::softmax_cross_entropy(&operands[0], &Ids::new(device, &[2, 0, 1, 1])?)?;
        let second = ops::mean_squared_error(&operands[1], &upload(device, &[4, 2], &goals[..8]))?;
        ops::add(&first.value()?, &ops::scale(&second.value()?, 0.25)?)
    });
}

#[test]
fn a_loss_starts_the_backward_pass() {
    for device in devices() {
        let tape = Tape::new();
        let x = tape.watch(&upload(&device, &[3, 4], &noise(44, 12)));
        let doubled = ops::scale(&x, 2.0).unwrap();
        let loss = ops::softmax_cross_entropy(&doubled, &Ids::new(&device, &[0, 3, 1]).unwrap()).unwrap();
        let want: Vec<f32> = loss.gradient.read().unwrap().iter().map(|slope| slope * 2.0).collect();
        let gradients = loss.gradients(tape).unwrap();
        assert_eq!(bits(&gradients.of(&x).unwrap().read().unwrap()), bits(&want), "{device:?}");
        assert!(loss.gradients(Tape::new()).is_err());
    }
}
