//! `celldag provenance` and its export.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::StoreArgs;

/// `celldag provenance`.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct ProvenanceArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ProvenanceCommand>,
    /// File or folder, wherever it is now and whatever it is called; or a BLAKE3 digest
    #[arg(required = true, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Most steps to go up from the job that made it [default: up to the files that nobody made]
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<usize>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// What else `celldag provenance` does.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum ProvenanceCommand {
    /// Write a run as Provenance Run Crate (an RO-Crate) or as PROV-JSON
    ///
    /// Paths are told relative to the pipeline's folder; of files elsewhere only the name is told, and neither host nor user.
    Export {
        /// Run id, the beginning of one, or `last`
        #[arg(default_value = "last")]
        run: String,
        /// Format
        #[arg(long, value_enum, default_value_t = ExportFormat::Crate)]
        format: ExportFormat,
        /// A new folder for a crate, a file for PROV-JSON
        #[arg(short, long, value_name = "DIR|FILE")]
        output: PathBuf,
        /// Licence of the crate: an SPDX id or a URL; archives ask for one
        #[arg(long, value_name = "LICENCE", default_value = "No licence is stated for this crate.")]
        license: String,
        /// Leave the pipeline's outputs out of the crate; they are then named by their content
        #[arg(long)]
        metadata_only: bool,
    },
}

/// Formats of an exported run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Provenance Run Crate 0.5: a folder with ro-crate-metadata.json, the pipeline file and its outputs
    Crate,
    /// PROV-JSON of the W3C: one file
    Prov,
}
