//! Adapters of an encoder and a head on top, learning together from tokens of cells.

use celldag_shaders::ops::{self, Parameter};
use celldag_shaders::{Device, Tape, Tensor};

use super::network::Network;
use super::objective::Objective;
use super::optimizer::Optimizer;
use super::passes::LabelledTokens;
use crate::adapter::{InputDropout, Lora, PeftLayer};
use crate::encoder::{Batch, CellEncoder};
use crate::error::ModelError;

/// How a batch is learnt from.
#[derive(Clone, Debug, PartialEq)]
pub struct TuningSettings {
    /// The optimiser of adapters and head.
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

/// One layer whose adapter is trained.
#[derive(Debug)]
pub struct TunedLayer {
    /// The layer.
    pub name: String,
    lora: Lora,
    a: Parameter,
    b: Parameter,
}

impl TunedLayer {
    /// The adapter `lora` of the layer `name`, which starts at its present values.
    ///
    /// # Errors
    /// What the device reports.
    pub fn new(name: String, lora: Lora) -> Result<Self, ModelError> {
        let (a, b) = (Parameter::new(lora.a.get())?, Parameter::new(lora.b.get())?);
        Ok(Self { name, lora, a, b })
    }
}

/// Adapters of an encoder that are trained, and the head on its vectors. The encoder itself is given to every call: it must be
/// the one that was loaded with these adapters.
pub struct FineTuning {
    pub(super) device: Device,
    layers: Vec<TunedLayer>,
    pub(super) head: Network,
    pub(super) objective: Objective,
    pub(super) settings: TuningSettings,
    pub(super) dropout: InputDropout,
    pub(super) steps: u64,
    /// Segments are computed twice, since a batch did not fit otherwise.
    pub(super) recompute: bool,
    /// Passes that were cut because they did not fit.
    pub(super) halved: u64,
    pub(super) peak: u64,
}

impl FineTuning {
    /// Trains `layers` of an encoder that was loaded with their adapters, and `head`. `dropout` is what these adapters were
    /// made with.
    #[must_use]
    pub fn new(
        device: &Device,
        (layers, dropout): (Vec<TunedLayer>, InputDropout),
        head: Network,
        objective: Objective,
        settings: TuningSettings,
    ) -> Self {
        let device = device.clone();
        let recompute = settings.recompute;
        let (steps, halved, peak) = (0, 0, 0);
        Self { device, layers, head, objective, settings, dropout, steps, recompute, halved, peak }
    }

    /// The head.
    #[must_use]
    pub fn head(&self) -> &Network {
        &self.head
    }

    /// Number of layers whose adapters are trained.
    #[must_use]
    pub fn layers(&self) -> usize {
        self.layers.len()
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
        let layer = |layer: &TunedLayer| {
            let values = PeftLayer::of_tensors(layer.a.value(), layer.b.value(), layer.lora.scale)?;
            Ok((layer.name.clone(), values))
        };
        self.layers.iter().map(layer).collect()
    }

    /// The most bytes of device memory that a pass took, weights included.
    #[must_use]
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// How many passes were cut in two because they did not fit the memory. Results of such a run agree with those of one
    /// with more memory up to rounding only.
    #[must_use]
    pub fn halved(&self) -> u64 {
        self.halved
    }

    /// Whether layers were computed twice because memory was short; results do not depend on it.
    #[must_use]
    pub fn recomputed(&self) -> bool {
        self.recompute
    }

    /// Leaves out the adapters that the vectors of `batch` do not depend on, such as those of layers behind the one that is
    /// read, and gives their layers.
    ///
    /// # Errors
    /// When tokens are out of range.
    pub fn drop_unreached(
        &mut self,
        encoder: &dyn CellEncoder,
        batch: Batch<'_>,
    ) -> Result<Vec<String>, ModelError> {
        let mut reached = Vec::new();
        self.device.rehearse(|| -> Result<(), ModelError> {
            let tape = Tape::new();
            let watched = self.watch(&tape);
            let vectors = encoder.pooled(batch);
            self.settle();
            let vectors = vectors?;
            // Without any adapter in reach there is nothing on the tape.
            let Ok(gradients) = tape.gradients(&vectors, &vectors.detach()) else { return Ok(()) };
            reached =
                watched.iter().map(|[a, b]| gradients.of(a).is_some() && gradients.of(b).is_some()).collect();
            Ok(())
        })?;
        reached.resize(self.layers.len(), false);
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
    /// When tokens are out of range or the device fails; when a single cell does not fit its memory.
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
        let (of_layers, of_head) = gradients.split_at(2 * self.layers.len());
        for (layer, slopes) in self.layers.iter_mut().zip(of_layers.chunks_exact(2)) {
            optimizer.step(&mut layer.a, &slopes[0])?;
            optimizer.step(&mut layer.b, &slopes[1])?;
        }
        let of_head = of_head.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
        self.head.update(&of_head, |parameter, gradient| optimizer.step(parameter, gradient))?;
        self.settle();
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

    /// Puts tensors that `tape` watches into the adapters.
    pub(super) fn watch(&self, tape: &Tape) -> Vec<[Tensor; 2]> {
        let watch = |layer: &TunedLayer| {
            let watched = [tape.watch(layer.a.value()), tape.watch(layer.b.value())];
            layer.lora.a.set(watched[0].clone());
            layer.lora.b.set(watched[1].clone());
            watched
        };
        self.layers.iter().map(watch).collect()
    }

    /// Puts the present values into the adapters.
    pub(super) fn settle(&self) {
        for layer in &self.layers {
            layer.lora.a.set(layer.a.value().clone());
            layer.lora.b.set(layer.b.value().clone());
        }
    }

    /// The present values; later steps leave them alone.
    #[must_use]
    pub fn snapshot(&self) -> (Vec<[Tensor; 2]>, Vec<(Tensor, Tensor)>) {
        let of = |layer: &TunedLayer| [layer.a.value().clone(), layer.b.value().clone()];
        (self.layers.iter().map(of).collect(), self.head.snapshot())
    }

    /// Goes back to a snapshot.
    ///
    /// # Errors
    /// A snapshot of other layers.
    pub fn restore(
        &mut self,
        (layers, head): &(Vec<[Tensor; 2]>, Vec<(Tensor, Tensor)>),
    ) -> Result<(), ModelError> {
        for (layer, [a, b]) in self.layers.iter_mut().zip(layers) {
            layer.a.set(a.clone())?;
            layer.b.set(b.clone())?;
        }
        self.head.restore(head)?;
        self.settle();
        Ok(())
    }
}

impl std::fmt::Debug for FineTuning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FineTuning").field("layers", &self.layers.len()).finish_non_exhaustive()
    }
}
