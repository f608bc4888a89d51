//! `celldag why`: field by field, a node's action in a run beside its action before.

use celldag_engine::record::{InputFrom, InputRecord, changed_source};
use celldag_engine::{Change, Why, short};

use super::shared::{open_existing_store, shown};
use crate::args::WhyArgs;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &WhyArgs, output: &Output) -> Result<(), Failure> {
    let store = open_existing_store(&args.store)?;
    let jobs = celldag_engine::why(&store, &args.node, &args.run)?;
    if output.json {
        return output.json_result(&jobs);
    }
    for job in &jobs {
        let state = job.state.as_ref().map_or_else(|| "not reached".to_owned(), ToString::to_string);
        output.result(&format!("{}: {state}", job.job))?;
        match &job.compared_with {
            None => {}
            Some(run) if job.changes.is_empty() => {
                output.result(&format!("  the same action as in run {run}"))?;
            }
            Some(run) => {
                output.result(&format!("  since run {run}:"))?;
                for change in &job.changes {
                    output.result(&format!("  - {change}{}", place(change, &job.sources)))?;
                }
            }
        }
        for note in notes(job) {
            output.result(&format!("  {note}"))?;
        }
    }
    Ok(())
}

fn notes(job: &Why) -> impl Iterator<Item = &str> {
    // A cached job that no earlier run knows was computed by another pipeline.
    let other =
        job.compared_with.is_none() && job.state.as_ref().is_some_and(celldag_engine::JobState::is_cached);
    let other = other.then_some("no earlier run of this pipeline has it: another run computed the same");
    other.into_iter().chain(job.notes.iter().map(String::as_str))
}

/// Which file or job an input that changed comes from, and its contents then and now.
pub(super) fn place(change: &Change, sources: &[InputRecord]) -> String {
    let Change::Input { before, after, .. } = change else { return String::new() };
    let from = match changed_source(change, sources) {
        Some(InputFrom::File(path)) => format!(": {}", shown(path).display()),
        Some(InputFrom::Job { id, port }) => format!(": {id}.{port}"),
        None => String::new(),
    };
    let digest = |digest: &Option<String>| digest.as_deref().map_or("nothing", short).to_owned();
    format!("{from} (BLAKE3 {} → {})", digest(before), digest(after))
}
