//! How a step writes into the memory of tensors.

use std::sync::Arc;

use crate::cpu::{Cpu, CpuBuffer};
use crate::error::Result;
use crate::gpu::{Binding, Cost, Gpu, Launch};
use crate::kernels::Kernel;
use crate::ops::{ELEMENTS, scale};
use crate::tensor::{Storage, Tensor};

/// Values that one task of the CPU backend updates.
const TASK_VALUES: usize = 1 << 14;

/// Calls `step` with parts of the gradient and of the tensors of `state`, in parallel. Tensors that somebody else holds are
/// copied first.
pub(super) fn on_cpu<const N: usize>(
    cpu: &Cpu,
    gradient: &[f32],
    state: [&mut Tensor; N],
    step: impl Fn(&[f32], [&mut [f32]; N]) + Sync,
) -> Result<()> {
    let mut tensors = Vec::with_capacity(N);
    for tensor in state {
        own(tensor)?;
        tensors.push(tensor);
    }
    let mut tensors = tensors.into_iter();
    let mut parts = [(); N].map(|()| tensors.next().map_or(&mut [][..], writable).chunks_mut(TASK_VALUES));
    let tasks = gradient.chunks(TASK_VALUES).map(|gradient| {
        // Tensors of a rehearsal have no memory.
        (gradient, parts.each_mut().map(|part| part.next().unwrap_or_default()))
    });
    cpu.each(tasks.collect(), 8 * gradient.len(), |(gradient, state)| step(gradient, state));
    Ok(())
}

/// Makes a tensor the only holder of its values. Nothing changes if there is no memory for a copy.
fn own(tensor: &mut Tensor) -> Result<()> {
    if let Storage::Cpu(buffer) = tensor.storage_mut()
        && Arc::get_mut(buffer).is_none()
    {
        let copy = CpuBuffer::clone(buffer);
        copy.check()?;
        *buffer = Arc::new(copy);
    }
    Ok(())
}

fn writable(tensor: &mut Tensor) -> &mut [f32] {
    match tensor.storage_mut() {
        Storage::Cpu(buffer) => Arc::get_mut(buffer).map_or(&mut [], CpuBuffer::values_mut),
        Storage::Gpu(_) => &mut [],
    }
}

/// Launches an in-place update of `state` with the gradient. Tensors that somebody else holds are copied first.
pub(super) fn on_gpu<const N: usize>(
    gpu: &Gpu,
    op: &'static str,
    kernel: &Kernel,
    words: &[f32],
    gradient: &Tensor,
    state: [&mut Tensor; N],
) -> Result<()> {
    let shape = gradient.shape();
    let (rows, width) = (shape.first().copied().unwrap_or(1), shape.iter().skip(1).product::<usize>());
    let mut tensors = Vec::with_capacity(N);
    for tensor in state {
        let shared = match tensor.storage_mut() {
            Storage::Gpu(buffer) => Arc::get_mut(buffer).is_none(),
            Storage::Cpu(_) => false,
        };
        if shared {
            // A factor of one copies the values.
            *tensor = scale(tensor, 1.0)?;
        }
        tensors.push(&*tensor);
    }
    for window in gpu.windows(rows, width)? {
        let count = window.len() * width;
        let mut buffers: Vec<Binding<'_>> = vec![gradient.window(op, &window)?];
        for tensor in &tensors {
            buffers.push(tensor.window(op, &window)?);
        }
        let mut parameters = vec![count as u32];
        parameters.extend(words.iter().map(|word| word.to_bits()));
        gpu.launch(&Launch {
            kernel: kernel.clone(),
            parameters: &parameters,
            buffers: &buffers,
            groups: (count as u64).div_ceil(ELEMENTS),
            cost: Cost { flops: 20.0 * count as f64, bytes: 28.0 * count as f64 },
        })?;
    }
    Ok(())
}
