//! `celldag runs`: what ran when, one run in detail, and two runs side by side.

use celldag_engine::plan::duration;
use celldag_engine::record::{self, JobDiff};
use celldag_engine::{JobOutcome, RunRecord};
use serde_json::json;

use super::runs_table;
use super::shared::open_existing_store;
use crate::args::{RunsCommand, StoreArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::text::{cell, table};

pub(crate) fn run(command: Option<&RunsCommand>, args: &StoreArgs, output: &Output) -> Result<(), Failure> {
    let store = open_existing_store(args)?;
    match command {
        None => {
            let runs = record::list(&store)?;
            if output.json {
                return output.json_result(&runs);
            }
            if runs.is_empty() {
                output.say(&format!("no runs in {}", store.root().display()));
                return Ok(());
            }
            let rows: Vec<Vec<String>> = runs
                .iter()
                .map(|run| {
                    vec![
                        run.id.clone(),
                        run.pipeline.clone(),
                        format!("{:?}", run.status).to_lowercase(),
                        run.counts.ran.to_string(),
                        run.counts.cached.to_string(),
                        run.counts.failed.to_string(),
                        duration(run.seconds),
                    ]
                })
                .collect();
            output
                .result(&table(&["run", "pipeline", "status", "computed", "cached", "failed", "time"], &rows))
        }
        Some(RunsCommand::Show { run }) => show(&record::load(&store, run)?, output),
        Some(RunsCommand::Table { run, kind }) => runs_table::show(&record::load(&store, run)?, kind, output),
        Some(RunsCommand::Diff { a, b }) => {
            diff(&record::load(&store, a)?, &record::load(&store, b)?, output)
        }
    }
}

fn show(run: &RunRecord, output: &Output) -> Result<(), Failure> {
    if output.json {
        return output.json_result(&json!({ "run": run.header, "jobs": run.jobs, "outputs": run.outputs }));
    }
    let header = &run.header;
    output.result(&format!(
        "run {} of {} ({})\nstarted {}, {}, celldag {}, device {}\n",
        header.id,
        header.pipeline,
        header.file.display(),
        header.started,
        duration(header.seconds),
        header.version,
        header.device
    ))?;
    let rows: Vec<Vec<String>> = run
        .jobs
        .iter()
        .map(|job| {
            let state = match (&job.failure, &job.state) {
                (Some(failure), _) => {
                    format!("failed: {}", failure.message.lines().next().unwrap_or_default())
                }
                (None, Some(state)) => state.to_string(),
                (None, None) => String::new(),
            };
            let outcome = match job.outcome {
                JobOutcome::Hit => "cached",
                JobOutcome::Ran => "computed",
                JobOutcome::Failed => "failed",
                JobOutcome::Skipped => "skipped",
            };
            vec![job.id.clone(), job.kind.clone(), outcome.to_owned(), duration(job.seconds), state]
        })
        .collect();
    output.result(&table(&["job", "kind", "outcome", "time", "why"], &rows))?;
    for written in &run.outputs {
        output.result(&written.path.display().to_string())?;
    }
    Ok(())
}

fn diff(a: &RunRecord, b: &RunRecord, output: &Output) -> Result<(), Failure> {
    let diff = record::diff(a, b);
    if output.json {
        return output.json_result(&diff);
    }
    for job in &diff.jobs {
        match job {
            JobDiff::Added { job } => output.result(&format!("+ {job}"))?,
            JobDiff::Removed { job } => output.result(&format!("- {job}"))?,
            JobDiff::Changed { job, outcomes, changes, outputs, facts } => {
                output.result(&format!("~ {job}"))?;
                if let Some((before, after)) = outcomes {
                    output.result(&format!("    ended {before:?} then {after:?}").to_lowercase())?;
                }
                for change in changes {
                    output.result(&format!("    {change}"))?;
                }
                for (name, (before, after)) in facts {
                    let shown =
                        |value: &Option<serde_json::Value>| value.as_ref().map_or("–".to_owned(), cell);
                    output.result(&format!("    {name}: {} → {}", shown(before), shown(after)))?;
                }
                if !outputs.is_empty() {
                    output.result(&format!("    other content on: {}", outputs.join(", ")))?;
                }
            }
        }
    }
    output.result(&format!("{} jobs differ, {} agree", diff.jobs.len(), diff.same))
}
