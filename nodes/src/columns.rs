//! Columns of tables of cells that a parameter names, and the name that was probably meant.

use celldag_data::{Column, Table};
use celldag_engine::NodeError;

/// How alike two names must be for the one to be proposed instead of the other (Jaro-Winkler).
const ALIKE: f64 = 0.75;
/// Most names of a list in a message.
const LISTED: usize = 12;

/// The column of obs that the parameter `parameter` names.
///
/// # Errors
/// A data error that lists the columns and proposes the nearest.
pub(crate) fn column<'a>(obs: &'a Table, name: &str, parameter: &str) -> Result<&'a Column, NodeError> {
    obs.column(name).ok_or_else(|| {
        let there = || obs.columns.keys().map(String::as_str);
        let help = match nearest(name, there()) {
            Some(near) => format!("did you mean `{parameter}: {near}`?"),
            None => format!("set `{parameter}` to a column of obs"),
        };
        let list = if obs.columns.is_empty() {
            "obs has no columns".to_owned()
        } else {
            format!("there are: {}", listed(there()))
        };
        NodeError::data(format!("the cells have no column `{name}` for `{parameter}`; {list}")).help(help)
    })
}

/// The name among `known` that is most like `name`, if one is like it at all.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |other: &str| strsim::jaro_winkler(&other.to_lowercase(), &name.to_lowercase());
    known
        .map(|other| (likeness(other), other))
        .filter(|(likeness, _)| *likeness > ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, other)| other)
}

/// The first names, separated by commas, and how many more there are.
pub(crate) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let more = match names.len().saturating_sub(LISTED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names[..names.len().min(LISTED)].join(", "))
}
