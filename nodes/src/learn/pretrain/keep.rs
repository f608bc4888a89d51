//! What is kept of a training, so that it goes on where it was stopped.

use celldag_engine::{Resume, Step};
use celldag_models::pretraining::Snapshot;
use celldag_models::training::{Progress, read_training, write_training};
use celldag_shaders::Device;

use super::learner::MaskedCells;
use crate::embed::failure::Failure;

const STATE: &str = "state";
/// What the state says it is of.
const OF: &str = "pretrain";

/// Where the training is kept.
pub(super) struct Keeper<'a> {
    resume: Option<&'a Resume<'a>>,
    machine: String,
}

impl<'a> Keeper<'a> {
    /// For a step.
    pub(super) fn new(step: &'a Step<'_>, device: &Device) -> Self {
        Self { resume: step.resume(), machine: device.info().machine() }
    }

    /// How far the training is; `learner` becomes what it was then. What does not fit begins anew.
    pub(super) fn load(
        &self,
        step: &Step<'_>,
        learner: &mut MaskedCells<'_>,
    ) -> Result<Progress<Snapshot>, Failure> {
        let kept = self.resume.and_then(|resume| resume.load(STATE, &self.machine));
        let Some(bytes) = kept else { return Ok(Progress::default()) };
        let Some(at) = read_training(learner, &bytes, OF)? else {
            tracing::debug!("what was kept is no state of this training");
            return Ok(Progress::default());
        };
        step.execution("resumed_at", format!("epoch {}, batch {}", at.epochs + 1, at.batches + 1));
        Ok(at)
    }

    /// Whether it is time to save.
    pub(super) fn is_due(&self) -> bool {
        self.resume.is_some_and(Resume::due)
    }

    /// Keeps how far the training is.
    pub(super) fn save(&self, learner: &MaskedCells<'_>, at: &Progress<Snapshot>) -> Result<(), Failure> {
        let Some(resume) = self.resume else { return Ok(()) };
        if let Some(bytes) = write_training(learner, at, OF)? {
            resume.save(STATE, &self.machine, &bytes);
        }
        Ok(())
    }
}
