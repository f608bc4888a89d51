//! Parameters and the steps that change them in place, with the semantics of torch's optimisers.

use std::sync::Arc;

use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::gpu::{Binding, Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::tensor::{Storage, Tensor};

/// Trainable values with the state of their optimiser. Steps write into the memory of the values, unless somebody
/// still holds a clone of [`Parameter::value`]: a clone is a snapshot and keeps its values.
#[derive(Debug)]
pub struct Parameter {
    value: Tensor,
    /// First moment, or velocity.
    first: Tensor,
    /// Second moment, for the Adam family.
    second: Option<Tensor>,
    steps: i32,
}

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

/// What one step with momentum needs.
pub(crate) struct SgdStep {
    pub(crate) lr: f32,
    pub(crate) momentum: f32,
    pub(crate) l2: f32,
}

impl Parameter {
    /// A parameter that starts at `value`.
    ///
    /// # Errors
    /// The device's errors.
    pub fn new(value: Tensor) -> Result<Parameter> {
        let first = value.device().zeros(value.shape())?;
        Ok(Parameter { value, first, second: None, steps: 0 })
    }

    /// The current values.
    pub fn value(&self) -> &Tensor {
        &self.value
    }

    /// Replaces the values and keeps the optimiser's state.
    ///
    /// # Errors
    /// The shape differs.
    pub fn set(&mut self, value: Tensor) -> Result<()> {
        value.expect_like("Parameter::set", "value", &self.value)?;
        self.value.device().expect_home("Parameter::set", &[&value])?;
        self.value = value;
        Ok(())
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u32 {
        self.steps.unsigned_abs()
    }

    fn check(&mut self, op: &'static str, gradient: &Tensor) -> Result<()> {
        gradient.expect_like(op, "gradient", &self.value)?;
        self.value.device().expect_home(op, &[gradient])?;
        self.steps += 1;
        Ok(())
    }
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
    let Parameter { value, first, second, steps } = parameter;
    let second = match second {
        Some(second) => second,
        None => second.insert(value.device().zeros(value.shape())?),
    };
    let step = AdamStep {
        l2: if decoupled { 0.0 } else { settings.weight_decay as f32 },
        keep: if decoupled { (1.0 - settings.lr * settings.weight_decay) as f32 } else { 1.0 },
        beta1: settings.beta1 as f32,
        beta2: settings.beta2 as f32,
        eps: settings.eps as f32,
        step_size: (settings.lr / (1.0 - settings.beta1.powi(*steps))) as f32,
        root_scale: (1.0 / (1.0 - settings.beta2.powi(*steps)).sqrt()) as f32,
    };
    let device = value.device().clone();
    match device.backend() {
        Backend::Cpu(_) => {
            let slope = gradient.host(op)?;
            if let (Some(value), Some(first), Some(second)) =
                (writable(value), writable(first), writable(second))
            {
                cpu::optimiser::adam(&step, value, slope, first, second);
            }
            Ok(())
        }
        Backend::Gpu(gpu) => {
            let words =
                [step.l2, step.keep, step.beta1, step.beta2, step.eps, step.step_size, step.root_scale];
            let state = [&mut *value, &mut *first, &mut *second];
            launch_step(gpu, op, Kernel::new("adam", &[]), &words, gradient, state)
        }
    }
}

/// One step of gradient descent with momentum.
///
/// # Errors
/// The gradient does not fit the parameter; the device's errors.
pub fn sgd_momentum(parameter: &mut Parameter, gradient: &Tensor, settings: &Sgd) -> Result<()> {
    const OP: &str = "sgd_momentum";
    parameter.check(OP, gradient)?;
    let Parameter { value, first, .. } = parameter;
    let step = SgdStep {
        lr: settings.lr as f32,
        momentum: settings.momentum as f32,
        l2: settings.weight_decay as f32,
    };
    let device = value.device().clone();
    match device.backend() {
        Backend::Cpu(_) => {
            let slope = gradient.host(OP)?;
            if let (Some(value), Some(velocity)) = (writable(value), writable(first)) {
                cpu::optimiser::sgd(&step, value, slope, velocity);
            }
            Ok(())
        }
        Backend::Gpu(gpu) => {
            let words = [step.lr, step.momentum, step.l2];
            launch_step(gpu, OP, Kernel::new("sgd", &[]), &words, gradient, [value, first])
        }
    }
}

/// The values for writing; copied first if a clone of the tensor exists.
fn writable(tensor: &mut Tensor) -> Option<&mut [f32]> {
    match tensor.storage_mut() {
        Storage::Cpu(buffer) => Some(Arc::make_mut(buffer).values_mut()),
        Storage::Gpu(_) => None,
    }
}

/// Launches an in-place update of `state` with the gradient. Tensors that somebody else holds are copied first.
fn launch_step<const N: usize>(
    gpu: &Gpu,
    op: &'static str,
    kernel: Kernel,
    words: &[f32],
    gradient: &Tensor,
    state: [&mut Tensor; N],
) -> Result<()> {
    let count = gradient.len();
    let state = state.map(|tensor| {
        let shared = match tensor.storage_mut() {
            Storage::Gpu(buffer) => Arc::get_mut(buffer).is_none(),
            Storage::Cpu(_) => false,
        };
        if shared {
            // A factor of one copies the values.
            *tensor = super::scale(tensor, 1.0)?;
        }
        Ok(&*tensor)
    });
    let mut buffers: Vec<Binding<'_>> = vec![gradient.binding(op)?];
    for tensor in state {
        let tensor: Result<&Tensor> = tensor;
        buffers.push(tensor?.binding(op)?);
    }
    let mut parameters = vec![count as u32];
    parameters.extend(words.iter().map(|word| word.to_bits()));
    gpu.launch(&Launch {
        kernel,
        parameters: &parameters,
        buffers: &buffers,
        groups: (count as u64).div_ceil(super::ELEMENTS),
        cost: Cost { flops: 20.0 * count as f64, bytes: 28.0 * count as f64 },
    })?;
    Ok(())
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("adam", &[]), Kernel::new("sgd", &[])]
}
