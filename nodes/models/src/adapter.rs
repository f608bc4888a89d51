//! What is laid over a loaded model: low-rank adapters of its linear layers (LoRA: Hu et al. 2021, arXiv 2106.09685), weights
//! that stand in for those of the checkpoint, and which weights are trained.

mod dropout;
mod initial;
mod lora;
mod peft;
mod peft_config;
mod peft_names;
mod slot;
mod taken;
mod targets;
mod trained;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use dropout::{InputDropout, LayerRows, Noise};
pub use initial::initial_lora;
pub use lora::Lora;
pub use peft::{PeftAdapter, PeftLayer, is_peft_folder};
pub use slot::Slot;
pub use targets::chosen_layers;
pub(crate) use trained::module_of;
pub use trained::{Part, Shaped, Tensors, TrainedWeight, assemble};

use self::taken::Taken;
use self::targets::Pattern;
use crate::error::ModelError;

/// What a model is loaded with besides its checkpoint, by the names of layers and tensors in it
/// (`bert.encoder.layer.0.attention.self.query`), and the account of what the model took.
#[derive(Debug, Default)]
pub struct Adapters {
    layers: BTreeMap<String, Given>,
    saved: BTreeMap<String, Saved>,
    patterns: Arc<[Pattern]>,
    /// Shared with what was renamed, so that one who handed out adapters learns what there was.
    taken: Arc<Mutex<Taken>>,
}

/// An adapter, and what its layer was called by who gave it: what a message must say.
#[derive(Clone, Debug)]
struct Given {
    lora: Lora,
    called: String,
}

/// A tensor in place of the checkpoint's.
#[derive(Clone, Debug)]
struct Saved {
    tensor: Arc<Shaped>,
    called: String,
}

impl Adapters {
    /// Adapters of the given layers.
    #[must_use]
    pub fn new(layers: BTreeMap<String, Lora>) -> Self {
        let given = |(name, lora): (String, Lora)| (name.clone(), Given { lora, called: name });
        Self { layers: layers.into_iter().map(given).collect(), ..Self::default() }
    }

    /// With tensors that replace those of the same names and shapes in the checkpoint.
    #[must_use]
    pub fn with_saved(self, tensors: Tensors) -> Self {
        let saved = |(name, tensor): (String, _)| {
            let saved = Saved { tensor: Arc::new(tensor), called: name.clone() };
            (name, saved)
        };
        Self { saved: tensors.into_iter().map(saved).collect(), ..self }
    }

    /// The same, and the weights of the modules that `patterns` name are trained as a whole. A pattern is a module's name in
    /// the checkpoint or its end behind a dot (`query`), or one for the whole name in which `*` stands for any text
    /// (`*.layer.5.*`); it means all tensors directly in that module. Whether there is such a module shows when a model is loaded.
    ///
    /// # Errors
    /// [`ModelError::Option`] when a pattern is too large.
    pub fn training(self, patterns: &[String]) -> Result<Self, ModelError> {
        let patterns = patterns.iter().map(|text| Pattern::new(text)).collect::<Result<_, _>>()?;
        Ok(Self { patterns, ..self })
    }

    /// The weights that are trained as a whole, in the order in which the model took them. Empty before an encoder is loaded.
    #[must_use]
    pub fn trained(&self) -> Vec<TrainedWeight> {
        self.taken().weights.values().cloned().collect()
    }

    /// Tensors that a pattern with `*` names although no training changes them, and why: constants of the published model.
    #[must_use]
    pub fn passed_over(&self) -> Vec<(String, &'static str)> {
        let taken = self.taken();
        let mut all: Vec<_> = self
            .patterns
            .iter()
            .flat_map(|pattern| taken.constants_named(pattern))
            .map(|(name, why)| (name.clone(), *why))
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// The adapter of the layer `name`, whose sizes must fit.
    ///
    /// # Errors
    /// [`ModelError::Adapter`] when its shapes are not those of the layer.
    pub fn of(&self, name: &str, inputs: usize, outputs: usize) -> Result<Option<Lora>, ModelError> {
        self.taken().layers.insert(name.to_owned(), [inputs, outputs]);
        let Some(Given { lora, .. }) = self.layers.get(name) else { return Ok(None) };
        let (a, b) = (lora.a.shape(), lora.b.shape());
        let fits = matches!((a, b), (&[rank, i], &[o, r]) if rank == r && i == inputs && o == outputs);
        if !fits {
            return Err(ModelError::Adapter(format!(
                "the layer {name} has {inputs} inputs and {outputs} outputs, its lora_A has shape {a:?} and its lora_B {b:?}"
            )));
        }
        Ok(Some(lora.clone()))
    }

    /// Whether the weights of a module are trained, which is noted as one that can be.
    pub(crate) fn trains(&self, module: &str) -> bool {
        let named = self.patterns.iter().any(|pattern| pattern.matches(module));
        self.taken().modules.insert(module.to_owned());
        named
    }

    /// Notes where the part `part` of a trained tensor is.
    pub(crate) fn took(&self, name: &str, part: Part, slot: &Slot) {
        self.taken().trained(name, part, slot);
    }

    /// Notes a tensor that no training changes, and why.
    pub(crate) fn took_constant(&self, name: &str, why: &'static str) {
        self.taken().constants.insert(name.to_owned(), why);
    }

    /// Whether a tensor replaces that of the checkpoint.
    pub(crate) fn replaces(&self, name: &str) -> bool {
        self.saved.contains_key(name)
    }

    /// The tensor that replaces that of the checkpoint, if there is one.
    ///
    /// # Errors
    /// [`ModelError::Adapter`] when it has another shape.
    pub(crate) fn replacement(&self, name: &str, shape: &[usize]) -> Result<Option<Arc<Shaped>>, ModelError> {
        let Some(Saved { tensor, called }) = self.saved.get(name) else { return Ok(None) };
        self.taken().replaced.insert(name.to_owned());
        let found = &tensor.0;
        if found != shape || tensor.1.len() != shape.iter().product::<usize>() {
            return Err(ModelError::Adapter(format!(
                "its full weight {called} has the shape {found:?}, that of the model {shape:?}"
            )));
        }
        Ok(Some(Arc::clone(tensor)))
    }

    /// The same under other names, where one layer or tensor is called differently by different tools.
    ///
    /// # Errors
    /// [`ModelError::Adapter`] when two come to the same name.
    pub fn renamed(&self, rename: impl Fn(&str) -> String) -> Result<Self, ModelError> {
        let layers = renamed(&self.layers, &rename, "adapters belong to the layer")?;
        let saved = renamed(&self.saved, &rename, "full weights belong to the tensor")?;
        let (patterns, taken) = (Arc::clone(&self.patterns), Arc::clone(&self.taken));
        Ok(Self { layers, saved, patterns, taken })
    }

    /// Fails if an adapter belongs to no layer of the model that was loaded, a full weight replaces none of it, or what is to
    /// be trained is not there.
    ///
    /// # Errors
    /// [`ModelError::Adapter`] or [`ModelError::Option`] with the names.
    pub fn finish(&self) -> Result<(), ModelError> {
        let taken = self.taken();
        taken.expect_layers(self.layers.iter())?;
        taken.expect_replaced(self.saved.iter())?;
        taken.expect_named(&self.patterns)
    }

    /// Every linear layer that was loaded with these adapters, whether it has one or not: its name, inputs and outputs, in
    /// the order of the model. Empty before an encoder is loaded. Adapters of layers under these names fit the model.
    #[must_use]
    pub fn layers_seen(&self) -> Vec<(String, usize, usize)> {
        let taken = self.taken();
        taken.layers.iter().map(|(name, &[inputs, outputs])| (name.clone(), inputs, outputs)).collect()
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn renamed<T: Clone>(
    all: &BTreeMap<String, T>,
    rename: &impl Fn(&str) -> String,
    what: &str,
) -> Result<BTreeMap<String, T>, ModelError> {
    let mut out = BTreeMap::new();
    for (name, one) in all {
        let to = rename(name);
        if out.insert(to.clone(), one.clone()).is_some() {
            return Err(ModelError::Adapter(format!("two {what} {to}")));
        }
    }
    Ok(out)
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
