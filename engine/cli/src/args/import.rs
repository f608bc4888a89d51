//! What can be typed after `celldag runs import`.

use clap::Args;

use super::{PipelineArgs, PrecisionArgs};

/// `celldag runs import`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Who ran the steps, for the record: snakemake, nextflow ...
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// Compute device that the steps used; matters only under `numerics: strict`
    #[arg(long, env = "CELLDAG_DEVICE", default_value = "auto", value_name = "auto|gpu|cpu|NAME")]
    pub(crate) device: String,
    #[command(flatten)]
    pub(crate) precision: PrecisionArgs,
}
