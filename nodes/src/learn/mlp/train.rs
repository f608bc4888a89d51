//! A head on fixed vectors as something that learns: batches of rows, the loss of the validation rows.

use celldag_models::training::{
    EpochRecord, Event, FitSettings, Learned, Learner, Network, Objective, Optimizer, Schedule, Trained, fit,
};
use celldag_shaders::{Device, Error as DeviceError, Tensor};

use super::data::{LabelledRows, TrainingData};

/// Rows of a forward pass without gradients; does not change results.
const FORWARD_ROWS: usize = 1024;

/// Why training stopped.
pub type TrainError = celldag_models::training::TrainError<DeviceError>;

/// How to train.
#[derive(Clone, Debug)]
pub struct TrainSettings {
    /// Most epochs.
    pub epochs: usize,
    /// Cells of an optimiser step; the last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// Stop after so many epochs without a lower validation loss; `None` never stops early.
    pub patience: Option<usize>,
}

/// Trains `network`; afterwards it holds the weights of the best epoch on the validation cells, or of the last epoch
/// when there are none; that also when a later loss is no number ([`Trained::divergence`]). `order` gives the order of the
/// training cells in each epoch (from 0); `after_epoch` is told about each epoch and returns whether to go on.
///
/// # Errors
/// [`TrainError`]. A loss that is no number ends the training; before the first epoch is complete there is nothing to keep.
pub fn train(
    device: &Device,
    network: &mut Network,
    data: &TrainingData,
    objective: &Objective,
    settings: &TrainSettings,
    order: impl FnMut(usize) -> Vec<usize>,
    mut after_epoch: impl FnMut(&EpochRecord) -> bool,
) -> Result<Trained, TrainError> {
    let TrainSettings { epochs, batch_size, patience, optimizer } = *settings;
    let mut learner = Head { device, network, data, objective, optimizer };
    let settings = FitSettings { epochs, batch_size, patience, schedule: Schedule::Constant };
    fit(&mut learner, &settings, order, |event| match event {
        Event::Batch(_) => true,
        Event::Epoch(record) => after_epoch(record),
    })
}

struct Head<'a> {
    device: &'a Device,
    network: &'a mut Network,
    data: &'a TrainingData,
    objective: &'a Objective,
    optimizer: Optimizer,
}

impl Head<'_> {
    /// Vectors and classes of some rows.
    fn upload(&self, rows: &LabelledRows, cells: &[usize]) -> Result<(Tensor, Vec<usize>), DeviceError> {
        let x = self.device.upload(&[cells.len(), rows.rows.dim], &rows.rows.gather(cells))?;
        Ok((x, cells.iter().map(|&cell| rows.class[cell]).collect()))
    }
}

impl Learner for Head<'_> {
    type State = Vec<(Tensor, Tensor)>;
    type Error = DeviceError;

    fn learn(&mut self, cells: &[usize], rate: f64) -> Result<Learned, DeviceError> {
        let (x, labels) = self.upload(self.data.train(), cells)?;
        let (device, objective) = (self.device, self.objective);
        let (loss, gradients) =
            self.network.gradients(&x, |logits| objective.evaluate(device, logits, &labels))?;
        if loss.is_finite() {
            let optimizer = self.optimizer.at_rate(rate);
            self.network.update(&gradients, |parameter, gradient| optimizer.step(parameter, gradient))?;
        }
        Ok(Learned { loss, gradient_norm: None })
    }

    fn validation_loss(&mut self) -> Result<Option<f64>, DeviceError> {
        let Some(rows) = self.data.validation() else { return Ok(None) };
        let (mut sum, mut total) = (0.0, 0.0);
        let all: Vec<usize> = (0..rows.class.len()).collect();
        for cells in all.chunks(FORWARD_ROWS) {
            let (x, labels) = self.upload(rows, cells)?;
            let logits = self.network.forward(&x)?;
            // The loss of a part is a mean over its weights, and so is that of all.
            let share = self.objective.divisor(&labels);
            sum += self.objective.evaluate(self.device, &logits, &labels)?.0 * share;
            total += share;
        }
        Ok(Some(sum / total))
    }

    fn name(&self, cell: usize) -> &str {
        &self.data.train().rows.ids[cell]
    }

    fn snapshot(&self) -> Self::State {
        self.network.snapshot()
    }

    fn restore(&mut self, state: &Self::State) -> Result<(), DeviceError> {
        self.network.restore(state)
    }
}
