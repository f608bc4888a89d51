//! Gradient descent with momentum.

use super::parameter::{OptimiserState, Parameter, moment};
use super::step::{on_cpu, on_gpu};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// Settings of gradient descent with momentum, as torch's `SGD` (no dampening, no Nesterov).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Share of the last velocity that is kept.
    pub momentum: f64,
    /// Weight decay, added to the gradient.
    pub weight_decay: f64,
}

/// What one step with momentum needs.
pub(crate) struct SgdStep {
    pub(crate) lr: f32,
    pub(crate) momentum: f32,
    pub(crate) l2: f32,
}

/// One step of gradient descent with momentum.
///
/// # Errors
/// The gradient does not fit the parameter; the device's errors.
pub fn sgd_momentum(parameter: &mut Parameter, gradient: &Tensor, settings: &Sgd) -> Result<()> {
    const OP: &str = "sgd_momentum";
    parameter.check(OP, gradient)?;
    let Parameter { value, state: OptimiserState { steps, first, .. } } = parameter;
    let velocity = moment(first, value, 0.0)?;
    let step = SgdStep {
        lr: settings.lr as f32,
        momentum: settings.momentum as f32,
        l2: settings.weight_decay as f32,
    };
    let device = value.device().clone();
    let state = [value, velocity];
    match device.backend() {
        Backend::Cpu(cpu) => {
            on_cpu(cpu, gradient.host(OP)?, state, |gradient, [value, velocity]| {
                cpu::optimiser::sgd(&step, value, gradient, velocity);
            })?;
        }
        Backend::Gpu(gpu) => {
            let words = [step.lr, step.momentum, step.l2];
            on_gpu(gpu, OP, &Kernel::new("sgd", &[]), &words, gradient, state)?;
        }
    }
    *steps += 1;
    Ok(())
}
