//! What can be typed: clap types and their help texts, nothing else.

mod export;
mod import;
mod models;
mod provenance;
mod serve;
mod step;
mod store;
mod values;

use std::path::PathBuf;
use std::str::FromStr as _;

use celldag_shaders::Precision;
use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use export::{ExportCommand, ModuleEngine, ModulesArgs, WorkflowArgs};
pub(crate) use import::ImportArgs;
pub(crate) use models::{EmbedArgs, EmbedDrugArgs, PredictArgs};
pub(crate) use provenance::{ExportFormat, ProvenanceArgs, ProvenanceCommand};
pub(crate) use serve::ServeArgs;
pub(crate) use step::StepArgs;
pub(crate) use store::{CacheCommand, DurabilityArg, LocksArg, StoreArgs};
pub(crate) use values::LabelledInput;
use values::{memory, name_value, threads};

/// Drug response of single cells with foundation models, as declarative cached pipelines.
#[derive(Debug, Parser)]
#[command(
    name = "celldag",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 ok; 1 a node failed; 2 bad arguments or pipeline; 3 bad or missing input data; \
                  4 device or memory; 130 interrupted.\n\
                  Start with: celldag run pipelines/quickstart.yaml"
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Options of every command.
    #[command(flatten)]
    pub(crate) global: Global,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Machine-readable output on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say less: errors and results only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more (-vv: everything); RUST_LOG gives finer control
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = When::Auto, value_name = "WHEN")]
    pub(crate) color: When,
}

/// How a run tells how far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressArg {
    /// A tree on a terminal, lines elsewhere, failures only with --quiet
    #[default]
    Auto,
    /// A live tree: nodes, their running jobs, and what is left
    Tree,
    /// A line for everything that happens
    Lines,
    /// One JSON object for each event, on stderr (with --json on stdout)
    Json,
    /// Failures only
    None,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a pipeline; only what changed is computed
    Run(RunArgs),
    /// Say what would run, and for each node why; computes nothing
    Plan(PlanArgs),
    /// Parse, type-check and validate a pipeline without reading data
    Check(PipelineArgs),
    /// Draw a pipeline
    Graph(GraphArgs),
    /// Run one node on given files, for Snakemake, Nextflow and scripts; cached as in a run
    Step(StepArgs),
    /// Write a pipeline as a workflow for a workflow manager: one rule a node, the same results in the same store
    #[command(subcommand)]
    Export(ExportCommand),
    /// Say field by field why a node ran: its action now beside its action in an earlier run
    Why(WhyArgs),
    /// Say what made a file: job, parameters, versions, inputs, up to your own files; or export a run
    Provenance(ProvenanceArgs),
    /// Embed cells with a foundation model: tokenize + embed in one command
    Embed(EmbedArgs),
    /// Embed drugs, given as SMILES, with a model of molecules: a table in, a table out
    EmbedDrug(EmbedDrugArgs),
    /// Predict new cells with the trained heads of a run
    Predict(PredictArgs),
    /// List node kinds, or explain one: ports, parameters, units, defaults
    Nodes {
        /// Kind to explain, or the path of an executable that describes itself as one; folders of such executables are listed in
        /// CELLDAG_PLUGINS
        kind: Option<String>,
    },
    /// List the models, or say what a checkpoint folder holds and whether it is complete
    Models {
        #[command(subcommand)]
        command: Option<ModelsCommand>,
    },
    /// Print the JSON Schema of pipeline files, for editors
    Schema,
    /// List backends and adapters; a software GPU driver is never picked by itself
    Devices {
        /// Measure matrix products, attention and bandwidth on each of them
        #[arg(long)]
        bench: bool,
    },
    /// Look after the store
    Cache {
        /// What to do
        #[command(subcommand)]
        command: CacheCommand,
        /// Which store
        #[command(flatten)]
        store: StoreArgs,
    },
    /// List runs, show one, or compare two
    Runs {
        /// What to do; without it, runs are listed
        #[command(subcommand)]
        command: Option<RunsCommand>,
        /// Which store
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Write a run as one self-contained HTML page
    Report {
        /// Run id, the beginning of one, or `last`
        #[arg(default_value = "last")]
        run: String,
        /// Where to write the page
        #[arg(short, long, value_name = "FILE.html")]
        output: PathBuf,
        /// Which store
        #[command(flatten)]
        store: StoreArgs,
    },
    /// Show the runs in a browser: list, reports, comparisons, and runs that go on; for this machine only
    Serve(ServeArgs),
}

/// A pipeline and what changes in it.
#[derive(Clone, Debug, Args)]
pub(crate) struct PipelineArgs {
    /// Pipeline file (YAML)
    pub(crate) pipeline: PathBuf,
    /// Set a parameter of the pipeline; paths start at the pipeline's folder, as in the file (from here: cells=$PWD/FILE)
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) set: Vec<(String, String)>,
    /// Use a profile of the pipeline; of several, the later one wins
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Vec<String>,
}

/// Where and how hard to work.
#[derive(Clone, Debug, Args)]
pub(crate) struct ComputeArgs {
    /// Compute device: auto takes a hardware GPU if there is one, else the CPU; or gpu, cpu, software, an adapter's name, or its address (pci:0000:65:00.0)
    #[arg(long, env = "CELLDAG_DEVICE", default_value = "auto", value_name = "auto|gpu|cpu|NAME")]
    pub(crate) device: String,
    /// Threads in all; independent nodes share them [default: all cores]
    #[arg(long, short = 'j', value_name = "N", value_parser = threads)]
    pub(crate) jobs: Option<usize>,
    /// Main memory that running nodes may ask for together, for nodes that say what they need (`resources: {ram: ...}`)
    /// [default: what the machine, the container or Slurm allows]
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub(crate) ram: Option<u64>,
    /// Most memory that the tensors of a node may take on the device (for example 4GiB); changes no result
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub(crate) memory_limit: Option<u64>,
    /// Reach no other machine: a node that would, such as `prompt-classify`, fails unless its result is cached, and a
    /// shared store is neither asked nor sent anything
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) precision: PrecisionArgs,
    /// How to tell how far the run is, on stderr
    #[arg(long, value_enum, default_value_t = ProgressArg::Auto, value_name = "HOW")]
    pub(crate) progress: ProgressArg,
}

/// How exact to compute; part of the keys of results.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct PrecisionArgs {
    /// Matrix products of models: f32x3 and f16 need cooperative matrices (see `celldag devices`) [default: the
    /// pipeline's, else f32]
    #[arg(long, value_name = "f32|f32x3|f16", value_parser = Precision::from_str)]
    pub(crate) precision: Option<Precision>,
}

/// Which nodes.
#[derive(Clone, Debug, Args)]
pub(crate) struct SelectArgs {
    /// Only this node and what it needs (may be repeated)
    #[arg(long, value_name = "NODE")]
    pub(crate) only: Vec<String>,
    /// Compute this node even if it is cached (may be repeated)
    #[arg(long, value_name = "NODE")]
    pub(crate) force: Vec<String>,
    /// Try again what failed before because of its data or a parameter; without it, such a node fails at once
    #[arg(long)]
    pub(crate) retry_failed: bool,
}

/// `celldag run`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Folder for the pipeline's outputs [default: the pipeline's folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// After a failure, go on with nodes that do not need the failed one
    #[arg(long)]
    pub(crate) keep_going: bool,
}

/// `celldag plan`.
#[derive(Clone, Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) select: SelectArgs,
    /// Compute device that the run will use; matters only under `numerics: strict`
    #[arg(long, env = "CELLDAG_DEVICE", default_value = "auto", value_name = "auto|gpu|cpu|NAME")]
    pub(crate) device: String,
    /// Do not ask a shared store what it has
    #[arg(long)]
    pub(crate) offline: bool,
    #[command(flatten)]
    pub(crate) precision: PrecisionArgs,
}

/// `celldag graph`.
#[derive(Clone, Debug, Args)]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t = GraphFormat::Svg)]
    pub(crate) format: GraphFormat,
}

/// Formats of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    /// A picture for browsers
    Svg,
    /// For Graphviz
    Dot,
    /// For Markdown
    Mermaid,
}

/// `celldag why`.
#[derive(Clone, Debug, Args)]
pub(crate) struct WhyArgs {
    /// Node, or one job of it such as `head[fold=3]`
    pub(crate) node: String,
    /// Run to explain: id, beginning of one, or `last`
    #[arg(long, default_value = "last")]
    pub(crate) run: String,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `celldag runs`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum RunsCommand {
    /// Show one run
    Show {
        /// Run id, the beginning of one, or `last`
        #[arg(default_value = "last")]
        run: String,
    },
    /// Record what steps of Snakemake or Nextflow have computed as a run of the pipeline; computes nothing
    ///
    /// Every job of the pipeline has to have its result in the store. `report`, `serve`, `runs show`, `provenance` and `predict` then
    /// know the run; its times and hosts are those of the results.
    Import(ImportArgs),
    /// Tabulate what the jobs of a kind reported: one row a job, its axes, facts, time and memory
    ///
    /// `celldag runs table --kind embed` compares models: parameters, dimensions, cells per second, peak memory.
    Table {
        /// Run id, the beginning of one, or `last`
        #[arg(default_value = "last")]
        run: String,
        /// Kind of the jobs
        #[arg(long, value_name = "KIND")]
        kind: String,
    },
    /// Compare two runs: parameters, inputs and results
    Diff {
        /// Earlier run
        a: String,
        /// Later run
        b: String,
    },
    /// Write when what ran as a trace for Perfetto (ui.perfetto.dev) or chrome://tracing
    Trace {
        /// Run id, the beginning of one, or `last`
        #[arg(default_value = "last")]
        run: String,
        /// Where to write the trace
        #[arg(short, long, value_name = "FILE.json")]
        output: PathBuf,
    },
}

/// `celldag models`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Say which model a folder holds, its variant, size and vocabulary, what is missing or left over, and its licence
    ///
    /// Nothing is computed and no weight is read, so it is quick also for large models.
    Inspect {
        /// The published folder (or file), as it was downloaded
        checkpoint: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
