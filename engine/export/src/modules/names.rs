//! Names of ports and kinds as names of variables and processes.

use crate::workflow::Names;

/// What scripts of modules call things themselves, besides the words that mean something to Nextflow.
const TAKEN: &[&str] = &[
    "above",
    "args",
    "artifact",
    "batch",
    "label",
    "lineage",
    "lineage_arg",
    "memory",
    "number",
    "part",
    "parts",
    "place",
    "prefix",
    "program_file",
    "quote",
    "secrets",
    "shard",
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
