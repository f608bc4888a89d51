//! What can be typed about the store.

use std::path::PathBuf;

use celldag_cache::Role;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use celldag_engine::size::parse_size as size;

/// Which store.
#[derive(Clone, Debug, Args)]
pub(crate) struct StoreArgs {
    /// Folder of the store [default: .celldag beside the pipeline, or in the current folder]; an address instead of a
    /// folder means the default folder with that shared store behind it
    #[arg(long, env = "CELLDAG_CACHE", value_name = "DIR|URL", id = "cache_dir", global = true)]
    pub(crate) cache: Option<PathBuf>,
    /// Shared store behind the folder: s3://bucket/prefix?endpoint=URL&region=NAME or https://host/path
    ///
    /// What is not in the folder is taken from there, and new results are sent there.
    #[arg(long, env = "CELLDAG_REMOTE", hide_env_values = true, value_name = "URL", global = true)]
    pub(crate) remote: Option<String>,
    /// What to do with the shared store: `read` takes results only, `write` sends new ones too [default: write]
    #[arg(long, env = "CELLDAG_REMOTE_ROLE", value_name = "read|write", value_parser = role, global = true)]
    pub(crate) remote_role: Option<RoleArg>,
    /// What a power failure may destroy: nothing that is published, or (for scratch disks, faster with many small
    /// results) anything; what is destroyed is found and computed again
    #[arg(
        long,
        env = "CELLDAG_DURABILITY",
        value_enum,
        default_value_t,
        value_name = "LEVEL",
        global = true
    )]
    pub(crate) durability: DurabilityArg,
    /// How processes tell each other what they work on: `lease` for network file systems whose locks reach one machine
    /// only [default: locks, and leases where there are none]
    #[arg(long, env = "CELLDAG_LOCKS", value_enum, default_value_t, value_name = "HOW", global = true)]
    pub(crate) locks: LocksArg,
}

/// What to do with the shared store; nothing is said when the variable of the environment is empty.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RoleArg(pub(crate) Option<Role>);

fn role(text: &str) -> Result<RoleArg, String> {
    if text.is_empty() { Ok(RoleArg(None)) } else { text.parse().map(|role| RoleArg(Some(role))) }
}

/// How processes tell each other what they work on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LocksArg {
    /// Locks of the operating system; leases where there are none
    // An empty variable of the environment says nothing.
    #[default]
    #[value(alias = "")]
    Kernel,
    /// Files that are touched as long as work goes on
    Lease,
}

/// How much a power failure may destroy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DurabilityArg {
    /// Results survive a power failure
    // As above.
    #[default]
    #[value(alias = "")]
    Full,
    /// Results survive the death of the program, perhaps not that of the machine
    Relaxed,
}

/// `celldag cache`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// How much the store holds
    Stats,
    /// Hash everything again; damaged bytes are moved to quarantine and computed again when needed
    Verify,
    /// Free space: keep what is pinned, what the newest runs used, and what the last days used
    Gc {
        /// Keep what was used within this many days
        #[arg(long, value_name = "DAYS", default_value_t = 30.0)]
        max_age: f64,
        /// Evict the cheapest to recompute until the store is no larger than this (for example 20G)
        #[arg(long, value_name = "SIZE", value_parser = size)]
        max_size: Option<u64>,
        /// Keep everything the newest N runs used
        #[arg(long, value_name = "N", default_value_t = 3)]
        keep_runs: usize,
        /// Say what would go, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// List results: key, kind, when, where and by which version they were computed
    Ls {
        /// Only results of this kind
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// Only results that this host computed
        #[arg(long, value_name = "HOST")]
        host: Option<String>,
    },
    /// Print the record of a result, or the bytes of one of its outputs
    Cat {
        /// Key, or its first digits
        key: String,
        /// Output port; without it, the record is printed
        port: Option<String>,
    },
    /// Keep results whatever garbage collection is told, for example those behind a paper
    Pin {
        /// Name of the pin; a pin of this name is replaced
        name: String,
        /// Runs (id, beginning of one, or `last`) or keys (or their first digits)
        #[arg(required = true, value_name = "RUN|KEY")]
        what: Vec<String>,
    },
    /// Remove a pin
    Unpin {
        /// Name of the pin
        name: String,
    },
    /// List the pins
    Pins,
    /// Take back results that must not be used any more, here and in the shared store; their work is done again
    ///
    /// The shared store does not take the same results again. Local stores of other machines keep what they have: purge
    /// there too. What waits in the queue of another machine is not known here; purge again when it has been sent.
    #[command(disable_version_flag = true, group = ArgGroup::new("which").required(true).multiple(true))]
    Purge {
        /// Computed on this host
        #[arg(long, value_name = "HOST", group = "which")]
        host: Option<String>,
        /// Computed by this version of celldag
        #[arg(long, value_name = "VERSION", group = "which")]
        version: Option<String>,
        /// Of this kind
        #[arg(long, value_name = "KIND", group = "which")]
        kind: Option<String>,
        /// With this key, or these first digits of it (may be repeated)
        #[arg(long, value_name = "KEY", group = "which")]
        key: Vec<String>,
        /// Say what would go, and remove nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Send what waits in the queue to the shared store
    Push {
        /// Send all results of this store, not only those that wait
        #[arg(long)]
        all: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        store: StoreArgs,
    }

    /// An empty variable of the environment is parsed as an empty value.
    #[test]
    fn empty_values_say_nothing_and_wrong_ones_are_refused() {
        let line = Line::try_parse_from(["x", "--remote-role=", "--locks=", "--durability="]).unwrap();
        assert!(line.store.remote_role.is_some_and(|role| role.0.is_none()));
        assert_eq!((line.store.locks, line.store.durability), (LocksArg::Kernel, DurabilityArg::Full));
        let line = Line::try_parse_from(["x", "--remote-role", "read", "--locks", "lease"]).unwrap();
        assert_eq!(line.store.remote_role.and_then(|role| role.0), Some(Role::Read));
        for wrong in ["--remote-role=reader", "--locks=none", "--durability=half"] {
            assert!(Line::try_parse_from(["x", wrong]).is_err(), "{wrong}");
        }
    }
}
