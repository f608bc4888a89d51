//! Activation functions, alone or fused behind a linear layer, and their backward passes.

use super::{cpu_tensor, elementwise};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tape::record;
use crate::tensor::Tensor;

/// A function of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x.
    None,
    /// max(x, 0).
    Relu,
    /// x Φ(x) with the error function (Hendrycks and Gimpel 2016), torch's `GELU()`.
    Gelu,
    /// The tanh approximation, torch's `GELU(approximate="tanh")`.
    GeluTanh,
    /// 1 / (1 + e^-x).
    Sigmoid,
    /// x / (1 + e^-x) (Elfwing, Uchibe and Doya 2017), also known as Swish.
    Silu,
    /// Hyperbolic tangent.
    Tanh,
    /// x where it is not negative, else x times the slope (Maas, Hannun and Ng 2013).
    LeakyRelu(Slope),
}

/// The factor of a leaky rectifier for negative values, kept as bits so that activations can be compared and hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slope(u32);

impl Slope {
    /// The factor.
    pub const fn value(self) -> f32 {
        f32::from_bits(self.0)
    }
}

impl Activation {
    /// One of each kind.
    pub(crate) const ALL: [Activation; 8] = [
        Activation::None,
        Activation::Relu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Sigmoid,
        Activation::Silu,
        Activation::Tanh,
        Activation::leaky_relu(0.01),
    ];

    /// A leaky rectifier with this factor for negative values; a plain one if the factor is 0 (or below 1e-38).
    pub const fn leaky_relu(slope: f32) -> Activation {
        if slope == 0.0 || slope.is_subnormal() {
            Activation::Relu
        } else {
            Activation::LeakyRelu(Slope(slope.to_bits()))
        }
    }

    /// The number by which kernels know the function (`wgsl/shared/activation.wgsl`). Every number that is not one of
    /// those below is a leaky rectifier: the bits of its slope, which are never that small.
    pub(crate) fn code(self) -> u32 {
        match self {
            Activation::None => 0,
            Activation::Relu => 1,
            Activation::Gelu => 2,
            Activation::GeluTanh => 3,
            Activation::Sigmoid => 4,
            Activation::Silu => 5,
            Activation::Tanh => 6,
            Activation::LeakyRelu(Slope(bits)) => bits,
        }
    }

    /// Whether the derivative is computed from the result; otherwise from the operand.
    pub(crate) fn slope_needs_result(self) -> bool {
        matches!(self, Activation::Relu | Activation::Sigmoid | Activation::Tanh)
    }
}

/// activation(x), value by value.
///
/// # Errors
/// The device's errors.
pub fn activate(x: &Tensor, activation: Activation) -> Result<Tensor> {
    const OP: &str = "activate";
    if activation == Activation::None {
        return Ok(x.clone());
    }
    let out = match x.device().backend() {
        Backend::Cpu(cpu) => {
            let values = x.host(OP)?;
            cpu_tensor(x.device(), cpu, x.shape(), |out| {
                cpu::activation::activate(cpu, values, activation, out);
            })
        }
        Backend::Gpu(gpu) => elementwise(gpu, OP, &kernel("activate", activation), &[], &[x], &[])?,
    };
    let result = out.clone();
    Ok(record(out, [x], |_| {
        let saved = if activation.slope_needs_result() { result } else { x.detach() };
        move |gradient: &Tensor| Ok([Some(activate_backward(gradient, &saved, activation)?)])
    }))
}

/// The gradient at the operand of [`activate`]: `gradient` times the derivative, computed from `saved`, which is the
/// result for `Relu`, `Sigmoid` and `Tanh`, and the operand for all others.
fn activate_backward(gradient: &Tensor, saved: &Tensor, activation: Activation) -> Result<Tensor> {
    const OP: &str = "activate_backward";
    match gradient.device().backend() {
        Backend::Cpu(cpu) => {
            let (slope, values) = (gradient.host(OP)?, saved.host(OP)?);
            Ok(cpu_tensor(gradient.device(), cpu, gradient.shape(), |out| {
                cpu::activation::backward(cpu, slope, values, activation, out);
            }))
        }
        Backend::Gpu(gpu) => {
            elementwise(gpu, OP, &kernel("activate_backward", activation), &[], &[gradient, saved], &[])
        }
    }
}

fn kernel(name: &'static str, activation: Activation) -> Kernel {
    Kernel::new(name, &[("ACTIVATION", activation.code())])
}

/// The kernels of this file, in all variants that it launches (leaky rectifiers: one slope).
pub(crate) fn kernels() -> Vec<Kernel> {
    let some = Activation::ALL.into_iter().filter(|activation| *activation != Activation::None);
    some.flat_map(|activation| ["activate", "activate_backward"].map(|name| kernel(name, activation)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_leaky_rectifiers_are_no_names() {
        for slope in [0.0, -0.0, f32::from_bits(4)] {
            assert_eq!(Activation::leaky_relu(slope), Activation::Relu);
        }
        for slope in [0.01, -0.2, 1.0, f32::MIN_POSITIVE, f32::INFINITY, f32::NAN] {
            let code = Activation::leaky_relu(slope).code();
            assert!(code > 6 && f32::from_bits(code).to_bits() == slope.to_bits(), "{slope}");
        }
    }
}
