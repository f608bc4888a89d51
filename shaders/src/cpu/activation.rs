//! CPU twins of the activation kernels: whole tensors, forward, backward and gated.

use super::elementwise::HEAVY;
use super::simd::vectorized;
use super::{Cpu, math};
use crate::ops::Activation;

/// out = activation(x).
pub(crate) fn activate(cpu: &Cpu, x: &[f32], activation: Activation, out: &mut [f32]) {
    cpu.rows(out, 1, HEAVY, 64, |first, out| {
        out.copy_from_slice(&x[first..first + out.len()]);
        vectorized(
            #[inline(always)]
            || math::activate(activation, out),
        );
    });
}

/// out = gradient times the derivative, from the operand or the result (`Activation::slope_needs_result`).
pub(crate) fn backward(cpu: &Cpu, gradient: &[f32], saved: &[f32], activation: Activation, out: &mut [f32]) {
    cpu.rows(out, 1, HEAVY, 64, |first, out| {
        out.copy_from_slice(&gradient[first..first + out.len()]);
        let saved = &saved[first..first + out.len()];
        vectorized(
            #[inline(always)]
            || backpropagate(activation, out, saved),
        );
    });
}

/// What [`gated`] computes.
#[derive(Clone, Copy)]
pub(crate) enum GatePart {
    /// activation(gate) up, from gate and up.
    Result,
    /// The gradient at the gate, from gate, up and gradient.
    Gate,
    /// The gradient at up, from gate and gradient.
    Up,
}

/// A product of a value with the activation of another, or one of its gradients.
pub(crate) fn gated(cpu: &Cpu, part: GatePart, operands: &[&[f32]], activation: Activation, out: &mut [f32]) {
    cpu.rows(out, 1, HEAVY, 64, |first, out| {
        let count = out.len();
        let gate = &operands[0][first..first + count];
        let mut from_result = Vec::new();
        vectorized(
            #[inline(always)]
            || match (part, operands) {
                (GatePart::Gate, [_, up, gradient]) => {
                    for ((out, up), gradient) in out.iter_mut().zip(&up[first..]).zip(&gradient[first..]) {
                        *out = gradient * up;
                    }
                    let saved = if activation.slope_needs_result() {
                        from_result.extend_from_slice(gate);
                        math::activate(activation, &mut from_result);
                        &from_result
                    } else {
                        gate
                    };
                    backpropagate(activation, out, saved);
                }
                (_, [.., factor]) => {
                    out.copy_from_slice(gate);
                    math::activate(activation, out);
                    out.iter_mut().zip(&factor[first..]).for_each(|(out, factor)| *out *= factor);
                }
                _ => {}
            },
        );
    });
}

/// Multiplies each gradient by the derivative at `saved`.
#[inline(always)]
fn backpropagate(activation: Activation, gradient: &mut [f32], saved: &[f32]) {
    match activation {
        Activation::None => {}
        Activation::Relu => each(gradient, saved, relu),
        Activation::Gelu => each(gradient, saved, gelu),
        Activation::GeluTanh => each(gradient, saved, gelu_tanh),
        Activation::Sigmoid => each(gradient, saved, sigmoid),
        Activation::Silu => each(gradient, saved, silu),
        Activation::Tanh => each(gradient, saved, tanh),
        Activation::LeakyRelu(slope) => {
            let factor = slope.value();
            for (gradient, &x) in gradient.iter_mut().zip(saved) {
                // Written so that not a number takes the slope, as in torch.
                *gradient = if x > 0.0 { *gradient } else { *gradient * factor };
            }
        }
    }
}

/// A plain loop, so that it becomes vector code.
#[inline(always)]
fn each(gradient: &mut [f32], saved: &[f32], step: impl Fn(f32, f32) -> f32) {
    for (gradient, &value) in gradient.iter_mut().zip(saved) {
        *gradient = step(*gradient, value);
    }
}

#[inline(always)]
fn relu(gradient: f32, result: f32) -> f32 {
    if result <= 0.0 { 0.0 } else { gradient }
}

#[inline(always)]
fn gelu(gradient: f32, x: f32) -> f32 {
    gradient * math::gelu_slope(x)
}

#[inline(always)]
fn gelu_tanh(gradient: f32, x: f32) -> f32 {
    let square = 0.044_715 * x * x;
    let inner = math::GELU_TANH * square.mul_add(x, x);
    gradient * gate_slope(x, inner, math::GELU_TANH * square.mul_add(3.0, 1.0))
}

#[inline(always)]
fn sigmoid(gradient: f32, result: f32) -> f32 {
    gradient * (result * (1.0 - result))
}

#[inline(always)]
fn silu(gradient: f32, x: f32) -> f32 {
    gradient * gate_slope(x, x, 1.0)
}

#[inline(always)]
fn tanh(gradient: f32, result: f32) -> f32 {
    gradient * ((1.0 - result) * (1.0 + result))
}

/// The derivative of x σ(inner(x)), given the derivative of `inner`. σ (1 - σ) comes from the small one of the two
/// factors, so that nothing cancels.
#[inline(always)]
fn gate_slope(x: f32, inner: f32, inner_slope: f32) -> f32 {
    let e = math::exp(-inner.abs());
    let large = 1.0 / (1.0 + e);
    let small = e * large;
    let sigmoid = if inner < 0.0 { small } else { large };
    let slope = (x * (large * small)).mul_add(inner_slope, sigmoid);
    // Far out the second part is 0, whatever its factors are.
    if e == 0.0 { sigmoid } else { slope }
}
