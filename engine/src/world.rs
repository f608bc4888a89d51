//! A small world for tests of plan and run: a store in a temporary folder, kinds that note when they run, and a builder
//! of checked pipelines.

mod kinds;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use celldag_cache::{Durability, Options, Store};
use serde_json::Value;

use crate::events::{Observer, Quiet, RunEvent};
use crate::param::Params;
use crate::part::Portion;
use crate::pipeline::{Job, JobInput, JobOutput, Pipeline, Source};
use crate::plan::{Plan, PlanOptions, plan};
use crate::record::RunRecord;
use crate::resources::{Resources, Retries};
use crate::run::{RunOptions, run};
use crate::step::Cancel;
pub(crate) use kinds::PATIENCE;
use kinds::kind_called;

/// Kinds that ran, in order.
type Ran = Arc<Mutex<Vec<String>>>;

/// A store with a folder beside it.
pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) store: Store,
    pub(crate) ran: Ran,
}

/// Remembers events.
#[derive(Default)]
pub(crate) struct Seen(pub(crate) Mutex<Vec<RunEvent>>);

impl Observer for Seen {
    fn event(&self, event: &RunEvent) {
        self.0.lock().unwrap().push(event.clone());
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { durability: Durability::Relaxed };
        let store = Store::open(&dir.path().join("store"), options).unwrap();
        Self { dir, store, ran: Ran::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs_err::write(&path, text).unwrap();
        path
    }

    pub(crate) fn build(&self) -> Build<'_> {
        let pipeline = Pipeline {
            name: "demo".to_owned(),
            file: self.path("demo.yaml"),
            root: self.path("."),
            tables: Vec::new(),
            also_read: Vec::new(),
            included: Vec::new(),
            salt: String::new(),
            strict_numerics: false,
            secrets: Vec::new(),
            lineage: None,
            jobs: Vec::new(),
            outputs: Vec::new(),
            warnings: Vec::new(),
        };
        Build { world: self, pipeline, epoch: 1 }
    }

    pub(crate) fn plan(&self, pipeline: &Pipeline) -> Plan {
        plan(pipeline, &self.store, &PlanOptions::default()).unwrap()
    }

    pub(crate) fn run(&self, pipeline: &Pipeline) -> RunRecord {
        self.run_with(pipeline, &options())
    }

    pub(crate) fn run_with(&self, pipeline: &Pipeline, options: &RunOptions) -> RunRecord {
        run(pipeline, &self.store, options, &Quiet, &Cancel::new()).unwrap()
    }

    /// Kinds that ran since the last question, sorted.
    pub(crate) fn ran(&self) -> Vec<String> {
        let mut ran = std::mem::take(&mut *self.ran.lock().unwrap());
        ran.sort();
        ran
    }

    /// State of a job in a plan, as text, with the times cut off.
    pub(crate) fn states(&self, pipeline: &Pipeline) -> String {
        let line = |job: &crate::plan::PlannedJob| {
            let state = job.state.to_string();
            format!("{}: {}", job.id, if job.state.is_cached() { "cached" } else { &state })
        };
        self.plan(pipeline).jobs.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    /// The stored file of an output.
    pub(crate) fn blob(&self, record: &RunRecord, job: &str, port: &str) -> PathBuf {
        let digest = record.job(job).unwrap().outputs[port].digest.to_string();
        self.store.root().join("cas").join(&digest[..2]).join(&digest)
    }

    /// Overwrites a stored blob with other bytes of the same size, as a bad disk would.
    pub(crate) fn damage(&self, blob: &Path) {
        let size = fs_err::metadata(blob).unwrap().len();
        fs_err::remove_file(blob).unwrap();
        fs_err::write(blob, "#".repeat(usize::try_from(size).unwrap())).unwrap();
    }

    /// The same store as another process would open it: nothing verified, nothing remembered.
    pub(crate) fn reopen(&mut self) {
        let options = Options { durability: Durability::Relaxed };
        self.store = Store::open(&self.path("store"), options).unwrap();
    }
}

/// Options for tests: two slots.
pub(crate) fn options() -> RunOptions {
    let backoff = std::time::Duration::from_millis(4);
    RunOptions { jobs: 2, threads: 2, device: "cpu".to_owned(), backoff, ..RunOptions::default() }
}

/// Builds a checked pipeline job by job.
pub(crate) struct Build<'w> {
    world: &'w World,
    pub(crate) pipeline: Pipeline,
    epoch: u32,
}

impl Build<'_> {
    /// Kinds of later jobs have this epoch.
    pub(crate) fn epoch(mut self, epoch: u32) -> Self {
        self.epoch = epoch;
        self
    }

    /// Adds a job whose id is its node's name, or `node[label]`. Inputs are `port=path`, or `port[label]=node.port`.
    pub(crate) fn job(
        mut self,
        id: &str,
        kind: &str,
        with: impl Into<Value>,
        inputs: &[(&str, &str)],
    ) -> Self {
        let kind = kind_called(kind, self.epoch, &self.world.ran);
        let mut params = with.into().as_object().cloned().unwrap_or_default();
        for param in &kind.spec.params {
            params.entry(param.name).or_insert_with(|| param.default.clone().unwrap());
        }
        let mut inputs: Vec<JobInput> = inputs.iter().map(|(at, from)| self.input(at, from)).collect();
        inputs.sort_by(|a, b| (&a.port, &a.label).cmp(&(&b.port, &b.label)));
        self.pipeline.jobs.push(Job {
            node: id.split('[').next().unwrap().to_owned(),
            coordinates: Arc::default(),
            id: id.to_owned(),
            params: Arc::new(Params(params)),
            inputs,
            temporary: false,
            retries: Retries::default(),
            timeout: None,
            resources: Resources::default(),
            uses_device: kind.spec.uses_device,
            portion: Portion::Whole,
            dispatch: Arc::default(),
            kind,
        });
        self
    }

    fn input(&self, at: &str, from: &str) -> JobInput {
        let (port, label) = at.strip_suffix(']').and_then(|at| at.split_once('[')).unwrap_or((at, ""));
        let named = |id: &str| self.pipeline.jobs.iter().position(|job| job.id == id);
        let source = match from.rsplit_once('.').and_then(|(id, port)| Some((named(id)?, port))) {
            Some((job, port)) => Source::Job { job, port: port.to_owned() },
            None => Source::Path(self.world.path(from)),
        };
        JobInput { port: port.to_owned(), label: label.to_owned(), source }
    }

    /// Changes the job added last.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut Job)) -> Self {
        change(self.pipeline.jobs.last_mut().unwrap());
        self
    }

    /// Asks for an output of the job added last.
    pub(crate) fn output(mut self, path: &str, port: &str) -> Self {
        let job = self.pipeline.jobs.len() - 1;
        self.pipeline.outputs.push(JobOutput { path: path.into(), job, port: port.to_owned() });
        self
    }

    pub(crate) fn done(self) -> Pipeline {
        self.pipeline
    }
}
