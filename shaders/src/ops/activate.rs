//! Activation functions, alone or fused behind a linear layer.

use super::{cpu_tensor, elementwise};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x.
    None,
    /// max(x, 0).
    Relu,
    /// x Φ(x) with the error function, torch's `GELU()`.
    Gelu,
    /// The tanh approximation, torch's `GELU(approximate="tanh")`.
    GeluTanh,
    /// 1 / (1 + e^-x).
    Sigmoid,
}

impl Activation {
    pub(crate) const ALL: [Activation; 5] =
        [Activation::None, Activation::Relu, Activation::Gelu, Activation::GeluTanh, Activation::Sigmoid];

    /// The number by which kernels know the function (`wgsl/shared/activation.wgsl`).
    pub(crate) fn code(self) -> u32 {
        match self {
            Activation::None => 0,
            Activation::Relu => 1,
            Activation::Gelu => 2,
            Activation::GeluTanh => 3,
            Activation::Sigmoid => 4,
        }
    }
}

/// activation(x), value by value.
///
/// # Errors
/// The device's errors.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    const OP: &str = "activate";
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let values = x.host(OP)?;
            Ok(cpu_tensor(x.device(), cpu, x.shape(), |out| {
                cpu::elementwise::activate(cpu, values, activation, out);
            }))
        }
        Backend::Gpu(gpu) => {
            let kernel = Kernel::new("activate", &[("ACTIVATION", activation.code())]);
            elementwise(gpu, OP, &kernel, &[], &[x], &[])
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    Activation::ALL.map(|activation| Kernel::new("activate", &[("ACTIVATION", activation.code())])).to_vec()
}
