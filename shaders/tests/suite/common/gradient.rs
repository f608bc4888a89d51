//! Gradients of the tape against central differences.

use celldag_shaders::{Device, Result, Tape, Tensor};

use super::{devices, noise, upload};

/// An operand of a case.
#[derive(Clone)]
pub struct Operand {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// Values in -1 to 1.
pub fn operand(seed: u64, shape: &[usize]) -> Operand {
    Operand { shape: shape.to_vec(), values: noise(seed, shape.iter().product()) }
}

/// Checks the gradients that the tape gives for `operation` at every value of every operand, on every device, within
/// `tolerance` of the largest gradient of that operand. The function that is differentiated is the sum of the results
/// times fixed random weights. Steps of 1e-2: operations should be smooth at that scale around the operands.
pub fn check(
    label: &str,
    operands: &[Operand],
    tolerance: f64,
    operation: impl Fn(&Device, &[Tensor]) -> Result<Tensor>,
) {
    for device in devices() {
        check_on(&device, label, operands, tolerance, &operation);
    }
}

fn check_on(
    device: &Device,
    label: &str,
    operands: &[Operand],
    tolerance: f64,
    operation: &impl Fn(&Device, &[Tensor]) -> Result<Tensor>,
) {
    const STEP: f32 = 1e-2;
    let uploaded = |operands: &[Operand]| -> Vec<Tensor> {
        operands.iter().map(|operand| upload(device, &operand.shape, &operand.values)).collect()
    };
    let tape = Tape::new();
    let watched: Vec<Tensor> = uploaded(operands).iter().map(|tensor| tape.watch(tensor)).collect();
    let out = operation(device, &watched).unwrap();
    assert!(out.is_traced(), "{label}: the result is not on the tape");
    let weights = noise(4242, out.len());
    let plain = operation(device, &uploaded(operands)).unwrap();
    assert_eq!(
        super::bits(&plain.read().unwrap()),
        super::bits(&out.read().unwrap()),
        "{label}: traced or not"
    );
    let gradients = tape.gradients(&out, &upload(device, out.shape(), &weights)).unwrap();
    let value = |operands: &[Operand]| -> f64 {
        let out = operation(device, &uploaded(operands)).unwrap().read().unwrap();
        out.iter().zip(&weights).map(|(out, weight)| f64::from(*out) * f64::from(*weight)).sum()
    };
    for (number, operand) in operands.iter().enumerate() {
        let gradient = gradients.of(&watched[number]);
        let gradient = gradient.unwrap_or_else(|| panic!("{label}: operand {number} has no gradient"));
        assert_eq!(gradient.shape(), operand.shape, "{label}: operand {number}");
        let gradient = gradient.read().unwrap();
        let mut moved = operands.to_vec();
        let differences: Vec<f64> = (0..gradient.len())
            .map(|at| {
                let before = operand.values[at];
                moved[number].values[at] = before + STEP;
                let above = value(&moved);
                moved[number].values[at] = before - STEP;
                let below = value(&moved);
                moved[number].values[at] = before;
                (above - below) / (f64::from(before + STEP) - f64::from(before - STEP))
            })
            .collect();
        let largest = differences.iter().fold(1e-3, |largest: f64, value| largest.max(value.abs()));
        for (at, (got, want)) in gradient.iter().zip(&differences).enumerate() {
            assert!(
                (f64::from(*got) - want).abs() <= tolerance * largest,
                "{label}, {device:?}: gradient {at} of operand {number} is {got:e}, differences give {want:e}"
            );
        }
    }
}
