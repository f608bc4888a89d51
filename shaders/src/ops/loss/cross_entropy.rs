//! Cross entropy of a softmax, with weights of classes and smoothed labels.

use super::Loss;
use super::value::{Targets, on_cpu, on_gpu};
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::kernels::Kernel;
use crate::segments::Ids;
use crate::tensor::Tensor;

const OP: &str = "softmax_cross_entropy";

/// Settings of the cross entropy; by default no weights and no smoothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CrossEntropy {
    /// A weight for each class: that of its label multiplies a row's loss, and the mean over the rows is weighted.
    pub class_weights: Option<Vec<f32>>,
    /// Share of the target that is spread evenly over all classes, 0 to 1 (Szegedy et al. 2016).
    pub label_smoothing: f64,
}

/// What the general form needs in the precision of the kernels. The target of class c in a row of label y is
/// `keep` w(y) [c = y] + `spread` w(c).
pub(crate) struct Goals {
    pub(crate) keep: f32,
    pub(crate) spread: f32,
    /// 1 / ∑ w(label) over the rows: factor of the gradients.
    pub(crate) share: f32,
    /// rows / ∑ w(label): factor of the losses of the rows, so that their mean is the weighted mean.
    pub(crate) row_scale: f32,
}

/// Cross entropy of the softmax of `logits` `[rows, classes]` against `labels` (one class per row), mean over the
/// rows, as torch's `cross_entropy`.
///
/// # Errors
/// Shapes or devices do not fit, a label is not a class, or there are no rows; the device's errors.
pub fn softmax_cross_entropy(logits: &Tensor, labels: &Ids) -> Result<Loss> {
    let columns = check(logits, labels)?;
    match logits.device().backend() {
        Backend::Cpu(cpu) => {
            let x = logits.host(OP)?;
            Ok(on_cpu(cpu, logits, |loss, gradient| {
                cpu::loss::softmax_cross_entropy(cpu, x, labels.values(), columns, loss, gradient);
            }))
        }
        Backend::Gpu(gpu) => {
            let share = 1.0 / labels.len() as f32;
            on_gpu(gpu, OP, &kernel(false), logits, Targets::Labels(labels), None, &[share.to_bits()])
        }
    }
}

/// As [`softmax_cross_entropy`], with class weights and label smoothing as in torch's `cross_entropy` with `weight` and
/// `label_smoothing`: the loss is ∑ lossᵢ / ∑ w(labelᵢ) over the rows. [`Loss::rows`] holds lossᵢ · rows / ∑ w(label), whose
/// mean is that. If all weights of the labels are 0, the loss is not a number.
///
/// # Errors
/// As [`softmax_cross_entropy`]; a number of weights that is not that of the classes, a weight or a smoothing out of range.
pub fn softmax_cross_entropy_with(logits: &Tensor, labels: &Ids, settings: &CrossEntropy) -> Result<Loss> {
    let columns = check(logits, labels)?;
    let CrossEntropy { class_weights, label_smoothing } = settings;
    if !(0.0..=1.0).contains(label_smoothing) {
        return Err(Error::shape(OP, format!("label smoothing of {label_smoothing} is not within 0 to 1")));
    }
    if class_weights.is_none() && *label_smoothing == 0.0 {
        return softmax_cross_entropy(logits, labels);
    }
    let weights = class_weights.clone().unwrap_or_else(|| vec![1.0; columns]);
    if weights.len() != columns {
        return Err(Error::shape(OP, format!("{} class weights for {columns} classes", weights.len())));
    }
    if let Some(weight) = weights.iter().find(|&&weight| !(weight >= 0.0 && weight.is_finite())) {
        return Err(Error::shape(OP, format!("{weight} is no class weight")));
    }
    let total: f64 = labels.values().iter().map(|&label| f64::from(weights[label as usize])).sum();
    let goals = Goals {
        keep: (1.0 - label_smoothing) as f32,
        spread: (label_smoothing / columns as f64) as f32,
        share: (1.0 / total) as f32,
        row_scale: (labels.len() as f64 / total) as f32,
    };
    match logits.device().backend() {
        Backend::Cpu(cpu) => {
            let x = logits.host(OP)?;
            Ok(on_cpu(cpu, logits, |loss, gradient| {
                cpu::loss::weighted_cross_entropy(cpu, x, labels.values(), &weights, &goals, loss, gradient);
            }))
        }
        Backend::Gpu(gpu) => {
            let weights = logits.device().upload(&[columns], &weights)?;
            let words = [goals.share, goals.keep, goals.spread, goals.row_scale].map(f32::to_bits);
            on_gpu(gpu, OP, &kernel(true), logits, Targets::Labels(labels), Some(&weights), &words)
        }
    }
}

/// Number of classes.
fn check(logits: &Tensor, labels: &Ids) -> Result<usize> {
    let (rows, columns) = logits.matrix(OP, "logits")?;
    if labels.len() != rows || rows == 0 {
        return Err(Error::shape(OP, format!("{} labels for {rows} rows", labels.len())));
    }
    if let Some(largest) = labels.largest().filter(|&label| label as usize >= columns) {
        return Err(Error::shape(OP, format!("label {largest} is not one of {columns} classes")));
    }
    labels.expect_home(OP, logits)?;
    Ok(columns)
}

fn kernel(weighted: bool) -> Kernel {
    Kernel::new(OP, &[("WEIGHTED", u32::from(weighted))])
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    [false, true].map(kernel).to_vec()
}
