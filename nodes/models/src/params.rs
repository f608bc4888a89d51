//! Paths into the tensors of a checkpoint: `params.at("encoder").at("layer").at(0).tensor("weight", ...)`.

use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use celldag_data::checkpoint::{Stored, Weights};
use celldag_shaders::{Device, Element, Tensor};

use crate::adapter::{Adapters, Lora, Part, Slot, module_of};
use crate::error::ModelError;

/// A place in the tensor names of a checkpoint, and the device that the tensors go to.
#[derive(Clone, Debug)]
pub struct Params<'a> {
    weights: &'a Weights,
    device: &'a Device,
    adapters: Option<&'a Adapters>,
    taken: Arc<AtomicUsize>,
    path: String,
}

impl<'a> Params<'a> {
    /// The root of all names.
    #[must_use]
    pub fn new(weights: &'a Weights, device: &'a Device) -> Self {
        Self { weights, device, adapters: None, taken: Arc::default(), path: String::new() }
    }

    /// With adapters for the linear layers below, and what else is laid over the weights.
    #[must_use]
    pub fn adapted(self, adapters: &'a Adapters) -> Self {
        Self { adapters: Some(adapters), ..self }
    }

    /// One step down: `at("layer").at(3)` is `layer.3`.
    #[must_use]
    pub fn at(&self, part: impl Display) -> Self {
        Self { path: self.name(part), ..self.clone() }
    }

    /// The full name of a tensor here.
    #[must_use]
    pub fn name(&self, part: impl Display) -> String {
        if self.path.is_empty() { part.to_string() } else { format!("{}.{part}", self.path) }
    }

    /// The device that tensors are uploaded to.
    #[must_use]
    pub fn device(&self) -> &'a Device {
        self.device
    }

    /// The adapter of the linear layer here, if there is one.
    ///
    /// # Errors
    /// When its shapes are not those of the layer.
    pub fn lora(&self, inputs: usize, outputs: usize) -> Result<Option<Lora>, ModelError> {
        self.adapters.map_or(Ok(None), |adapters| adapters.of(&self.path, inputs, outputs))
    }

    /// Values of a tensor of exactly this shape, on the host.
    ///
    /// # Errors
    /// When the tensor is missing or has another shape; the message holds its full name.
    pub fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let values = match self.replacement(name, shape)? {
            Some(values) => values,
            None => self.weights.take(&self.name(name), shape)?,
        };
        self.taken.fetch_add(values.len(), Ordering::Relaxed);
        Ok(values)
    }

    /// The values that stand in for those of the checkpoint, which must have the tensor too.
    fn replacement(&self, name: &str, shape: &[usize]) -> Result<Option<Vec<f32>>, ModelError> {
        let Some(adapters) = self.adapters else { return Ok(None) };
        let Some(tensor) = adapters.replacement(&self.name(name), shape)? else { return Ok(None) };
        self.leave(name, shape)?;
        Ok(Some(tensor.1.clone()))
    }

    /// Whether the checkpoint has a tensor of this name here.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.weights.contains(&self.name(name))
    }

    /// Shape of a tensor here, if there is one: what a checkpoint without a configuration is known by.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&'a [usize]> {
        self.weights.shape(&self.name(name))
    }

    /// Counts a tensor of exactly this shape as taken without reading it: its rows are read when they are needed.
    ///
    /// # Errors
    /// As [`Params::values`].
    pub fn leave(&self, name: &str, shape: &[usize]) -> Result<(), ModelError> {
        let full = self.name(name);
        if self.weights.shape(&full) == Some(shape) {
            self.weights.skip(&full);
        } else {
            self.weights.take_stored(&full, shape)?;
        }
        Ok(())
    }

    /// The layers 0, 1, ... below this place, each from its number and place. Where the file has fewer than `count`, the first
    /// that is missing is asked for and no other: how many there should be is only a number in a configuration.
    ///
    /// # Errors
    /// Those of `load`.
    pub fn layers<T>(
        &self,
        count: usize,
        load: impl Fn(usize, &Self) -> Result<T, ModelError>,
    ) -> Result<Vec<T>, ModelError> {
        let mut layers = Vec::new();
        for index in 0..count {
            let place = self.at(index);
            layers.push(load(index, &place)?);
            if !self.weights.has_prefix(&format!("{}.", place.path)) {
                break;
            }
        }
        Ok(layers)
    }

    /// Some rows of a tensor `[rows, columns]`, on the host. They do not count among the values taken: the whole tensor does.
    ///
    /// # Errors
    /// When the tensor is missing or has fewer rows.
    pub fn rows(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>, ModelError> {
        if let (true, Some(&[count, columns])) = (self.is_replaced(name), self.shape(name))
            && let Some(values) = self.replacement(name, &[count, columns])?
            && let Some(part) = values.get(rows.start * columns..rows.end * columns)
        {
            return Ok(part.to_vec());
        }
        Ok(self.weights.rows(&self.name(name), rows)?)
    }

    /// Number of values taken so far from the root of this place.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether the tensor is trained: the patterns of the adapters name its module. A model that keeps a tensor in another form
    /// than the checkpoint asks, and then keeps it as it is.
    #[must_use]
    pub fn trains(&self, name: &str) -> bool {
        self.adapters.is_some_and(|adapters| adapters.trains(module_of(&self.name(name))))
    }

    /// Whether other values stand in for those of the checkpoint.
    #[must_use]
    pub fn is_replaced(&self, name: &str) -> bool {
        self.adapters.is_some_and(|adapters| adapters.replaces(&self.name(name)))
    }

    /// The weight of a matrix product or a table of embeddings, on the device in the precision in which the checkpoint
    /// keeps it: 16-bit weights stay small, and are widened, exactly, where they are multiplied. A weight that is trained is f32.
    ///
    /// # Errors
    /// As [`Params::values`], or what the device reports.
    pub fn weight(&self, name: &str, shape: &[usize]) -> Result<Slot, ModelError> {
        self.held(name, Part::whole(shape), shape, self.stored(name, shape)?)
    }

    /// A tensor of exactly this shape, on the device in f32.
    ///
    /// # Errors
    /// As [`Params::values`], or what the device reports.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Result<Slot, ModelError> {
        self.held(name, Part::whole(shape), shape, Stored::F32(self.values(name, shape)?))
    }

    /// A tensor of exactly this shape that no training changes, on the device in f32: a buffer of the published model, such as
    /// its random features. `why` is said to one who wants to train it.
    ///
    /// # Errors
    /// As [`Params::values`], or what the device reports.
    pub fn constant(&self, name: &str, shape: &[usize], why: &'static str) -> Result<Tensor, ModelError> {
        self.note_constant(name, why);
        Ok(self.device.upload(shape, &self.values(name, shape)?)?)
    }

    /// Notes that no training changes a tensor, and why.
    pub(crate) fn note_constant(&self, name: &str, why: &'static str) {
        if let Some(adapters) = self.adapters {
            adapters.took_constant(&self.name(name), why);
        }
    }

    /// The values of a tensor of exactly this shape in the precision of the checkpoint, on the host: for weights that are cut
    /// or turned before they are uploaded by [`Params::held`].
    pub(crate) fn stored(&self, name: &str, shape: &[usize]) -> Result<Stored, ModelError> {
        let stored = match self.replacement(name, shape)? {
            Some(values) => Stored::F32(values),
            None => self.weights.take_stored(&self.name(name), shape)?,
        };
        self.taken.fetch_add(stored.len(), Ordering::Relaxed);
        Ok(stored)
    }

    /// Puts the part `part` of a tensor onto the device, with the shape that the model wants it in. If the tensor is trained, in
    /// f32, and so that training finds it.
    pub(crate) fn held(
        &self,
        name: &str,
        part: Part,
        shape: &[usize],
        values: Stored,
    ) -> Result<Slot, ModelError> {
        let Some(adapters) = self.adapters.filter(|_| self.trains(name)) else {
            return Ok(Slot::new(self.upload(shape, values)?));
        };
        let slot = Slot::new(self.device.upload(shape, &values.widen())?);
        adapters.took(&self.name(name), part, &slot);
        Ok(slot)
    }

    fn upload(&self, shape: &[usize], values: Stored) -> Result<Tensor, ModelError> {
        Ok(match values {
            Stored::F16(bits) => self.device.upload_half(shape, Element::F16, &bits)?,
            Stored::Bf16(bits) => self.device.upload_half(shape, Element::Bf16, &bits)?,
            wide => self.device.upload(shape, &wide.widen())?,
        })
    }
}
