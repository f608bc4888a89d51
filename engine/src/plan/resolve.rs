//! From a job to its action, its key, and what the store knows about it: the one code path of plan and run.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

use celldag_cache::{Absence, Artifact, Failure, Key, Lookup, MissReason, Record, Store};
use jiff::Timestamp;

use super::sources::SourceDigest;
use super::{JobState, Reason, Sources, failed_before, reasons_of_change};
use crate::action::{Action, ActionInput, DeviceIdentity, Numerics, lineage};
use crate::error::{EngineError, InputProblem};
use crate::pipeline::{Pipeline, Source};
use crate::record::{LastActions, Origin};
use crate::step::{Cancel, NodeError, Summary};

/// What consumers need to know about a finished job.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// Port → digest and size.
    pub(crate) artifacts: BTreeMap<String, Artifact>,
    /// Facts, warnings, execution.
    pub(crate) summary: Summary,
    /// Wall seconds that the computation took.
    pub(crate) seconds: f64,
}

impl Done {
    pub(crate) fn of_record(record: &Record) -> Self {
        let mut summary: Summary = serde_json::from_value(record.summary.clone()).unwrap_or_default();
        if let serde_json::Value::Object(execution) = &record.execution {
            summary.execution = execution.clone();
        }
        Self { artifacts: record.outputs.clone(), summary, seconds: record.seconds }
    }
}

impl AsRef<Summary> for Done {
    fn as_ref(&self) -> &Summary {
        &self.summary
    }
}

/// Results of finished jobs, by job. Shared between threads.
#[derive(Debug)]
pub(crate) struct Results(RwLock<Vec<Option<Arc<Done>>>>);

impl Results {
    pub(crate) fn new(jobs: usize) -> Self {
        Self(RwLock::new(vec![None; jobs]))
    }

    pub(crate) fn get(&self, job: usize) -> Option<Arc<Done>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(job).cloned().flatten()
    }

    pub(crate) fn set(&self, job: usize, done: Arc<Done>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner)[job] = Some(done);
    }
}

/// What plan and run know besides the pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    numerics: Numerics,
    /// What failed before is tried again.
    retry_failed: bool,
    /// Earlier runs are read for reasons.
    pub(crate) history: bool,
    /// Stops look-ups.
    pub(crate) cancel: Cancel,
}

impl Setting {
    pub(crate) fn new(
        pipeline: &Pipeline,
        identity: Option<&DeviceIdentity>,
        retry_failed: bool,
    ) -> Result<Self, EngineError> {
        let device_matters =
            pipeline.strict_numerics && pipeline.jobs.iter().any(|j| j.kind.spec.uses_device);
        let numerics = match identity {
            Some(identity) if device_matters => Numerics::Strict(identity.clone()),
            None if device_matters => return Err(EngineError::NoDeviceIdentity),
            _ => Numerics::Tolerant,
        };
        Ok(Self { numerics, retry_failed, history: true, cancel: Cancel::new() })
    }
}

/// A job whose action is known.
#[derive(Clone, Debug)]
pub(crate) struct Resolved {
    /// The action.
    pub(crate) action: Action,
    /// Its canonical text.
    pub(crate) text: String,
    /// Its key.
    pub(crate) key: Key,
    /// The user's files that it reads.
    pub(crate) sources: Vec<Arc<SourceDigest>>,
}

/// Whether the action of a job can be known.
#[derive(Debug)]
pub(crate) enum Resolution {
    /// It is.
    Ready(Box<Resolved>),
    /// Jobs above are not done.
    Waiting {
        /// Input ports that wait.
        inputs: Vec<String>,
        /// What is known already to differ from the last recorded run.
        reasons: Vec<Reason>,
    },
}

/// A result in the store.
#[derive(Debug)]
pub(crate) struct Found {
    /// The result.
    pub(crate) done: Done,
    /// Seconds since it was published.
    pub(crate) age: f64,
    /// Bytes that are not there.
    pub(crate) absent: Vec<Absence>,
}

impl Found {
    /// The state that users see.
    pub(crate) fn state(&self) -> JobState {
        JobState::Cached { age: self.age, saved_seconds: self.done.seconds }
    }

    /// Why bytes have to be computed again, if some of `ports` (all when empty) are absent.
    pub(crate) fn absence(&self, ports: &[&str]) -> Option<Reason> {
        let absent = self.absent.iter().find(|a| ports.is_empty() || ports.contains(&a.port.as_str()))?;
        Some(if absent.wrong_size {
            Reason::Damaged { what: format!("the stored bytes of {} have the wrong size", absent.port) }
        } else {
            Reason::Removed
        })
    }
}

/// What is to be done about a job.
#[derive(Debug)]
pub(crate) enum Decision {
    /// The store has the result, perhaps without all bytes.
    Found(Found),
    /// It has to be computed.
    Run(Vec<Reason>),
    /// It failed before, and would fail again.
    Failed(Failure),
}

/// Resolves jobs of one pipeline against one store.
pub(crate) struct Resolver<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) store: &'a Store,
    pub(crate) sources: Sources,
    pub(crate) results: Results,
    setting: Setting,
    last: OnceLock<LastActions>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(pipeline: &'a Pipeline, store: &'a Store, setting: Setting) -> Self {
        Self {
            pipeline,
            store,
            sources: Sources::new(store, setting.cancel.clone()),
            results: Results::new(pipeline.jobs.len()),
            setting,
            last: OnceLock::new(),
        }
    }

    /// The action of a job, as far as the jobs above it are done.
    pub(crate) fn resolve(&self, index: usize) -> Result<Resolution, Vec<InputProblem>> {
        let job = &self.pipeline.jobs[index];
        let mut inputs: BTreeMap<String, Vec<ActionInput>> = BTreeMap::new();
        let mut sources = Vec::new();
        let mut waiting: Vec<(&str, &str)> = Vec::new();
        let mut problems = Vec::new();
        for input in &job.inputs {
            let digest = match &input.source {
                Source::Path(path) => match self.sources.digest(job, &input.port, path) {
                    Ok(source) => {
                        sources.push(Arc::clone(&source));
                        source.digest
                    }
                    Err(e) => {
                        problems.push(problem(&job.id, &input.port, e));
                        continue;
                    }
                },
                Source::Job { job: above, port } => match self.artifact(*above, port) {
                    Some(artifact) => artifact.digest,
                    None => {
                        waiting.push((&input.port, &input.label));
                        continue;
                    }
                },
            };
            push(&mut inputs, &input.port, &input.label, digest.to_string());
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let lineage = match &self.pipeline.lineage {
            _ if !job.kind.spec.wants_lineage => Some(serde_json::Value::Null),
            Some(told) => Some(told.clone()),
            None => lineage(self.pipeline, index, &|above| self.results.get(above)),
        };
        let program = match job.kind.kind.program(&job.params) {
            Ok(program) => program,
            Err(e) => return Err(vec![problem(&job.id, "", e)]),
        };
        let numerics = self.setting.numerics.clone();
        match lineage {
            Some(lineage) if waiting.is_empty() => {
                let action = Action::new(job, inputs, numerics, &self.pipeline.salt, lineage).by(program);
                let text = action.canonical();
                let key = Key::of_action(text.as_bytes());
                Ok(Resolution::Ready(Box::new(Resolved { action, text, key, sources })))
            }
            lineage => {
                let mut ports: Vec<String> = waiting.iter().map(|(port, _)| (*port).to_owned()).collect();
                ports.dedup();
                if ports.is_empty() {
                    // All inputs are known; only facts of a node further up are not.
                    ports.push("lineage".to_owned());
                }
                let last = self.last().get(&job.id).map(|last| &last.action);
                // What is not known yet must not look like a change.
                for (port, label) in waiting {
                    let known = last.and_then(|last| last.inputs.get(port)).into_iter().flatten();
                    let mut before =
                        known.filter(|input| input.label == label).map(|input| input.digest.clone());
                    push(&mut inputs, port, label, before.next().unwrap_or_default());
                }
                let lineage = lineage.or_else(|| last.map(|last| last.lineage.clone())).unwrap_or_default();
                let action = Action::new(job, inputs, numerics, &self.pipeline.salt, lineage).by(program);
                Ok(Resolution::Waiting { inputs: ports, reasons: reasons_of_change(last, &action) })
            }
        }
    }

    /// What the store knows about the action, and if nothing, why.
    pub(crate) fn decide(
        &self,
        index: usize,
        resolved: &Resolved,
        forced: bool,
    ) -> Result<Decision, EngineError> {
        if forced {
            return Ok(Decision::Run(vec![Reason::Forced]));
        }
        let what = match self.store.lookup(&resolved.key, resolved.text.as_bytes())? {
            Lookup::Hit(record) => return Ok(Decision::Found(found(&record, Vec::new()))),
            Lookup::Partial { record, absent } => return Ok(Decision::Found(found(&record, absent))),
            Lookup::Miss(MissReason::Unknown) => {
                return Ok(match self.failed_before(&resolved.key) {
                    Some(failure) => Decision::Failed(failure),
                    None => Decision::Run(self.why_unknown(index, resolved)),
                });
            }
            Lookup::Miss(MissReason::DamagedRecord(what)) => what,
            Lookup::Miss(other) => other.to_string(),
        };
        Ok(Decision::Run(vec![Reason::Damaged { what }]))
    }

    /// The failure of an action that is not tried again.
    pub(crate) fn failed_before(&self, key: &Key) -> Option<Failure> {
        if self.setting.retry_failed { None } else { failed_before(self.store, key) }
    }

    fn why_unknown(&self, index: usize, resolved: &Resolved) -> Vec<Reason> {
        let last = self.last().get(&self.pipeline.jobs[index].id);
        let mut reasons = reasons_of_change(last.map(|last| &last.action), &resolved.action);
        if reasons.is_empty() {
            reasons.push(match last.and_then(|last| last.failure.clone()) {
                Some(message) => Reason::FailedBefore { message },
                None => Reason::Removed,
            });
        }
        reasons
    }

    fn artifact(&self, job: usize, port: &str) -> Option<Artifact> {
        self.results.get(job)?.artifacts.get(port).copied()
    }

    /// Read at the first miss: when nothing is to be computed, no reason is needed.
    fn last(&self) -> &LastActions {
        self.last.get_or_init(|| {
            if !self.setting.history {
                return LastActions::default();
            }
            let jobs = self.pipeline.jobs.len();
            LastActions::load(self.store, &Origin::of_pipeline(self.pipeline), jobs).unwrap_or_else(|e| {
                tracing::warn!("earlier runs cannot be read, reasons will be less precise: {e}");
                LastActions::default()
            })
        })
    }
}

fn push(inputs: &mut BTreeMap<String, Vec<ActionInput>>, port: &str, label: &str, digest: String) {
    inputs.entry(port.to_owned()).or_default().push(ActionInput { label: label.to_owned(), digest });
}

fn found(record: &Record, absent: Vec<Absence>) -> Found {
    let age = Timestamp::now().duration_since(record.created).as_secs_f64().max(0.0);
    Found { done: Done::of_record(record), age, absent }
}

fn problem(job: &str, port: &str, error: NodeError) -> InputProblem {
    InputProblem { job: job.to_owned(), port: port.to_owned(), message: error.message, help: error.help }
}
