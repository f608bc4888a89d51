//! Subcommands that run models over cells and drugs without a pipeline file.

use std::path::PathBuf;

use clap::Args;

use super::values::name_value;
use super::{ComputeArgs, StoreArgs};

/// `celldag embed`.
#[derive(Clone, Debug, Args)]
pub(crate) struct EmbedArgs {
    /// Cells: .h5ad, 10x .h5, 10x mtx folder, .csv or .tsv, with raw counts
    pub(crate) cells: PathBuf,
    /// Model architecture (see `celldag nodes embed`)
    #[arg(long, value_name = "KIND")]
    pub(crate) model: String,
    /// Published checkpoint folder
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint: PathBuf,
    /// Parameter of `tokenize` or `embed`, such as layer=-1 or 'allow_unused=[head.*]'
    #[arg(long = "with", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) with: Vec<(String, String)>,
    /// Where to write the embedding
    #[arg(short, long, value_name = "OUT.h5ad")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `celldag embed-drug`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "SMILES.csv has a header, a column `smiles` and, if you like, `id` (or `name`); tabs work too. OUT.csv has \
                        the same rows in the same order: id, smiles, then one column a dimension. A drug without SMILES, or of \
                        which the model knows nothing, has empty fields and a warning.\n\
                        Write SMILES as the model was trained on: nothing is canonicalised, and another spelling of a drug \
                        gives another vector.\n\n\
                        Example: celldag embed-drug drugs.csv --model molformer --checkpoint MoLFormer-XL-both-10pct -o out.csv"
)]
pub(crate) struct EmbedDrugArgs {
    /// Drugs: .csv or .tsv with a column `smiles`
    #[arg(value_name = "SMILES.csv")]
    pub(crate) drugs: PathBuf,
    /// Model architecture: chemberta or molformer (see `celldag nodes embed-drug`)
    #[arg(long, value_name = "KIND")]
    pub(crate) model: String,
    /// Published checkpoint folder
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint: PathBuf,
    /// Parameter of `embed-drug`, such as pooling=mean or 'allow_unused=[head.*]'
    #[arg(long = "with", value_name = "NAME=VALUE", value_parser = name_value)]
    pub(crate) with: Vec<(String, String)>,
    /// Where to write the vectors
    #[arg(short, long, value_name = "OUT.csv")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// `celldag predict`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "OUT.csv has one row a cell: cell_id, score, prediction, the mean score of each class over the folds of the \
                        training, and the score of each fold. The new cells are tokenized and embedded with the options of \
                        the run; cells and genes are not filtered.\n\n\
                        Example: celldag predict new.h5ad --run last --cache pipelines/.celldag -o predictions.csv"
)]
pub(crate) struct PredictArgs {
    /// Cells: .h5ad, 10x .h5, 10x mtx folder, .csv or .tsv, with raw counts
    pub(crate) cells: PathBuf,
    /// Run that trained the heads: id, the beginning of one, or `last`
    #[arg(long, value_name = "RUN")]
    pub(crate) run: String,
    /// Node, or one job of it such as `head[model=scgpt]`, where the run trained more than once
    #[arg(long, value_name = "NODE")]
    pub(crate) head: Option<String>,
    /// Published checkpoint folder [default: where the run read it, else where its pipeline has it]
    #[arg(long, value_name = "DIR")]
    pub(crate) checkpoint: Option<PathBuf>,
    /// Where to write the predictions
    #[arg(short, long, value_name = "OUT.csv")]
    pub(crate) output: PathBuf,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}
