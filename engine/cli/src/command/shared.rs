//! What several commands do: load a pipeline, open the store, run.

use std::path::Path;
use std::sync::Arc;

use celldag_cache::{Artifact, Store};
use celldag_engine::document::{DOCUMENT_FORMAT, ReportDocument};
use celldag_engine::{
    Cancel, DeviceIdentity, ExitClass, GpuSlot, Gpus, JobRecord, LoadOptions, NodeError, Pipeline,
    RunOptions, RunRecord,
};
use celldag_shaders::{Device, DeviceOptions, GpuChoice, Precision, choose_gpus};

use super::store;
use crate::args::{ComputeArgs, PipelineArgs, PrecisionArgs, StoreArgs};
use crate::failure::{Failure, show_diagnostics};
use crate::kinds::registry;
use crate::output::Output;
use crate::{interrupt, machine, progress, text};

/// Loads and checks a pipeline file; warnings are shown.
pub(crate) fn load(args: &PipelineArgs, output: &Output) -> Result<Pipeline, Failure> {
    let options = LoadOptions { set: args.set.clone(), profiles: args.profile.clone() };
    check(&args.pipeline, None, &options, output)
}

/// Checks a pipeline; `text` stands in for the content of `file`, which then only names it and says where paths start.
pub(crate) fn check(
    file: &Path,
    text: Option<&str>,
    options: &LoadOptions,
    output: &Output,
) -> Result<Pipeline, Failure> {
    let pipeline = celldag_engine::load(file, text, &registry(), options)?;
    if !output.quiet && !pipeline.warnings.is_empty() {
        show_diagnostics(&celldag_engine::Diagnostics { items: pipeline.warnings.clone() }, output);
    }
    Ok(pipeline)
}

/// Opens the store that the user named, or the one beside the pipeline (`root`); makes it if need be. `offline` leaves
/// the shared store behind it alone.
pub(crate) fn open_store(args: &StoreArgs, root: &Path, offline: bool) -> Result<Store, Failure> {
    store::open(args, root, offline)
}

/// Opens a store to look at: one that is not there is not made, since the user probably stands in another folder.
pub(crate) fn open_existing_store(args: &StoreArgs) -> Result<Store, Failure> {
    let here = Path::new("");
    let folder = store::folder(args, here);
    if Store::look(&folder)?.is_none() {
        return Err(no_store(&folder));
    }
    open_store(args, here, false)
}

/// There is none in this folder.
pub(super) fn no_store(folder: &Path) -> Failure {
    Failure::Usage {
        message: format!("there is no store at {}", folder.display()),
        help: Some(
            "the store is the folder .celldag beside the pipeline: name it with --cache DIR".to_owned(),
        ),
    }
}

/// Sets the precision of all nodes that have the parameter, over what the pipeline says. It is part of their keys.
pub(crate) fn set_precision(pipeline: &mut Pipeline, wanted: PrecisionArgs) -> Result<(), Failure> {
    const NAME: &str = "precision";
    let Some(precision) = wanted.precision else { return Ok(()) };
    let mut found = false;
    for job in &mut pipeline.jobs {
        if job.kind.spec.params.iter().any(|param| param.name == NAME) {
            Arc::make_mut(&mut job.params).0.insert(NAME.to_owned(), precision.name().into());
            found = true;
        }
    }
    if found {
        return Ok(());
    }
    Err(Failure::Usage {
        message: format!("--precision {precision}: no node has a parameter `{NAME}`"),
        help: Some("models have one, such as `embed`; everything else computes in f32 or f64".to_owned()),
    })
}

/// The device's identity where it is part of the keys; opening a device takes time, so not otherwise.
pub(crate) fn identity(pipeline: &Pipeline, device: &str) -> Result<Option<DeviceIdentity>, Failure> {
    if !pipeline.strict_numerics {
        return Ok(None);
    }
    let device = Device::open(device, 0).map_err(|e| Failure::Device(e.to_string()))?;
    let info = device.info();
    Ok(Some(DeviceIdentity {
        backend: info.backend.to_owned(),
        adapter: info.adapter(),
        driver: info.driver.clone(),
    }))
}

/// [`identity`] for a run: a device that is named and does not exist, or cannot compute as it was told, is an error at
/// once and not when the first node needs it.
fn identity_for_run(pipeline: &Pipeline, compute: &ComputeArgs) -> Result<Option<DeviceIdentity>, Failure> {
    let device = compute.device.as_str();
    let known = identity(pipeline, device)?;
    let precision = compute.precision.precision.unwrap_or_default();
    let named = !matches!(device, "auto" | "cpu") && pipeline.jobs.iter().any(|job| job.uses_device);
    if (named && known.is_none()) || precision != Precision::F32 {
        let options = DeviceOptions { precision, ..DeviceOptions::new(device, 1) };
        Device::open_with(&options).map_err(|e| Failure::Device(e.to_string()))?;
    }
    Ok(known)
}

/// The GPUs that a run may use. Drivers are asked when the first node needs one.
fn gpus(device: &str) -> Gpus {
    let device = device.to_owned();
    Gpus::ask(move || {
        let found = choose_gpus(&device).map_err(|e| {
            NodeError::device(e.to_string())
                .help("`celldag devices` lists what this machine has; `--device cpu` always works")
        })?;
        let slot = |GpuChoice { device, memory, pci, variable }| {
            let variable = variable.map(|(name, id)| (name.to_owned(), id));
            GpuSlot { device, memory, pci, variable }
        };
        Ok(found.into_iter().map(slot).collect())
    })
}

/// Everything about a run besides the pipeline and the store.
pub(crate) struct Execution<'a> {
    pub(crate) compute: &'a ComputeArgs,
    pub(crate) out: Option<&'a Path>,
    pub(crate) only: &'a [String],
    pub(crate) force: &'a [String],
    pub(crate) retry_failed: bool,
    pub(crate) keep_going: bool,
    /// The run gets a record in the store.
    pub(crate) record: bool,
    /// The most bytes of tensors in main memory.
    pub(crate) main_memory: Option<u64>,
}

impl<'a> Execution<'a> {
    /// All of the pipeline, nothing forced. Who asks for one thing and asks again wants it tried again.
    pub(crate) fn whole(compute: &'a ComputeArgs) -> Self {
        Self {
            compute,
            out: None,
            only: &[],
            force: &[],
            retry_failed: true,
            keep_going: false,
            record: true,
            main_memory: None,
        }
    }
}

/// Runs a pipeline with the store that the user named, shows how it goes, and prints what came out.
pub(crate) fn execute(
    pipeline: Pipeline,
    store: &StoreArgs,
    execution: &Execution<'_>,
    output: &Output,
) -> Result<(), Failure> {
    let cancel = interrupt::cancel_on_signals(*output)?;
    let store = open_store(store, &pipeline.root, execution.compute.offline)?;
    let record = carry_out(pipeline, &store, execution, (output, &cancel))?;
    conclude(&record, output)
}

/// Runs a pipeline and shows how it goes.
pub(crate) fn carry_out(
    mut pipeline: Pipeline,
    store: &Store,
    execution: &Execution<'_>,
    (output, cancel): (&Output, &Cancel),
) -> Result<RunRecord, Failure> {
    set_precision(&mut pipeline, execution.compute.precision)?;
    let pipeline = &pipeline;
    let identity = identity_for_run(pipeline, execution.compute)?;
    let mut options = RunOptions {
        ram: execution.compute.ram.or_else(machine::memory),
        main_memory: execution.main_memory,
        device: execution.compute.device.clone(),
        gpus: gpus(&execution.compute.device),
        retry_failed: execution.retry_failed,
        memory_limit: execution.compute.memory_limit,
        identity,
        // What a user types starts at where they are.
        out: execution.out.map(std::path::absolute).transpose()?,
        only: execution.only.to_vec(),
        force: execution.force.to_vec(),
        keep_going: execution.keep_going,
        offline: execution.compute.offline,
        record: execution.record,
        ..RunOptions::default()
    };
    if let Some(jobs) = execution.compute.jobs {
        options.jobs = jobs;
        options.threads = jobs;
    }
    let observer = progress::observer(output, execution.compute.progress);
    let record = celldag_engine::run(pipeline, store, &options, observer.as_ref(), cancel)?;
    store::push(store, output, &|| cancel.is_cancelled());
    Ok(record)
}

/// Results on stdout, unless events are there, and how the command ends.
pub(crate) fn conclude(record: &RunRecord, output: &Output) -> Result<(), Failure> {
    if !output.json {
        show(record, output)?;
    }
    match record.header.exit {
        ExitClass::Ok => Ok(()),
        class => Err(Failure::Run(class)),
    }
}

/// Report documents as tables, then where the outputs are.
fn show(record: &RunRecord, output: &Output) -> Result<(), Failure> {
    let header = &record.header;
    let counts = header.counts;
    let mut summary = format!("{}: {} computed, {} cached", header.pipeline, counts.ran, counts.cached);
    for (count, what) in [(counts.failed, "failed"), (counts.skipped, "skipped")] {
        if count > 0 {
            summary.push_str(&format!(", {count} {what}"));
        }
    }
    summary.push_str(&format!(" in {}", celldag_engine::plan::duration(header.seconds)));
    if counts.cached > 0 {
        summary.push_str(&format!(", saved {}", celldag_engine::plan::duration(header.saved_seconds)));
    }
    if !record.id().is_empty() {
        summary.push_str(&format!(" (run {})", record.id()));
    }
    output.say(&summary);
    for written in &record.outputs {
        let json = written.path.extension().is_some_and(|extension| extension == "json");
        if let Some(document) = json.then(|| read_document(&written.path)).flatten() {
            output.result(&text::document(&document))?;
        }
    }
    for written in &record.outputs {
        output.result(&shown(&written.path).display().to_string())?;
    }
    Ok(())
}

/// Outputs of a run that are report documents: job, port, bytes.
pub(super) fn reports(run: &RunRecord) -> impl Iterator<Item = (&JobRecord, &str, &Artifact)> {
    run.jobs.iter().flat_map(|job| {
        let types = job.action().map(|action| action.outputs).unwrap_or_default();
        let wanted = move |port: &str| types.get(port).is_some_and(|output| output.ty == "report");
        let outputs = job.outputs.iter().filter(move |(port, _)| wanted(port));
        outputs.map(move |(port, artifact)| (job, port.as_str(), artifact))
    })
}

/// Reads a report document; `None` for any other file.
pub(crate) fn read_document(path: &Path) -> Option<ReportDocument> {
    let document: ReportDocument = serde_json::from_slice(&fs_err::read(path).ok()?).ok()?;
    (document.format == DOCUMENT_FORMAT).then_some(document)
}

/// A path as short as it can be from where the user is.
pub(crate) fn shown(path: &Path) -> &Path {
    std::env::current_dir().ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}
