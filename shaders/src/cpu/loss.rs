//! CPU twins of the losses. They are small, so they stay on the calling thread.

use super::math::{exp, sigmoid};

/// log(1 + e^x) without overflow.
fn softplus(x: f32) -> f32 {
    exp(-x.abs()).ln_1p() + if x < 0.0 { 0.0 } else { x }
}

/// Binary cross entropy of `logits` `[n, c]`: mean over the columns of each row into `loss`, and the gradient of the
/// mean over all n c values.
pub(crate) fn bce_with_logits(
    logits: &[f32],
    targets: &[f32],
    pos_weight: Option<&[f32]>,
    columns: usize,
    loss: &mut [f32],
    gradient: &mut [f32],
) {
    let share = 1.0 / logits.len() as f32;
    for (row, loss) in loss.iter_mut().enumerate() {
        let mut total = 0.0;
        for column in 0..columns {
            let at = row * columns + column;
            let (x, y) = (logits[at], targets[at]);
            let weight = pos_weight.map_or(1.0, |weight| weight[column]);
            total += weight * y * softplus(-x) + (1.0 - y) * softplus(x);
            gradient[at] = ((1.0 - y) * sigmoid(x) - weight * y * sigmoid(-x)) * share;
        }
        *loss = total / columns as f32;
    }
}

/// Cross entropy of the softmax of each row against a class, and the gradient of the mean over the rows.
pub(crate) fn softmax_cross_entropy(
    logits: &[f32],
    labels: &[u32],
    columns: usize,
    loss: &mut [f32],
    gradient: &mut [f32],
) {
    let share = 1.0 / labels.len() as f32;
    let rows = logits.chunks_exact(columns).zip(gradient.chunks_exact_mut(columns));
    for (((logits, gradient), &label), loss) in rows.zip(labels).zip(loss) {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
        let mut total = 0.0;
        for (gradient, x) in gradient.iter_mut().zip(logits) {
            *gradient = exp(x - largest);
            total += *gradient;
        }
        *loss = total.ln() + (largest - logits[label as usize]);
        for (class, gradient) in gradient.iter_mut().enumerate() {
            let target = if class == label as usize { 1.0 } else { 0.0 };
            *gradient = (*gradient / total - target) * share;
        }
    }
}
