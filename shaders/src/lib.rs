//! Tensors of celldag and the operations of its models on two backends: WGSL compute shaders through wgpu (`gpu`) and
//! native code (`cpu`: rayon and a tuned matrix product). Nothing else in the workspace names wgpu.
//!
//! A [`Device`] is opened once; [`Tensor`]s live on it and are immutable; the functions of [`ops`] take tensors of one
//! device and give new ones. On a GPU the operations are recorded and run when a result is read or enough work has
//! gathered. Batches are ragged: [`Segments`] says which rows of a packed `[tokens, width]` tensor belong to which
//! cell. Every operation keeps one order of accumulation, so a row's result has the same bits whatever else is in the
//! batch and however many threads work on it.
//!
//! Every operation is one file in `src/ops`, or a folder where it takes several (shape check, launch, backward pass), one
//! or more kernels in `wgsl/`, and a CPU twin in `src/cpu`.

mod cpu;
mod device;
mod element;
mod error;
mod gpu;
mod kernels;
pub mod measure;
mod memory;
pub mod ops;
mod precision;
mod readback;
mod segments;
mod source;
mod tape;
mod tensor;
#[doc(hidden)]
pub mod testing;
pub mod visible;

pub use device::{
    AdapterSummary, Device, DeviceInfo, DeviceOptions, GpuChoice, choose_gpus, list_adapters,
    visible_adapters,
};
pub use element::Element;
pub use error::{DeviceError, Error, Result};
pub use gpu::CooperativeShape;
pub use kernels::{KernelInstance, kernel_instances};
pub use measure::{Measurement, measure};
pub use memory::{MemoryReport, Plan};
pub use precision::{Precision, UnknownPrecision};
pub use readback::Reading;
pub use segments::{Ids, Segments};
pub use tape::{Gradients, Tape, segment};
pub use tensor::Tensor;
