//! Dense f32 tensors: row-major, immutable, cheap to clone, on one device.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::cpu::CpuBuffer;
use crate::device::Device;
use crate::error::{Error, Result};
use crate::gpu::{Binding, GpuBuffer};
use crate::tape::{self, Trace};

/// Bytes of a tensor on its device.
#[derive(Clone)]
pub(crate) enum Storage {
    Cpu(Arc<CpuBuffer>),
    Gpu(Arc<GpuBuffer>),
}

/// A dense row-major f32 tensor on one [`Device`]. Clones share the bytes.
#[derive(Clone)]
pub struct Tensor {
    device: Device,
    shape: Arc<[usize]>,
    storage: Storage,
    /// Where it stands on a tape, if it depends on something that is watched.
    trace: Option<Trace>,
}

impl Tensor {
    pub(crate) fn new(device: &Device, shape: &[usize], storage: Storage) -> Tensor {
        Tensor { device: device.clone(), shape: shape.into(), storage, trace: None }
    }

    pub(crate) fn from_cpu(device: &Device, shape: &[usize], buffer: CpuBuffer) -> Tensor {
        Tensor::new(device, shape, Storage::Cpu(Arc::new(buffer)))
    }

    pub(crate) fn from_gpu(device: &Device, shape: &[usize], buffer: GpuBuffer) -> Tensor {
        Tensor::new(device, shape, Storage::Gpu(Arc::new(buffer)))
    }

    /// Sizes of the axes, slowest first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether the tensor holds no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The device that holds the bytes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Waits for the device and copies the values to the host, in row-major order.
    ///
    /// # Errors
    /// What the device reports since the last read: it was lost, ran out of memory, or rejected a command.
    pub fn read(&self) -> Result<Vec<f32>> {
        match &self.storage {
            Storage::Cpu(buffer) => Ok(buffer.values().to_vec()),
            Storage::Gpu(buffer) => {
                let bytes = self.device.gpu("read")?.read(buffer, self.len() as u64 * 4)?;
                Ok(bytemuck::pod_collect_to_vec(&bytes))
            }
        }
    }

    /// The same values under another shape.
    ///
    /// # Errors
    /// [`Error::Shape`] when the number of values differs.
    pub fn reshape(&self, shape: &[usize]) -> Result<Tensor> {
        if shape.iter().product::<usize>() != self.len() {
            return Err(Error::shape(
                "reshape",
                format!("{:?} does not hold as many values as {shape:?}", self.shape),
            ));
        }
        let out = Tensor { shape: shape.into(), ..self.detach() };
        let before = self.shape.clone();
        Ok(tape::record(out, [self], |_| move |gradient: &Tensor| Ok([Some(gradient.reshape(&before)?)])))
    }

    /// The same values, not traced by any [`Tape`](crate::Tape).
    pub fn detach(&self) -> Tensor {
        Tensor { trace: None, ..self.clone() }
    }

    /// Whether a [`Tape`](crate::Tape) watches this tensor or something that it was computed from.
    pub fn is_traced(&self) -> bool {
        self.trace.is_some()
    }

    pub(crate) fn trace(&self) -> Option<&Trace> {
        self.trace.as_ref()
    }

    pub(crate) fn with_trace(self, trace: Trace) -> Tensor {
        Tensor { trace: Some(trace), ..self }
    }

    /// The two sizes of a matrix.
    pub(crate) fn matrix(&self, op: &'static str, name: &str) -> Result<(usize, usize)> {
        match *self.shape {
            [rows, columns] => Ok((rows, columns)),
            _ => Err(Error::shape(op, format!("`{name}` must have two axes, it has shape {:?}", self.shape))),
        }
    }

    /// Checks that this tensor is a vector of `length` values.
    pub(crate) fn expect_vector(&self, op: &'static str, name: &str, length: usize) -> Result<()> {
        if *self.shape == [length] {
            return Ok(());
        }
        Err(Error::shape(op, format!("`{name}` must have shape [{length}], it has {:?}", self.shape)))
    }

    /// Checks that this tensor has exactly the shape of `other`.
    pub(crate) fn expect_like(&self, op: &'static str, name: &str, other: &Tensor) -> Result<()> {
        if self.shape == other.shape {
            return Ok(());
        }
        Err(Error::shape(op, format!("`{name}` must have shape {:?}, it has {:?}", other.shape, self.shape)))
    }

    /// The values of a tensor of the CPU backend.
    pub(crate) fn host(&self, op: &'static str) -> Result<&[f32]> {
        match &self.storage {
            Storage::Cpu(buffer) => Ok(buffer.values()),
            Storage::Gpu(_) => Err(Error::MixedDevices { op }),
        }
    }

    /// The buffer of a tensor of the GPU backend.
    pub(crate) fn buffer(&self, op: &'static str) -> Result<&GpuBuffer> {
        match &self.storage {
            Storage::Gpu(buffer) => Ok(buffer),
            Storage::Cpu(_) => Err(Error::MixedDevices { op }),
        }
    }

    /// The whole buffer of a tensor of the GPU backend, as a kernel sees it.
    pub(crate) fn binding(&self, op: &'static str) -> Result<Binding<'_>> {
        self.buffer(op).map(|buffer| buffer.rows(&(0..self.len()), 1))
    }

    /// Rows `rows` of a tensor of the GPU backend, a row being everything but the first axis. The first row must be aligned:
    /// those of [`Gpu::windows`](crate::gpu::Gpu::windows) are.
    pub(crate) fn window(&self, op: &'static str, rows: &Range<usize>) -> Result<Binding<'_>> {
        let width = self.shape.iter().skip(1).product::<usize>();
        self.buffer(op).map(|buffer| buffer.rows(rows, width))
    }

    /// The bytes, for the in-place updates of [`crate::ops::Parameter`].
    pub(crate) fn storage_mut(&mut self) -> &mut Storage {
        &mut self.storage
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor{:?} on {}", self.shape, self.device.info().name)
    }
}
