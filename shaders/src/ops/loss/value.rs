//! What a loss gives, and how it meets a tape.

use std::ops::Range;

use crate::cpu::Cpu;
use crate::error::Result;
use crate::gpu::{Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::ops::{ELEMENTS, cpu_tensor, mean, scale_by, sum};
use crate::segments::Ids;
use crate::tape::{Gradients, Tape, record};
use crate::tensor::Tensor;

/// A loss and its gradient.
///
/// The gradient at the predictions is computed with the loss, so [`Loss::gradients`] (or
/// `tape.gradients(&logits, &loss.gradient)`, which is the same) starts the backward pass without another operation. Where
/// losses are added up, [`Loss::value`] puts this one on the tape.
#[derive(Debug, Clone)]
pub struct Loss {
    /// Loss of each row, `[rows]`. The loss that is minimised is their mean.
    pub rows: Tensor,
    /// Gradient of the mean loss at the predictions, `[rows, columns]`.
    pub gradient: Tensor,
    /// The predictions, as the caller's tape knows them.
    predictions: Tensor,
}

impl Loss {
    /// The mean loss, on the host (waits for the device).
    ///
    /// # Errors
    /// The device's errors.
    pub fn mean(&self) -> Result<f32> {
        let total = sum(&self.rows)?.read()?;
        Ok(total.first().copied().unwrap_or(0.0) / self.rows.len() as f32)
    }

    /// The mean loss, `[1]`, on the tape of the predictions: to be scaled and added to other losses.
    ///
    /// # Errors
    /// The device's errors.
    pub fn value(&self) -> Result<Tensor> {
        let out = mean(&self.rows)?;
        Ok(record(out, [&self.predictions], |_| {
            let slope = self.gradient.clone();
            move |gradient: &Tensor| Ok([Some(scale_by(&slope, gradient)?)])
        }))
    }

    /// The gradients of the mean loss at everything that `tape` watches.
    ///
    /// # Errors
    /// The predictions depend on nothing that `tape` watches; the device's errors.
    pub fn gradients(&self, tape: Tape) -> Result<Gradients> {
        tape.gradients(&self.predictions, &self.gradient)
    }
}

/// Computes a loss on the CPU: `fill` writes the loss of each row and the gradient.
pub(super) fn on_cpu(cpu: &Cpu, predictions: &Tensor, fill: impl FnOnce(&mut [f32], &mut [f32])) -> Loss {
    let device = predictions.device();
    let rows = predictions.shape()[0];
    let mut gradient = cpu.result(predictions.len());
    let rows = cpu_tensor(device, cpu, &[rows], |losses| {
        if gradient.has_memory() {
            fill(losses, gradient.values_mut());
        }
    });
    let gradient = Tensor::from_cpu(device, predictions.shape(), gradient);
    Loss { rows, gradient, predictions: predictions.clone() }
}

/// What the predictions should be, row by row.
#[derive(Clone, Copy)]
pub(super) enum Targets<'a> {
    /// As many values as there are predictions.
    Values(&'a Tensor),
    /// One class a row.
    Labels(&'a Ids),
}

/// A launch of a kernel with one invocation a row, window by window of the rows. Its buffers are the predictions, targets
/// that are values, the losses, the gradient, targets that are labels, `weights` (of all columns); its parameters the
/// number of rows and columns, the first row in the labels, and `words`.
pub(super) fn on_gpu(
    gpu: &Gpu,
    op: &'static str,
    kernel: &Kernel,
    predictions: &Tensor,
    targets: Targets<'_>,
    weights: Option<&Tensor>,
    words: &[u32],
) -> Result<Loss> {
    let (rows, columns) = predictions.matrix(op, "predictions")?;
    let (losses, gradient) = (gpu.buffer(rows)?, gpu.buffer(predictions.len())?);
    for window in gpu.windows(rows, columns)? {
        let mut buffers = vec![predictions.window(op, &window)?];
        if let Targets::Values(targets) = targets {
            buffers.push(targets.window(op, &window)?);
        }
        buffers.extend([losses.rows(&window, 1), gradient.rows(&window, columns)]);
        let mut first = 0;
        if let Targets::Labels(labels) = targets {
            let (list, aligned) = labels.part(op, &window, 1)?;
            buffers.push(list);
            first = window.start - aligned;
        }
        if let Some(weights) = weights {
            buffers.push(weights.binding(op)?);
        }
        gpu.launch(&Launch {
            kernel: kernel.clone(),
            parameters: &[&[window.len() as u32, columns as u32, first as u32], words].concat(),
            buffers: &buffers,
            groups: (window.len() as u64).div_ceil(ELEMENTS),
            cost: cost(&window, columns),
        })?;
    }
    let device = predictions.device();
    Ok(Loss {
        rows: Tensor::from_gpu(device, &[rows], losses),
        gradient: Tensor::from_gpu(device, predictions.shape(), gradient),
        predictions: predictions.clone(),
    })
}

fn cost(window: &Range<usize>, columns: usize) -> Cost {
    let count = (window.len() * columns) as f64;
    Cost { flops: 100.0 * count, bytes: 16.0 * count }
}
