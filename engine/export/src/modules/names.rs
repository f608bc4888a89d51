//! Names of ports and kinds as names of variables and processes.

use crate::workflow::Names;

/// What scripts of modules and of exported processes call things themselves, or call where inputs have names, besides the words
/// that mean something to Nextflow; lower case.
const TAKEN: &[&str] = &[
    "above",
    "args",
    "artifact",
    "batch",
    "groupkey",
    "label",
    "lineage",
    "lineage_arg",
    "memory",
    "number",
    "place",
    "prefix",
    "projectdir",
    "quote",
    "secrets",
    "store",
    "summary",
    "versions",
];

/// Variables of a process.
pub(crate) fn variables() -> Names {
    let mut names = Names::default();
    TAKEN.iter().for_each(|word| names.occupy(word));
    names
}

/// A name as an identifier: `embed_drug` for `embed-drug`, `lambda_2` for `lambda`.
pub(super) fn identifier(name: &str) -> String {
    Names::default().take(name)
}

/// `CELLDAG_EMBED_DRUG` for `embed-drug`.
pub(super) fn process(kind: &str) -> String {
    identifier(&format!("celldag_{kind}")).to_ascii_uppercase()
}
