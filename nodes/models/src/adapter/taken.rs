//! What a model took while it was loaded: who handed out adapters and named weights to train learns so what there was.

use std::collections::BTreeSet;

use indexmap::{IndexMap, IndexSet};

use super::targets::{Pattern, listed};
use super::trained::{Part, TrainedWeight, module_of};
use super::{Given, Saved, Slot};
use crate::error::ModelError;

#[derive(Debug, Default)]
pub(super) struct Taken {
    /// The layers that asked for an adapter, with their inputs and outputs.
    pub(super) layers: IndexMap<String, [usize; 2]>,
    /// The modules that have weights which can be trained.
    pub(super) modules: IndexSet<String>,
    /// By name and first row. A model that is loaded again puts its new slots in the places of the old.
    pub(super) weights: IndexMap<(String, usize), TrainedWeight>,
    /// Tensors that no training changes, and why.
    pub(super) constants: IndexMap<String, &'static str>,
    /// The saved tensors that stood in for those of the checkpoint.
    pub(super) replaced: BTreeSet<String>,
}

impl Taken {
    pub(super) fn trained(&mut self, name: &str, part: Part, slot: &Slot) {
        let weight = TrainedWeight { name: name.to_owned(), part, slot: slot.clone() };
        self.weights.insert((weight.name.clone(), weight.part.rows.start), weight);
    }

    /// Fails if an adapter belongs to no layer.
    pub(super) fn expect_layers<'a>(
        &self,
        adapters: impl Iterator<Item = (&'a String, &'a Given)>,
    ) -> Result<(), ModelError> {
        let mut unknown = Vec::new();
        for (name, given) in adapters {
            if !self.layers.contains_key(name) {
                unknown.push(given.called.as_str());
            } else if self.weights.values().any(|weight| weight.module() == name) {
                return Err(ModelError::Adapter(format!(
                    "the layer {} would be trained as a whole and have a low-rank adapter; name it for one of both",
                    given.called
                )));
            }
        }
        if unknown.is_empty() {
            return Ok(());
        }
        Err(ModelError::Adapter(format!("the model has no linear layer called {}", unknown.join(", "))))
    }

    /// Fails if a saved tensor is none of the model's.
    pub(super) fn expect_replaced<'a>(
        &self,
        saved: impl Iterator<Item = (&'a String, &'a Saved)>,
    ) -> Result<(), ModelError> {
        let unknown = saved.filter(|(name, _)| !self.replaced.contains(*name));
        let unknown: Vec<&str> = unknown.map(|(_, saved)| saved.called.as_str()).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        Err(ModelError::Adapter(format!(
            "it holds full weights that vectors of the model are not computed with: {}",
            unknown.join(", ")
        )))
    }

    /// Fails if a pattern names nothing that can be trained. A glob may name constants beside weights; a name may not.
    pub(super) fn expect_named(&self, patterns: &[Pattern]) -> Result<(), ModelError> {
        for pattern in patterns {
            let weights = self.weights.values().any(|weight| pattern.matches(weight.module()));
            if weights && pattern.is_glob() {
                continue;
            }
            if let Some((name, why)) = self.constants_named(pattern).next() {
                return Err(ModelError::Option(format!(
                    "`{}` names {name}, which cannot be trained: {why}",
                    pattern.text
                )));
            }
            if !weights {
                return Err(ModelError::Option(format!(
                    "`{}` is no module of the model; its modules with weights {}",
                    pattern.text,
                    listed(self.modules.iter().map(String::as_str))
                )));
            }
        }
        Ok(())
    }

    /// The constants that a pattern names, and why they are constant.
    pub(super) fn constants_named<'a>(
        &'a self,
        pattern: &'a Pattern,
    ) -> impl Iterator<Item = (&'a String, &'a &'static str)> {
        self.constants.iter().filter(|(name, _)| pattern.matches(module_of(name)))
    }
}
