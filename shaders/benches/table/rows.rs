//! Rows of element-wise and row-wise operations, gathers, pools and sums.

use celldag_shaders::ops::{self, Activation, Dropout, Pool};
use celldag_shaders::{Result, Tensor};

use super::{Operands, Row, Set, Work};
use crate::common::step;

const MEAN: Pool = Pool::Mean { skip_first: 0, skip_last: 0 };
const MAXIMUM: Pool = Pool::Max { skip_first: 0, skip_last: 0 };

/// A row of one kernel that every device has one of.
fn row(
    files: &'static [&'static str],
    computes: &'static str,
    moves: &'static str,
    intensity: &'static str,
    make: fn(&Operands) -> Result<Work>,
) -> Row {
    Row { files, computes, moves, intensity, set: Set::Any, make }
}

/// An operation of x, with floating-point operations and moved values for each value of x.
fn of_x(
    on: &Operands,
    flops: f64,
    moved: f64,
    run: impl Fn(&Tensor, &Tensor) -> Result<Tensor> + 'static,
) -> Result<Work> {
    let (x, row) = (on.x.clone(), on.row.clone());
    Work::new(flops * on.values(), moved * on.values(), move || run(&x, &row))
}

pub(super) fn values() -> Vec<Row> {
    vec![
        row(
            &["activate"],
            "ReLU, leaky ReLU, GELU (exact, tanh), SiLU, sigmoid, tanh; measured: exact GELU",
            "8 n w",
            "0.1 to 3",
            |on| of_x(on, 25.0, 2.0, |x, _| ops::activate(x, Activation::Gelu)),
        ),
        row(&["activate_backward"], "their derivatives times a gradient", "12 n w", "0.1 to 3", |on| {
            of_x(on, 50.0, 5.0, |x, _| step(&[x], |t| ops::activate(&t[0], Activation::Gelu)))
        }),
        row(&["gated"], "activation(gate) · up (SwiGLU) and its gradients", "12 n w", "1", |on| {
            of_x(on, 12.0, 2.0, |x, _| ops::swiglu(x, x))
        }),
        row(&["add"], "sums of tensors, and of a tensor and a row", "8 to 12 n w", "0.1", |on| {
            of_x(on, 1.0, 2.0, |x, _| ops::add(x, x))
        }),
        row(&["multiply"], "products value by value, by rows, by columns", "8 to 12 n w", "0.1", |on| {
            of_x(on, 1.0, 2.0, ops::mul_row)
        }),
        row(&["scale"], "a tensor times a number", "8 n w", "0.1", |on| {
            of_x(on, 1.0, 2.0, |x, _| ops::scale(x, 2.0))
        }),
        row(&["mask"], "values, or rows, replaced where a mask says so", "8 n w", "0", |on| {
            let keep = on.tensor(&[on.rows])?;
            of_x(on, 0.0, 2.0, move |x, _| ops::mask_rows(x, &keep, -1.0))
        }),
        row(&["columns"], "columns cut out and joined", "8 n w", "0", |on| {
            of_x(on, 0.0, 3.0, |x, _| ops::concat_columns([x, x]))
        }),
        row(
            &["norm"],
            "layer, group and RMS norm of x (+ residual); measured: layer norm",
            "8 n w (12 with residual)",
            "1",
            |on| of_x(on, 8.0, 2.0, |x, row| ops::layer_norm(x, None, row, row, 1e-5)),
        ),
        row(&["norm_backward"], "its gradients", "16 n w", "1", |on| {
            of_x(on, 24.0, 5.0, |x, row| step(&[x], |t| ops::layer_norm(&t[0], None, row, row, 1e-5)))
        }),
        row(&["softmax"], "over the columns of each row", "8 n w", "1.5", |on| {
            of_x(on, 12.0, 2.0, |x, _| ops::softmax(x))
        }),
        row(&["softmax_backward"], "its gradient", "12 n w", "0.4", |on| {
            of_x(on, 16.0, 5.0, |x, _| step(&[x], |t| ops::softmax(&t[0])))
        }),
        row(
            &["dropout"],
            "Philox4x32-10 by (seed, stream, row, column); the backward pass draws again",
            "8 n w",
            "4 integer operations a byte",
            |on| {
                let dropout = Dropout { probability: 0.1, seed: 1, stream: 0 };
                of_x(on, 30.0, 2.0, move |x, _| ops::dropout(x, dropout, None))
            },
        ),
        row(&["row_dot"], "dot products of rows", "8 n w", "0.25", |on| {
            of_x(on, 2.0, 1.0, |x, _| ops::row_dot(x, x))
        }),
    ]
}

pub(super) fn gathers() -> Vec<Row> {
    vec![
        row(&["embed"], "rows of a table by id", "8 n w + 4 n", "0", |on| {
            let ids = on.ids(on.rows)?;
            of_x(on, 0.0, 2.0, move |x, _| ops::embed(x, &ids))
        }),
        row(
            &["embed_backward"],
            "sums of rows by id, in order, without atomics",
            "4 n w + 4 entries · w",
            "0.25",
            |on| {
                let ids = on.ids(on.rows)?;
                of_x(on, 1.0, 4.0, move |x, _| step(&[x], |t| ops::embed(&t[0], &ids)))
            },
        ),
        row(&["pool"], "mean, maximum, first, weighted mean over segments", "4 n w", "0.25", |on| {
            let segments = on.segments.clone();
            of_x(on, 1.0, 1.0, move |x, _| ops::pool(x, &segments, MEAN))
        }),
        row(&["pool_spread"], "the way back of means and of the first row", "4 n w", "0.25", |on| {
            let segments = on.segments.clone();
            of_x(on, 2.0, 2.0, move |x, _| step(&[x], |t| ops::pool(&t[0], &segments, MEAN)))
        }),
        row(&["pool_max_backward"], "the way back of maxima", "4 n w", "0.25", |on| {
            let segments = on.segments.clone();
            of_x(on, 2.0, 3.0, move |x, _| step(&[x], |t| ops::pool(&t[0], &segments, MAXIMUM)))
        }),
        row(&["sum_blocks"], "column sums (of squares) in a fixed tree", "4 n w", "0.25", |on| {
            of_x(on, 1.0, 1.0, |x, _| ops::column_sum(x))
        }),
        row(&["broadcast"], "the gradient of a sum: one row, or number, everywhere", "4 n w", "0", |on| {
            of_x(on, 1.0, 2.0, |x, _| step(&[x], |t| ops::column_sum(&t[0])))
        }),
    ]
}
