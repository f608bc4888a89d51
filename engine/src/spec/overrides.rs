//! `profiles: {cluster: {nodes: {embedding: {resources: {gpu: 1}}}}}`: what a profile changes at single nodes. Only what is
//! part of no key, so that a profile never makes anybody compute a result again.

use std::time::Duration;

use super::dispatch::{DispatchDef, read_dispatch};
use super::document::NodeDef;
use super::read::{Fields, entries};
use super::read_node::timeout;
use super::resources::{ResourcesDef, read_resources};
use super::retries::{RetriesDef, read_retries};
use super::value::{Key, Tree};
use crate::diagnostic::Diagnostic;

/// The changes at one node.
#[derive(Clone, Debug)]
pub(crate) struct NodeOverride {
    /// The node.
    pub(crate) node: Key,
    resources: ResourcesDef,
    retries: Option<RetriesDef>,
    timeout: Option<Duration>,
    dispatch: DispatchDef,
}

impl NodeOverride {
    /// Lays the changes over a node. Each of `resources` is replaced by itself, the others as a whole.
    pub(crate) fn apply(&self, node: &mut NodeDef) {
        for (key, value) in &self.resources {
            node.resources.retain(|(name, _)| name.name != key.name);
            node.resources.push((key.clone(), value.clone()));
        }
        if let Some(retries) = &self.retries {
            node.retries = retries.clone();
        }
        node.timeout = self.timeout.or(node.timeout);
        self.dispatch.apply(&mut node.dispatch);
    }
}

/// Reads `nodes:` of a profile.
pub(super) fn read_overrides(profile: &Fields<'_>, out: &mut Vec<Diagnostic>) -> Vec<NodeOverride> {
    entries(profile, "nodes", out).into_iter().filter_map(|(node, tree)| read_one(node, &tree, out)).collect()
}

/// What stands in no key.
const CHANGEABLE: &[&str] = &["resources", "retries", "timeout", "shards", "batch"];

fn read_one(node: Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<NodeOverride> {
    let fields = Fields::read(tree, "a node of a profile", CHANGEABLE, out)?;
    Some(NodeOverride {
        node,
        resources: fields.get("resources").map(|(_, value)| read_resources(value, out)).unwrap_or_default(),
        retries: fields.get("retries").map(|(key, value)| read_retries(key, value, out)),
        timeout: fields.get("timeout").and_then(|(key, value)| timeout(key, value, out)),
        dispatch: read_dispatch(&fields, out),
    })
}
