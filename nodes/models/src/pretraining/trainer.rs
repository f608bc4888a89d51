//! Learning from masked cells: every weight of the model, with AdamW.

use celldag_shaders::ops::{Adam, Parameter, adamw, clip_gradients};
use celldag_shaders::{Device, Tape, Tensor};

use super::masked_lm::MaskedLm;
use super::masking::MaskedCell;
use crate::adapter::{Tensors, TrainedWeight, assemble};
use crate::error::ModelError;
use crate::training::{Fitting, Learned, SavedState};

/// How a batch is learnt from.
#[derive(Clone, Debug, PartialEq)]
pub struct PretrainSettings {
    /// AdamW. Its weight decay is not for biases and normalisations, as in transformers.
    pub adam: Adam,
    /// Most norm of the gradient of all weights together.
    pub clip: Option<f64>,
    /// Parts that a batch is computed in, one after the other: less memory, and the same gradient but for rounding.
    pub parts: usize,
    /// The most bytes of tensors on the device, if it has no limit of its own.
    pub memory: Option<u64>,
    /// Compute layers twice from the start, not only when memory is short: less memory, a third more work, the same bits.
    pub recompute: bool,
}

/// A model that learns to find hidden genes.
#[derive(Debug)]
pub struct Pretraining {
    pub(super) device: Device,
    pub(super) model: MaskedLm,
    pub(super) settings: PretrainSettings,
    pub(super) fitting: Fitting,
    weights: Vec<Weight>,
    steps: u64,
}

/// One tensor of the model, and what the optimiser remembers of it.
#[derive(Debug)]
struct Weight {
    of: TrainedWeight,
    parameter: Parameter,
    decays: bool,
}

impl Weight {
    /// Puts the present value into the model.
    fn settle(&self) {
        self.of.slot.set(self.parameter.value().clone());
    }
}

/// The values of all weights.
pub type Snapshot = Vec<Tensor>;

impl Pretraining {
    /// Trains all `weights` of `model`, which was loaded with them as slots.
    ///
    /// # Errors
    /// What the device reports.
    pub fn new(
        device: &Device,
        model: MaskedLm,
        weights: Vec<TrainedWeight>,
        settings: PretrainSettings,
    ) -> Result<Self, ModelError> {
        let weight = |of: TrainedWeight| -> Result<Weight, ModelError> {
            let decays = !(of.name.ends_with(".bias") || of.name.contains("LayerNorm"));
            Ok(Weight { parameter: Parameter::new(of.slot.get())?, decays, of })
        };
        let weights = weights.into_iter().map(weight).collect::<Result<_, _>>()?;
        let fitting = Fitting::new(settings.recompute);
        Ok(Self { device: device.clone(), model, settings, fitting, weights, steps: 0 })
    }

    /// Learns from a batch, with the learning rate times `rate`. Nothing changes if the loss or the gradient is no finite
    /// number.
    ///
    /// # Errors
    /// When tokens are out of range or the device fails; when a part of the batch does not fit its memory.
    pub fn learn(&mut self, cells: &[MaskedCell], rate: f64) -> Result<Learned, ModelError> {
        let (loss, mut gradients) = self.gradients(cells)?;
        let most = self.settings.clip.unwrap_or(f64::INFINITY);
        let norm = clip_gradients(&mut gradients, most)?.read()?.first().copied().unwrap_or(0.0);
        let learned = Learned { loss, gradient_norm: Some(f64::from(norm)) };
        if !loss.is_finite() || !norm.is_finite() {
            return Ok(learned);
        }
        let Adam { lr, weight_decay, .. } = self.settings.adam;
        // One after the other, so that never more than one weight is there twice and gradients go as they are used.
        for (weight, gradient) in self.weights.iter_mut().zip(gradients) {
            let weight_decay = if weight.decays { weight_decay } else { 0.0 };
            let adam = Adam { lr: lr * rate, weight_decay, ..self.settings.adam };
            adamw(&mut weight.parameter, &gradient, &adam)?;
            weight.settle();
        }
        self.steps += 1;
        Ok(learned)
    }

    /// Batches that were learnt from.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Names of the weights, in the order of [`Pretraining::gradients`].
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.weights.iter().map(|weight| weight.of.name.as_str())
    }

    /// The most bytes of device memory that a pass took, weights included.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.fitting.peak
    }

    /// All weights under their published names, on the host.
    ///
    /// # Errors
    /// What the device reports.
    pub fn tensors(&self) -> Result<Tensors, ModelError> {
        let values = |weight: &Weight| Ok((weight.of.clone(), weight.parameter.value().read()?));
        let values = self.weights.iter().map(values).collect::<Result<Vec<_>, ModelError>>()?;
        assemble(values.iter().map(|(of, values)| (of, values.clone())))
    }

    /// Puts tensors that `tape` watches into the model.
    pub(super) fn watch(&self, tape: &Tape) -> Vec<Tensor> {
        let watch = |weight: &Weight| {
            let watched = tape.watch(weight.parameter.value());
            weight.of.slot.set(watched.clone());
            watched
        };
        self.weights.iter().map(watch).collect()
    }

    /// Puts the present values into the model.
    pub(super) fn settle(&self) {
        self.weights.iter().for_each(Weight::settle);
    }

    /// The present values; later steps leave them alone.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.weights.iter().map(|weight| weight.parameter.value().clone()).collect()
    }

    /// Goes back to a snapshot; the optimiser's memory stays.
    ///
    /// # Errors
    /// A snapshot of another model.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<(), ModelError> {
        for (weight, value) in self.weights.iter_mut().zip(snapshot) {
            weight.parameter.set(value.clone())?;
        }
        self.settle();
        Ok(())
    }

    /// Everything that training changes.
    ///
    /// # Errors
    /// What the device reports.
    pub fn save(&self) -> Result<SavedState, ModelError> {
        let mut saved = SavedState::default();
        for weight in &self.weights {
            saved.parameter(&weight.of.name, &weight.parameter)?;
        }
        saved.numbers.insert(STEPS.to_owned(), self.steps);
        Ok(saved)
    }

    /// Goes on from a state that [`Pretraining::save`] gave, if it is one of this model; else nothing changes.
    ///
    /// # Errors
    /// What the device reports.
    pub fn load(&mut self, saved: &SavedState) -> Result<bool, ModelError> {
        let Some(&steps) = saved.numbers.get(STEPS) else { return Ok(false) };
        let read = |weight: &Weight| saved.read_parameter(&weight.of.name, &weight.parameter);
        let found = self.weights.iter().map(read).collect::<Result<Option<Vec<_>>, _>>()?;
        let Some(found) = found else { return Ok(false) };
        for (weight, (value, state)) in self.weights.iter_mut().zip(found) {
            weight.parameter.set(value)?;
            weight.parameter.restore(state)?;
        }
        self.settle();
        self.steps = steps;
        Ok(true)
    }

    /// A snapshot as bytes can hold it.
    ///
    /// # Errors
    /// What the device reports.
    pub fn save_kept(&self, snapshot: &Snapshot) -> Result<SavedState, ModelError> {
        let mut saved = SavedState::default();
        for (weight, value) in self.weights.iter().zip(snapshot) {
            saved.tensor(&weight.of.name, value)?;
        }
        Ok(saved)
    }

    /// The snapshot that [`Pretraining::save_kept`] was given, if it is one of this model.
    ///
    /// # Errors
    /// What the device reports.
    pub fn load_kept(&self, saved: &SavedState) -> Result<Option<Snapshot>, ModelError> {
        let read = |weight: &Weight| saved.read_tensor(&weight.of.name, weight.parameter.value());
        Ok(self.weights.iter().map(read).collect::<Result<Option<Vec<_>>, _>>()?)
    }
}

const STEPS: &str = "steps";
