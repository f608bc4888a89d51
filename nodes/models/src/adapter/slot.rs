//! Where a model keeps a tensor that training may replace.

use std::sync::{Arc, PoisonError, RwLock};

use celldag_shaders::{Device, Tensor};

/// A tensor of a model that training replaces between steps. Clones are handles of one slot. Reading it costs a lock that
/// nobody holds for long and a few counters, also in models that are never trained.
#[derive(Clone, Debug)]
pub struct Slot(Arc<Held>);

#[derive(Debug)]
struct Held {
    tensor: RwLock<Tensor>,
    /// Of every tensor that the slot ever holds.
    shape: Vec<usize>,
    device: Device,
}

impl Slot {
    /// A slot that holds `tensor`.
    #[must_use]
    pub fn new(tensor: Tensor) -> Self {
        let (shape, device) = (tensor.shape().to_vec(), tensor.device().clone());
        Self(Arc::new(Held { tensor: RwLock::new(tensor), shape, device }))
    }

    /// What it holds.
    #[must_use]
    pub fn get(&self) -> Tensor {
        self.0.tensor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another tensor of the same shape and device in, for example one that a tape watches.
    pub fn set(&self, tensor: Tensor) {
        debug_assert_eq!(tensor.shape(), self.shape(), "a slot keeps its shape");
        *self.0.tensor.write().unwrap_or_else(PoisonError::into_inner) = tensor;
    }

    /// The shape of the tensor.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.0.shape
    }

    /// The device of the tensor.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.0.device
    }
}
