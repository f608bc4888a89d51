//! `celldag plan`: what would run, and why.

use celldag_engine::history::Total;
use celldag_engine::plan::duration;
use celldag_engine::{JobState, PlanOptions};

use super::shared::{identity, load, open_store, set_precision};
use crate::args::PlanArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::{bytes, table};

pub(crate) fn run(args: &PlanArgs, output: &Output) -> Result<(), Failure> {
    let mut pipeline = load(&args.pipeline, output)?;
    set_precision(&mut pipeline, args.precision)?;
    let store = open_store(&args.store, &pipeline.root, args.offline)?;
    let options = PlanOptions {
        only: args.select.only.clone(),
        force: args.select.force.clone(),
        retry_failed: args.select.retry_failed,
        identity: identity(&pipeline, &args.device)?,
        ..PlanOptions::default()
    };
    let plan = celldag_engine::plan(&pipeline, &store, &options)?;
    let estimate = celldag_engine::estimate(&store, &pipeline, &plan)?;
    if output.json {
        let mut told = serde_json::to_value(&plan).map_err(|e| Failure::Other(e.to_string()))?;
        told["estimate"] = serde_json::to_value(&estimate).map_err(|e| Failure::Other(e.to_string()))?;
        return output.json_result(&told);
    }
    let rows: Vec<Vec<String>> =
        plan.jobs.iter().map(|job| vec![job.id.clone(), job.kind.clone(), job.state.to_string()]).collect();
    output.result(&table(&["job", "kind", "state"], &rows))?;
    let count = |wanted: fn(&JobState) -> bool| plan.jobs.iter().filter(|job| wanted(&job.state)).count();
    let failing = match count(|state| matches!(state, JobState::Fails { .. })) {
        0 => String::new(),
        failing => format!(", {failing} failed before or need what did (`--retry-failed` tries them again)"),
    };
    output.say(&format!(
        "{} cached, {} to run, {} may run{failing}",
        count(JobState::is_cached),
        count(|state| matches!(state, JobState::Runs { .. })),
        count(|state| matches!(state, JobState::MayRun { .. })),
    ));
    for (what, total) in [("runs", &estimate.runs), ("may run", &estimate.may_run)] {
        if let Some(cost) = cost(total) {
            output.say(&format!("what {what}: {cost}"));
        }
    }
    Ok(())
}

/// `about 41 min on 1 slot, 12.0 GiB of results; 3 jobs unknown (of head)`; nothing when there are no jobs.
fn cost(total: &Total) -> Option<String> {
    let unknown = (total.unknown > 0).then(|| {
        let nodes: Vec<&str> = total.unknown_nodes.iter().map(String::as_str).collect();
        let noun = if total.unknown == 1 { "job" } else { "jobs" };
        let more = if nodes.len() > 5 { ", ..." } else { "" };
        format!(
            "{} {noun} of {}{more} never ran here: time and space unknown",
            total.unknown,
            nodes.iter().take(5).copied().collect::<Vec<_>>().join(", ")
        )
    });
    let known = (total.known > 0)
        .then(|| format!("about {} on 1 slot, {} of results", duration(total.seconds), bytes(total.bytes)));
    match (known, unknown) {
        (Some(known), Some(unknown)) => Some(format!("{known}; {unknown}")),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_said() {
        let mut total = Total { known: 2, seconds: 2460.0, bytes: 12 << 30, ..Total::default() };
        assert_eq!(cost(&total).unwrap(), "about 41 min on 1 slot, 12.0 GiB of results");
        total.unknown = 3;
        total.unknown_nodes = ["head".to_owned(), "embed".to_owned()].into();
        assert_eq!(
            cost(&total).unwrap(),
            "about 41 min on 1 slot, 12.0 GiB of results; 3 jobs of embed, head never ran here: time and space unknown"
        );
        total.known = 0;
        assert_eq!(cost(&total).unwrap(), "3 jobs of embed, head never ran here: time and space unknown");
        assert_eq!(cost(&Total::default()), None);
    }
}
