//! A factor that is known to the device only.

use super::{cpu_tensor, elementwise};
use crate::cpu;
use crate::device::Backend;
use crate::error::Result;
use crate::kernels::Kernel;
use crate::tensor::Tensor;

/// x factor, with the `factor` `[1]` of a computation that has not been read. For backward passes: leaves no entry on a tape.
pub(super) fn scale_by(x: &Tensor, factor: &Tensor) -> Result<Tensor> {
    const OP: &str = "scale_by";
    factor.expect_vector(OP, "factor", 1)?;
    x.device().expect_home(OP, &[factor])?;
    match x.device().backend() {
        Backend::Cpu(cpu) => {
            let (values, factor) = (x.host(OP)?, factor.host(OP)?.first().copied().unwrap_or(1.0));
            Ok(cpu_tensor(x.device(), cpu, x.shape(), |out| {
                cpu::elementwise::scale(cpu, values, factor, out);
            }))
        }
        Backend::Gpu(gpu) => elementwise(gpu, OP, &Kernel::new("scale_by", &[]), &[], &[x], &[factor]),
    }
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    vec![Kernel::new("scale_by", &[])]
}
