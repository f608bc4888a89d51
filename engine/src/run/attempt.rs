//! One attempt at a job: a fresh sandbox, the kind's `run` with nothing but the action, and a look at what it wrote.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use celldag_cache::{Partial, Sandbox};

use super::Context;
use super::job::{Grant, Limits};
use super::progress::JobProgress;
use crate::error::store_failure;
use crate::events::RunEvent;
use crate::param::Params;
use crate::part::{self, Portion, Work};
use crate::pipeline::Job;
use crate::plan::Resolved;
use crate::resume::{INTERVAL, Resume};
use crate::step::{Input, LOG_FILE, NodeError, Outlook, Step, Summary};

/// What an attempt left behind.
pub(crate) struct Attempt {
    /// Holds the outputs until they are published.
    pub(crate) _sandbox: Sandbox,
    /// Port → what the kind wrote.
    pub(crate) outputs: BTreeMap<String, PathBuf>,
    /// What the kind said.
    pub(crate) summary: Summary,
    /// Wall seconds of the kind's work, in earlier attempts that it went on from too.
    pub(crate) seconds: f64,
}

/// Runs the kind once with `params`, from where an earlier attempt was if `partial` says so.
pub(crate) fn attempt(
    ctx: &Context<'_>,
    index: usize,
    resolved: &Resolved,
    (inputs, partial): (&BTreeMap<String, Vec<Input>>, Option<&Partial<'_>>),
    limits: &Limits,
    (grant, params): (&Grant, &Params),
) -> Result<Attempt, NodeError> {
    let job = &ctx.resolver.pipeline.jobs[index];
    let sandbox = ctx.resolver.store.sandbox().map_err(|e| store_failure(&e))?;
    let io = |e: std::io::Error| NodeError::failed(format!("cannot prepare the sandbox: {e}"));
    let scratch = sandbox.path().join("scratch");
    fs_err::create_dir(&scratch).map_err(io)?;
    let folder = sandbox.path().join("out");
    fs_err::create_dir(&folder).map_err(io)?;
    let mut outputs = BTreeMap::new();
    for (port, output) in &resolved.action.outputs {
        let path = folder.join(output.file.trim_end_matches('/'));
        if let Some(parent) = path.parent() {
            fs_err::create_dir_all(parent).map_err(io)?;
        }
        outputs.insert(port.clone(), path);
    }
    let work = work(job, resolved)?;
    let progress = JobProgress::new(job, ctx.log);
    let summary = Mutex::new(Summary::default());
    let unchanged = || resolved.sources.iter().all(|source| ctx.resolver.sources.unchanged(source).is_ok());
    let tell = |message| ctx.log.tell(RunEvent::Warning { job: job.id.clone(), message });
    let resume = partial.map(|partial| Resume::new(partial, INTERVAL, &unchanged, &tell));
    let step = Step {
        params,
        inputs,
        outputs: &outputs,
        seed: resolved.action.seed_bytes(),
        device: grant.gpus.first().map_or(&ctx.options.device, |gpu| &gpu.device),
        gpus: &grant.gpus,
        threads: grant.threads,
        memory_limit: memory_limit(ctx, job, grant),
        main_memory: ctx.options.main_memory,
        scratch: &scratch,
        lineage: &resolved.action.lineage,
        offline: ctx.options.offline,
        cancel: &limits.cancel,
        progress: &progress,
        summary: &summary,
        work: &work,
        resume: resume.as_ref(),
    };
    limits.begin();
    let start = Instant::now();
    // What a panic leaves half done lies in the sandbox and in `summary`, and both are thrown away.
    let ended = catch_unwind(AssertUnwindSafe(|| job.kind.kind.run(&step)));
    let log = ctx.log.keep_output(job, &resolved.key.to_string(), &scratch.join(LOG_FILE));
    let seconds = resume.as_ref().map_or_else(|| start.elapsed().as_secs_f64(), Resume::seconds);
    progress.finish();
    let exceeded = limits.exceeded();
    limits.end();
    if let Some(timeout) = exceeded {
        let message = format!("timeout after {} s", timeout.as_secs_f64());
        return Err(NodeError::failed(message).help("give the node more time with `timeout:`, or less work"));
    }
    let give_up = || resume.iter().for_each(Resume::give_up);
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(e)) => {
            // It would fail again, from wherever it goes on.
            if e.outlook == Outlook::Lasting {
                give_up();
            }
            return Err(with_log(e, log));
        }
        Err(panic) => {
            // What was saved may be what made it panic.
            give_up();
            return Err(panicked(job.kind.spec.name, &*panic));
        }
    }
    check_outputs(resolved, &outputs).inspect_err(|_| give_up())?;
    let summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Attempt { _sandbox: sandbox, outputs, summary, seconds })
}

/// What the kind is asked for.
fn work(job: &Job, resolved: &Resolved) -> Result<Work, NodeError> {
    Ok(match &job.portion {
        Portion::Whole => Work::Whole,
        Portion::Shard(shard) => {
            Work::Shard { shard: *shard, action: resolved.action.whole(&job.kind.spec).to_value() }
        }
        Portion::Parts(paths) => Work::Parts(part::open_all(paths, &resolved.action)?),
    })
}

/// What the user allows, and what a job that shares a GPU has said it needs: its neighbours rely on that.
fn memory_limit(ctx: &Context<'_>, job: &Job, grant: &Grant) -> Option<u64> {
    let shared = job.resources.gpu_memory.filter(|_| !grant.gpus.is_empty());
    ctx.options.memory_limit.into_iter().chain(shared).min()
}

/// Says where the whole of what a program printed is.
fn with_log(error: NodeError, log: Option<PathBuf>) -> NodeError {
    let Some(log) = log else { return error };
    let place = format!("everything that it printed is in {}", log.display());
    let help = error.help.as_ref().map_or_else(|| place.clone(), |help| format!("{help}; {place}"));
    error.help(help)
}

fn check_outputs(resolved: &Resolved, outputs: &BTreeMap<String, PathBuf>) -> Result<(), NodeError> {
    for (port, path) in outputs {
        let wants_folder = resolved.action.outputs.get(port).is_some_and(|output| output.file.ends_with('/'));
        let wrong = match fs_err::metadata(path) {
            Ok(meta) if meta.is_dir() == wants_folder => continue,
            Ok(meta) if meta.is_dir() => "wrote a folder where a file is declared",
            Ok(_) => "wrote a file where a folder is declared",
            Err(_) => "did not write it",
        };
        let message = format!("output `{port}`: kind `{}` {wrong}", resolved.action.kind);
        return Err(NodeError::failed(message));
    }
    Ok(())
}

/// A panic of a kind as its failure.
pub(crate) fn panicked(kind: &str, panic: &(dyn Any + Send)) -> NodeError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    let text = text.unwrap_or_else(|| "without a message".to_owned());
    NodeError::failed(format!("kind `{kind}` panicked: {text}"))
        .help("this is a mistake in the program; please report it")
}
