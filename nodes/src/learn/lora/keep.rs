//! What is kept of a run, so that it goes on where it was stopped: how far the fold in training is, and the result of every
//! fold that is trained.

use celldag_engine::{Resume, Step};
use celldag_models::training::{Progress, read_training, write_training};
use celldag_shaders::{Device, Tensor};

use super::learner::Tuned;
use crate::embed::failure::Failure;
use crate::learn::fold::fold_name;

/// What the state of a training in progress is called.
const NOW: &str = "state";

/// Where one fold is kept.
pub(super) struct Keeper<'a> {
    resume: Option<&'a Resume<'a>>,
    machine: String,
    fold: (u32, u32),
}

impl<'a> Keeper<'a> {
    /// For one fold of a step.
    pub(super) fn new(step: &'a Step<'_>, device: &Device, fold: (u32, u32)) -> Self {
        Self { resume: step.resume(), machine: device.info().machine(), fold }
    }

    /// What the fold's result is called.
    fn name(&self) -> String {
        let (repeat, fold) = self.fold;
        format!("repeat{repeat}.fold{fold}")
    }

    /// What a state says it is of.
    fn of(&self) -> String {
        format!("lora-train {}", self.name())
    }

    /// How far the fold is; `learner` becomes what it was then. What does not fit begins anew.
    pub(super) fn load(
        &self,
        step: &Step<'_>,
        learner: &mut Tuned<'_, '_>,
    ) -> Result<Progress<Vec<Tensor>>, Failure> {
        let Some(resume) = self.resume else { return Ok(Progress::default()) };
        for name in [self.name().as_str(), NOW] {
            let Some(bytes) = resume.load(name, &self.machine) else { continue };
            if let Some(at) = read_training(learner, &bytes, &self.of())? {
                let fold = fold_name(self.fold.0, self.fold.1);
                let place = if at.finished {
                    format!("behind {fold}")
                } else {
                    format!("{fold}, epoch {}, batch {}", at.epochs + 1, at.batches + 1)
                };
                step.execution("resumed_at", place);
                return Ok(at);
            }
            tracing::debug!(name, "what was kept is no state of this fold");
        }
        Ok(Progress::default())
    }

    /// Whether it is time to save.
    pub(super) fn is_due(&self) -> bool {
        self.resume.is_some_and(Resume::due)
    }

    /// Keeps how far the fold is, or its result.
    pub(super) fn save(&self, learner: &Tuned<'_, '_>, at: &Progress<Vec<Tensor>>) -> Result<(), Failure> {
        let Some(resume) = self.resume else { return Ok(()) };
        if let Some(bytes) = write_training(learner, at, &self.of())? {
            let name = if at.finished { self.name() } else { NOW.to_owned() };
            resume.save(&name, &self.machine, &bytes);
        }
        Ok(())
    }
}
