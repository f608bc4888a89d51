//! What can be typed after `celldag step`.

use std::path::PathBuf;
use std::str::FromStr as _;

use celldag_engine::Shard;
use celldag_shaders::Precision;
use clap::Args;

use super::values::{LabelledInput, labelled_input, memory, name_value, threads};
use super::{ProgressArg, StoreArgs};

/// `celldag step`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "A step reads the files after --in, writes those after --out, --summary and nothing else, never reads stdin, \
                  logs on stderr and ends with the exit codes of `celldag --help`. Outputs appear whole, under their \
                  names, once the step has succeeded. Of any number of steps that want the same result from one store, \
                  one computes it and the others wait for it.\n\n\
                  Example: celldag step qc --in cells=raw.h5ad --with min_genes=200 --out cells=qc.h5ad --cache /scratch/celldag\n\
                  Example: celldag step evaluate --in predictions:fold=0=a.csv --in predictions:fold=1=b.csv --out report=m.json"
)]
pub(crate) struct StepArgs {
    /// Node kind (see `celldag nodes`), the path of an executable that is one, or `exec`
    pub(crate) kind: String,
    /// With `exec`: the file that says which program is run, with which ports and values; `celldag export` writes it for
    /// nodes with `uses: exec`. Files of the program are inputs: `--in code:scripts/a.py=PATH`
    #[arg(long, value_name = "FILE")]
    pub(crate) spec: Option<PathBuf>,
    /// Input file or folder; a label is needed where a port takes many
    ///
    /// Labels are `axis=value` lists as a pipeline's gather gives them: `--in predictions:fold=0=a.csv --in
    /// predictions:fold=1=b.csv` are two folds of one model.
    #[arg(long = "in", value_name = "PORT[:LABEL]=PATH", value_parser = labelled_input)]
    pub(crate) inputs: Vec<LabelledInput>,
    /// Parameter
    #[arg(long = "with", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) with: Vec<(String, String)>,
    /// Where an output goes; outputs that are not named stay in the store
    #[arg(long = "out", value_name = "PORT=PATH", value_parser = name_value)]
    pub(crate) outputs: Vec<(String, String)>,
    /// Compute shard I, from 0, of N only, and write it to `--out part=FILE`; for kinds that can be cut: tokenize and embed
    #[arg(long, value_name = "I/N", value_parser = Shard::from_str, conflicts_with = "parts")]
    pub(crate) shard: Option<Shard>,
    /// Put the parts of all shards together instead of computing: the result is that of the whole step, and so is its key
    #[arg(long = "part", value_name = "FILE", num_args = 1..)]
    pub(crate) parts: Vec<PathBuf>,
    /// What the step is called in logs, events and the lineage, such as `head[fold=3]` [default: the kind]
    #[arg(long, value_name = "ID")]
    pub(crate) job: Option<String>,
    /// A further output, JSON: key, facts, warnings and the digests of the outputs; a report below reads it after --above
    #[arg(long, value_name = "FILE")]
    pub(crate) summary: Option<PathBuf>,
    /// For kinds that tell what came before them, such as `report`: the nodes above, as `celldag export` wrote them
    #[arg(long, value_name = "FILE")]
    pub(crate) lineage: Option<PathBuf>,
    /// With --lineage: summaries of the jobs above, files or folders of them; more than the lineage names do no harm
    #[arg(long, value_name = "PATH", num_args = 1.., requires = "lineage")]
    pub(crate) above: Vec<PathBuf>,
    /// As `salt:` of a pipeline: another text is another result
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(crate) salt: String,
    /// As `numerics: strict` of a pipeline: the device is part of the key
    #[arg(long)]
    pub(crate) strict_numerics: bool,
    /// Threads [default: all cores]
    #[arg(long, short = 'j', alias = "jobs", value_name = "N", value_parser = threads)]
    pub(crate) threads: Option<usize>,
    /// Main memory for the step: on the CPU the tensors of a model are held to it, in smaller batches if need be; changes
    /// no result
    #[arg(long, alias = "ram", value_name = "SIZE", value_parser = memory)]
    pub(crate) memory: Option<u64>,
    /// Compute device: auto takes a hardware GPU if there is one, else the CPU; or gpu, cpu, software, an adapter's name, or its address (pci:0000:65:00.0)
    #[arg(long, env = "CELLDAG_DEVICE", default_value = "auto", value_name = "auto|gpu|cpu|NAME")]
    pub(crate) device: String,
    /// Most memory that tensors may take on a GPU (for example 4GiB); changes no result
    #[arg(long, value_name = "SIZE", value_parser = memory)]
    pub(crate) memory_limit: Option<u64>,
    /// Reach no other machine: a kind that would, such as `prompt-classify`, fails unless its result is cached, and a
    /// shared store is neither asked nor sent anything
    #[arg(long)]
    pub(crate) offline: bool,
    // The same as `--with precision=...`, for scripts that were written before.
    #[arg(long, hide = true, value_parser = Precision::from_str)]
    pub(crate) precision: Option<Precision>,
    /// How to tell how far the step is, on stderr
    #[arg(long, value_enum, default_value_t = ProgressArg::Auto, value_name = "HOW")]
    pub(crate) progress: ProgressArg,
    /// Keep nothing but the outputs: a store of its own, in $TMPDIR if that is set, else beside the first output, and gone
    /// at the end; CELLDAG_CACHE and CELLDAG_REMOTE are passed over
    #[arg(long)]
    pub(crate) no_cache: bool,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
