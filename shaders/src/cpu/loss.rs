//! CPU twins of the losses: rows in parallel, the values of a row in order.

use super::Cpu;
use super::math::{exp, sigmoid};
use crate::ops::Goals;

/// Work of one value, in units of a multiply-add.
const WORK: usize = 32;
/// Values that one task works on, about.
const TASK_VALUES: usize = 4096;

/// Calls `work(row, loss, gradient)` for every row.
fn for_rows<F>(cpu: &Cpu, columns: usize, loss: &mut [f32], gradient: &mut [f32], work: F)
where
    F: Fn(usize, &mut f32, &mut [f32]) + Sync,
{
    let values = gradient.len();
    let rows = (TASK_VALUES / columns.max(1)).max(1);
    let tasks = loss.chunks_mut(rows).zip(gradient.chunks_mut((rows * columns).max(1))).enumerate();
    cpu.each(tasks.collect(), values * WORK, |(task, (loss, gradient))| {
        let each = loss.iter_mut().zip(gradient.chunks_mut(columns)).zip(task * rows..);
        each.for_each(|((loss, gradient), row)| work(row, loss, gradient));
    });
}

/// log(1 + e^x) without overflow.
fn softplus(x: f32) -> f32 {
    exp(-x.abs()).ln_1p() + if x < 0.0 { 0.0 } else { x }
}

/// Binary cross entropy of `logits` `[n, c]`: mean over the columns of each row into `loss`, and the gradient of the
/// mean over all n c values.
pub(crate) fn bce_with_logits(
    cpu: &Cpu,
    logits: &[f32],
    targets: &[f32],
    pos_weight: Option<&[f32]>,
    columns: usize,
    loss: &mut [f32],
    gradient: &mut [f32],
) {
    let share = 1.0 / logits.len() as f32;
    for_rows(cpu, columns, loss, gradient, |row, loss, gradient| {
        let mut total = 0.0;
        for (column, gradient) in gradient.iter_mut().enumerate() {
            let at = row * columns + column;
            let (x, y) = (logits[at], targets[at]);
            let weight = pos_weight.map_or(1.0, |weight| weight[column]);
            total += weight * y * softplus(-x) + (1.0 - y) * softplus(x);
            *gradient = ((1.0 - y) * sigmoid(x) - weight * y * sigmoid(-x)) * share;
        }
        *loss = total / columns as f32;
    });
}

/// Squared error: mean over the columns of each row, and the gradient of the mean over all values.
pub(crate) fn mean_squared_error(
    cpu: &Cpu,
    predictions: &[f32],
    targets: &[f32],
    columns: usize,
    loss: &mut [f32],
    gradient: &mut [f32],
) {
    let share = 2.0 / predictions.len() as f32;
    for_rows(cpu, columns, loss, gradient, |row, loss, gradient| {
        let values = row * columns..(row + 1) * columns;
        for ((gradient, x), y) in gradient.iter_mut().zip(&predictions[values.clone()]).zip(&targets[values])
        {
            *gradient = x - y;
        }
        let mut total = 0.0;
        for block in gradient.chunks(64) {
            total += block.iter().fold(0.0_f32, |sum, error| error.mul_add(*error, sum));
        }
        *loss = total / columns as f32;
        gradient.iter_mut().for_each(|error| *error *= share);
    });
}

/// e^(x - largest) of a row into `out`; the largest value and the sum.
fn exponentials(row: &[f32], out: &mut [f32]) -> (f32, f32) {
    let largest = row.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
    let mut total = 0.0;
    for (out, x) in out.iter_mut().zip(row) {
        *out = exp(x - largest);
        total += *out;
    }
    (largest, total)
}

/// Cross entropy of the softmax of each row against a class, and the gradient of the mean over the rows.
pub(crate) fn softmax_cross_entropy(
    cpu: &Cpu,
    logits: &[f32],
    labels: &[u32],
    columns: usize,
    loss: &mut [f32],
    gradient: &mut [f32],
) {
    let share = 1.0 / labels.len() as f32;
    for_rows(cpu, columns, loss, gradient, |row, loss, gradient| {
        let logits = &logits[row * columns..(row + 1) * columns];
        let label = labels[row] as usize;
        let (largest, total) = exponentials(logits, gradient);
        *loss = total.ln() + (largest - logits[label]);
        for (class, gradient) in gradient.iter_mut().enumerate() {
            let target = if class == label { 1.0 } else { 0.0 };
            *gradient = (*gradient / total - target) * share;
        }
    });
}

/// The same with weights of the classes and smoothed labels.
pub(crate) fn weighted_cross_entropy(
    cpu: &Cpu,
    logits: &[f32],
    labels: &[u32],
    weights: &[f32],
    goals: &Goals,
    loss: &mut [f32],
    gradient: &mut [f32],
) {
    let columns = weights.len();
    for_rows(cpu, columns, loss, gradient, |row, loss, gradient| {
        let logits = &logits[row * columns..(row + 1) * columns];
        let label = labels[row] as usize;
        let goal = |class: usize| {
            let of_label = if class == label { goals.keep * weights[label] } else { 0.0 };
            goals.spread.mul_add(weights[class], of_label)
        };
        let (largest, total) = exponentials(logits, gradient);
        let (mut all, mut sum) = (0.0, 0.0_f32);
        for (class, x) in logits.iter().enumerate() {
            all += goal(class);
            // A class that is no target does not count, even where its probability is 0.
            if goal(class) != 0.0 {
                sum = goal(class).mul_add(total.ln() + (largest - x), sum);
            }
        }
        *loss = sum * goals.row_scale;
        for (class, gradient) in gradient.iter_mut().enumerate() {
            *gradient = (*gradient / total * all - goal(class)) * goals.share;
        }
    });
}
