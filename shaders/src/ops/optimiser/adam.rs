//! Adam and AdamW.

use super::parameter::{OptimiserState, Parameter, moment};
use super::step::{on_cpu, on_gpu};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// Settings of Adam (Kingma and Ba 2015) and AdamW (Loshchilov and Hutter 2019).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Weight decay: added to the gradient by [`adam`], applied to the value by [`adamw`].
    pub weight_decay: f64,
}

impl Default for Adam {
    /// torch's defaults without weight decay.
    fn default() -> Self {
        Adam { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0 }
    }
}

/// What one Adam step needs, in the precision of the kernels.
pub(crate) struct AdamStep {
    pub(crate) l2: f32,
    /// Factor of the value before the step: 1 - lr weight_decay for AdamW.
    pub(crate) keep: f32,
    pub(crate) beta1: f32,
    pub(crate) beta2: f32,
    pub(crate) eps: f32,
    /// lr / (1 - beta1^t).
    pub(crate) step_size: f32,
    /// 1 / √(1 - beta2^t).
    pub(crate) root_scale: f32,
}

/// One step of Adam; weight decay is added to the gradient.
///
/// # Errors
/// The gradient does not fit the parameter; the device's errors.
pub fn adam(parameter: &mut Parameter, gradient: &Tensor, settings: &Adam) -> Result<()> {
    adam_step("adam", parameter, gradient, settings, false)
}

/// One step of AdamW; weight decay shrinks the value and does not enter the moments.
///
/// # Errors
/// The gradient does not fit the parameter; the device's errors.
pub fn adamw(parameter: &mut Parameter, gradient: &Tensor, settings: &Adam) -> Result<()> {
    adam_step("adamw", parameter, gradient, settings, true)
}

fn adam_step(
    op: &'static str,
    parameter: &mut Parameter,
    gradient: &Tensor,
    settings: &Adam,
    decoupled: bool,
) -> Result<()> {
    parameter.check(op, gradient)?;
    let Parameter { value, state: OptimiserState { steps, first, second } } = parameter;
    let first = moment(first, value, 0.0)?;
    let second = moment(second, value, 0.0)?;
    let power = i32::try_from(*steps + 1).unwrap_or(i32::MAX);
    let step = AdamStep {
        l2: if decoupled { 0.0 } else { settings.weight_decay as f32 },
        keep: if decoupled { (1.0 - settings.lr * settings.weight_decay) as f32 } else { 1.0 },
        beta1: settings.beta1 as f32,
        beta2: settings.beta2 as f32,
        eps: settings.eps as f32,
        step_size: (settings.lr / (1.0 - settings.beta1.powi(power))) as f32,
        root_scale: (1.0 / (1.0 - settings.beta2.powi(power)).sqrt()) as f32,
    };
    let device = value.device().clone();
    let state = [value, first, second];
    match device.backend() {
        Backend::Cpu(cpu) => {
            on_cpu(cpu, gradient.host(op)?, state, |gradient, [value, first, second]| {
                cpu::optimiser::adam(&step, value, gradient, first, second);
            })?;
        }
        Backend::Gpu(gpu) => {
            let words =
                [step.l2, step.keep, step.beta1, step.beta2, step.eps, step.step_size, step.root_scale];
            on_gpu(gpu, op, &Kernel::new("adam", &[]), &words, gradient, state)?;
        }
    }
    *steps += 1;
    Ok(())
}
