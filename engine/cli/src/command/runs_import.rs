//! `celldag runs import`: what steps of a workflow manager have computed, as a run.

use celldag_cache::Store;
use celldag_engine::run::Import;
use celldag_engine::{ExitClass, Quiet, RunOptions};

use super::shared::{identity, load, no_store, open_store, set_precision};
use super::store::{folder, is_shared};
use crate::args::{ImportArgs, StoreArgs};
use crate::failure::Failure;
use crate::interrupt;
use crate::output::Output;

pub(crate) fn run(args: &ImportArgs, store: &StoreArgs, output: &Output) -> Result<(), Failure> {
    let mut pipeline = load(&args.pipeline, output)?;
    set_precision(&mut pipeline, args.precision)?;
    let folder = folder(store, &pipeline.root);
    // What steps on other machines have computed may be in a shared store only; else a store that is not there has nothing.
    if !is_shared(store) && Store::look(&folder)?.is_none() {
        return Err(no_store(&folder));
    }
    let store = open_store(store, &pipeline.root, false)?;
    let options = RunOptions {
        device: args.device.clone(),
        identity: identity(&pipeline, &args.device)?,
        import: Some(Import { by: args.by.clone() }),
        ..RunOptions::default()
    };
    let cancel = interrupt::cancel_on_signals(*output)?;
    let record = celldag_engine::run(&pipeline, &store, &options, &Quiet, &cancel)?;
    if record.header.exit != ExitClass::Ok {
        // Looked at once more, a result was not as the plan had seen it.
        for (job, failure) in record.jobs.iter().filter_map(|job| Some((job, job.failure.as_ref()?))) {
            output.say(&format!("{}: {}", job.id, failure.message));
        }
        return Err(Failure::Run(record.header.exit));
    }
    if output.json {
        return output.json_result(&record.header);
    }
    output.say(&format!("{}: {} results are a run now", pipeline.name, record.jobs.len()));
    output.result(record.id())
}
