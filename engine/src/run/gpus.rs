//! The GPUs that jobs of a run can hold. The engine knows no driver: whoever starts the run says what there is.

use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::step::NodeError;

/// A GPU that jobs of a run can hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GpuSlot {
    /// What opens it, for [`crate::Step::device`] (`pci:0000:65:00.0`).
    pub device: String,
    /// Its memory in bytes. Where it is not known, jobs do not share the GPU.
    pub memory: Option<u64>,
    /// Address on the PCI bus (`0000:65:00.0`); empty where it is not known.
    pub pci: String,
    /// The variable by which programs find it (`CUDA_VISIBLE_DEVICES`), and its id there, where they are known.
    pub variable: Option<(String, String)>,
}

type Found = Result<Vec<GpuSlot>, NodeError>;
type Ask = Box<dyn FnOnce() -> Found + Send>;

/// The GPUs of a run. They are looked for when the first job needs one, since asking drivers takes longer than a run in
/// which everything is cached.
#[derive(Clone)]
pub struct Gpus(Arc<LazyLock<Found, Ask>>);

impl Gpus {
    /// No GPU: jobs that use the device form one queue.
    #[must_use]
    pub fn none() -> Self {
        Self::known(Vec::new())
    }

    /// These.
    #[must_use]
    pub fn known(gpus: Vec<GpuSlot>) -> Self {
        Self::ask(move || Ok(gpus))
    }

    /// Those that `ask` finds; it is called at most once. Its error is that of every job which needs a GPU.
    pub fn ask(ask: impl FnOnce() -> Found + Send + 'static) -> Self {
        Self(Arc::new(LazyLock::new(Box::new(ask))))
    }

    /// Looks for them.
    pub(crate) fn get(&self) -> Result<&[GpuSlot], &NodeError> {
        self.0.as_deref()
    }
}

impl fmt::Debug for Gpus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Gpus").field(&LazyLock::get(&self.0)).finish()
    }
}
