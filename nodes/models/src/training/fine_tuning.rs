//! Layers of an encoder and a head on top, learning together from tokens of cells.

use celldag_shaders::ops::{self, Parameter};
use celldag_shaders::{Device, Tape, Tensor};

use super::memory::Fitting;
use super::network::Network;
use super::objective::Objective;
use super::optimizer::Optimizer;
use super::passes::LabelledTokens;
use super::tuned::{Tuned, TunedLayer};
use crate::adapter::{InputDropout, PeftLayer, Tensors, assemble};
use crate::encoder::{Batch, CellEncoder};
use crate::error::ModelError;

/// How a batch is learnt from.
#[derive(Clone, Debug, PartialEq)]
pub struct TuningSettings {
    /// The optimiser of layers and head.
    pub optimizer: Optimizer,
    /// Most norm of the gradient of all parameters together.
    pub clip: Option<f64>,
    /// Parts that a batch is computed in, one after the other: less memory, and the same gradient but for rounding.
    pub parts: usize,
    /// Dropout on what goes into adapters.
    pub dropout: f32,
    /// Seed of the dropout.
    pub seed: u64,
    /// The most bytes of tensors on the device, if it has no limit of its own.
    pub memory: Option<u64>,
    /// Compute layers twice from the start, not only when memory is short: less memory, a third more work, the same bits.
    pub recompute: bool,
}

/// What a batch said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learned {
    /// Loss before the update.
    pub loss: f64,
    /// Norm of the gradient before clipping, where it was computed.
    pub gradient_norm: Option<f64>,
}

/// Layers of an encoder that are trained, and the head on its vectors. The encoder itself is given to every call: it must be
/// the one that was loaded with the slots of these layers.
pub struct FineTuning {
    pub(super) device: Device,
    pub(super) layers: Vec<TunedLayer>,
    pub(super) head: Network,
    pub(super) objective: Objective,
    pub(super) settings: TuningSettings,
    pub(super) dropout: InputDropout,
    pub(super) steps: u64,
    pub(super) fitting: Fitting,
}

impl FineTuning {
    /// Trains `layers` of an encoder that was loaded with their slots, and `head`. `dropout` is what the adapters among them
    /// were made with.
    #[must_use]
    pub fn new(
        device: &Device,
        (layers, dropout): (Vec<TunedLayer>, InputDropout),
        head: Network,
        objective: Objective,
        settings: TuningSettings,
    ) -> Self {
        let device = device.clone();
        let fitting = Fitting::new(settings.recompute);
        Self { device, layers, head, objective, settings, dropout, steps: 0, fitting }
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> &Network {
        &self.head
    }

    /// What is trained beside the head.
    #[must_use]
    pub fn layers(&self) -> &[TunedLayer] {
        &self.layers
    }

    /// The loss.
    #[must_use]
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// The adapters, on the host.
    ///
    /// # Errors
    /// What the device reports.
    pub fn adapters(&self) -> Result<Vec<(String, PeftLayer)>, ModelError> {
        let values = |layer: &TunedLayer| Ok(layer.peft()?.map(|values| (layer.name.clone(), values)));
        self.layers.iter().filter_map(|layer| values(layer).transpose()).collect()
    }

    /// The weights that are trained as a whole, on the host, as a checkpoint has them.
    ///
    /// # Errors
    /// What the device reports.
    pub fn weights(&self) -> Result<Tensors, ModelError> {
        let weights = self.layers.iter().filter_map(|layer| layer.weight().transpose());
        assemble(weights.collect::<Result<Vec<_>, ModelError>>()?)
    }

    /// The most bytes of device memory that a pass took, weights included.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.fitting.peak
    }

    /// Whether layers were computed twice because memory was short; results do not depend on it.
    #[must_use]
    pub fn recomputed(&self) -> bool {
        self.fitting.recompute
    }

    /// Leaves out the layers that the vectors of `batch` do not depend on, such as those behind the one that is read, and
    /// gives their names.
    ///
    /// # Errors
    /// When tokens are out of range; what the device reports.
    pub fn drop_unreached(
        &mut self,
        encoder: &dyn CellEncoder,
        batch: Batch<'_>,
    ) -> Result<Vec<String>, ModelError> {
        let mut reached = vec![false; self.layers.len()];
        self.device.rehearse(|| -> Result<(), ModelError> {
            let tape = Tape::new();
            let watched = self.watch(&tape);
            let vectors = encoder.pooled(batch);
            self.settle();
            let vectors = vectors?;
            // Without any layer in reach there is nothing on the tape.
            if !vectors.is_traced() {
                return Ok(());
            }
            let gradients = tape.gradients(&vectors, &vectors.detach())?;
            let mut watched = watched.iter();
            for (reached, layer) in reached.iter_mut().zip(&self.layers) {
                let of_layer: Vec<&Tensor> = watched.by_ref().take(layer.tensors.len()).collect();
                *reached = of_layer.into_iter().all(|tensor| gradients.of(tensor).is_some());
            }
            Ok(())
        })?;
        let mut at = reached.iter();
        let (kept, left): (Vec<_>, Vec<_>) =
            self.layers.drain(..).partition(|_| at.next().copied().unwrap_or(false));
        self.layers = kept;
        Ok(left.into_iter().map(|layer| layer.name).collect())
    }

    /// Learns from a batch, with the learning rate times `rate`. Nothing changes if the loss or the gradient is no finite
    /// number.
    ///
    /// # Errors
    /// When tokens are out of range or the device fails; when a part of the batch does not fit its memory.
    pub fn learn(
        &mut self,
        encoder: &dyn CellEncoder,
        batch: LabelledTokens<'_>,
        rate: f64,
    ) -> Result<Learned, ModelError> {
        let (loss, mut gradients) = self.gradients(encoder, batch)?;
        let most = self.settings.clip.unwrap_or(f64::INFINITY);
        let norm = ops::clip_gradients(&mut gradients, most)?.read()?.first().copied().unwrap_or(0.0);
        let learned = Learned { loss, gradient_norm: Some(f64::from(norm)) };
        if !loss.is_finite() || !norm.is_finite() {
            return Ok(learned);
        }
        let optimizer = self.settings.optimizer.at_rate(rate);
        // One after the other, so that never more than one tensor is there twice and gradients go as they are used.
        let mut gradients = gradients.into_iter();
        for tuned in self.layers.iter_mut().flat_map(|layer| &mut layer.tensors) {
            if let Some(gradient) = gradients.next() {
                optimizer.step(&mut tuned.parameter, &gradient)?;
                tuned.settle();
            }
        }
        for (parameter, gradient) in self.head.parameters_mut().zip(gradients) {
            optimizer.step(parameter, &gradient)?;
        }
        self.steps += 1;
        Ok(learned)
    }

    /// Loss of cells by their vectors, row-major, without learning from them.
    ///
    /// # Errors
    /// Classes that there are not; what the device reports.
    pub fn loss(&self, vectors: &[f32], class: &[usize]) -> Result<f64, ModelError> {
        let logits = self.head.logits(&self.device, vectors)?;
        let columns = logits.first().map_or(0, Vec::len);
        let logits = self.device.upload(&[class.len(), columns], &logits.concat())?;
        Ok(self.objective.evaluate(&self.device, &logits, class)?.0)
    }

    /// Puts tensors that `tape` watches into the encoder, in the order of [`FineTuning::parameters`] without the head's.
    pub(super) fn watch(&self, tape: &Tape) -> Vec<Tensor> {
        self.tuned().map(|tuned| tuned.watch(tape)).collect()
    }

    /// Puts the present values into the encoder.
    pub(super) fn settle(&self) {
        self.tuned().for_each(Tuned::settle);
    }

    fn tuned(&self) -> impl Iterator<Item = &Tuned> {
        self.layers.iter().flat_map(|layer| &layer.tensors)
    }

    /// All that is trained: tensors of each layer (A and B of an adapter), then weight and bias of each layer of the head.
    pub fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        self.tuned().map(|tuned| &tuned.parameter).chain(self.head.parameters())
    }

    pub(super) fn parameters_mut(&mut self) -> impl Iterator<Item = &mut Parameter> {
        let tuned = self.layers.iter_mut().flat_map(|layer| &mut layer.tensors);
        tuned.map(|tuned| &mut tuned.parameter).chain(self.head.parameters_mut())
    }

    /// The present values, in the order of [`FineTuning::parameters`]; later steps leave them alone.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Tensor> {
        self.parameters().map(|parameter| parameter.value().clone()).collect()
    }

    /// Goes back to a snapshot.
    ///
    /// # Errors
    /// A snapshot of other layers.
    pub fn restore(&mut self, snapshot: &[Tensor]) -> Result<(), ModelError> {
        for (parameter, value) in self.parameters_mut().zip(snapshot) {
            parameter.set(value.clone())?;
        }
        self.settle();
        Ok(())
    }
}

impl std::fmt::Debug for FineTuning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FineTuning").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}
