//! CPU twins of the optimiser steps, on slices of a parameter and its state.

use super::simd::vectorized;
use crate::ops::{AdamStep, SgdStep};

/// One step of Adam or AdamW.
pub(crate) fn adam(
    step: &AdamStep,
    value: &mut [f32],
    gradient: &[f32],
    first: &mut [f32],
    second: &mut [f32],
) {
    vectorized(
        #[inline(always)]
        || {
            for (((value, &gradient), m), v) in value.iter_mut().zip(gradient).zip(first).zip(second) {
                let gradient = step.l2.mul_add(*value, gradient);
                *value *= step.keep;
                *m += (gradient - *m) * (1.0 - step.beta1);
                *v = step.beta2 * *v + (1.0 - step.beta2) * gradient * gradient;
                *value -= step.step_size * (*m / (v.sqrt() * step.root_scale + step.eps));
            }
        },
    );
}

/// One step of gradient descent with momentum.
pub(crate) fn sgd(step: &SgdStep, value: &mut [f32], gradient: &[f32], velocity: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            for ((value, &gradient), velocity) in value.iter_mut().zip(gradient).zip(velocity) {
                let gradient = step.l2.mul_add(*value, gradient);
                *velocity = step.momentum * *velocity + gradient;
                *value -= step.lr * *velocity;
            }
        },
    );
}

/// One step of Adagrad with the given rate, weight decay and smallest divisor.
pub(crate) fn adagrad([rate, l2, eps]: [f32; 3], value: &mut [f32], gradient: &[f32], squares: &mut [f32]) {
    vectorized(
        #[inline(always)]
        || {
            for ((value, &gradient), squares) in value.iter_mut().zip(gradient).zip(squares) {
                let gradient = l2.mul_add(*value, gradient);
                *squares = gradient.mul_add(gradient, *squares);
                *value -= rate * (gradient / (squares.sqrt() + eps));
            }
        },
    );
}
