//! `retries:` as written: a number, or by cause.

use super::read::{Fields, entries, wrong_shape};
use super::read_node::whole;
use super::value::{Data, Key, Tree};
use crate::diagnostic::Diagnostic;

/// More tries than anything that is worth trying needs.
pub(crate) const MAX_RETRIES: i64 = 100;

/// `retries:` of a node or of a profile.
#[derive(Clone, Debug, Default)]
pub(crate) struct RetriesDef {
    /// `retries: 2` or `{transient: 2}`
    pub(crate) transient: u32,
    /// `{out_of_memory: ...}`
    pub(crate) out_of_memory: Option<OutOfMemoryDef>,
}

/// `{times: 1, set: {batch_tokens: half}}`
#[derive(Clone, Debug)]
pub(crate) struct OutOfMemoryDef {
    /// How many times.
    pub(crate) times: u32,
    /// Perf parameter → what becomes of it, in file order.
    pub(crate) set: Vec<(Key, Tree)>,
}

/// Reads either form.
pub(super) fn read_retries(key: &Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> RetriesDef {
    let Data::Map(_) = &tree.data else {
        return RetriesDef { transient: times(key, tree, 0, out), out_of_memory: None };
    };
    let Some(fields) = Fields::read(tree, "`retries:`", &["transient", "out_of_memory"], out) else {
        return RetriesDef::default();
    };
    RetriesDef {
        transient: fields.get("transient").map_or(0, |(key, value)| times(key, value, 0, out)),
        out_of_memory: fields.get("out_of_memory").and_then(|(key, value)| out_of_memory(key, value, out)),
    }
}

fn times(key: &Key, tree: &Tree, min: i64, out: &mut Vec<Diagnostic>) -> u32 {
    whole(key, tree, min, MAX_RETRIES, out).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// Trying the same thing again would run out of the same memory, so `set` must say what becomes smaller.
fn out_of_memory(key: &Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<OutOfMemoryDef> {
    const FORM: &str = "write out_of_memory: {times: 1, set: {batch_tokens: half}}";
    let Data::Map(_) = &tree.data else {
        out.push(
            wrong_shape(tree, "`out_of_memory:`", "a mapping that says what to change, and how often")
                .help(FORM),
        );
        return None;
    };
    let fields = Fields::read(tree, "`out_of_memory:`", &["times", "set"], out)?;
    let times = fields.get("times").map_or(1, |(key, value)| times(key, value, 1, out));
    let before = out.len();
    let set = entries(&fields, "set", out);
    if set.is_empty() && out.len() == before {
        out.push(
            Diagnostic::error(
                "celldag::pipeline::nothing_to_change",
                "`out_of_memory:` does not say what to change before the next try",
            )
            .at(key.span.clone(), "the same job would need the same memory")
            .help(FORM),
        );
    }
    Some(OutOfMemoryDef { times, set })
}
