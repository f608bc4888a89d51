//! Two functions of single values that flow attention needs, with their derivatives.

use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::ops::{cpu_tensor, elementwise};
use crate::tape::record;
use crate::tensor::Tensor;

/// A function of one value, or gradient times the derivative of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Curve {
    Reciprocal,
    /// e^x of x clamped to -1 to 1.
    ClampedExponential,
}

/// 1 / x.
pub(super) fn reciprocal(x: &Tensor) -> Result<Tensor> {
    curve(x, Curve::Reciprocal)
}

/// e^x of x clamped to -1 to 1. At the ends the gradient passes, as in torch.
pub(super) fn clamped_exponential(x: &Tensor) -> Result<Tensor> {
    curve(x, Curve::ClampedExponential)
}

fn curve(x: &Tensor, kind: Curve) -> Result<Tensor> {
    let out = apply(x, None, kind)?;
    Ok(record(out, [x], |_| {
        let x = x.detach();
        move |gradient: &Tensor| Ok([Some(apply(&x, Some(gradient), kind)?)])
    }))
}

/// The function at x, or its derivative at x times a gradient.
fn apply(x: &Tensor, gradient: Option<&Tensor>, kind: Curve) -> Result<Tensor> {
    const OP: &str = "flow_attention";
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let values = x.host(OP)?;
            let gradient = gradient.map(|gradient| gradient.host(OP)).transpose()?;
            let fill = |out: &mut [f32]| cpu::linear_attention::curve(cpu, kind, values, gradient, out);
            Ok(cpu_tensor(x.device(), cpu, x.shape(), fill))
        }
        Backend::Gpu(gpu) => {
            let inputs: Vec<&Tensor> = [Some(x), gradient].into_iter().flatten().collect();
            elementwise(gpu, OP, &kernel(kind, gradient.is_some()), &[], &inputs, &[])
        }
    }
}

fn kernel(kind: Curve, backward: bool) -> Kernel {
    Kernel::new("flow_curve", &[("KIND", kind as u32), ("BACKWARD", u32::from(backward))])
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    let kinds = [Curve::Reciprocal, Curve::ClampedExponential];
    kinds.into_iter().flat_map(|kind| [false, true].map(|backward| kernel(kind, backward))).collect()
}
