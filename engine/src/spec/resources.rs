//! `resources:` as written: each value may name an axis, so what it means is found out for each job.

use super::read::Fields;
use super::value::{Key, Tree};
use crate::diagnostic::Diagnostic;

/// What may be asked for.
pub(crate) const NEEDS: &[&str] = &["threads", "ram", "gpu", "gpu_memory"];

/// `resources:` of a node or of a profile: (one of [`NEEDS`], value).
pub(crate) type ResourcesDef = Vec<(Key, Tree)>;

/// Reads the mapping; values are looked at when axes are known.
pub(super) fn read_resources(tree: &Tree, out: &mut Vec<Diagnostic>) -> ResourcesDef {
    let Some(fields) = Fields::read(tree, "`resources:`", NEEDS, out) else { return Vec::new() };
    NEEDS
        .iter()
        .filter_map(|name| fields.get(name))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}
