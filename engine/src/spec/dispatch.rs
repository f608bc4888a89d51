//! `shards:` and `batch:` as written: how a workflow manager may cut the jobs of a node, or bundle them.

use super::document::Text;
use super::read::{Fields, text, wrong_shape};
use super::value::{Data, Key, Tree};
use crate::diagnostic::Diagnostic;

/// Both, of a node or of a profile.
#[derive(Clone, Debug, Default)]
pub(crate) struct DispatchDef {
    /// `shards:`; may name a parameter, so it is read when these are known.
    pub(crate) shards: Option<(Key, Tree)>,
    /// `batch:`; an empty list undoes what stands at the node.
    pub(crate) batch: Option<(Key, Vec<Text>)>,
}

impl DispatchDef {
    /// Lays what a profile says over what a node says.
    pub(super) fn apply(&self, node: &mut Self) {
        node.shards = self.shards.clone().or_else(|| node.shards.take());
        node.batch = self.batch.clone().or_else(|| node.batch.take());
    }
}

/// Reads both.
pub(super) fn read_dispatch(fields: &Fields<'_>, out: &mut Vec<Diagnostic>) -> DispatchDef {
    DispatchDef {
        shards: fields.get("shards").map(|(key, value)| (key.clone(), value.clone())),
        batch: fields.get("batch").and_then(|(key, value)| Some((key.clone(), axes(key, value, out)?))),
    }
}

/// A list, also for one axis: a plain word would look as if `all` were one.
fn axes(key: &Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<Vec<Text>> {
    let Data::List(items) = &tree.data else {
        out.push(wrong_shape(tree, "`batch:`", "a list of axes").help("write for example batch: [fold]"));
        return None;
    };
    Some(items.iter().filter_map(|item| text(key, item, out)).collect())
}
