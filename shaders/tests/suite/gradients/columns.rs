//! Matrices side by side, and parts of them.

use celldag_shaders::ops;

use crate::common::gradient::{check, operand};

#[test]
fn columns() {
    let operands = [operand(50, &[3, 2]), operand(51, &[3, 4])];
    check("concat_columns", &operands, 1e-3, |_, operands| {
        ops::concat_columns([&operands[0], &operands[1], &operands[0]])
    });
    check("slice_columns", &operands[1..], 1e-3, |_, operands| ops::slice_columns(&operands[0], 1..3));
}
