//! Layer normalisation (Ba, Kiros and Hinton 2016), with an optional residual in front.

use super::cpu_tensor;
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::gpu::{Binding, Cost, Launch};
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// Each row of `x` (+ `residual`) `[rows, columns]` shifted and scaled to mean 0 and (biased) variance 1, then
/// multiplied by `gamma` `[columns]` and shifted by `beta` `[columns]`.
///
/// # Errors
/// Shapes or devices do not fit; the device's errors.
pub fn layer_norm(
    x: &Tensor,
    residual: Option<&Tensor>,
    gamma: &Tensor,
    beta: &Tensor,
    eps: f32,
) -> Result<Tensor> {
    const OP: &str = "layer_norm";
    let (rows, columns) = x.matrix(OP, "x")?;
    gamma.expect_vector(OP, "gamma", columns)?;
    beta.expect_vector(OP, "beta", columns)?;
    x.device().expect_home(OP, &[gamma, beta])?;
    if let Some(residual) = residual {
        residual.expect_like(OP, "residual", x)?;
        x.device().expect_home(OP, &[residual])?;
    }
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let (values, scale, shift) = (x.host(OP)?, gamma.host(OP)?, beta.host(OP)?);
            let added = residual.map(|residual| residual.host(OP)).transpose()?;
            let fill =
                |out: &mut [f32]| cpu::layer_norm::layer_norm(cpu, values, added, scale, shift, eps, out);
            Ok(cpu_tensor(x.device(), cpu, x.shape(), fill))
        }
        Backend::Gpu(gpu) => {
            if columns == 0 {
                return Err(Error::shape(OP, "`x` has no columns"));
            }
            let out = gpu.buffer(x.len())?;
            let mut buffers =
                vec![x.binding(OP)?, gamma.binding(OP)?, beta.binding(OP)?, Binding::whole(&out)];
            if let Some(residual) = residual {
                buffers.push(residual.binding(OP)?);
            }
            gpu.launch(&Launch {
                kernel: Kernel::new("layer_norm", &[("RESIDUAL", u32::from(residual.is_some()))]),
                parameters: &[columns as u32, eps.to_bits()],
                buffers: &buffers,
                groups: rows as u64,
                cost: Cost { flops: 10.0 * x.len() as f64, bytes: 12.0 * x.len() as f64 },
            })?;
            Ok(Tensor::from_gpu(x.device(), x.shape(), out))
        }
    }
}

/// The kernels of this file, in all variants that it launches.
pub(crate) fn kernels() -> Vec<Kernel> {
    [0, 1].map(|residual| Kernel::new("layer_norm", &[("RESIDUAL", residual)])).to_vec()
}
