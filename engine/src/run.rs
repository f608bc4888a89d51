//! Running a pipeline: a coordinator hands ready jobs to worker threads; each is looked up, computed if need be,
//! published, and put where the user wants it.
//!
//! ```text
//! ready ──decide──▶ in the store ────────────────────────────────▶ done ──▶ consumers become ready
//!              └──▶ to be run ──queue──▶ lock ─▶ look again ─▶ sandbox ─▶ publish ─┘
//!                                                     └─ bytes of an input are gone: its producer runs first
//! ```
//!
//! Early cutoff needs no code: consumers are looked up by the content of their inputs.

mod answers;
mod attempt;
mod capacity;
mod coordinator;
mod deliver;
mod execute;
mod gpus;
mod history;
mod import;
mod inputs;
mod job;
mod look;
mod progress;
mod rank;
mod refuse;
mod report;
mod retry;
mod schedule;
mod temporary;
#[cfg(test)]
mod tests;
mod worker;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use celldag_cache::{Store, Temporary};

use crate::action::DeviceIdentity;
use crate::error::{EngineError, ExitClass};
use crate::events::{Counts, Observer, RunEvent};
use crate::pipeline::Pipeline;
use crate::plan::{Resolver, Selection, Setting, guard, parents};
use crate::record::{EventLog, RECORD_FORMAT, RunFolder, RunHeader, RunRecord, RunStatus, now};
use crate::step::Cancel;

pub use gpus::{GpuSlot, Gpus};

/// How to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Slots: how many jobs of one thread run at once. At least one.
    pub jobs: usize,
    /// CPU threads that running jobs share. At least one.
    pub threads: usize,
    /// Main memory in bytes that running jobs may ask for together (`resources: {ram: ...}`); without it nobody counts.
    pub ram: Option<u64>,
    /// Compute device: `auto`, `gpu`, `cpu` or an adapter's name.
    pub device: String,
    /// The GPUs that jobs of the device hold while they run. Without any, these jobs form one queue.
    pub gpus: Gpus,
    /// The most bytes that a node's tensors may take on the device; changes speed, never results.
    pub memory_limit: Option<u64>,
    /// The most bytes of main memory that a node should take: tensors on the CPU are held to it. Changes speed, never results.
    pub main_memory: Option<u64>,
    /// The device that was found; needed under `numerics: strict`, recorded otherwise.
    pub identity: Option<DeviceIdentity>,
    /// Folder that relative output paths start at; the pipeline's own when absent.
    pub out: Option<PathBuf>,
    /// Nodes or jobs; they and what they need. Empty for everything.
    pub only: Vec<String>,
    /// Nodes or jobs to compute again.
    pub force: Vec<String>,
    /// What failed before in a way that lasts is tried again.
    pub retry_failed: bool,
    /// Wait before the second attempt after a transient failure; it doubles with each further attempt.
    pub backoff: Duration,
    /// After a failure, go on with jobs that do not depend on it.
    pub keep_going: bool,
    /// Nodes must not reach other machines.
    pub offline: bool,
    /// The run gets a record, and its results count as used by a run. Without it nothing is left in the store but results:
    /// thousands of steps of a workflow manager are no runs of their own.
    pub record: bool,
    /// Nothing is computed and nothing written: what the store holds for the pipeline becomes the record of a run, or the run is
    /// refused.
    pub import: Option<Import>,
}

/// Whose results are imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Import {
    /// The workflow manager that had them computed, as the user calls it.
    pub by: Option<String>,
}

impl Default for RunOptions {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            jobs: threads,
            threads,
            ram: None,
            device: "auto".to_owned(),
            gpus: Gpus::none(),
            memory_limit: None,
            main_memory: None,
            identity: None,
            out: None,
            only: Vec::new(),
            force: Vec::new(),
            retry_failed: false,
            backoff: Duration::from_millis(500),
            keep_going: false,
            offline: false,
            record: true,
            import: None,
        }
    }
}

/// What all parts of a run share.
pub(crate) struct Context<'a> {
    pub(crate) resolver: Resolver<'a>,
    pub(crate) selection: Selection,
    /// Job → all jobs of the pipeline that read from it, asked for or not.
    pub(crate) readers: Vec<Vec<usize>>,
    pub(crate) options: &'a RunOptions,
    pub(crate) log: &'a EventLog<'a>,
    pub(crate) publishing: temporary::Publishing,
    /// What this run owes the deletion of, for those who come after a kill.
    pub(crate) note: Temporary,
}

/// Runs a pipeline. Failed nodes are part of the record ([`RunRecord::exit`]), not errors.
///
/// # Errors
/// When `only` or `force` names nothing, an output would overwrite what is read ([`EngineError::Overwrites`]), a job that
/// would run asks for more than the machine has ([`EngineError::Resources`]), results to import are missing
/// ([`EngineError::Uncomputed`]), or the store cannot be used.
pub fn run(
    pipeline: &Pipeline,
    store: &Store,
    options: &RunOptions,
    observer: &dyn Observer,
    cancel: &Cancel,
) -> Result<RunRecord, EngineError> {
    let start = Instant::now();
    let store = &cancel.heard_by(store);
    let _in_use = store.use_shared()?;
    let selection = Selection::new(pipeline, &options.only, &options.force)?;
    guard(pipeline, &selection, options.out.as_deref())?;
    let mut setting = Setting::new(pipeline, options.identity.as_ref(), options.retry_failed)?;
    setting.history = options.record;
    setting.cancel = cancel.clone();
    match options.import {
        Some(_) => import::refuse_missing(pipeline, store, options, cancel)?,
        None => refuse::refuse(pipeline, store, options, &selection, cancel)?,
    }
    let folder = if options.record { RunFolder::create(store)? } else { RunFolder::none() };
    let mut header = RunHeader {
        format: RECORD_FORMAT.to_owned(),
        id: folder.id.clone(),
        pipeline: pipeline.name.clone(),
        file: pipeline.file.clone(),
        root: pipeline.root.to_string_lossy().into_owned().into(),
        text_digest: folder.keep_pipeline(&pipeline.file)?,
        included: Some(folder.keep_included(&pipeline.root, &pipeline.included)?),
        secrets: secrets(pipeline),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        device: options.device.clone(),
        identity: options.identity.clone(),
        only: options.only.clone(),
        force: options.force.clone(),
        started: now(),
        finished: None,
        seconds: 0.0,
        status: RunStatus::Running,
        exit: ExitClass::Ok,
        counts: Counts { jobs: selection.jobs().count(), ..Counts::default() },
        saved_seconds: 0.0,
        imported: None,
    };
    folder.write_header(&header)?;
    let log = EventLog::create(folder.path.as_deref(), observer)?;
    log.tell(RunEvent::RunStarted {
        run: folder.id.clone(),
        pipeline: pipeline.name.clone(),
        nodes: report::nodes(pipeline, &selection),
        device: options.device.clone(),
    });
    let resolver = Resolver::new(pipeline, store, setting);
    let context = Context {
        resolver,
        selection,
        readers: readers(pipeline),
        options,
        log: &log,
        publishing: temporary::Publishing::default(),
        note: store.temporary(),
    };
    let states = coordinator::coordinate(&context, cancel)?;
    if let Err(e) = context.note.finish() {
        tracing::warn!("the notes on temporary bytes could not be brought up to date: {e}");
    }
    let report = report::report(&context, states, cancel);

    header.finished = Some(now());
    header.seconds = start.elapsed().as_secs_f64();
    header.status = report.status;
    header.exit = report.exit;
    header.counts = report.counts;
    header.saved_seconds = report.saved_seconds;
    if let Some(import) = &options.import {
        import::times(&mut header, &report.jobs, import.by.as_ref());
    }
    // Jobs first: a header that says how the run ended promises that its jobs can be read.
    folder.write_jobs(&report.jobs, &report.outputs)?;
    folder.write_header(&header)?;
    log.tell(RunEvent::RunFinished {
        counts: header.counts,
        saved_seconds: header.saved_seconds,
        seconds: header.seconds,
        exit: header.exit,
    });
    log.flush();
    Ok(RunRecord {
        header,
        jobs: report.jobs,
        outputs: report.outputs,
        folder: folder.path.unwrap_or_default(),
    })
}

/// Names of secrets, each once.
fn secrets(pipeline: &Pipeline) -> Vec<String> {
    let mut nodes = BTreeSet::new();
    let kinds = pipeline.jobs.iter().filter(|job| nodes.insert(job.node.as_str()));
    let names: BTreeSet<&String> =
        pipeline.secrets.iter().chain(kinds.flat_map(|job| job.kind.kind.secrets())).collect();
    names.into_iter().cloned().collect()
}

fn readers(pipeline: &Pipeline) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); pipeline.jobs.len()];
    for index in 0..pipeline.jobs.len() {
        for above in parents(pipeline, index) {
            readers[above].push(index);
        }
    }
    readers
}
