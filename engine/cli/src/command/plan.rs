//! `celldag plan`: what would run, and why.

use celldag_engine::{JobState, PlanOptions};

use super::shared::{identity, load, open_store, set_precision};
use crate::args::PlanArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::table;

pub(crate) fn run(args: &PlanArgs, output: &Output) -> Result<(), Failure> {
    let mut pipeline = load(&args.pipeline, output)?;
    set_precision(&mut pipeline, args.precision)?;
    let store = open_store(&args.store, &pipeline.root)?;
    let options = PlanOptions {
        only: args.select.only.clone(),
        force: args.select.force.clone(),
        identity: identity(&pipeline, &args.device)?,
        ..PlanOptions::default()
    };
    let plan = celldag_engine::plan(&pipeline, &store, &options)?;
    if output.json {
        return output.json_result(&plan);
    }
    let rows: Vec<Vec<String>> =
        plan.jobs.iter().map(|job| vec![job.id.clone(), job.kind.clone(), job.state.to_string()]).collect();
    output.result(&table(&["job", "kind", "state"], &rows))?;
    let count = |wanted: fn(&JobState) -> bool| plan.jobs.iter().filter(|job| wanted(&job.state)).count();
    output.say(&format!(
        "{} cached, {} to run, {} may run",
        count(JobState::is_cached),
        count(|state| matches!(state, JobState::Runs { .. })),
        count(|state| matches!(state, JobState::MayRun { .. })),
    ));
    Ok(())
}
