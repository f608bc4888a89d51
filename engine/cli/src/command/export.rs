//! `celldag export`: a pipeline as a workflow for a workflow manager.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use celldag_cache::Store;
use celldag_engine::Pipeline;
use celldag_engine::history::seconds_by_node;
use celldag_export::folder::{self, Files, Now};
use celldag_export::snakemake::{Options, snakemake};
use celldag_export::{modules, nextflow};

use super::shared::{load, shown};
use crate::args::{ExportCommand, ModuleEngine, ModulesArgs, PipelineArgs, StoreArgs, WorkflowArgs};
use crate::failure::Failure;
use crate::kinds::registry;
use crate::output::Output;

pub(crate) fn run(command: &ExportCommand, output: &Output) -> Result<(), Failure> {
    match command {
        ExportCommand::Snakemake(args) => to_snakemake(args, output),
        ExportCommand::Nextflow(args) => to_nextflow(args, output),
        ExportCommand::Modules(args) => modules(args, output),
    }
}

fn to_snakemake(args: &WorkflowArgs, output: &Output) -> Result<(), Failure> {
    let pipeline = load(&args.pipeline, output)?;
    let folder = std::path::absolute(&args.output)?;
    let options = Options {
        folder: folder.clone(),
        store: store(&args.store)?,
        pipeline: words(&args.pipeline)?,
        small: small(&pipeline, args, output)?,
    };
    write(&folder, "snakemake", &snakemake(&pipeline, &options)?, output)?;
    output.say(&format!("run it with: cd {} && snakemake --cores 2", shown(&folder).display()));
    output.result(&shown(&folder.join("Snakefile")).display().to_string())
}

fn to_nextflow(args: &WorkflowArgs, output: &Output) -> Result<(), Failure> {
    let pipeline = load(&args.pipeline, output)?;
    let folder = std::path::absolute(&args.output)?;
    let options = nextflow::Options {
        store: store(&args.store)?,
        pipeline: words(&args.pipeline)?,
        small: small(&pipeline, args, output)?,
    };
    write(&folder, "nextflow", &nextflow::nextflow(&pipeline, &options)?, output)?;
    output.say(&format!("run it with: cd {} && nextflow run . -profile local", shown(&folder).display()));
    output.result(&shown(&folder.join("main.nf")).display().to_string())
}

fn modules(args: &ModulesArgs, output: &Output) -> Result<(), Failure> {
    let folder = std::path::absolute(&args.output)?;
    let registry = registry();
    let (engine, files) = match args.engine {
        ModuleEngine::Snakemake => ("snakemake modules", modules::snakemake::modules(&registry)),
        ModuleEngine::Nextflow => ("nextflow modules", modules::nextflow::modules(&registry)),
    };
    write(&folder, engine, &files, output)?;
    output.result(&shown(&folder.join("celldag")).display().to_string())
}

/// Writes the folder, and says which files of it the user has changed and what to do about them.
fn write(folder: &Path, engine: &str, files: &Files, output: &Output) -> Result<(), Failure> {
    for kept in folder::write(folder, engine, files)? {
        let place = |path: &Path| shown(&folder.join(path)).display().to_string();
        let more = match &kept.now {
            Now::Same => String::new(),
            Now::Beside(path) => {
                format!("; what is new for it is in {}: take it over, and delete that file", place(path))
            }
            Now::Gone => {
                ", though it is no longer part of the export: delete it if you do not need it".to_owned()
            }
        };
        output.complain(&format!("warning: {} stays as you changed it{more}", place(&kept.path)));
    }
    Ok(())
}

/// The store that the user named, as steps in another folder find it.
fn store(args: &StoreArgs) -> Result<Option<String>, Failure> {
    let Some(named) = &args.cache else { return Ok(None) };
    let text = text(named)?;
    if text.contains("://") { Ok(Some(text)) } else { Ok(Some(self::text(&std::path::absolute(named)?)?)) }
}

/// Arguments that name the pipeline as it was exported, from any folder.
fn words(args: &PipelineArgs) -> Result<Vec<String>, Failure> {
    let mut words = vec![text(&std::path::absolute(&args.pipeline)?)?];
    for (name, value) in &args.set {
        words.extend(["--set".to_owned(), format!("{name}={value}")]);
    }
    for profile in &args.profile {
        words.extend(["--profile".to_owned(), profile.clone()]);
    }
    Ok(words)
}

fn text(path: &Path) -> Result<String, Failure> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Failure::usage(format!("{}: the name is not UTF-8; rename it", path.display())))
}

/// Nodes whose jobs are too small for a cluster job of their own; none without `--group-small`.
fn small(pipeline: &Pipeline, args: &WorkflowArgs, output: &Output) -> Result<BTreeSet<String>, Failure> {
    let Some(limit) = args.group_small else { return Ok(BTreeSet::new()) };
    let known = if let Some(store) = Store::look(&super::store::folder(&args.store, &pipeline.root))? {
        seconds_by_node(&store, pipeline)?
    } else {
        output.say("--group-small: no store here knows what jobs take: nodes go by what they ask for");
        BTreeMap::new()
    };
    let modest = |node: &str| {
        let mut jobs = pipeline.jobs.iter().filter(|job| job.node == node);
        jobs.all(|job| !job.uses_device && job.resources == celldag_engine::Resources::default())
    };
    let nodes: BTreeSet<&str> = pipeline.jobs.iter().map(|job| job.node.as_str()).collect();
    let is_small = |node: &&str| known.get(*node).map_or_else(|| modest(node), |seconds| *seconds < limit);
    Ok(nodes.into_iter().filter(is_small).map(str::to_owned).collect())
}
