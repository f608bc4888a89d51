//! `celldag step`: one node on given files, cached under the same key as in a run. What workflow managers call.

mod kind;
mod portion;
mod private;

use std::path::{Path, PathBuf};

use celldag_cache::Beside;
use celldag_engine::registry::Registered;
use celldag_engine::{ExitClass, JobOutput, Multiplicity, Pipeline, RunRecord, StepSummary, nearest};

use self::private::PrivateStore;
use super::paths::{Folders, must_be_a_file, must_exist, must_have_room};
use super::shared::{Execution, carry_out, conclude, open_store};
use crate::args::{ComputeArgs, LabelledInput, PrecisionArgs, StepArgs};
use crate::failure::Failure;
use crate::interrupt;
use crate::kinds::registry;
use crate::output::Output;

pub(crate) fn run(args: &StepArgs, output: &Output) -> Result<(), Failure> {
    let registry = registry();
    let pipeline = pipeline(args, kind::kind(args, &registry)?)?;
    let compute = ComputeArgs {
        device: args.device.clone(),
        jobs: args.threads,
        ram: None,
        memory_limit: args.memory_limit,
        offline: args.offline,
        precision: PrecisionArgs { precision: args.precision },
        progress: args.progress,
    };
    // What tensors leave of the memory is for everything else: counts that are read, buffers, the program itself.
    let main_memory = args.memory.map(|bytes| bytes / 4 * 3);
    let execution = Execution { record: false, main_memory, ..Execution::whole(&compute) };
    let private = args.no_cache.then(|| PrivateStore::create(args, &pipeline.outputs)).transpose()?;
    let cancel =
        interrupt::cancel_and_remove(*output, private.as_ref().map(|store| store.folder().to_owned()))?;
    let store = match &private {
        Some(private) => private.open()?,
        None => open_store(&args.store, &pipeline.root, args.offline)?,
    };
    let record = carry_out(pipeline, &store, &execution, (output, &cancel))?;
    if let Some(path) = args.summary.as_deref().filter(|_| record.exit() == ExitClass::Ok) {
        write_summary(path, &record)?;
    }
    conclude(&record, output)
}

fn pipeline(args: &StepArgs, kind: Registered) -> Result<Pipeline, Failure> {
    let spec = kind.spec.clone();
    if args.lineage.is_some() && !spec.wants_lineage {
        return Err(Failure::Usage {
            message: format!("--lineage: kind `{}` is not told what came before it", spec.name),
            help: Some("leave --lineage and --above out".to_owned()),
        });
    }
    let portion = portion::portion(args)?;
    let mut pipeline = Pipeline::single(kind, &args.with, &inputs(args, &spec)?)?.doing(&portion)?;
    if let Some(id) = &args.job {
        pipeline = pipeline.called(id);
    }
    pipeline.salt.clone_from(&args.salt);
    pipeline.strict_numerics = args.strict_numerics;
    if let Some(lineage) = &args.lineage {
        pipeline.lineage = Some(celldag_engine::read_lineage(lineage, &args.above)?);
    }
    for (port, path) in &args.outputs {
        let names = portion::ports(&spec, &portion);
        if !names.contains(&port.as_str()) {
            return Err(Failure::Usage {
                message: format!("kind `{}` has no output port `{port}`", spec.name),
                help: Some(nearest(port, names.iter().copied()).map_or_else(
                    || format!("it has: {}", names.join(", ")),
                    |near| format!("did you mean `{near}`?"),
                )),
            });
        }
        must_have_room("--out", Path::new(path), Folders::Made)?;
        let path: PathBuf = std::path::absolute(path)?;
        pipeline.outputs.push(JobOutput { path, job: 0, port: port.clone() });
    }
    // In a folder of summaries, other files may be written.
    let told = args
        .above
        .iter()
        .filter(|path| path.is_file())
        .chain(&args.lineage)
        .chain(&args.parts)
        .chain(&args.spec);
    pipeline.also_read = told.map(std::path::absolute).collect::<Result<_, _>>()?;
    if let Some(summary) = &args.summary {
        must_be_a_file("--summary", summary, Folders::Made)?;
        refuse_overwriting(&std::path::absolute(summary)?, &pipeline, args)?;
    }
    Ok(pipeline)
}

fn inputs(
    args: &StepArgs,
    spec: &celldag_engine::KindSpec,
) -> Result<Vec<(String, String, PathBuf)>, Failure> {
    let mut inputs = Vec::new();
    for LabelledInput { port, label, path } in &args.inputs {
        must_exist(&format!("--in {port}"), path)?;
        let path = std::path::absolute(path)?;
        let many = spec.inputs.iter().any(|p| p.name == port && p.many == Multiplicity::Many);
        let beside = args.inputs.iter().filter(|other| other.port == *port).count();
        // Labels tell gathered artifacts of one port apart; a single one needs none, and other ports do not count.
        let label = if many && label.is_empty() && beside > 1 {
            let before =
                inputs.iter().filter(|(other, ..): &&(String, String, PathBuf)| other == port).count();
            (before + 1).to_string()
        } else {
            label.clone()
        };
        inputs.push((port.clone(), label, path));
    }
    Ok(inputs)
}

/// The engine guards the outputs of ports; the summary is none of its business.
fn refuse_overwriting(summary: &Path, pipeline: &Pipeline, args: &StepArgs) -> Result<(), Failure> {
    let inputs = args.inputs.iter().map(|input| ("an input", input.path.clone()));
    let outputs = pipeline.outputs.iter().map(|output| ("an output", output.path.clone()));
    let told = args
        .above
        .iter()
        .chain(&args.lineage)
        .chain(&args.parts)
        .chain(&args.spec)
        .map(|path| ("read by the step", path.clone()));
    for (what, path) in inputs.chain(outputs).chain(told) {
        let path = std::path::absolute(path)?;
        // A folder of summaries is read before this one is written into it.
        if path == summary {
            return Err(Failure::Usage {
                message: format!("--summary {} is {what} too", summary.display()),
                help: Some("give it a name of its own".to_owned()),
            });
        }
    }
    Ok(())
}

/// Whole or not at all, as all outputs of a step.
fn write_summary(path: &Path, record: &RunRecord) -> Result<(), Failure> {
    let summary = record.jobs.first().and_then(StepSummary::of);
    let mut text = serde_json::to_string_pretty(&summary).map_err(|e| Failure::Other(e.to_string()))?;
    text.push('\n');
    let path = std::path::absolute(path)?;
    let folder = path.parent().unwrap_or(&path);
    fs_err::create_dir_all(folder)?;
    let beside = Beside::create(folder)?;
    let whole = beside.fresh_path();
    fs_err::write(&whole, text)?;
    fs_err::rename(&whole, &path)?;
    Ok(())
}
