//! Profiles: which ones are chosen, and what they change at single nodes.

use crate::check::modules::Modules;
use crate::check::suggest::hint;
use crate::diagnostic::Diagnostic;
use crate::spec::Document;
use crate::spec::document::ProfileDef;

/// The chosen profiles in the order of the command line; of two that change the same, the later one counts.
pub(super) fn chosen<'d>(
    document: &'d Document,
    wanted: &[String],
    out: &mut Vec<Diagnostic>,
) -> Vec<&'d ProfileDef> {
    let mut chosen = Vec::new();
    for name in wanted {
        let found = document.profiles.iter().find(|profile| profile.name.name == *name);
        if found.is_none() {
            let names = document.profiles.iter().map(|profile| profile.name.name.as_str());
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::unknown_profile",
                    format!("the pipeline has no profile `{name}`"),
                )
                .help("it has no `profiles:` at all")
                .maybe_help(hint(name, "profiles", names)),
            );
        }
        chosen.extend(found);
    }
    chosen
}

/// Lays `nodes:` of the chosen profiles over the nodes; unknown nodes are findings in every profile.
pub(super) fn apply_overrides(
    document: &mut Document,
    modules: &Modules,
    chosen: &[String],
    out: &mut Vec<Diagnostic>,
) {
    let Document { nodes, profiles, .. } = document;
    for change in profiles.iter().flat_map(|profile| &profile.nodes) {
        let known = nodes.iter().map(|node| node.name.name.as_str());
        if modules.incomplete || known.clone().any(|name| name == change.node.name) {
            continue;
        }
        let message = format!("there is no node `{}`", change.node.name);
        out.push(
            Diagnostic::error("celldag::pipeline::unknown_node", message)
                .at(change.node.span.clone(), "unknown node")
                .maybe_help(hint(&change.node.name, "nodes", known)),
        );
    }
    for name in chosen {
        let found = profiles.iter().filter(|profile| profile.name.name == *name);
        for change in found.flat_map(|profile| &profile.nodes) {
            let node = nodes.iter_mut().find(|node| node.name.name == change.node.name);
            node.into_iter().for_each(|node| change.apply(node));
        }
    }
}
