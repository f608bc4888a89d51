//! Low-rank adapters (LoRA: Hu et al. 2021, arXiv 2106.09685) that are laid over the linear layers of a loaded model.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Result, Tensor};

use crate::error::ModelError;

/// A tensor of a model that training replaces between steps. Clones are handles of one slot.
#[derive(Clone, Debug)]
pub struct Slot(Arc<RwLock<Tensor>>);

impl Slot {
    /// A slot that holds `tensor`.
    #[must_use]
    pub fn new(tensor: Tensor) -> Self {
        Self(Arc::new(RwLock::new(tensor)))
    }

    /// What it holds.
    #[must_use]
    pub fn get(&self) -> Tensor {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts another tensor in, for example one that a tape watches.
    pub fn set(&self, tensor: Tensor) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = tensor;
    }
}

/// What is added to one linear layer: `scale · (x Aᵀ) Bᵀ`.
#[derive(Clone, Debug)]
pub struct Lora {
    /// A, `[rank, inputs]` (`lora_A.weight`).
    pub a: Slot,
    /// B, `[outputs, rank]` (`lora_B.weight`).
    pub b: Slot,
    /// alpha / rank.
    pub scale: f32,
}

impl Lora {
    /// The term for the rows `x` `[n, inputs]`, `[n, outputs]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let low = ops::linear(x, &self.a.get(), None, Activation::None)?;
        // The factor goes over the narrow side.
        ops::linear(&ops::scale(&low, self.scale)?, &self.b.get(), None, Activation::None)
    }
}

/// Adapters by the name of the layer in the checkpoint (`bert.encoder.layer.0.attention.self.query`).
#[derive(Debug, Default)]
pub struct Adapters {
    layers: BTreeMap<String, Lora>,
    used: Mutex<BTreeSet<String>>,
}

impl Adapters {
    /// Adapters of the given layers.
    #[must_use]
    pub fn new(layers: BTreeMap<String, Lora>) -> Self {
        Self { layers, used: Mutex::default() }
    }

    /// The adapter of the layer `name`, whose sizes must fit.
    ///
    /// # Errors
    /// [`ModelError::Adapter`] when its shapes are not those of the layer.
    pub fn of(&self, name: &str, inputs: usize, outputs: usize) -> Result<Option<Lora>, ModelError> {
        let Some(lora) = self.layers.get(name) else { return Ok(None) };
        let (a, b) = (lora.a.get(), lora.b.get());
        let fits = matches!((a.shape(), b.shape()), (&[rank, i], &[o, r]) if rank == r && i == inputs && o == outputs);
        if !fits {
            return Err(ModelError::Adapter(format!(
                "the layer {name} has {inputs} inputs and {outputs} outputs, its lora_A has shape {:?} and its lora_B {:?}",
                a.shape(),
                b.shape()
            )));
        }
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
        Ok(Some(lora.clone()))
    }

    /// The same adapters under other layer names, where one layer is called differently by different tools.
    ///
    /// # Errors
    /// [`ModelError::Adapter`] when two adapters come to the same layer.
    pub fn renamed(&self, rename: impl Fn(&str) -> String) -> Result<Self, ModelError> {
        let mut layers = BTreeMap::new();
        for (name, lora) in &self.layers {
            let to = rename(name);
            if layers.insert(to.clone(), lora.clone()).is_some() {
                return Err(ModelError::Adapter(format!("two adapters belong to the layer {to}")));
            }
        }
        Ok(Self::new(layers))
    }

    /// Fails if an adapter belongs to no layer of the model that was loaded.
    ///
    /// # Errors
    /// [`ModelError::Adapter`] naming the layers.
    pub fn finish(&self) -> Result<(), ModelError> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        let left: Vec<&str> =
            self.layers.keys().filter(|name| !used.contains(*name)).map(String::as_str).collect();
        if left.is_empty() {
            return Ok(());
        }
        Err(ModelError::Adapter(format!("the model has no linear layer called {}", left.join(", "))))
    }
}
