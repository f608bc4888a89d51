//! Opening the store that the user named, with the shared store behind it, and sending results there at the end.

use std::path::{Path, PathBuf};

use celldag_cache::{Durability, Options, RemoteOptions, Store, StoreError};

use crate::args::{DurabilityArg, LocksArg, StoreArgs};
use crate::failure::Failure;
use crate::output::Output;

/// Outputs of fewer bytes live in their record: a file takes a block of the disk, and a flush, each.
const INLINE: u64 = 4096;

/// The folder of the store that the user named, or the one in `root`.
pub(super) fn folder(args: &StoreArgs, root: &Path) -> PathBuf {
    folder_of(args.cache.as_deref(), root)
}

/// The same for commands that need no more of a store than its folder.
pub(super) fn folder_of(cache: Option<&Path>, root: &Path) -> PathBuf {
    let named = cache.filter(|cache| address(cache).is_none());
    named.map_or_else(|| root.join(".celldag"), Path::to_owned)
}

/// `--cache` when it names a shared store.
fn address(cache: &Path) -> Option<&str> {
    cache.to_str().filter(|text| text.contains("://"))
}

/// Whether the user named a shared store.
pub(super) fn is_shared(args: &StoreArgs) -> bool {
    let remote = args.remote.as_deref().filter(|address| !address.is_empty());
    remote.or_else(|| args.cache.as_deref().and_then(address)).is_some()
}

/// Opens the store and puts the shared one behind it.
pub(super) fn open(args: &StoreArgs, root: &Path, offline: bool) -> Result<Store, Failure> {
    let durability = match args.durability {
        DurabilityArg::Full => Durability::Full,
        DurabilityArg::Relaxed => Durability::Relaxed,
    };
    let by_cache = args.cache.as_deref().and_then(address);
    let remote = match (by_cache, args.remote.as_deref()) {
        (Some(_), Some(_)) => {
            return Err(Failure::Usage {
                message: "both --cache and --remote name a shared store".to_owned(),
                help: Some("give --cache a folder, or leave --remote out".to_owned()),
            });
        }
        (one, other) => one.or(other).filter(|address| !address.is_empty()),
    };
    let store = Store::open(&folder(args, root), Options { durability })?;
    store.inline_below(INLINE);
    if args.locks == LocksArg::Lease {
        store.use_leases();
    }
    if let Some(address) = remote {
        let role = args.remote_role.and_then(|role| role.0);
        let options = RemoteOptions { address: address.to_owned(), role, offline };
        store.connect(&options).map_err(|e| match e {
            StoreError::RemoteAddress { .. } => Failure::Usage {
                message: e.to_string(),
                help: Some("docs/cache.md shows addresses of shared stores".to_owned()),
            },
            other => Failure::usage(other.to_string()),
        })?;
    }
    Ok(store)
}

/// Sends what waits to the shared store. That it cannot be done now is no failure: it waits for the next time.
pub(super) fn push(store: &Store, output: &Output, cancelled: &dyn Fn() -> bool) {
    match store.push(cancelled) {
        Ok(report) if report.waiting > 0 => output.say(&format!(
            "{} results wait to be sent to the shared store: the next run, or `celldag cache push`, goes on",
            report.waiting
        )),
        Ok(_) => {}
        Err(e) => output.complain(&format!("warning: results wait to be sent to the shared store: {e}")),
    }
}
