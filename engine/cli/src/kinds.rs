//! The node kinds of this program, and those in executables of the user.

use std::path::Path;

use celldag_engine::registry::Registered;
use celldag_engine::{Registry, nearest};

use crate::failure::Failure;

/// Folders with executables that describe themselves as kinds, separated as in PATH.
const FOLDERS: &str = "CELLDAG_PLUGINS";

/// All kinds: data and models from celldag-nodes, the report page from celldag-report, and what the user's folders hold.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    celldag_nodes::register(&mut registry);
    celldag_report::register(&mut registry);
    for folder in std::env::var_os(FOLDERS).iter().flat_map(std::env::split_paths) {
        // Programs run in folders of their own: a relative path would mean nothing there.
        registry.add_executables(&std::path::absolute(&folder).unwrap_or(folder));
    }
    registry
}

/// The kind that the user named, or the executable at this path.
pub(crate) fn find(registry: &Registry, name: &str) -> Result<Registered, Failure> {
    if let Some(kind) = registry.get(name) {
        return Ok(kind.clone());
    }
    let problem = match registry.problem(name) {
        Some(problem) => problem.clone(),
        None if name.contains('/') => match registry.at_path(&std::path::absolute(Path::new(name))?) {
            Ok(kind) => return Ok(kind),
            Err(problem) => problem,
        },
        None if name == "exec" => {
            return Err(Failure::Usage {
                message: "`exec` has the ports and parameters that each node gives it".to_owned(),
                help: Some("declare them in a pipeline: docs/plugins.md shows how".to_owned()),
            });
        }
        None => {
            return Err(Failure::Usage {
                message: format!("there is no kind `{name}`"),
                help: Some(nearest(name, registry.names()).map_or_else(
                    || format!("kinds are: {}", registry.names().collect::<Vec<_>>().join(", ")),
                    |near| format!("did you mean `{near}`?"),
                )),
            });
        }
    };
    Err(Failure::Usage {
        message: problem.to_string(),
        help: Some("`EXECUTABLE describe` has to print its description as JSON".to_owned()),
    })
}
