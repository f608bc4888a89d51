//! What can be typed after `celldag serve`.

use std::path::PathBuf;

use clap::Args;

/// `celldag serve`.
#[derive(Clone, Debug, Args)]
#[command(
    after_help = "The address is printed on stdout; open it in a browser of this machine. From another one: ssh -L \
                        23550:127.0.0.1:23550 HOST, with the same port on both sides.\n\
                        Nothing in the store is changed, and it may be one that runs write to meanwhile. Runs of Snakemake \
                        and Nextflow appear once `celldag runs import PIPELINE` has recorded them.\n\
                        Ctrl-C ends it, with exit code 130."
)]
pub(crate) struct ServeArgs {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, short, value_name = "N", default_value_t = 23550)]
    pub(crate) port: u16,
    /// Folder of the store [default: .celldag in the current folder]
    #[arg(long, env = "CELLDAG_CACHE", value_name = "DIR")]
    pub(crate) cache: Option<PathBuf>,
}
