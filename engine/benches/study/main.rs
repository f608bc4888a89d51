//! The reference study of 36 data sets, 9 models, 2 strategies and 10 folds: what its 13,644 jobs cost the engine itself.
//!
//! The kinds do next to nothing, so that everything measured is the engine: reading and expanding the file, keys, look-ups,
//! the run loop and the store. Every phase is a process of its own, as a user's command would be; CPU seconds are those of
//! the whole process, all threads, and memory is its peak.
//!
//! `cargo bench -p celldag-engine --bench study`, or `make bench-engine`, which puts Snakemake beside it.

#![expect(clippy::print_stdout, reason = "a bench prints its table")]

mod kinds;
mod usage;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use celldag_cache::{Durability, Options, Store};
use celldag_engine::plan::{JobState, PlanOptions};
use celldag_engine::{Cancel, LoadOptions, Pipeline, Quiet, RunOptions, load, plan, run};

use usage::Usage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const DATA_SETS: usize = 36;
const FOLDS: usize = 10;
/// Ten times the study: as many jobs as anybody plans on one machine.
const MANY_FOLDS: usize = 100;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.as_slice() {
        [] => all(),
        // `cargo test --benches` asks for a quick look.
        [test] if test == "--test" => Ok(()),
        [phase, folder] => {
            let usage = measured(phase, Path::new(folder))?;
            println!("{}", serde_json::to_string(&usage)?);
            Ok(())
        }
        _ => Err("usage: study [PHASE FOLDER]".into()),
    }
}

/// All phases on a fresh store, as rows of a Markdown table.
fn all() -> Result<()> {
    let folder = tempfile::tempdir()?;
    write_study(folder.path(), "study.yaml", FOLDS)?;
    write_study(folder.path(), "large.yaml", MANY_FOLDS)?;
    println!("| phase | jobs | CPU s | wall s | peak memory MB |");
    println!("|---|---:|---:|---:|---:|");
    for (phase, what) in [
        ("plan", "plan, nothing computed"),
        ("check-large", "read, check and expand ten times the folds"),
        ("plan-large", "plan of ten times the folds, nothing computed"),
        ("run", "run everything (kinds do nothing; durability relaxed)"),
        ("plan", "plan, everything cached"),
        ("run", "run again: nothing to do"),
    ] {
        let output = Command::new(std::env::current_exe()?).args([phase.as_ref(), folder.path()]).output()?;
        if !output.status.success() {
            return Err(format!("{phase}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let usage: Usage = serde_json::from_slice(&output.stdout)?;
        println!(
            "| {what} | {} | {:.2} | {:.2} | {:.0} |",
            usage.jobs, usage.cpu_seconds, usage.wall_seconds, usage.peak_megabytes
        );
    }
    let files = walk(&folder.path().join("store"))?;
    println!("\nStore after the run: {} files, {:.0} MB on disk", files.0, files.1 as f64 / 1e6);
    Ok(())
}

fn measured(phase: &str, folder: &Path) -> Result<Usage> {
    let start = std::time::Instant::now();
    let store = Store::open(&folder.join("store"), Options { durability: Durability::Relaxed })?;
    let jobs = match phase {
        "plan" => planned(&study(folder, "study.yaml")?, &store)?,
        "check-large" => study(folder, "large.yaml")?.jobs.len(),
        "plan-large" => planned(&study(folder, "large.yaml")?, &store)?,
        "run" => {
            let record =
                run(&study(folder, "study.yaml")?, &store, &RunOptions::default(), &Quiet, &Cancel::new())?;
            if record.header.counts.failed > 0 {
                return Err("a job failed".into());
            }
            record.header.counts.jobs
        }
        other => return Err(format!("no phase `{other}`").into()),
    };
    Usage::now(jobs, start.elapsed())
}

fn planned(pipeline: &Pipeline, store: &Store) -> Result<usize> {
    let plan = plan(pipeline, store, &PlanOptions::default())?;
    let cached = plan.jobs.iter().filter(|job| matches!(job.state, JobState::Cached { .. })).count();
    // All or nothing: anything between would mean that a phase before did not do its work.
    if cached != 0 && cached != plan.jobs.len() {
        return Err(format!("{cached} of {} jobs are cached", plan.jobs.len()).into());
    }
    Ok(plan.jobs.len())
}

fn study(folder: &Path, file: &str) -> Result<Pipeline> {
    load(&folder.join(file), None, &kinds::registry(), &LoadOptions::default())
        .map_err(|findings| format!("{findings:?}").into())
}

/// One small file a data set and a checkpoint folder a model, and the pipeline over them.
fn write_study(folder: &Path, file: &str, folds: usize) -> Result<()> {
    let models =
        ["tgpt", "scbert", "geneformer", "celllm", "scfoundation", "scgpt", "cellplm", "uce", "llama3-8b"];
    let mut table = String::from("id\tpath\n");
    for number in 0..DATA_SETS {
        let name = format!("d{number:02}");
        fs_err::write(folder.join(format!("{name}.txt")), &name)?;
        table += &format!("{name}\t{name}.txt\n");
    }
    fs_err::write(folder.join("datasets.tsv"), table)?;
    for model in models {
        fs_err::write(folder.join(format!("{model}.bin")), model)?;
    }
    let text =
        include_str!("study.yaml").replace("MODELS", &models.join(", ")).replace("FOLDS", &folds.to_string());
    Ok(fs_err::write(folder.join(file), text)?)
}

/// Files below a folder, and the bytes of disk that they take.
fn walk(folder: &PathBuf) -> Result<(usize, u64)> {
    use std::os::unix::fs::MetadataExt;
    let (mut files, mut bytes) = (0, 0);
    for entry in fs_err::read_dir(folder)? {
        let entry = entry?;
        let meta = entry.metadata()?;
        bytes += meta.blocks() * 512;
        if meta.is_dir() {
            let inside = walk(&entry.path())?;
            files += inside.0;
            bytes += inside.1;
        } else {
            files += 1;
        }
    }
    Ok((files, bytes))
}
