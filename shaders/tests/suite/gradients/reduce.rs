//! Sums and means.

use celldag_shaders::ops;

use crate::common::gradient::{check, operand};

#[test]
fn sums_and_means() {
    let operands = [operand(30, &[5, 3])];
    check("column_sum", &operands, 1e-3, |_, operands| ops::column_sum(&operands[0]));
    check("sum", &operands, 1e-3, |_, operands| ops::sum(&operands[0]));
    check("mean", &operands, 1e-3, |_, operands| ops::mean(&operands[0]));
}
