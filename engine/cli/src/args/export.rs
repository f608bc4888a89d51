//! What can be typed after `celldag export`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::values::seconds;
use super::{PipelineArgs, StoreArgs};

/// `celldag export`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Write a Snakefile with a rule for each node, its config.yaml, profiles and how to run it
    #[command(
        after_help = "Example: celldag export snakemake pipeline.yaml -o workflow --set cells=$PWD/cells.h5ad\n\
                            Then:    cd workflow && snakemake --cores 2"
    )]
    Snakemake(WorkflowArgs),
    /// Write main.nf with a process for each node, its sheets of jobs, nextflow.config and how to run it
    #[command(
        after_help = "Example: celldag export nextflow pipeline.yaml -o flow --set cells=$PWD/cells.h5ad\n\
                            Then:    cd flow && nextflow run . -profile local"
    )]
    Nextflow(WorkflowArgs),
    /// Write a module for each node kind, also for those in executables: wrappers for Snakemake, processes for Nextflow
    Modules(ModulesArgs),
}

/// `celldag export snakemake` and `celldag export nextflow`: which pipeline becomes a workflow, and where.
#[derive(Clone, Debug, Args)]
pub(crate) struct WorkflowArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Folder to write: a new one, or one that an earlier export wrote
    ///
    /// Files in it that you have changed since stay as they are; what is new for them is written beside, as FILE.new.
    #[arg(long, short = 'o', value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Give nodes whose jobs take less than so many seconds no cluster jobs of their own
    ///
    /// Snakemake puts them into groups, whose connected jobs share a cluster job; with Nextflow their tasks run where Nextflow
    /// runs. What jobs take is what they took in the runs of the store. A node of which nothing is known there counts as small
    /// when it computes on no device and asks for no resources.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60", require_equals = true, value_parser = seconds)]
    pub(crate) group_small: Option<f64>,
    /// The steps share the store that --cache or CELLDAG_CACHE names, which is written into the configuration of the workflow;
    /// without them a store in the folder where the workflow runs
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `celldag export modules`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example: celldag export modules nextflow -o modules")]
pub(crate) struct ModulesArgs {
    /// For which workflow manager
    #[arg(value_enum)]
    pub(crate) engine: ModuleEngine,
    /// Folder to write: a new one, or one that an earlier export wrote
    #[arg(long, short = 'o', value_name = "DIR")]
    pub(crate) output: PathBuf,
}

/// Workflow managers that take modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModuleEngine {
    /// A wrapper folder for each kind
    Snakemake,
    /// A DSL2 process in the manner of nf-core for each kind
    Nextflow,
}
