use celldag_shaders::ops::{Adam, Parameter, adam};
use celldag_shaders::{Device, Error, Tensor};

use super::*;
use crate::training::{FitSettings, Learned, Schedule, TrainError, Trained, fit_from};

const OF: &str = "a test";

/// Moves a few numbers towards the numbers of the cells; validation prefers an epoch in between.
struct Mover {
    device: Device,
    value: Parameter,
}

impl Mover {
    fn new(values: usize) -> Self {
        let device = Device::cpu(1).unwrap();
        let value = Parameter::new(device.upload(&[values], &vec![0.1; values]).unwrap()).unwrap();
        Self { device, value }
    }

    fn bits(&self) -> Vec<u32> {
        self.value.value().read().unwrap().into_iter().map(f32::to_bits).collect()
    }
}

impl Learner for Mover {
    type State = Tensor;
    type Error = Error;

    fn learn(&mut self, cells: &[usize], rate: f64) -> Result<Learned, Error> {
        let aim = cells.iter().sum::<usize>() as f32;
        let now = self.value.value().read()?;
        let slope: Vec<f32> = now.iter().zip(1_u8..).map(|(x, at)| x - aim / f32::from(at)).collect();
        let loss = slope.iter().map(|x| f64::from(x * x)).sum();
        let slope = self.device.upload(&[slope.len()], &slope)?;
        adam(&mut self.value, &slope, &Adam { lr: 0.3 * rate, ..Adam::default() })?;
        Ok(Learned { loss, gradient_norm: None })
    }

    fn validation_loss(&mut self) -> Result<Option<f64>, Error> {
        Ok(Some((f64::from(self.value.value().read()?[0]) - 1.5).abs()))
    }

    fn name(&self, _: usize) -> &str {
        "a cell"
    }

    fn snapshot(&self) -> Tensor {
        self.value.value().clone()
    }

    fn restore(&mut self, state: &Tensor) -> Result<(), Error> {
        self.value.set(state.clone())
    }
}

impl Resumable for Mover {
    fn save(&self) -> Result<SavedState, Error> {
        let mut saved = SavedState::default();
        saved.parameter("value", &self.value)?;
        Ok(saved)
    }

    fn load(&mut self, saved: &SavedState) -> Result<bool, Error> {
        let Some((value, state)) = saved.read_parameter("value", &self.value)? else { return Ok(false) };
        self.value.set(value)?;
        self.value.restore(state)?;
        Ok(true)
    }

    fn save_kept(&self, state: &Tensor) -> Result<SavedState, Error> {
        let mut saved = SavedState::default();
        saved.tensor("value", state)?;
        Ok(saved)
    }

    fn load_kept(&self, saved: &SavedState) -> Result<Option<Tensor>, Error> {
        saved.read_tensor("value", self.value.value())
    }
}

/// Five epochs of three batches; stops after so many events if it is told to, and gives what it could be gone on with.
fn run(learner: &mut Mover, from: Option<&[u8]>, events: Option<usize>) -> Result<Trained, Vec<u8>> {
    let settings = FitSettings {
        epochs: 5,
        batch_size: 2,
        patience: Some(3),
        schedule: Schedule::Cosine { warmup: 0.1 },
    };
    let order = |epoch: usize| (0..5).map(|cell| (cell * (epoch + 1)) % 5).collect::<Vec<_>>();
    let mut at = from.map_or_else(Progress::default, |bytes| {
        read_training(learner, bytes, OF).unwrap().expect("its own bytes")
    });
    let mut left = events;
    let result = fit_from(learner, &settings, &mut at, order, |_, _, _| {
        left = left.map(|left| left - 1);
        Ok(left != Some(0))
    });
    match result {
        Ok(trained) => Ok(trained),
        Err(TrainError::Cancelled) => Err(write_training(learner, &at, OF).unwrap().expect("a file")),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_training_from_bytes_ends_with_the_same_bits() {
    let mut undisturbed = Mover::new(3);
    let want = run(&mut undisturbed, None, None).unwrap();
    assert!((2..5).contains(&want.best_epoch), "an epoch in between: {want:?}");
    let events = 4 * want.history.len();
    for stop in 1..=events {
        let bytes = run(&mut Mover::new(3), None, Some(stop)).unwrap_err();
        let mut again = Mover::new(3);
        let got = run(&mut again, Some(&bytes), None).unwrap();
        assert_eq!((&got, again.bits()), (&want, undisturbed.bits()), "stopped after {stop} events");
    }
    // Stopped at every event.
    let mut bytes = run(&mut Mover::new(3), None, Some(1)).unwrap_err();
    let got = loop {
        let mut again = Mover::new(3);
        match run(&mut again, Some(&bytes), Some(1)) {
            Err(more) => bytes = more,
            Ok(got) => break (got, again.bits()),
        }
    };
    assert_eq!(got, (want, undisturbed.bits()));
}

#[test]
fn a_training_that_is_over_is_its_result() {
    let mut learner = Mover::new(2);
    let want = run(&mut learner, None, None).unwrap();
    let best = Some(Kept { loss: None, epoch: want.best_epoch, state: learner.snapshot() });
    let Trained { history, batch_losses, divergence, .. } = want.clone();
    let epochs = history.len();
    let over =
        Progress { epochs, history, batch_losses, divergence, best, finished: true, ..Progress::default() };
    let bytes = write_training(&learner, &over, OF).unwrap().unwrap();
    let mut again = Mover::new(2);
    assert_eq!(run(&mut again, Some(&bytes), None).unwrap(), want);
    assert_eq!(again.bits(), learner.bits());
}

#[test]
fn what_is_damaged_or_of_another_training_changes_nothing() {
    let bytes = run(&mut Mover::new(3), None, Some(6)).unwrap_err();
    let mut learner = Mover::new(3);
    let before = learner.bits();
    for length in 0..bytes.len() {
        assert!(read_training(&mut learner, &bytes[..length], OF).unwrap().is_none(), "{length} bytes");
    }
    assert!(read_training(&mut learner, &bytes, "another").unwrap().is_none());
    assert_eq!((learner.bits(), learner.value.steps()), (before, 0));
    assert!(read_training(&mut Mover::new(4), &bytes, OF).unwrap().is_none(), "another shape");
    assert!(read_training(&mut learner, &bytes, OF).unwrap().is_some());
}
