//! The node kinds of this program.

use celldag_engine::Registry;
use celldag_engine::registry::Registered;

use crate::failure::Failure;

/// All kinds: data and models from celldag-nodes, the report page from celldag-report.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    celldag_nodes::register(&mut registry);
    celldag_report::register(&mut registry);
    registry
}

/// The kind that the user named.
pub(crate) fn find<'a>(registry: &'a Registry, name: &str) -> Result<&'a Registered, Failure> {
    registry.get(name).ok_or_else(|| Failure::Usage {
        message: format!("there is no kind `{name}`"),
        help: Some(format!("kinds are: {}", registry.names().collect::<Vec<_>>().join(", "))),
    })
}
