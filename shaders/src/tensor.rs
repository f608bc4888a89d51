//! Dense tensors: row-major, immutable, cheap to clone, on one device; f32, or 16-bit weights.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::cpu::CpuBuffer;
use crate::cpu::panels::{Kept, Stored};
use crate::device::{Backend, Device};
use crate::element::Element;
use crate::error::{Error, Result};
use crate::gpu::{Binding, GpuBuffer};
use crate::tape::{self, Trace};

/// Bytes of a tensor on its device.
#[derive(Clone)]
pub(crate) enum Storage {
    Cpu(Arc<CpuBuffer>),
    Gpu(Arc<GpuBuffer>),
}

/// A dense row-major tensor on one [`Device`]: of f32 values, or of weights stored in 16 bits ([`Element`]). Clones share
/// the bytes.
#[derive(Clone)]
pub struct Tensor {
    device: Device,
    shape: Arc<[usize]>,
    /// Values of 16 bits are packed two to a 32-bit word.
    storage: Storage,
    element: Element,
    /// Where it stands on a tape, if it depends on something that is watched.
    trace: Option<Trace>,
}

impl Tensor {
    pub(crate) fn new(device: &Device, shape: &[usize], storage: Storage) -> Tensor {
        Tensor { device: device.clone(), shape: shape.into(), storage, element: Element::F32, trace: None }
    }

    pub(crate) fn from_cpu(device: &Device, shape: &[usize], buffer: CpuBuffer) -> Tensor {
        debug_assert!(!buffer.is_scratch(), "results come from `Cpu::result`");
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

    /// How the values are stored.
    pub fn element(&self) -> Element {
        self.element
    }

    /// The device that holds the bytes.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Waits for the device and copies the values to the host, in row-major order. 16-bit values are widened, exactly.
    ///
    /// # Errors
    /// What the device reports since the last read: it was lost, ran out of memory, or rejected a command.
    pub fn read(&self) -> Result<Vec<f32>> {
        match (&self.storage, self.element) {
            (Storage::Cpu(buffer), _) if !buffer.has_memory() => {
                buffer.check()?;
                Ok(vec![0.0; self.len()])
            }
            (Storage::Cpu(buffer), Element::F32) => Ok(buffer.values().to_vec()),
            (Storage::Cpu(_), element) => Ok(element.widen(self.host_packed("read")?)),
            (Storage::Gpu(buffer), element) => {
                let bytes = (self.len() * element.bytes()).next_multiple_of(4) as u64;
                let bytes = self.device.gpu("read")?.read(buffer, bytes)?;
                if element == Element::F32 {
                    return Ok(bytemuck::pod_collect_to_vec(&bytes));
                }
                let stored: Vec<u16> = bytemuck::pod_collect_to_vec(&bytes);
                Ok(element.widen(&stored[..self.len()]))
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

    /// Checks that the values are stored as f32.
    pub(crate) fn expect_f32(&self, op: &'static str) -> Result<()> {
        match self.element {
            Element::F32 => Ok(()),
            element => Err(Error::Element { op, element }),
        }
    }

    /// The values of a tensor of the CPU backend.
    pub(crate) fn host(&self, op: &'static str) -> Result<&[f32]> {
        self.expect_f32(op)?;
        match &self.storage {
            Storage::Cpu(buffer) => {
                buffer.check()?;
                Ok(buffer.values())
            }
            Storage::Gpu(_) => Err(Error::MixedDevices { op }),
        }
    }

    /// The values of a tensor of the CPU backend, however they are stored.
    pub(crate) fn host_stored(&self, op: &'static str) -> Result<Stored<'_>> {
        Ok(match self.element {
            Element::F32 => Stored::F32(self.host(op)?),
            Element::F16 => Stored::F16(self.host_packed(op)?),
            Element::Bf16 => Stored::Bf16(self.host_packed(op)?),
        })
    }

    /// The stored patterns of a 16-bit tensor of the CPU backend.
    fn host_packed(&self, op: &'static str) -> Result<&[u16]> {
        match &self.storage {
            Storage::Cpu(buffer) => {
                buffer.check()?;
                Ok(bytemuck::cast_slice(buffer.values()).get(..self.len()).unwrap_or_default())
            }
            Storage::Gpu(_) => Err(Error::MixedDevices { op }),
        }
    }

    /// Where the CPU backend keeps another layout of the values.
    pub(crate) fn kept(&self) -> Option<&Kept> {
        match &self.storage {
            Storage::Cpu(buffer) => Some(buffer.kept()),
            Storage::Gpu(_) => None,
        }
    }

    /// The buffer of a tensor of the GPU backend.
    pub(crate) fn buffer(&self, op: &'static str) -> Result<&GpuBuffer> {
        self.expect_f32(op)?;
        self.stored(op)
    }

    /// The buffer of a tensor of the GPU backend, however its values are stored.
    fn stored(&self, op: &'static str) -> Result<&GpuBuffer> {
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

    /// As [`Tensor::window`], for kernels that read any [`Element`]: 16-bit values are packed two to a word, the first in the
    /// lower half.
    pub(crate) fn weight_window(&self, op: &'static str, rows: &Range<usize>) -> Result<Binding<'_>> {
        let width = self.shape.iter().skip(1).product::<usize>();
        let buffer = self.stored(op)?;
        Ok(match self.element {
            Element::F32 => buffer.rows(rows, width),
            Element::F16 | Element::Bf16 => buffer.packed_rows(rows, width),
        })
    }

    /// The bytes, for the in-place updates of [`crate::ops::Parameter`].
    pub(crate) fn storage_mut(&mut self) -> &mut Storage {
        &mut self.storage
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor{:?} of {} on {}", self.shape, self.element, self.device.info().name)
    }
}

impl Device {
    /// Copies 16-bit patterns (row-major; [`Element::round`] makes them of f32 values) to the device, for the weight of
    /// [`linear`](crate::ops::linear) or the table of [`embed`](crate::ops::embed). Other operations refuse the tensor.
    ///
    /// # Errors
    /// [`Error::Shape`] when `shape` and the number of values disagree or `element` is [`Element::F32`]; the device's
    /// errors.
    pub fn upload_half(&self, shape: &[usize], element: Element, stored: &[u16]) -> Result<Tensor> {
        const OP: &str = "upload_half";
        if shape.iter().product::<usize>() != stored.len() {
            let message = format!("shape {shape:?} does not hold {} values", stored.len());
            return Err(Error::shape(OP, message));
        }
        if element == Element::F32 {
            return Err(Error::shape(OP, "the values have 16 bits: use `upload` for f32".to_owned()));
        }
        let tensor = match self.backend() {
            Backend::Cpu(cpu) => {
                let mut buffer = cpu.result(stored.len().div_ceil(2));
                if buffer.has_memory() {
                    let halves: &mut [u16] = bytemuck::cast_slice_mut(buffer.values_mut());
                    halves[..stored.len()].copy_from_slice(stored);
                }
                buffer.check().map_err(Error::from)?;
                Tensor::from_cpu(self, shape, buffer)
            }
            Backend::Gpu(gpu) => Tensor::from_gpu(self, shape, gpu.upload(bytemuck::cast_slice(stored))?),
        };
        Ok(Tensor { element, ..tensor })
    }
}
