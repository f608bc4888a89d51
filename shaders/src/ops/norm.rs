//! What layer, group and RMS norm share: check, launch on either backend, and the backward pass.

use super::{column_sum, cpu_tensor};
use crate::cpu;
use crate::device::Backend;
use crate::error::{Error, Result};
use crate::gpu::{Cost, Launch};
use crate::kernels::Kernel;
use crate::tape::record;
use crate::tensor::Tensor;

/// A normalisation of groups of columns of each row.
#[derive(Clone, Copy)]
pub(super) struct Norm {
    pub(super) op: &'static str,
    /// Groups of columns that are normalised on their own.
    pub(super) parts: usize,
    /// Whether the mean is taken off.
    pub(super) center: bool,
    pub(super) eps: f32,
}

/// Operands of a normalisation; `beta` if and only if the mean is taken off.
pub(super) struct Operands<'a> {
    pub(super) x: &'a Tensor,
    pub(super) residual: Option<&'a Tensor>,
    pub(super) gamma: &'a Tensor,
    pub(super) beta: Option<&'a Tensor>,
}

impl Norm {
    /// The normalised rows, on the tape.
    pub(super) fn apply(self, operands: &Operands<'_>) -> Result<Tensor> {
        let Operands { x, residual, gamma, beta } = *operands;
        self.check(operands)?;
        let out = self.forward(operands)?;
        Ok(record(out, [Some(x), residual, Some(gamma), beta], |[dx, dr, dg, db]| {
            let kept = (dx || dr || dg).then(|| (x.detach(), residual.map(Tensor::detach), gamma.detach()));
            move |gradient: &Tensor| {
                let (mut at_input, mut at_gamma) = (None, None);
                if let Some((x, residual, gamma)) = kept {
                    let operands = Operands { x: &x, residual: residual.as_ref(), gamma: &gamma, beta: None };
                    let (input, product) = self.backward(&operands, gradient, dg)?;
                    at_input = Some(input);
                    at_gamma = product.map(|product| column_sum(&product)).transpose()?;
                }
                let at_beta = db.then(|| column_sum(gradient)).transpose()?;
                let at_residual = at_input.clone().filter(|_| dr);
                Ok([at_input.filter(|_| dx), at_residual, at_gamma, at_beta])
            }
        }))
    }

    fn check(self, operands: &Operands<'_>) -> Result<()> {
        let Norm { op, parts, .. } = self;
        let Operands { x, residual, gamma, beta } = *operands;
        let (_, columns) = x.matrix(op, "x")?;
        if parts == 0 || !columns.is_multiple_of(parts) {
            return Err(Error::shape(op, format!("{columns} columns do not divide into {parts} groups")));
        }
        gamma.expect_vector(op, "gamma", columns)?;
        x.device().expect_home(op, &[gamma])?;
        if let Some(beta) = beta {
            beta.expect_vector(op, "beta", columns)?;
            x.device().expect_home(op, &[beta])?;
        }
        if let Some(residual) = residual {
            residual.expect_like(op, "residual", x)?;
            x.device().expect_home(op, &[residual])?;
        }
        Ok(())
    }

    fn forward(self, operands: &Operands<'_>) -> Result<Tensor> {
        let Operands { x, residual, gamma, beta } = *operands;
        match x.device().backend() {
            Backend::Cpu(cpu) => {
                let norm = self.on_host(operands)?;
                let beta = beta.map(|beta| beta.host(self.op)).transpose()?;
                Ok(cpu_tensor(x.device(), cpu, x.shape(), |out| cpu::norm::forward(cpu, &norm, beta, out)))
            }
            Backend::Gpu(gpu) => {
                let (rows, columns) = x.matrix(self.op, "x")?;
                let out = gpu.buffer(x.len())?;
                for window in gpu.windows(rows, columns)? {
                    let mut buffers = vec![
                        x.window(self.op, &window)?,
                        gamma.binding(self.op)?,
                        out.rows(&window, columns),
                    ];
                    if let Some(residual) = residual {
                        buffers.push(residual.window(self.op, &window)?);
                    }
                    if let Some(beta) = beta {
                        buffers.push(beta.binding(self.op)?);
                    }
                    let values = (window.len() * columns) as f64;
                    gpu.launch(&Launch {
                        kernel: forward_kernel(residual.is_some(), self.center),
                        parameters: &self.words(columns),
                        buffers: &buffers,
                        groups: self.workgroups(window.len(), columns),
                        cost: Cost { flops: 10.0 * values, bytes: 12.0 * values },
                    })?;
                }
                Ok(Tensor::from_gpu(x.device(), x.shape(), out))
            }
        }
    }

    /// The gradient at the input, and if wanted rows whose column sums are the gradient at gamma.
    fn backward(
        self,
        operands: &Operands<'_>,
        gradient: &Tensor,
        product: bool,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let Operands { x, residual, gamma, .. } = *operands;
        let (device, shape) = (x.device(), x.shape());
        match device.backend() {
            Backend::Cpu(cpu) => {
                let norm = self.on_host(operands)?;
                let slope = gradient.host(self.op)?;
                let at_input =
                    cpu_tensor(device, cpu, shape, |out| cpu::norm::backward(cpu, &norm, slope, out));
                let sums = product.then(|| {
                    let blocks = [shape[0].div_ceil(cpu::reduce::BLOCK), shape[1]];
                    cpu_tensor(device, cpu, &blocks, |out| {
                        cpu::norm::product_sums(cpu, &norm, slope, out);
                    })
                });
                Ok((at_input, sums))
            }
            Backend::Gpu(gpu) => {
                let (rows, columns) = x.matrix(self.op, "x")?;
                let out = gpu.buffer(x.len())?;
                let products = product.then(|| gpu.buffer(x.len())).transpose()?;
                for window in gpu.windows(rows, columns)? {
                    let mut buffers = vec![
                        gradient.window(self.op, &window)?,
                        x.window(self.op, &window)?,
                        gamma.binding(self.op)?,
                        out.rows(&window, columns),
                    ];
                    if let Some(residual) = residual {
                        buffers.push(residual.window(self.op, &window)?);
                    }
                    if let Some(products) = &products {
                        buffers.push(products.rows(&window, columns));
                    }
                    let values = (window.len() * columns) as f64;
                    gpu.launch(&Launch {
                        kernel: backward_kernel(residual.is_some(), self.center, product),
                        parameters: &self.words(columns),
                        buffers: &buffers,
                        groups: self.workgroups(window.len(), columns),
                        cost: Cost { flops: 20.0 * values, bytes: 20.0 * values },
                    })?;
                }
                let products = products.map(|buffer| Tensor::from_gpu(device, shape, buffer));
                Ok((Tensor::from_gpu(device, shape, out), products))
            }
        }
    }

    fn on_host<'a>(self, operands: &Operands<'a>) -> Result<cpu::norm::Norm<'a>> {
        Ok(cpu::norm::Norm {
            x: operands.x.host(self.op)?,
            residual: operands.residual.map(|residual| residual.host(self.op)).transpose()?,
            gamma: operands.gamma.host(self.op)?,
            parts: self.parts,
            center: self.center,
            eps: self.eps,
        })
    }

    fn words(self, columns: usize) -> [u32; 3] {
        [(columns / self.parts) as u32, self.parts as u32, self.eps.to_bits()]
    }

    /// One a group of columns of a row; none for rows without columns.
    fn workgroups(self, rows: usize, columns: usize) -> u64 {
        if columns == 0 { 0 } else { (rows * self.parts) as u64 }
    }
}

fn forward_kernel(residual: bool, center: bool) -> Kernel {
    Kernel::new("norm", &[("RESIDUAL", u32::from(residual)), ("CENTER", u32::from(center))])
}

fn backward_kernel(residual: bool, center: bool, product: bool) -> Kernel {
    let constants =
        [("RESIDUAL", u32::from(residual)), ("CENTER", u32::from(center)), ("PRODUCT", u32::from(product))];
    Kernel::new("norm_backward", &constants)
}

/// The kernels of this file, in all variants that it launches.
pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for residual in [false, true] {
        for center in [false, true] {
            kernels.push(forward_kernel(residual, center));
            kernels.extend([false, true].map(|product| backward_kernel(residual, center, product)));
        }
    }
    kernels
}
