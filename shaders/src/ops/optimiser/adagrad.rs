//! Adagrad.

use super::parameter::{OptimiserState, Parameter, moment};
use super::step::{on_cpu, on_gpu};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// Settings of Adagrad (Duchi, Hazan and Singer 2011), as torch's `Adagrad`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adagrad {
    /// Learning rate.
    pub lr: f64,
    /// The learning rate of step t is lr / (1 + (t - 1) lr_decay).
    pub lr_decay: f64,
    /// Weight decay, added to the gradient.
    pub weight_decay: f64,
    /// Sum of squares before the first step.
    pub initial_accumulator: f64,
    /// Added to the root of the sum of squares.
    pub eps: f64,
}

impl Default for Adagrad {
    /// torch's defaults.
    fn default() -> Self {
        Adagrad { lr: 1e-2, lr_decay: 0.0, weight_decay: 0.0, initial_accumulator: 0.0, eps: 1e-10 }
    }
}

/// One step of Adagrad.
///
/// # Errors
/// The gradient does not fit the parameter; the device's errors.
pub fn adagrad(parameter: &mut Parameter, gradient: &Tensor, settings: &Adagrad) -> Result<()> {
    const OP: &str = "adagrad";
    parameter.check(OP, gradient)?;
    let Parameter { value, state: OptimiserState { steps, second, .. } } = parameter;
    let squares = moment(second, value, settings.initial_accumulator as f32)?;
    let rate = (settings.lr / (1.0 + f64::from(*steps) * settings.lr_decay)) as f32;
    let (l2, eps) = (settings.weight_decay as f32, settings.eps as f32);
    let device = value.device().clone();
    let state = [value, squares];
    match device.backend() {
        Backend::Cpu(cpu) => {
            on_cpu(cpu, gradient.host(OP)?, state, |gradient, [value, squares]| {
                cpu::optimiser::adagrad([rate, l2, eps], value, gradient, squares);
            })?;
        }
        Backend::Gpu(gpu) => on_gpu(gpu, OP, &Kernel::new(OP, &[]), &[rate, l2, eps], gradient, state)?,
    }
    *steps += 1;
    Ok(())
}
