//! The training loop: batches, schedule, early stopping on validation cells, and what happens when a loss is no number.

use serde::{Deserialize, Serialize};

use super::fine_tuning::Learned;
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

    /// Loss of the validation cells; none if there are none.
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

/// Losses of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Mean loss over the batches, each before its update, weighted by cells.
    pub train_loss: f64,
    /// Loss of the validation cells after the epoch.
    pub validation_loss: Option<f64>,
}

/// The batch at which training stopped because a number was none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Divergence {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Batch in the epoch, from 1.
    pub batch: usize,
    /// What was not finite: the loss, the norm of the gradient, or the loss of the validation cells.
    pub what: String,
    /// A few cells of the batch; empty for the validation cells.
    pub cells: String,
}

impl std::fmt::Display for Divergence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { epoch, batch, what, cells } = self;
        if cells.is_empty() {
            write!(f, "{what} after epoch {epoch}")
        } else {
            write!(f, "{what} in epoch {epoch}, batch {batch} (cells {cells})")
        }
    }
}

/// What came out of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Losses by epoch.
    pub history: Vec<EpochRecord>,
    /// The epoch whose state the learner has, from 1.
    pub best_epoch: usize,
    /// Loss of every batch before its update, in order.
    pub batch_losses: Vec<f64>,
    /// Where training stopped, if it was because of a number that is none: the state is that of `best_epoch`, which was
    /// complete before.
    pub divergence: Option<Divergence>,
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

/// A complete epoch to go back to.
struct Kept<S> {
    loss: Option<f64>,
    epoch: usize,
    state: S,
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
    mut order: impl FnMut(usize) -> Vec<usize>,
    mut watch: impl FnMut(Event<'_>) -> bool,
) -> Result<Trained, TrainError<L::Error>> {
    let mut out = Trained { history: Vec::new(), best_epoch: 0, batch_losses: Vec::new(), divergence: None };
    let mut kept: Option<Kept<L::State>> = None;
    for epoch in 1..=settings.epochs {
        let order = order(epoch - 1);
        let (train_loss, divergence) = one_epoch(learner, settings, &order, epoch, &mut out, &mut watch)?;
        if divergence.is_some() {
            out.divergence = divergence;
            break;
        }
        let validation_loss = learner.validation_loss()?;
        if let Some(loss) = validation_loss.filter(|loss| !loss.is_finite()) {
            let what = format!("the loss of the validation cells became {loss}");
            let batch = order.len().div_ceil(settings.batch_size.max(1));
            out.divergence = Some(divergence_at(learner, epoch, batch, what, &[]));
            break;
        }
        let record = EpochRecord { epoch, train_loss, validation_loss };
        out.history.push(record);
        // Without validation cells the last epoch counts.
        let better = match (validation_loss, kept.as_ref().and_then(|kept| kept.loss)) {
            (Some(loss), Some(best)) => loss < best,
            _ => true,
        };
        if better {
            kept = Some(Kept { loss: validation_loss, epoch, state: learner.snapshot() });
        }
        if !watch(Event::Epoch(&record)) {
            return Err(TrainError::Cancelled);
        }
        let since = kept.as_ref().map_or(0, |kept| epoch - kept.epoch);
        if settings.patience.is_some_and(|patience| since >= patience) {
            break;
        }
    }
    match (kept, out.divergence.take()) {
        (Some(kept), divergence) => {
            learner.restore(&kept.state)?;
            (out.best_epoch, out.divergence) = (kept.epoch, divergence);
            Ok(out)
        }
        (None, Some(divergence)) => Err(TrainError::Diverged(divergence)),
        (None, None) => Ok(out),
    }
}

/// The mean loss of an epoch, or where it stopped.
fn one_epoch<L: Learner>(
    learner: &mut L,
    settings: &FitSettings,
    order: &[usize],
    epoch: usize,
    out: &mut Trained,
    watch: &mut impl FnMut(Event<'_>) -> bool,
) -> Result<(f64, Option<Divergence>), TrainError<L::Error>> {
    let batch_size = settings.batch_size.max(1);
    let steps = order.len().div_ceil(batch_size) * settings.epochs;
    let mut sum = 0.0;
    for (batch, cells) in order.chunks(batch_size).enumerate() {
        let rate = settings.schedule.factor(out.batch_losses.len(), steps);
        let Learned { loss, gradient_norm } = learner.learn(cells, rate)?;
        let what = match gradient_norm {
            _ if !loss.is_finite() => Some(format!("the loss became {loss}")),
            Some(norm) if !norm.is_finite() => Some(format!("the norm of the gradient became {norm}")),
            _ => None,
        };
        if let Some(what) = what {
            return Ok((f64::NAN, Some(divergence_at(learner, epoch, batch + 1, what, cells))));
        }
        out.batch_losses.push(loss);
        sum += loss * cells.len() as f64;
        if !watch(Event::Batch(cells.len())) {
            return Err(TrainError::Cancelled);
        }
    }
    Ok((sum / order.len().max(1) as f64, None))
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
mod tests {
    use super::*;

    /// Its state is the number of batches it has learnt from; losses are told to it.
    struct Script {
        batches: usize,
        losses: Vec<f64>,
        norms: Vec<f64>,
        validation: Vec<Option<f64>>,
        rates: Vec<f64>,
    }

    impl Learner for Script {
        type State = usize;
        type Error = std::fmt::Error;

        fn learn(&mut self, _: &[usize], rate: f64) -> Result<Learned, std::fmt::Error> {
            let at = self.batches;
            let loss = self.losses.get(at).copied().unwrap_or(1.0);
            let norm = self.norms.get(at).copied().unwrap_or(1.0);
            self.batches += usize::from(loss.is_finite() && norm.is_finite());
            self.rates.push(rate);
            Ok(Learned { loss, gradient_norm: Some(norm) })
        }
        fn validation_loss(&mut self) -> Result<Option<f64>, std::fmt::Error> {
            Ok(if self.validation.is_empty() { None } else { self.validation.remove(0) })
        }
        fn name(&self, cell: usize) -> &str {
            ["a", "b", "c", "d"][cell]
        }
        fn snapshot(&self) -> usize {
            self.batches
        }
        fn restore(&mut self, state: &usize) -> Result<(), std::fmt::Error> {
            self.batches = *state;
            Ok(())
        }
    }

    fn script(losses: &[f64], validation: &[f64]) -> Script {
        let validation = validation.iter().map(|&loss| Some(loss)).collect();
        Script { batches: 0, losses: losses.to_vec(), norms: Vec::new(), validation, rates: Vec::new() }
    }

    /// Four cells in two batches an epoch, six epochs at most.
    fn run(learner: &mut Script, patience: Option<usize>) -> Result<Trained, TrainError<std::fmt::Error>> {
        let schedule = Schedule::Linear { warmup: 0.0 };
        let settings = FitSettings { epochs: 6, batch_size: 2, patience, schedule };
        fit(learner, &settings, |_| vec![0, 1, 2, 3], |_| true)
    }

    #[test]
    fn the_best_epoch_of_the_validation_cells_is_kept() {
        let mut learner = script(&[], &[5.0, 3.0, 4.0, 3.0, 2.0, 9.0]);
        let trained = run(&mut learner, Some(2)).unwrap();
        assert_eq!((trained.best_epoch, trained.history.len()), (2, 4), "two epochs without a lower loss");
        assert_eq!(learner.batches, 4, "the state after epoch 2");
        let mut learner = script(&[], &[5.0, 3.0, 4.0, 3.0, 2.0, 9.0]);
        assert_eq!(run(&mut learner, None).unwrap().best_epoch, 5);
        let mut learner = script(&[], &[]);
        let trained = run(&mut learner, Some(1)).unwrap();
        assert_eq!((trained.best_epoch, learner.batches), (6, 12), "without validation cells the last");
        let rates: Vec<f64> = (0..12).map(|step| 1.0 - f64::from(step) / 12.0).collect();
        assert_eq!(learner.rates, rates, "down to 0 over all steps of the run");
    }

    #[test]
    fn a_number_that_is_none_ends_the_training_at_the_last_good_state() {
        // The first batch of the third epoch.
        let mut learner = script(&[1.0, 1.0, 1.0, 1.0, f64::NAN], &[2.0, 3.0]);
        let trained = run(&mut learner, None).unwrap();
        let divergence = trained.divergence.unwrap();
        assert_eq!((divergence.epoch, divergence.batch, divergence.cells.as_str()), (3, 1, "a, b"));
        assert!(divergence.what.contains("loss became NaN"), "{divergence}");
        assert_eq!((trained.best_epoch, learner.batches), (1, 2), "the best complete epoch");

        let mut learner = script(&[1.0], &[]);
        learner.norms = vec![1.0, f64::INFINITY];
        let error = run(&mut learner, None).unwrap_err();
        let TrainError::Diverged(divergence) = &error else { panic!("{error}") };
        assert_eq!((divergence.epoch, divergence.batch, divergence.cells.as_str()), (1, 2, "c, d"));
        assert!(error.to_string().contains("norm of the gradient became inf in epoch 1, batch 2"), "{error}");

        let mut learner = script(&[], &[2.0, f64::NAN]);
        let trained = run(&mut learner, None).unwrap();
        assert!(trained.divergence.unwrap().what.contains("validation cells"));
        assert_eq!((trained.best_epoch, trained.history.len()), (1, 1));
    }

    #[test]
    fn who_watches_may_stop() {
        let mut seen = 0;
        let settings = FitSettings { epochs: 6, batch_size: 2, patience: None, schedule: Schedule::Constant };
        let watch = |event: Event<'_>| {
            seen += usize::from(matches!(event, Event::Batch(2)));
            seen < 3
        };
        let error = fit(&mut script(&[], &[]), &settings, |_| vec![0, 1, 2, 3], watch).unwrap_err();
        assert!(matches!(error, TrainError::Cancelled));
        assert_eq!(seen, 3);
    }
}
