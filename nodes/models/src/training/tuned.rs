//! Layers of an encoder that training changes: by an adapter, or as they are.

use celldag_shaders::ops::Parameter;
use celldag_shaders::{Tape, Tensor};

use crate::adapter::{Lora, PeftLayer, Slot, TrainedWeight};
use crate::error::ModelError;

/// One tensor of an encoder: where the encoder takes it from, and its values with what the optimiser remembers of them.
#[derive(Debug)]
pub(super) struct Tuned {
    slot: Slot,
    pub(super) parameter: Parameter,
}

impl Tuned {
    fn new(slot: &Slot) -> Result<Self, ModelError> {
        Ok(Self { slot: slot.clone(), parameter: Parameter::new(slot.get())? })
    }

    /// Puts a tensor that `tape` watches into the encoder.
    pub(super) fn watch(&self, tape: &Tape) -> Tensor {
        let watched = tape.watch(self.parameter.value());
        self.slot.set(watched.clone());
        watched
    }

    /// Puts the present values into the encoder.
    pub(super) fn settle(&self) {
        self.slot.set(self.parameter.value().clone());
    }
}

#[derive(Debug)]
enum What {
    /// A and B of an adapter.
    Adapter { scale: f32 },
    /// One weight as it is.
    Whole(TrainedWeight),
}

/// What is trained of one layer: its adapter, or one of its weights.
#[derive(Debug)]
pub struct TunedLayer {
    pub(super) name: String,
    what: What,
    pub(super) tensors: Vec<Tuned>,
}

impl TunedLayer {
    /// The adapter `lora` of the layer `name`, which starts at its present values.
    ///
    /// # Errors
    /// What the device reports.
    pub fn adapter(name: String, lora: &Lora) -> Result<Self, ModelError> {
        let tensors = vec![Tuned::new(&lora.a)?, Tuned::new(&lora.b)?];
        Ok(Self { name, what: What::Adapter { scale: lora.scale }, tensors })
    }

    /// A weight of the encoder, which starts at its present values.
    ///
    /// # Errors
    /// What the device reports.
    pub fn whole(weight: TrainedWeight) -> Result<Self, ModelError> {
        let tensors = vec![Tuned::new(&weight.slot)?];
        Ok(Self { name: weight.name.clone(), what: What::Whole(weight), tensors })
    }

    /// Name of the layer, or of the tensor of a weight.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is an adapter.
    #[must_use]
    pub fn is_adapter(&self) -> bool {
        matches!(self.what, What::Adapter { .. })
    }

    /// The adapter's values, on the host; none of a weight.
    pub(super) fn peft(&self) -> Result<Option<PeftLayer>, ModelError> {
        match (&self.what, self.tensors.as_slice()) {
            (What::Adapter { scale }, [a, b]) => {
                PeftLayer::of_tensors(a.parameter.value(), b.parameter.value(), *scale).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The weight with its values, on the host; none of an adapter.
    pub(super) fn weight(&self) -> Result<Option<(&TrainedWeight, Vec<f32>)>, ModelError> {
        match (&self.what, self.tensors.as_slice()) {
            (What::Whole(weight), [tuned]) => Ok(Some((weight, tuned.parameter.value().read()?))),
            _ => Ok(None),
        }
    }
}
