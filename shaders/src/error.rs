//! What can go wrong on a device or in an operation, as types that callers can tell apart.

use crate::element::Element;

use crate::precision::Precision;

/// Result of an operation on tensors.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An operation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operands do not fit together.
    #[error("{op}: {message}")]
    Shape {
        /// Operation that was called.
        op: &'static str,
        /// Which operand has which shape, and what it should be.
        message: String,
    },
    /// Operands live on different devices.
    #[error("{op}: the operands are on different devices; upload them to one device first")]
    MixedDevices {
        /// Operation that was called.
        op: &'static str,
    },
    /// An operand is stored in 16 bits where the operation computes with f32.
    #[error(
        "{op}: takes f32 values, not {element}; only weights of linear layers and embedding tables may be stored in 16 bits"
    )]
    Element {
        /// Operation that was called.
        op: &'static str,
        /// How the operand is stored.
        element: Element,
    },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl Error {
    pub(crate) fn shape(op: &'static str, message: impl Into<String>) -> Error {
        Error::Shape { op, message: message.into() }
    }
}

/// A device could not be opened, or failed while it worked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// No adapter fits the request.
    #[error("no device fits {asked:?}: {why}. Found: {}. Use `cpu` for the native backend.", listed(.found))]
    NotFound {
        /// The user's choice.
        asked: String,
        /// Why nothing fits.
        why: &'static str,
        /// Names of the adapters that exist.
        found: Vec<String>,
    },
    /// A scheduler has handed out GPUs in a way that cannot be followed.
    #[error(transparent)]
    Unmapped(#[from] crate::visible::Unmapped),
    /// The worker threads of the CPU backend could not be started.
    #[error("cannot start {threads} worker threads: {message}. Ask for fewer threads.")]
    Threads {
        /// Number of threads that was asked for.
        threads: usize,
        /// The system's message.
        message: String,
    },
    /// The driver refused to open the adapter.
    #[error("{device}: the driver refused to open the device: {message}")]
    Refused {
        /// Adapter name.
        device: String,
        /// The driver's message.
        message: String,
    },
    /// The device cannot compute in the precision that was asked for.
    #[error(
        "{device}: no matrix products in {precision}: {why}. Use `--precision f32`, which every device can, or another \
         device"
    )]
    Precision {
        /// Adapter name.
        device: String,
        /// What was asked for.
        precision: Precision,
        /// What is missing.
        why: String,
    },
    /// The device is gone (driver reset, unplugged, watchdog). [`Device::reopen`](crate::Device::reopen) and repeat the work.
    #[error("{device}: the device was lost: {message}")]
    Lost {
        /// Adapter name.
        device: String,
        /// The driver's message.
        message: String,
    },
    /// The device's memory, or what the memory limit left of it, is full. A smaller batch needs less.
    #[error("{device}: out of memory while allocating {bytes} bytes; use smaller batches")]
    OutOfMemory {
        /// Adapter name.
        device: String,
        /// Size of the allocation that failed; 0 when the driver did not say.
        bytes: u64,
    },
    /// A tensor is larger than what the adapter can bind.
    #[error(
        "{device}: a tensor of {bytes} bytes exceeds the adapter's limit of {limit} bytes; use smaller batches or `cpu`"
    )]
    TooLarge {
        /// Adapter name.
        device: String,
        /// Size of the tensor.
        bytes: u64,
        /// The adapter's limit for one storage binding.
        limit: u64,
    },
    /// The driver or wgpu rejected a command: a defect of celldag or of the driver.
    #[error("{device}: a command was rejected: {message}")]
    Rejected {
        /// Adapter name.
        device: String,
        /// The message of wgpu.
        message: String,
    },
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "no adapter at all".to_owned() } else { names.join("; ") }
}
