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

/// Stops the script after so many events, goes on from a copy of what it was, and compares with a run that was never stopped.
#[test]
fn a_training_goes_on_where_it_was_stopped() {
    let validation = [5.0, 3.0, 4.0, 3.5, 3.4, 3.3];
    let settings = FitSettings {
        epochs: 6,
        batch_size: 3,
        patience: Some(2),
        schedule: Schedule::Linear { warmup: 0.2 },
    };
    let order = |epoch: usize| (0..4).map(|cell| (cell + epoch) % 4).collect::<Vec<_>>();
    let losses: Vec<f64> = (0..12).map(|batch| 1.0 / f64::from(batch + 3)).collect();
    let mut undisturbed = script(&losses, &validation);
    let want = fit(&mut undisturbed, &settings, order, |_| true).unwrap();
    assert_eq!((want.best_epoch, want.history.len()), (2, 4));
    // Two batches and the end of each of four epochs.
    for events in 1..=12 {
        let mut first = script(&losses, &validation);
        let mut at = Progress::default();
        let mut left = events;
        let stopped = fit_from(&mut first, &settings, &mut at, order, |_, learner, progress| {
            assert_eq!(learner.batches, progress.batch_losses.len(), "they belong together");
            left -= 1;
            Ok(left > 0)
        });
        assert!(matches!(stopped, Err(TrainError::Cancelled)));
        let mut second = script(&losses, &validation[at.epochs..]);
        second.batches = first.batches;
        let got = fit_from(&mut second, &settings, &mut at, order, |_, _, _| Ok(true)).unwrap();
        assert_eq!((&got, second.batches), (&want, undisturbed.batches), "after {events} events");
        assert_eq!([first.rates, second.rates].concat(), undisturbed.rates);
        // A training that is over stays as it is.
        assert!(at.finished);
        let mut third = script(&losses, &[]);
        assert_eq!(fit_from(&mut third, &settings, &mut at, order, |_, _, _| Ok(true)).unwrap(), want);
        assert_eq!((third.batches, third.rates.len()), (undisturbed.batches, 0));
    }
}
