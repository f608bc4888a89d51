//! Products of sparse and dense matrices, and pooling with weights.

use celldag_shaders::Segments;
use celldag_shaders::ops::{self, Csr};

use crate::common::gradient::{check, operand};

#[test]
fn sparse_times_dense() {
    for width in [3, 4] {
        let operands = [operand(20, &[6]), operand(21, &[5, width])];
        check("csr_matmul", &operands, 2e-3, |device, operands| {
            // A column that occurs twice in a row, an empty row, a column without non-zeros.
            let csr = Csr::new(device, &[0, 3, 3, 5, 6], &[4, 0, 4, 2, 0, 4], 5)?;
            ops::csr_matmul(&operands[0], &csr, &operands[1])
        });
    }
}

#[test]
fn weighted_pooling() {
    let mut weights = operand(22, &[9]);
    weights.values.iter_mut().for_each(|weight| *weight += 2.0);
    let operands = [operand(23, &[9, 3]), weights];
    check("weighted_pool", &operands, 2e-3, |device, operands| {
        ops::weighted_pool(&operands[0], &operands[1], &Segments::new(device, &[4, 1, 4])?)
    });
}
