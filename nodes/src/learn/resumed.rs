//! A training that goes on where it was stopped: how far it is, and for kinds that train folds the result of every fold that
//! is trained, are kept beside the step's key.

use std::time::Instant;

use celldag_engine::{FailureCause, NodeError, Outlook, Resume, Step};
use celldag_models::training::{
    Event, FitSettings, Progress, Resumable, TrainError, Trained, fit_from, read_training, write_training,
};
use celldag_shaders::Device;

use super::fold::fold_name;
use crate::embed::failure::Failure;

/// What the state of a training in progress is called.
const NOW: &str = "state";

/// Where a training is kept.
pub(super) struct Keeper<'a> {
    step: &'a Step<'a>,
    resume: Option<&'a Resume<'a>>,
    machine: String,
    kind: &'static str,
    /// Repeat and fold, for a kind that trains several.
    fold: Option<(u32, u32)>,
}

/// What a run of a training did.
pub(super) struct Run {
    pub(super) trained: Trained,
    /// Optimiser steps that were made now and not in an earlier attempt, and the seconds that they took.
    pub(super) steps: usize,
    pub(super) seconds: f64,
}

impl<'a> Keeper<'a> {
    /// For the training of a step of `kind`, or of one fold of it.
    pub(super) fn new(
        step: &'a Step<'_>,
        device: &Device,
        kind: &'static str,
        fold: Option<(u32, u32)>,
    ) -> Self {
        Self { step, resume: step.resume(), machine: device.info().machine(), kind, fold }
    }

    /// Trains `learner`, which knows `cells` cells, from where it was stopped to its end. `runaway` is the help when the loss is
    /// no number before anything can be kept.
    ///
    /// # Errors
    /// Those of the learner; when the step is to stop, after the state was saved.
    pub(super) fn train<L: Resumable<Error = Failure>>(
        &self,
        learner: &mut L,
        settings: &FitSettings,
        cells: usize,
        order: impl FnMut(usize) -> Vec<usize>,
        runaway: String,
    ) -> Result<Run, Failure> {
        let progress = &self.step.progress;
        let mut at = self.load(learner)?;
        let (before, was_finished) = (at.batch_losses.len(), at.finished);
        progress.advance(at.cells(cells, settings.batch_size) as u64);
        let started = Instant::now();
        let trained = fit_from(learner, settings, &mut at, order, |event, learner, at| {
            if let Event::Batch(cells) = event {
                progress.advance(cells as u64);
            }
            let stop = self.step.cancel.is_cancelled();
            if stop || self.resume.is_some_and(Resume::due) {
                self.save(learner, at)?;
            }
            Ok(!stop)
        });
        let seconds = started.elapsed().as_secs_f64();
        match &trained {
            Ok(_) if self.fold.is_some() && !was_finished => self.save(learner, &at)?,
            // Stopped while validation cells were scored: nothing was learnt since the last batch.
            Err(TrainError::Failed(Failure::Node(error))) if error.cause == FailureCause::Cancelled => {
                self.save(learner, &at)?;
            }
            _ => {}
        }
        let trained = trained.map_err(|error| match error {
            TrainError::Failed(failure) => failure,
            TrainError::Cancelled => NodeError::new(FailureCause::Cancelled, "stopped").into(),
            TrainError::Diverged(_) => {
                NodeError::failed(error.to_string()).outlook(Outlook::Lasting).help(runaway).into()
            }
        })?;
        progress.advance((settings.epochs * cells - at.cells(cells, settings.batch_size)) as u64);
        Ok(Run { steps: trained.batch_losses.len() - before, trained, seconds })
    }

    /// What the fold's result is called.
    fn result(&self) -> Option<String> {
        self.fold.map(|(repeat, fold)| format!("repeat{repeat}.fold{fold}"))
    }

    /// What a state says it is of.
    fn of(&self) -> String {
        self.result().map_or_else(|| self.kind.to_owned(), |result| format!("{} {result}", self.kind))
    }

    /// How far the training is; `learner` becomes what it was then. What does not fit begins anew.
    fn load<L: Resumable<Error = Failure>>(&self, learner: &mut L) -> Result<Progress<L::State>, Failure> {
        let Some(resume) = self.resume else { return Ok(Progress::default()) };
        let result = self.result();
        for name in result.as_deref().into_iter().chain([NOW]) {
            let Some(bytes) = resume.load(name, &self.machine) else { continue };
            if let Some(at) = read_training(learner, &bytes, &self.of())? {
                self.step.execution("resumed_at", self.place(&at));
                return Ok(at);
            }
            tracing::debug!(name, "what was kept is no state of this training");
        }
        Ok(Progress::default())
    }

    fn place<S>(&self, at: &Progress<S>) -> String {
        let batch = format!("epoch {}, batch {}", at.epochs + 1, at.batches + 1);
        let Some((repeat, fold)) = self.fold else { return batch };
        let fold = fold_name(repeat, fold);
        if at.finished { format!("behind {fold}") } else { format!("{fold}, {batch}") }
    }

    /// Keeps how far the training is, or the result of its fold.
    fn save<L: Resumable<Error = Failure>>(
        &self,
        learner: &L,
        at: &Progress<L::State>,
    ) -> Result<(), Failure> {
        let Some(resume) = self.resume else { return Ok(()) };
        if let Some(bytes) = write_training(learner, at, &self.of())? {
            let result = self.result().filter(|_| at.finished);
            resume.save(result.as_deref().unwrap_or(NOW), &self.machine, &bytes);
        }
        Ok(())
    }
}
