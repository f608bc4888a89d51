//! Which layers get an adapter, and which modules are trained as a whole: both are named in one language.

use std::collections::BTreeSet;

use regex::Regex;

use super::is_target;
use crate::error::ModelError;

/// Most names in a message.
const NAMED: usize = 12;

/// A name as users write it: a layer's or module's name or its end behind a dot, as peft has it (`query`), or a pattern for the
/// whole name in which `*` stands for any text (`*.layer.5.*.query`).
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// As it was written.
    pub(super) text: String,
    whole: Option<Regex>,
}

impl Pattern {
    /// Reads one.
    ///
    /// # Errors
    /// [`ModelError::Option`] when it is too large.
    pub(super) fn new(text: &str) -> Result<Self, ModelError> {
        let whole = if text.contains('*') {
            let parts: Vec<String> = text.split('*').map(regex::escape).collect();
            let regex = Regex::new(&format!("^{}$", parts.join(".*")));
            let too_large = |error| ModelError::Option(format!("the pattern `{text}` is too large: {error}"));
            Some(regex.map_err(too_large)?)
        } else {
            None
        };
        Ok(Self { text: text.to_owned(), whole })
    }

    /// Whether it names `name`.
    pub(super) fn matches(&self, name: &str) -> bool {
        match &self.whole {
            Some(regex) => regex.is_match(name),
            None => is_target(name, &self.text),
        }
    }

    /// Whether `*` stands in it: then it may name more than its author thought of.
    pub(super) fn is_glob(&self) -> bool {
        self.whole.is_some()
    }
}

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
        let pattern = Pattern::new(target)?;
        let named: Vec<&str> =
            layers.iter().map(|(name, ..)| name.as_str()).filter(|name| pattern.matches(name)).collect();
        if named.is_empty() {
            return Err(ModelError::Option(format!(
                "the target `{target}` is no layer of the model; its linear layers {}",
                listed(layers.iter().map(|(name, ..)| name.as_str()))
            )));
        }
        chosen.extend(named);
    }
    let mut once = BTreeSet::new();
    let wanted =
        layers.iter().filter(|(name, ..)| chosen.contains(name.as_str()) && once.insert(name.as_str()));
    Ok(wanted.cloned().collect())
}

/// The last steps of the names, which are what a user writes, and a few names in full.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str> + Clone) -> String {
    let last = |name: &'a str| name.rsplit('.').next().unwrap_or_default();
    let ends: BTreeSet<&str> = names.clone().map(last).collect();
    let ends: Vec<&str> = ends.into_iter().collect();
    let some: Vec<&str> = names.clone().take(NAMED).collect();
    let left = names.count().saturating_sub(NAMED);
    let more = if left > 0 { format!(" and {left} more") } else { String::new() };
    format!("end in {}; they are {}{more}", ends.join(", "), some.join(", "))
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
