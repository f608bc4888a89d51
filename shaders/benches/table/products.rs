//! Rows of products.

use celldag_shaders::ops::{self, Activation, Csr};
use celldag_shaders::{Precision, Result, Tensor};

use super::{Operands, Row, Set, WIDTH, Work};
use crate::common::step;

/// Columns of the sparse matrix (genes), and non-zeros of each of its rows.
const GENES: usize = 2000;
const NONZEROS: usize = 64;

const SAME: &str = "the same";

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row {
            files: &["matmul_tile"],
            computes: "c = activation(a b + bias), NN, NT, TN, batched; tiles in workgroup memory, several sizes",
            moves: "(m k + n k + m n) · 4, each operand once for every tile on its side",
            intensity: "m n k / 2(m k + n k + m n): 114 for 2048 × 512 × 512",
            set: Set::Tiled,
            make: linear,
        },
        Row {
            files: &["matmul_register"],
            computes: "the same without workgroup memory, for drivers that run shaders on a CPU",
            moves: SAME,
            intensity: SAME,
            set: Set::Direct,
            make: linear,
        },
        Row {
            files: &["matmul_cooperative"],
            computes: "the same by cooperative matrices: f16 operands with f32 sums, or f32 as three products of \
                       halves; only on request (`--precision`) and where a self-test passes",
            moves: SAME,
            intensity: SAME,
            set: Set::Cooperative(Precision::F16),
            make: linear,
        },
        Row {
            files: &["product_exponents"],
            computes: "powers of two for the rows and columns of the factors of `f32x3` products; measured: such a \
                       product",
            moves: "each operand once",
            intensity: "0.25",
            set: Set::Cooperative(Precision::F32x3),
            make: linear,
        },
        Row {
            files: &["csr_matmul"],
            computes: "rows of a sparse matrix times a dense one (gene counts × gene vectors)",
            moves: "8 for each non-zero + 4 w for each non-zero + 4 n w",
            intensity: "0.5",
            set: Set::Any,
            make: |on| {
                let (values, matrix, dense) = sparse(on)?;
                let entries = values.len() as f64;
                let moved = 2.0 * entries + entries * WIDTH as f64 + on.values();
                Work::new(2.0 * entries * WIDTH as f64, moved, move || {
                    ops::csr_matmul(&values, &matrix, &dense)
                })
            },
        },
        Row {
            files: &["csr_dots"],
            computes: "the gradient at the values of a sparse matrix",
            moves: "8 w for each non-zero",
            intensity: "0.25",
            set: Set::Any,
            make: |on| {
                let (values, matrix, dense) = sparse(on)?;
                let products = values.len() as f64 * WIDTH as f64;
                Work::new(4.0 * products, 3.0 * products + on.values(), move || {
                    step(&[&values], |t| ops::csr_matmul(&t[0], &matrix, &dense))
                })
            },
        },
    ]
}

fn linear(on: &Operands) -> Result<Work> {
    let (x, weight) = (on.x.clone(), on.tensor(&[WIDTH, WIDTH])?);
    let width = WIDTH as f64;
    Work::new(2.0 * on.values() * width, 2.0 * on.values() + width * width, move || {
        ops::linear(&x, &weight, None, Activation::None)
    })
}

/// Values and places of a sparse matrix of as many rows as x, and a dense one.
fn sparse(on: &Operands) -> Result<(Tensor, Csr, Tensor)> {
    let offsets: Vec<usize> = (0..=on.rows).map(|row| row * NONZEROS).collect();
    let column = |i: usize| (i % NONZEROS * (GENES / NONZEROS) + i / NONZEROS % (GENES / NONZEROS)) as u32;
    let columns: Vec<u32> = (0..on.rows * NONZEROS).map(column).collect();
    let matrix = Csr::new(&on.device, &offsets, &columns, GENES)?;
    Ok((on.tensor(&[columns.len()])?, matrix, on.tensor(&[GENES, WIDTH])?))
}
