//! Which layers get an adapter.

use std::collections::BTreeSet;

use regex::Regex;

use super::is_target;
use crate::error::ModelError;

/// Most names of layers in a message.
const NAMED: usize = 12;

/// The layers among `layers` (name, inputs, outputs) that `targets` name, in the order of the model, each once. A target is
/// a layer's name or its end behind a dot, as peft has it (`query`), or a pattern for the whole name in which `*` stands for
/// any text (`*.layer.5.*.query`).
///
/// # Errors
/// [`ModelError::Option`] when a target names no layer; the message lists the layers.
pub fn chosen_layers(
    layers: &[(String, usize, usize)],
    targets: &[String],
) -> Result<Vec<(String, usize, usize)>, ModelError> {
    let mut chosen = BTreeSet::new();
    for target in targets {
        let before = chosen.len();
        let matches = matcher(target)?;
        chosen.extend(layers.iter().filter(|(name, ..)| matches(name)).map(|(name, ..)| name.as_str()));
        let repeats = || layers.iter().any(|(name, ..)| matches(name));
        if chosen.len() == before && !repeats() {
            return Err(ModelError::Option(format!(
                "the target `{target}` is no layer of the model; {}",
                listed(layers)
            )));
        }
    }
    let mut once = BTreeSet::new();
    let wanted =
        layers.iter().filter(|(name, ..)| chosen.contains(name.as_str()) && once.insert(name.as_str()));
    Ok(wanted.cloned().collect())
}

type Matcher = Box<dyn Fn(&str) -> bool>;

fn matcher(target: &str) -> Result<Matcher, ModelError> {
    if !target.contains('*') {
        let target = target.to_owned();
        return Ok(Box::new(move |name| is_target(name, &target)));
    }
    let parts: Vec<String> = target.split('*').map(regex::escape).collect();
    let pattern = Regex::new(&format!("^{}$", parts.join(".*")))
        .map_err(|error| ModelError::Option(format!("the target `{target}` is too large: {error}")))?;
    Ok(Box::new(move |name| pattern.is_match(name)))
}

/// The last parts of the names, which are what a user writes, and a few names in full.
fn listed(layers: &[(String, usize, usize)]) -> String {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let ends: BTreeSet<String> = layers.iter().map(|(name, ..)| last(name)).collect();
    let ends: Vec<String> = ends.into_iter().collect();
    let names: Vec<&str> = layers.iter().take(NAMED).map(|(name, ..)| name.as_str()).collect();
    let more =
        if layers.len() > NAMED { format!(" and {} more", layers.len() - NAMED) } else { String::new() };
    format!("its linear layers end in {}; they are {}{more}", ends.join(", "), names.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Vec<(String, usize, usize)> {
        let names = ["l.0.att.query", "l.0.att.value", "l.1.att.query", "l.10.att.query", "l.1.subquery"];
        names.iter().map(|&name| (name.to_owned(), 4, 4)).collect()
    }

    fn names(targets: &[&str]) -> Result<Vec<String>, String> {
        let targets: Vec<String> = targets.iter().map(|&target| target.to_owned()).collect();
        let chosen = chosen_layers(&layers(), &targets).map_err(|error| error.to_string())?;
        Ok(chosen.into_iter().map(|(name, ..)| name).collect())
    }

    #[test]
    fn ends_and_patterns_choose_layers() {
        assert_eq!(names(&["query"]).unwrap(), ["l.0.att.query", "l.1.att.query", "l.10.att.query"]);
        assert_eq!(names(&["l.1.*"]).unwrap(), ["l.1.att.query", "l.1.subquery"]);
        assert_eq!(names(&["*.value", "l.0.att.query", "query"]).unwrap().len(), 4);
        assert_eq!(
            names(&["l.0.att.value", "value"]).unwrap(),
            ["l.0.att.value"],
            "named twice is no mistake"
        );
    }

    #[test]
    fn a_target_without_a_layer_is_refused_with_the_layers() {
        for target in ["qury", "*.qury", "l.2.*", "(", ""] {
            let message = names(&["query", target]).unwrap_err();
            assert!(
                message.contains(&format!("`{target}`")) && message.contains("query, subquery, value"),
                "{message}"
            );
        }
    }
}
