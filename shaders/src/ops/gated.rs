//! Products of a value and the activation of another: the gated linear units of feed-forward layers (Shazeer 2020).

use super::{Activation, cpu_tensor, elementwise};
use crate::cpu;
use crate::cpu::activation::GatePart;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tape::record;
use crate::tensor::Tensor;

/// silu(gate) up, value by value: the inner part of the feed-forward layer of Llama.
///
/// # Errors
/// Shapes or devices differ; the device's errors.
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    gated(gate, up, Activation::Silu)
}

/// activation(gate) up, value by value, for two tensors of one shape.
///
/// # Errors
/// Shapes or devices differ; the device's errors.
pub fn gated(gate: &Tensor, up: &Tensor, activation: Activation) -> Result<Tensor> {
    const OP: &str = "gated";
    up.expect_like(OP, "up", gate)?;
    gate.device().expect_home(OP, &[up])?;
    let out = part(OP, GatePart::Result, [Some(gate), Some(up), None], activation)?;
    Ok(record(out, [gate, up], |[dg, du]| {
        let (gate, up) = (gate.detach(), dg.then(|| up.detach()));
        move |gradient: &Tensor| {
            let at_gate =
                up.map(|up| part(OP, GatePart::Gate, [Some(&gate), Some(&up), Some(gradient)], activation));
            let at_up = du.then(|| part(OP, GatePart::Up, [Some(&gate), None, Some(gradient)], activation));
            Ok([at_gate.transpose()?, at_up.transpose()?])
        }
    }))
}

/// The result, or the gradient at one of the operands; `operands` are gate, up and gradient, as far as `part` needs them.
fn part(
    op: &'static str,
    part: GatePart,
    operands: [Option<&Tensor>; 3],
    activation: Activation,
) -> Result<Tensor> {
    let operands: Vec<&Tensor> = operands.into_iter().flatten().collect();
    let gate = operands[0];
    match gate.device().backend() {
        Backend::Cpu(cpu) => {
            let values: Vec<&[f32]> =
                operands.iter().map(|operand| operand.host(op)).collect::<Result<_>>()?;
            Ok(cpu_tensor(gate.device(), cpu, gate.shape(), |out| {
                cpu::activation::gated(cpu, part, &values, activation, out);
            }))
        }
        Backend::Gpu(gpu) => elementwise(gpu, op, &kernel(part, activation), &[], &operands, &[]),
    }
}

fn kernel(part: GatePart, activation: Activation) -> Kernel {
    let constants = [
        ("ACTIVATION", activation.code()),
        ("FROM_RESULT", u32::from(activation.slope_needs_result())),
        ("PART", part as u32),
    ];
    Kernel::new("gated", &constants)
}

/// The kernels of this file, in all variants that it launches (leaky rectifiers: one slope).
pub(crate) fn kernels() -> Vec<Kernel> {
    let parts = [GatePart::Result, GatePart::Gate, GatePart::Up];
    Activation::ALL.into_iter().flat_map(|activation| parts.map(|part| kernel(part, activation))).collect()
}
