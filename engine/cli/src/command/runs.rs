//! `celldag runs`: what ran when, one run in detail, and two runs side by side.

use celldag_engine::plan::duration;
use celldag_engine::record;
use celldag_engine::{JobOutcome, RunRecord, RunStatus};
use serde_json::json;

use super::paths::{Folders, must_be_a_file};
use super::shared::open_existing_store;
use super::{runs_diff, runs_import, runs_table};
use crate::args::{RunsCommand, StoreArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::text::table;

pub(crate) fn run(command: Option<&RunsCommand>, args: &StoreArgs, output: &Output) -> Result<(), Failure> {
    let load =
        |run: &str| -> Result<RunRecord, Failure> { Ok(record::load(&open_existing_store(args)?, run)?) };
    match command {
        Some(RunsCommand::Import(import)) => runs_import::run(import, args, output),
        None => {
            let store = open_existing_store(args)?;
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
        Some(RunsCommand::Show { run }) => show(&load(run)?, output),
        Some(RunsCommand::Table { run, kind }) => runs_table::show(&load(run)?, kind, output),
        Some(RunsCommand::Diff { a, b }) => {
            runs_diff::show(&open_existing_store(args)?, &load(a)?, &load(b)?, output)
        }
        Some(RunsCommand::Trace { run, output: to }) => {
            must_be_a_file("-o", to, Folders::There)?;
            let run = load(run)?;
            let trace = celldag_engine::trace::trace(&run.header, &record::read_events(&run.folder)?);
            fs_err::write(to, trace.to_string())?;
            output.result(&to.display().to_string())
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
    if let Some(imported) = &header.imported {
        output.result(&format!("imported {imported}\n"))?;
    }
    if matches!(header.status, RunStatus::Killed | RunStatus::Running) {
        return unended(run, output);
    }
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

/// A run that goes on, or that was killed: what its events tell.
fn unended(run: &RunRecord, output: &Output) -> Result<(), Failure> {
    let counts = run.header.counts;
    let open = record::unfinished(&record::read_events(&run.folder)?);
    let (what, doing) = match run.header.status {
        RunStatus::Killed => {
            ("was killed: its process ended before it could say how the run went", "was computing")
        }
        _ => ("goes on", "computes"),
    };
    output.result(&format!("it {what}"))?;
    if run.header.status == RunStatus::Killed {
        output.result(&format!(
            "{} jobs: {} computed, {} cached, {} failed; run the pipeline again, it goes on from there",
            counts.jobs, counts.ran, counts.cached, counts.failed
        ))?;
    }
    for job in open {
        output.result(&format!("{doing} {job}"))?;
    }
    Ok(())
}
