//! One kind on given files, without pipeline, store or key: what the kinds' own tests and benches use.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use celldag_cache::{Durability, Key, Options, Store};
use serde_json::{Map, Value};

use crate::action::{Action, Numerics};
use crate::error::store_failure;
use crate::kind::Kind;
use crate::param::Params;
use crate::part::{self, Portion, Work};
use crate::pipeline::Pipeline;
use crate::registry::Registered;
use crate::resume::{Resume, forget};
use crate::step::{Cancel, FailureCause, Input, NodeError, Progress, Step, Summary};

/// Port, label and path of each input.
type Inputs<'a> = &'a [(&'a str, &'a str, &'a Path)];
/// What a kind said, and where its outputs are.
type Ended = Result<(Summary, BTreeMap<String, PathBuf>), NodeError>;

/// Drops everything it is told.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn total(&self, _units: u64, _what: &'static str) {}
    fn advance(&self, _units: u64) {}
}

/// Asks the step to stop when it has done so many units.
struct StopAfter {
    units: u64,
    done: AtomicU64,
    cancel: Cancel,
}

impl Progress for StopAfter {
    fn total(&self, _units: u64, _what: &'static str) {}
    fn advance(&self, units: u64) {
        if self.done.fetch_add(units, Ordering::Relaxed) + units >= self.units {
            self.cancel.cancel();
        }
    }
}

/// Runs `kind` on `inputs` (port, label, path) with `with` over the defaults; outputs are written below `folder`.
/// Nothing is cached and digests of inputs are left empty. Returns the summary and the output paths by port.
///
/// # Errors
/// What the kind returns, or a missing required parameter.
pub fn run_alone(
    kind: &dyn Kind,
    with: Map<String, Value>,
    inputs: &[(&str, &str, &Path)],
    folder: &Path,
    device: &str,
) -> Result<(Summary, BTreeMap<String, PathBuf>), NodeError> {
    run_step(kind, with, inputs, (folder, device), (&Silent, &Cancel::new()), None)
}

/// As [`run_alone`], for kinds that save how far they are ([`Step::resume`]), which they do here whenever they ask
/// whether it is time. The states lie in the folder `store`, which belongs to one action: they are there for the next call
/// unless this one succeeds or fails for good. With `stop_after`, the step is asked to stop when its progress has
/// advanced by that many units, those that it only goes on from included.
///
/// # Errors
/// As [`run_alone`]; [`FailureCause::Cancelled`] from a step that stopped; when `store` cannot be used.
pub fn run_alone_resumable(
    kind: &dyn Kind,
    with: Map<String, Value>,
    inputs: &[(&str, &str, &Path)],
    (folder, device): (&Path, &str),
    store: &Path,
    stop_after: Option<u64>,
) -> Result<(Summary, BTreeMap<String, PathBuf>), NodeError> {
    resumable(kind.spec().name, (store, stop_after), |progress, cancel, resume| {
        run_step(kind, with, inputs, (folder, device), (progress, cancel), Some(resume))
    })
}

/// As [`run_alone`], of a shard, or from parts; `with` as on the command line. Digests of inputs being left empty, parts of other contents are not told apart.
///
/// # Errors
/// As [`run_alone`]; when a part does not belong to this action.
pub fn run_alone_portion(
    kind: &Registered,
    with: &[(&str, &str)],
    inputs: &[(&str, &str, &Path)],
    (folder, device): (&Path, &str),
    portion: &Portion,
) -> Result<(Summary, BTreeMap<String, PathBuf>), NodeError> {
    let (with, work, _) = cut(kind, with, inputs, portion)?;
    run_work(&*kind.kind, with, inputs, (folder, device), (&Silent, &Cancel::new()), (None, &work))
}

/// As [`run_alone_portion`], of a step that can be stopped and goes on as one of [`run_alone_resumable`] does. States lie under the key
/// of what is asked for: those of the shards of one step may share the folder `store`.
///
/// # Errors
/// As both.
pub fn run_alone_portion_resumable(
    kind: &Registered,
    with: &[(&str, &str)],
    inputs: &[(&str, &str, &Path)],
    (folder, device): (&Path, &str),
    portion: &Portion,
    (store, stop_after): (&Path, Option<u64>),
) -> Result<(Summary, BTreeMap<String, PathBuf>), NodeError> {
    let (with, work, action) = cut(kind, with, inputs, portion)?;
    resumable(&action.canonical(), (store, stop_after), |progress, cancel, resume| {
        run_work(&*kind.kind, with, inputs, (folder, device), (progress, cancel), (Some(resume), &work))
    })
}

/// Parameters and work of a portion, and the action that its key is of.
fn cut(
    kind: &Registered,
    with: &[(&str, &str)],
    inputs: Inputs<'_>,
    portion: &Portion,
) -> Result<(Map<String, Value>, Work, Action), NodeError> {
    let given: Vec<(String, String)> =
        with.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let owned = |(port, label, path): &(&str, &str, &Path)| {
        ((*port).to_owned(), (*label).to_owned(), path.to_path_buf())
    };
    let files: Vec<(String, String, PathBuf)> = inputs.iter().map(owned).collect();
    let pipeline = Pipeline::single(kind.clone(), &given, &files)
        .map_err(|findings| NodeError::parameter(findings.one_line_each()))?;
    let job = pipeline.jobs.first().ok_or_else(|| NodeError::failed("a step of no job"))?;
    let action = Action::new(job, BTreeMap::new(), Numerics::Tolerant, "", Value::Null);
    let params = job.params.0.clone();
    Ok(match portion {
        Portion::Whole => (params, Work::Whole, action),
        Portion::Shard(shard) => {
            let work = Work::Shard { shard: *shard, action: action.to_value() };
            (params, work, action.of_shard(*shard))
        }
        Portion::Parts(paths) => (params, Work::Parts(part::open_all(paths, &action)?), action),
    })
}

/// Calls `run` with a place for states in the folder `store`, under the key of `action`, and asks it to stop after so much.
fn resumable(
    action: &str,
    (store, stop_after): (&Path, Option<u64>),
    run: impl FnOnce(&dyn Progress, &Cancel, &Resume<'_>) -> Ended,
) -> Ended {
    let store =
        Store::open(store, Options { durability: Durability::Relaxed }).map_err(|e| store_failure(&e))?;
    let key = Key::of_action(action.as_bytes());
    let lock = store.lock(&key, &mut || {}, &|| false).map_err(|e| store_failure(&e))?;
    let lock = lock.ok_or_else(|| NodeError::failed("the lock of the saved states was not given"))?;
    let partial =
        store.partial(&lock).ok_or_else(|| NodeError::failed("there is no place for saved states"))?;
    let failed = Mutex::new(None);
    let tell = |message| *failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(message);
    let resume = Resume::new(&partial, Duration::ZERO, &|| true, &tell);
    let cancel = Cancel::new();
    let units = stop_after.unwrap_or(u64::MAX);
    let progress = StopAfter { units, done: AtomicU64::new(0), cancel: cancel.clone() };
    let ended = run(&progress, &cancel, &resume);
    let for_good = |e: &NodeError| matches!(e.cause, FailureCause::Data | FailureCause::Parameter);
    match &ended {
        Ok(_) => forget(Some(&partial)),
        Err(e) if for_good(e) => resume.give_up(),
        Err(_) => {}
    }
    let failed = failed.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    match failed {
        Some(message) => Err(NodeError::failed(message)),
        None => ended,
    }
}

fn run_step(
    kind: &dyn Kind,
    with: Map<String, Value>,
    inputs: Inputs<'_>,
    (folder, device): (&Path, &str),
    (progress, cancel): (&dyn Progress, &Cancel),
    resume: Option<&Resume<'_>>,
) -> Ended {
    run_work(kind, with, inputs, (folder, device), (progress, cancel), (resume, &Work::Whole))
}

fn run_work(
    kind: &dyn Kind,
    with: Map<String, Value>,
    inputs: Inputs<'_>,
    (folder, device): (&Path, &str),
    (progress, cancel): (&dyn Progress, &Cancel),
    (resume, work): (Option<&Resume<'_>>, &Work),
) -> Ended {
    let spec = kind.spec();
    let mut resolved = with;
    for param in &spec.params {
        if !resolved.contains_key(param.name) {
            let default = param
                .default
                .clone()
                .ok_or_else(|| NodeError::parameter(format!("parameter `{}` must be given", param.name)))?;
            resolved.insert(param.name.to_owned(), default);
        }
    }
    let mut params = Params(resolved);
    if let Some((name, message)) = kind.check(&params).into_iter().next() {
        return Err(NodeError::parameter(format!("`{name}`: {message}")));
    }
    kind.resolve(&mut params);
    let mut ports: BTreeMap<String, Vec<Input>> = BTreeMap::new();
    for (port, label, path) in inputs {
        let input = Input { label: (*label).to_owned(), path: path.to_path_buf(), digest: String::new() };
        ports.entry((*port).to_owned()).or_default().push(input);
    }
    for list in ports.values_mut() {
        list.sort_by(|a, b| a.label.cmp(&b.label));
    }
    let scratch = folder.join("scratch");
    let io = |e: std::io::Error| NodeError::failed(e.to_string());
    fs_err::create_dir_all(&scratch).map_err(io)?;
    let part = [(part::PART.to_owned(), folder.join(part::PART))].into();
    let outputs: BTreeMap<String, PathBuf> = if let Work::Shard { .. } = work {
        part
    } else {
        spec.outputs.iter().map(|port| (port.name.to_owned(), folder.join(port.file))).collect()
    };
    let summary = Mutex::new(Summary::default());
    kind.run(&Step {
        params: &params,
        inputs: &ports,
        outputs: &outputs,
        seed: [7; 32],
        device,
        gpus: &[],
        threads: 2,
        memory_limit: None,
        main_memory: None,
        scratch: &scratch,
        lineage: &Value::Null,
        offline: false,
        cancel,
        progress,
        summary: &summary,
        work,
        resume,
    })?;
    let summary = summary.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((summary, outputs))
}
