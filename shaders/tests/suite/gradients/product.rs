//! Products, linear layers, sums and factors.

use celldag_shaders::ops::{self, Activation, Layout};

use crate::common::gradient::{check, operand};

#[test]
fn products_in_every_layout() {
    for [m, n, k] in [[1, 1, 1], [3, 5, 2], [7, 19, 4]] {
        for (layout, a, b) in
            [(Layout::NN, [m, k], [k, n]), (Layout::NT, [m, k], [n, k]), (Layout::TN, [k, m], [k, n])]
        {
            let operands = [operand(1, &a), operand(2, &b)];
            check(&format!("matmul {layout:?}"), &operands, 2e-3, |_, operands| {
                ops::matmul(&operands[0], &operands[1], layout)
            });
        }
    }
}

#[test]
fn linear_layers() {
    let operands = [operand(3, &[5, 4]), operand(4, &[3, 4]), operand(5, &[3])];
    check("linear", &operands, 2e-3, |_, operands| {
        ops::linear(&operands[0], &operands[1], Some(&operands[2]), Activation::None)
    });
    check("linear without bias", &operands[..2], 2e-3, |_, operands| {
        ops::linear(&operands[0], &operands[1], None, Activation::None)
    });
}

#[test]
fn sums_and_factors() {
    let operands = [operand(6, &[3, 4]), operand(7, &[3, 4])];
    check("add", &operands, 1e-3, |_, operands| ops::add(&operands[0], &operands[1]));
    check("add to itself", &operands[..1], 1e-3, |_, operands| ops::add(&operands[0], &operands[0]));
    check("scale", &operands[..1], 1e-3, |_, operands| ops::scale(&operands[0], -1.7));
    check("reshape", &operands[..1], 1e-3, |_, operands| operands[0].reshape(&[2, 6]));
    let operands = [operand(8, &[3, 4]), operand(9, &[4])];
    check("add_row", &operands, 1e-3, |_, operands| ops::add_row(&operands[0], &operands[1]));
}
