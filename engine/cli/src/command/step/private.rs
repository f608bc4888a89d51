//! `--no-cache`: a store that nothing of outlives the step.

use std::path::{Path, PathBuf};

use celldag_cache::{Beside, Durability, Options, Store, StoreError};
use celldag_engine::JobOutput;
use clap::ValueEnum;

use crate::args::StepArgs;
use crate::failure::Failure;

/// A store in a folder that is gone when the value is. What a kill leaves of it is deleted by whoever writes there next.
pub(super) struct PrivateStore(Beside);

impl PrivateStore {
    /// In the folder that the user or the scheduler has set aside for such things, else beside the first output, where there
    /// is room for what is written there anyway.
    pub(super) fn create(args: &StepArgs, outputs: &[JobOutput]) -> Result<Self, Failure> {
        refuse_named_store(args)?;
        let named = std::env::var_os("TMPDIR").filter(|folder| !folder.is_empty()).map(PathBuf::from);
        let beside = outputs.first().and_then(|output| output.path.ancestors().skip(1).find(|p| p.is_dir()));
        let folder = named.or_else(|| beside.map(Path::to_owned)).unwrap_or_else(std::env::temp_dir);
        Beside::create(&folder).map(Self).map_err(|e| match e {
            // The path in the error is that of a folder which nobody has heard of.
            StoreError::Io { source, .. }
            | StoreError::Permission { source, .. }
            | StoreError::ReadOnly { source, .. }
            | StoreError::OutOfSpace { source, .. } => Failure::Other(format!(
                "--no-cache works in {}, and no folder can be made there: {}; name one where you may write in TMPDIR",
                folder.display(),
                source.kind()
            )),
            other => other.into(),
        })
    }

    pub(super) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn open(&self) -> Result<Store, Failure> {
        // Nobody reads it after a power failure.
        Ok(Store::open(&self.0.path().join("store"), Options { durability: Durability::Relaxed })?)
    }
}

/// Whether a value was typed: neither the default nor what the variable says.
fn chosen<T: ValueEnum + Default + PartialEq>(value: T, variable: &str) -> bool {
    value != T::default() && T::from_str(variable, false).ok() != Some(value)
}

/// The variables are those of the user's other commands; what was typed beside --no-cache is meant.
fn refuse_named_store(args: &StepArgs) -> Result<(), Failure> {
    let typed = |value: Option<&std::ffi::OsStr>, variable: &str| {
        value.is_some_and(|value| std::env::var_os(variable).is_none_or(|set| set != value))
    };
    let cache = args.store.cache.as_deref().map(Path::as_os_str);
    let remote = args.store.remote.as_deref().map(std::ffi::OsStr::new);
    let set = |variable| std::env::var(variable).unwrap_or_default();
    let role = args.store.remote_role.and_then(|role| role.0);
    for (option, named) in [
        ("--cache", typed(cache, "CELLDAG_CACHE")),
        ("--remote", typed(remote, "CELLDAG_REMOTE")),
        ("--remote-role", role.is_some() && role != set("CELLDAG_REMOTE_ROLE").parse().ok()),
        ("--locks", chosen(args.store.locks, &set("CELLDAG_LOCKS"))),
        ("--durability", chosen(args.store.durability, &set("CELLDAG_DURABILITY"))),
    ] {
        if named {
            return Err(Failure::Usage {
                message: format!("--no-cache and {option} contradict each other"),
                help: Some("leave one of them out".to_owned()),
            });
        }
    }
    Ok(())
}
