//! What the attentions by feature maps share: the shape check, the choice of the backend, and the tape.

use std::sync::Arc;

use super::gpu;
use super::rule::Rule;
use crate::cpu::linear_attention::{LinearAttention, Outcome, Projection};
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::ops::cpu_tensor;
use crate::ops::heads::WIDEST_HEAD;
use crate::segments::Segments;
use crate::tape::record;
use crate::tensor::Tensor;

/// Operands of an attention by feature maps.
#[derive(Clone, Copy)]
pub(super) struct Operands<'a> {
    pub(super) op: &'static str,
    pub(super) q: &'a Tensor,
    pub(super) k: &'a Tensor,
    pub(super) v: &'a Tensor,
    pub(super) projection: &'a Tensor,
    /// Distances of features and of columns in the projection.
    pub(super) strides: [usize; 2],
    pub(super) segments: &'a Segments,
    pub(super) rule: Rule,
    /// What each key counts for in the denominators `[rows]`; one if none.
    pub(super) weights: Option<&'a Tensor>,
}

impl Operands<'_> {
    pub(super) fn check(&self) -> Result<()> {
        let Operands { op, q, k, v, projection, segments, rule, .. } = self;
        let (_, width) = q.matrix(op, "q")?;
        k.expect_like(op, "k", q)?;
        v.expect_like(op, "v", q)?;
        q.device().expect_home(op, &[k, v, projection])?;
        segments.expect(op, "q", q)?;
        let Rule { heads, head_width, features, .. } = *rule;
        if heads == 0 || features == 0 || head_width == 0 || head_width > WIDEST_HEAD {
            let message = format!(
                "{heads} heads of {head_width} columns with {features} features: there must be at least one of each, and \
                 at most {WIDEST_HEAD} columns"
            );
            return Err(Error::shape(op, message));
        }
        if rule.width() != width {
            let message = format!("`q` has {width} columns, not {heads} heads of {head_width}");
            return Err(Error::shape(op, message));
        }
        Ok(())
    }
}

/// The result of the attention, on the tape.
pub(super) fn attend(operands: &Operands<'_>) -> Result<Tensor> {
    operands.check()?;
    let Operands { op, q, k, v, projection, strides, segments, rule, weights } = *operands;
    match q.device().backend() {
        Backend::Cpu(cpu) => {
            let values = projection.host(op)?;
            let projection = Arc::new(Projection::new(&rule, |feature, column| {
                // There are no values in a rehearsal.
                values.get(feature * strides[0] + column * strides[1]).copied().unwrap_or(0.0)
            }));
            let attention = LinearAttention {
                rule,
                projection: &projection,
                q: q.host(op)?,
                k: k.host(op)?,
                v: v.host(op)?,
                weights: weights.map(|weights| weights.host(op)).transpose()?,
            };
            let keys = attention.keys(cpu, segments);
            keys.states.check().map_err(Error::from)?;
            let out =
                cpu_tensor(q.device(), cpu, q.shape(), |out| attention.queries(cpu, segments, &keys, out));
            let y = out.clone();
            Ok(record(out, [q, k, v], |wanted| {
                let [q, k, v] = [q, k, v].map(Tensor::detach);
                let (segments, weights) = (segments.clone(), weights.cloned());
                move |gradient: &Tensor| {
                    let Backend::Cpu(cpu) = q.device().backend() else {
                        return Err(Error::MixedDevices { op });
                    };
                    let attention = LinearAttention {
                        rule,
                        projection: &projection,
                        q: q.host(op)?,
                        k: k.host(op)?,
                        v: v.host(op)?,
                        weights: weights.as_ref().map(|weights| weights.host(op)).transpose()?,
                    };
                    let outcome = Outcome { values: y.host(op)?, gradient: gradient.host(op)? };
                    let slopes = attention.gradients(cpu, &segments, &keys, outcome, wanted);
                    Ok(slopes.map(|slope| slope.map(|slope| Tensor::from_cpu(q.device(), q.shape(), slope))))
                }
            }))
        }
        Backend::Gpu(gpu) => {
            let attention = gpu::Attention { gpu, op, rule, q, k, v, projection, strides, weights };
            let (out, saved) = gpu::forward(&attention, segments)?;
            let y = out.clone();
            Ok(record(out, [q, k, v], |wanted| {
                let [q, k, v, projection] = [q, k, v, projection].map(Tensor::detach);
                let (segments, weights) = (segments.clone(), weights.cloned());
                move |gradient: &Tensor| {
                    let gpu = q.device().gpu(op)?;
                    let (q, k, v, projection) = (&q, &k, &v, &projection);
                    let weights = weights.as_ref();
                    let attention = gpu::Attention { gpu, op, rule, q, k, v, projection, strides, weights };
                    gpu::gradients(&attention, &segments, &saved, [&y, gradient], wanted)
                }
            }))
        }
    }
}
