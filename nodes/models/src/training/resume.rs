//! A fine-tuning as something that is written down and gone on with.

use celldag_shaders::Tensor;

use super::fine_tuning::FineTuning;
use super::saved::SavedState;
use crate::error::ModelError;

/// Optimiser steps taken, which choose the noise of the next.
const STEPS: &str = "steps";

impl FineTuning {
    /// All that training changes, with what the optimiser remembers.
    ///
    /// # Errors
    /// What the device reports.
    pub fn save(&self) -> Result<SavedState, ModelError> {
        let mut saved = SavedState::default();
        for (name, parameter) in self.names().iter().zip(self.parameters()) {
            saved.parameter(name, parameter)?;
        }
        saved.numbers.insert(STEPS.to_owned(), self.steps);
        Ok(saved)
    }

    /// Becomes what was saved; false, and nothing changes, if that is of other layers.
    ///
    /// # Errors
    /// What the device reports.
    pub fn load(&mut self, saved: &SavedState) -> Result<bool, ModelError> {
        let Some(&steps) = saved.numbers.get(STEPS) else { return Ok(false) };
        let mut read = Vec::new();
        for (name, parameter) in self.names().iter().zip(self.parameters()) {
            match saved.read_parameter(name, parameter)? {
                Some(found) => read.push(found),
                None => return Ok(false),
            }
        }
        for (parameter, (value, state)) in self.parameters_mut().zip(read) {
            parameter.set(value)?;
            parameter.restore(state)?;
        }
        self.steps = steps;
        self.settle();
        Ok(true)
    }

    /// A state of [`FineTuning::snapshot`].
    ///
    /// # Errors
    /// What the device reports.
    pub fn save_kept(&self, snapshot: &[Tensor]) -> Result<SavedState, ModelError> {
        let mut saved = SavedState::default();
        for (name, tensor) in self.names().iter().zip(snapshot) {
            saved.tensor(name, tensor)?;
        }
        Ok(saved)
    }

    /// The snapshot that was saved; none if it is of other layers.
    ///
    /// # Errors
    /// What the device reports.
    pub fn load_kept(&self, saved: &SavedState) -> Result<Option<Vec<Tensor>>, ModelError> {
        let names = self.names();
        let read = names.iter().zip(self.parameters());
        let read = read.map(|(name, parameter)| saved.read_tensor(name, parameter.value()));
        Ok(read.collect::<Result<Option<Vec<Tensor>>, _>>()?)
    }

    /// A name of each parameter. The number tells parts of one tensor apart.
    fn names(&self) -> Vec<String> {
        let tensors = self.layers.iter().flat_map(|layer| layer.tensors.iter().map(|_| &layer.name));
        let of_layers = tensors.enumerate().map(|(at, name)| format!("layers/{at}/{name}"));
        let of_head = (0..self.head.parameters().count()).map(|at| format!("head/{at}"));
        of_layers.chain(of_head).collect()
    }
}
