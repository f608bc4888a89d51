//! The training loop: batches, schedule, early stopping on validation cells, and what happens when a loss is no number.

use super::fine_tuning::Learned;
use super::progress::{Divergence, EpochRecord, Kept, Progress, Trained};
use super::schedule::Schedule;

/// Something that learns from cells, which it knows by number from 0.
pub trait Learner {
    /// Everything that training changes, to go back to.
    type State;
    /// What can fail.
    type Error: std::error::Error;

    /// Learns from one batch, with the learning rate times `rate`. Changes nothing if the loss or the gradient is no finite
    /// number.
    ///
    /// # Errors
    /// Those of the learner.
    fn learn(&mut self, cells: &[usize], rate: f64) -> Result<Learned, Self::Error>;

    /// Loss of the validation cells; none if there are none. Learns nothing.
    ///
    /// # Errors
    /// Those of the learner.
    fn validation_loss(&mut self) -> Result<Option<f64>, Self::Error>;

    /// What a message calls a cell.
    fn name(&self, cell: usize) -> &str;

    /// The present state; later batches leave it alone.
    fn snapshot(&self) -> Self::State;

    /// Goes back to a state.
    ///
    /// # Errors
    /// Those of the learner.
    fn restore(&mut self, state: &Self::State) -> Result<(), Self::Error>;
}

/// How long and in which steps to train.
#[derive(Clone, Debug, PartialEq)]
pub struct FitSettings {
    /// Most epochs.
    pub epochs: usize,
    /// Cells of an optimiser step; the last batch of an epoch may be smaller.
    pub batch_size: usize,
    /// Stop after so many epochs without a lower validation loss; `None` never stops early.
    pub patience: Option<usize>,
    /// Factor of the learning rate by step.
    pub schedule: Schedule,
}

/// What has just been done.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// So many cells were learnt from.
    Batch(usize),
    /// An epoch is complete.
    Epoch(&'a EpochRecord),
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum TrainError<E: std::error::Error> {
    /// A number that is none before the first epoch was complete. The state is that from before the batch.
    #[error("training stopped: {0}; nothing was learnt before that could be kept")]
    Diverged(Divergence),
    /// The learner failed.
    #[error(transparent)]
    Failed(#[from] E),
    /// Somebody asked to stop.
    #[error("stopped")]
    Cancelled,
}

/// Trains `learner`; afterwards it has the state of the epoch with the lowest loss of the validation cells, or of the last
/// epoch when there are none. `order` gives the cells of each epoch (from 0) in their order, as many in each; `watch` hears
/// of every batch and epoch and returns whether to go on.
///
/// # Errors
/// [`TrainError`].
pub fn fit<L: Learner>(
    learner: &mut L,
    settings: &FitSettings,
    order: impl FnMut(usize) -> Vec<usize>,
    mut watch: impl FnMut(Event<'_>) -> bool,
) -> Result<Trained, TrainError<L::Error>> {
    fit_from(learner, settings, &mut Progress::default(), order, |event, _, _| Ok(watch(event)))
}

/// As [`fit`], from where `at` says that the training is; `learner` has the state that belongs to it. The result is that of a
/// training that was never interrupted, if `order` is a function of the epoch alone.
///
/// `watch` is called after every batch and epoch, with the learner and the progress of that moment: the two belong together
/// and can be written down. So they do when this returns [`TrainError::Cancelled`] or the learner failed in
/// [`Learner::validation_loss`].
///
/// # Errors
/// [`TrainError`]; those of `watch`.
pub fn fit_from<L: Learner>(
    learner: &mut L,
    settings: &FitSettings,
    at: &mut Progress<L::State>,
    mut order: impl FnMut(usize) -> Vec<usize>,
    mut watch: impl FnMut(Event<'_>, &L, &Progress<L::State>) -> Result<bool, L::Error>,
) -> Result<Trained, TrainError<L::Error>> {
    while !is_over(at, settings) {
        one_epoch(learner, settings, &order(at.epochs), at, &mut watch)?;
    }
    match (&at.best, &at.divergence) {
        (Some(kept), _) => learner.restore(&kept.state)?,
        (None, Some(divergence)) => return Err(TrainError::Diverged(divergence.clone())),
        (None, None) => {}
    }
    at.finished = true;
    Ok(at.trained())
}

fn is_over<S>(at: &Progress<S>, settings: &FitSettings) -> bool {
    let since = at.best.as_ref().map(|kept| at.epochs - kept.epoch);
    let waited = since.is_some_and(|since| settings.patience.is_some_and(|patience| since >= patience));
    at.finished || at.divergence.is_some() || at.epochs >= settings.epochs || waited
}

/// Learns from what is left of an epoch, and validates; or says where it stopped.
fn one_epoch<L: Learner>(
    learner: &mut L,
    settings: &FitSettings,
    order: &[usize],
    at: &mut Progress<L::State>,
    watch: &mut impl FnMut(Event<'_>, &L, &Progress<L::State>) -> Result<bool, L::Error>,
) -> Result<(), TrainError<L::Error>> {
    let epoch = at.epochs + 1;
    let batch_size = settings.batch_size.max(1);
    let batches = order.len().div_ceil(batch_size);
    for (batch, cells) in order.chunks(batch_size).enumerate().skip(at.batches) {
        let rate = settings.schedule.factor(at.batch_losses.len(), batches * settings.epochs);
        let Learned { loss, gradient_norm } = learner.learn(cells, rate)?;
        let what = match gradient_norm {
            _ if !loss.is_finite() => Some(format!("the loss became {loss}")),
            Some(norm) if !norm.is_finite() => Some(format!("the norm of the gradient became {norm}")),
            _ => None,
        };
        if let Some(what) = what {
            at.divergence = Some(divergence_at(learner, epoch, batch + 1, what, cells));
            return Ok(());
        }
        at.batch_losses.push(loss);
        at.loss_sum += loss * cells.len() as f64;
        at.batches = batch + 1;
        if !watch(Event::Batch(cells.len()), learner, at)? {
            return Err(TrainError::Cancelled);
        }
    }
    let train_loss = at.loss_sum / order.len().max(1) as f64;
    let validation_loss = learner.validation_loss()?;
    if let Some(loss) = validation_loss.filter(|loss| !loss.is_finite()) {
        let what = format!("the loss of the validation cells became {loss}");
        at.divergence = Some(divergence_at(learner, epoch, batches, what, &[]));
        return Ok(());
    }
    let record = EpochRecord { epoch, train_loss, validation_loss };
    // Without validation cells the last epoch counts.
    let better = match (validation_loss, at.best.as_ref().and_then(|kept| kept.loss)) {
        (Some(loss), Some(best)) => loss < best,
        _ => true,
    };
    if better {
        at.best = Some(Kept { loss: validation_loss, epoch, state: learner.snapshot() });
    }
    at.history.push(record);
    (at.epochs, at.batches, at.loss_sum) = (epoch, 0, 0.0);
    if !watch(Event::Epoch(&record), learner, at)? {
        return Err(TrainError::Cancelled);
    }
    Ok(())
}

fn divergence_at<L: Learner>(
    learner: &L,
    epoch: usize,
    batch: usize,
    what: String,
    cells: &[usize],
) -> Divergence {
    let names: Vec<&str> = cells.iter().take(3).map(|&cell| learner.name(cell)).collect();
    let more = if cells.len() > names.len() { " ..." } else { "" };
    Divergence { epoch, batch, what, cells: format!("{}{more}", names.join(", ")) }
}

#[cfg(test)]
mod tests;
