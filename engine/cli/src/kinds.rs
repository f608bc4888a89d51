//! The node kinds of this program.

use celldag_engine::Registry;

/// All kinds: data and models from celldag-nodes, the report page from celldag-report.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    celldag_nodes::register(&mut registry);
    celldag_report::register(&mut registry);
    registry
}
