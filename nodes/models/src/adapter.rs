//! Low-rank adapters (LoRA: Hu et al. 2021, arXiv 2106.09685) that are laid over the linear layers of a loaded model.

mod dropout;
mod initial;
mod peft;
mod peft_config;
mod targets;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Result, Tensor};
use indexmap::IndexMap;

pub use dropout::{InputDropout, Noise};
pub use initial::initial_lora;
pub use peft::{PeftAdapter, PeftLayer, is_peft_folder};
pub use targets::chosen_layers;

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
    dropout: Option<InputDropout>,
}

impl Lora {
    /// The term `scale · (x Aᵀ) Bᵀ`, without dropout.
    #[must_use]
    pub fn new(a: Slot, b: Slot, scale: f32) -> Self {
        Self { a, b, scale, dropout: None }
    }

    /// The same, with noise on its input while a training step sets it.
    #[must_use]
    pub fn with_dropout(self, dropout: InputDropout) -> Self {
        Self { dropout: Some(dropout), ..self }
    }

    /// The term for the rows `x` `[n, inputs]`, `[n, outputs]`.
    ///
    /// # Errors
    /// What the device reports.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let noisy = self.dropout.as_ref().map(|dropout| dropout.apply(x)).transpose()?.flatten();
        let low = ops::linear(noisy.as_ref().unwrap_or(x), &self.a.get(), None, Activation::None)?;
        // The factor goes over the narrow side.
        ops::linear(&ops::scale(&low, self.scale)?, &self.b.get(), None, Activation::None)
    }
}

/// Adapters by the name of the layer in the checkpoint (`bert.encoder.layer.0.attention.self.query`).
#[derive(Debug, Default)]
pub struct Adapters {
    layers: BTreeMap<String, Given>,
    /// The layers that asked for an adapter, with their inputs and outputs. Shared with what was renamed, so that one who
    /// handed out adapters learns which layers there were.
    seen: Arc<Mutex<IndexMap<String, [usize; 2]>>>,
}

/// An adapter, and what its layer was called by who gave it: what a message must say.
#[derive(Clone, Debug)]
struct Given {
    lora: Lora,
    called: String,
}

impl Adapters {
    /// Adapters of the given layers.
    #[must_use]
    pub fn new(layers: BTreeMap<String, Lora>) -> Self {
        let given = |(name, lora): (String, Lora)| (name.clone(), Given { lora, called: name });
        Self { layers: layers.into_iter().map(given).collect(), seen: Arc::default() }
    }

    /// The adapter of the layer `name`, whose sizes must fit.
    ///
    /// # Errors
    /// [`ModelError::Adapter`] when its shapes are not those of the layer.
    pub fn of(&self, name: &str, inputs: usize, outputs: usize) -> Result<Option<Lora>, ModelError> {
        self.seen().insert(name.to_owned(), [inputs, outputs]);
        let Some(Given { lora, .. }) = self.layers.get(name) else { return Ok(None) };
        let (a, b) = (lora.a.get(), lora.b.get());
        let fits = matches!((a.shape(), b.shape()), (&[rank, i], &[o, r]) if rank == r && i == inputs && o == outputs);
        if !fits {
            return Err(ModelError::Adapter(format!(
                "the layer {name} has {inputs} inputs and {outputs} outputs, its lora_A has shape {:?} and its lora_B {:?}",
                a.shape(),
                b.shape()
            )));
        }
        Ok(Some(lora.clone()))
    }

    /// The same adapters under other layer names, where one layer is called differently by different tools.
    ///
    /// # Errors
    /// [`ModelError::Adapter`] when two adapters come to the same layer.
    pub fn renamed(&self, rename: impl Fn(&str) -> String) -> Result<Self, ModelError> {
        let mut layers = BTreeMap::new();
        for (name, given) in &self.layers {
            let to = rename(name);
            if layers.insert(to.clone(), given.clone()).is_some() {
                return Err(ModelError::Adapter(format!("two adapters belong to the layer {to}")));
            }
        }
        Ok(Self { layers, seen: Arc::clone(&self.seen) })
    }

    /// Fails if an adapter belongs to no layer of the model that was loaded.
    ///
    /// # Errors
    /// [`ModelError::Adapter`] naming the layers.
    pub fn finish(&self) -> Result<(), ModelError> {
        let seen = self.seen();
        let unknown = self.layers.iter().filter(|(name, _)| !seen.contains_key(*name));
        let left: Vec<&str> = unknown.map(|(_, given)| given.called.as_str()).collect();
        if left.is_empty() {
            return Ok(());
        }
        Err(ModelError::Adapter(format!("the model has no linear layer called {}", left.join(", "))))
    }

    /// Every linear layer that was loaded with these adapters, whether it has one or not: its name, inputs and outputs, in
    /// the order of the model. Empty before an encoder is loaded. Adapters of layers under these names fit the model.
    #[must_use]
    pub fn layers_seen(&self) -> Vec<(String, usize, usize)> {
        self.seen().iter().map(|(name, &[inputs, outputs])| (name.clone(), inputs, outputs)).collect()
    }

    fn seen(&self) -> MutexGuard<'_, IndexMap<String, [usize; 2]>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `target` names `layer` as the `target_modules` of peft do: its whole name, or its last steps
/// (`query` names `bert.encoder.layer.0.attention.self.query`, `attention.self` does not).
#[must_use]
pub fn is_target(layer: &str, target: &str) -> bool {
    layer
        .strip_suffix(target)
        .is_some_and(|rest| !target.is_empty() && (rest.is_empty() || rest.ends_with('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_whole_steps_at_the_end() {
        for (layer, target, named) in [
            ("h.0.attn.c_attn", "c_attn", true),
            ("h.0.attn.c_attn", "attn.c_attn", true),
            ("h.0.attn.c_attn", "h.0.attn.c_attn", true),
            ("c_attn", "c_attn", true),
            ("h.0.attn.c_attn", "attn", false),
            ("h.0.attn.xc_attn", "c_attn", false),
            ("h.0.attn.c_attn.x", "c_attn", false),
            ("h.0.attn.c_attn", "", false),
        ] {
            assert_eq!(is_target(layer, target), named, "{target} of {layer}");
        }
    }

    #[test]
    fn layers_are_seen_through_other_names_of_the_adapters() {
        let adapters = Adapters::default();
        let inner = adapters.renamed(|name| name.replace("model.", "")).unwrap();
        for (name, outputs) in [("layer.10.query", 3), ("layer.2.query", 4), ("layer.10.query", 3)] {
            assert!(inner.of(name, 2, outputs).unwrap().is_none());
        }
        let seen = [("layer.10.query".to_owned(), 2, 3), ("layer.2.query".to_owned(), 2, 4)];
        assert_eq!(adapters.layers_seen(), seen);
        assert!(inner.finish().is_ok());
    }
}
