//! What can be typed after `celldag export`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{PipelineArgs, StoreArgs};

/// `celldag export`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Write a Snakefile with a rule for each node, its config.yaml, profiles and how to run it
    Snakemake(SnakemakeArgs),
    /// Write main.nf with a process for each node, its sheets of jobs, nextflow.config and how to run it
    Nextflow(NextflowArgs),
    /// Write a module for each node kind, also for those in executables: wrappers for Snakemake, processes for Nextflow
    Modules(ModulesArgs),
}

/// `celldag export nextflow`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: celldag export nextflow pipeline.yaml -o flow --set cells=$PWD/cells.h5ad\n\
                        Then:    cd flow && nextflow run . -profile local"
)]
pub(crate) struct NextflowArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Folder to write: a new one, or one that an earlier export wrote
    #[arg(long, short = 'o', value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Run the tasks of nodes whose jobs take less than so many seconds where Nextflow runs, not as jobs of the cluster
    ///
    /// What jobs take is what they took in the runs of the store. A node of which nothing is known there counts as small when it
    /// computes on no device and asks for no resources.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60", require_equals = true)]
    pub(crate) group_small: Option<f64>,
    /// The tasks share the store that --cache or CELLDAG_CACHE names, which is written into nextflow.config; without them a store
    /// where Nextflow is started
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

/// `celldag export snakemake`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "Example: celldag export snakemake pipeline.yaml -o workflow --set cells=$PWD/cells.h5ad\n\
                        Then:    cd workflow && snakemake --cores 2"
)]
pub(crate) struct SnakemakeArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Folder to write: a new one, or one that an earlier export wrote
    #[arg(long, short = 'o', value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Put nodes whose jobs take less than so many seconds into one group, so that they share cluster jobs
    ///
    /// What jobs take is what they took in the runs of the store. A node of which nothing is known there is put into the group
    /// when it computes on no device and asks for no resources.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "60", require_equals = true)]
    pub(crate) group_small: Option<f64>,
    /// The steps share the store that --cache or CELLDAG_CACHE names, which is written into config.yaml; without them a store in
    /// the folder of the workflow
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
