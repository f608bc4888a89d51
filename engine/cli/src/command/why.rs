//! `celldag why`: field by field, a node's action in a run beside its action before.

use super::shared::open_existing_store;
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
            None => output.result("  no earlier run of this pipeline has it")?,
            Some(run) if job.changes.is_empty() => {
                output.result(&format!("  the same action as in run {run}"))?;
            }
            Some(run) => {
                output.result(&format!("  since run {run}:"))?;
                for change in &job.changes {
                    output.result(&format!("  - {change}"))?;
                }
            }
        }
    }
    Ok(())
}
