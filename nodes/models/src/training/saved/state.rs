//! What a learner is, on the host.

use std::collections::BTreeMap;

use celldag_shaders::ops::{OptimiserState, Parameter};
use celldag_shaders::{Result, Tensor};

/// Values of a tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedTensor {
    /// Extents.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// Tensors and whole numbers by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SavedState {
    /// Tensors by name.
    pub tensors: BTreeMap<String, SavedTensor>,
    /// Whole numbers by name.
    pub numbers: BTreeMap<String, u64>,
}

impl SavedState {
    /// Adds values.
    ///
    /// # Errors
    /// What the device reports.
    pub fn tensor(&mut self, name: &str, tensor: &Tensor) -> Result<()> {
        let saved = SavedTensor { shape: tensor.shape().to_vec(), values: tensor.read()? };
        self.tensors.insert(name.to_owned(), saved);
        Ok(())
    }

    /// Adds a parameter with what its optimiser remembers.
    ///
    /// # Errors
    /// What the device reports.
    pub fn parameter(&mut self, name: &str, parameter: &Parameter) -> Result<()> {
        let OptimiserState { steps, first, second } = parameter.state();
        self.tensor(name, parameter.value())?;
        for (moment, tensor) in [("first", first), ("second", second)] {
            if let Some(tensor) = tensor {
                self.tensor(&format!("{name}/{moment}"), &tensor)?;
            }
        }
        self.numbers.insert(format!("{name}/steps"), steps.into());
        Ok(())
    }

    /// The tensor of this name on the device of `like`; none if there is none, or not of its shape.
    ///
    /// # Errors
    /// What the device reports.
    pub fn read_tensor(&self, name: &str, like: &Tensor) -> Result<Option<Tensor>> {
        match self.tensors.get(name) {
            Some(SavedTensor { shape, values }) if shape == like.shape() => {
                like.device().upload(shape, values).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Values and optimiser's memory of the parameter of this name, for one such as `like`; none if it is not here, or another.
    ///
    /// # Errors
    /// What the device reports.
    pub fn read_parameter(&self, name: &str, like: &Parameter) -> Result<Option<(Tensor, OptimiserState)>> {
        let Some(value) = self.read_tensor(name, like.value())? else { return Ok(None) };
        let moment = |moment| self.read_tensor(&format!("{name}/{moment}"), like.value());
        let (first, second) = (moment("first")?, moment("second")?);
        let steps = self.numbers.get(&format!("{name}/steps")).and_then(|&steps| u32::try_from(steps).ok());
        let Some(steps) = steps.filter(|&steps| steps == 0 || first.is_some() || second.is_some()) else {
            return Ok(None);
        };
        Ok(Some((value, OptimiserState { steps, first, second })))
    }
}
