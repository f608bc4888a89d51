//! Where the numbers come from: content digests of everything that was read, and what made the embedding.
//!
//! Only content, never a parameter of a step upstream: a change there that gives the same cells must leave the report as
//! it was. Parameters and versions are in the run record.

use celldag_engine::Step;
use celldag_engine::document::Table;
use serde_json::json;

use crate::learn::mlp::Embedding;

/// Digits of a digest that are shown: enough to tell files apart, and `b3sum` prints the same ones.
const SHOWN: usize = 16;

/// One row an input, and one a fact about the embedding.
pub(super) fn table(step: &Step<'_>, embedding: Option<&Embedding>) -> Table {
    let short = |digest: &str| digest.chars().take(SHOWN).collect::<String>();
    let mut rows = Vec::new();
    for (port, inputs) in step.inputs {
        for input in inputs {
            rows.push(vec![json!(port), json!(input.label), json!(short(&input.digest))]);
        }
    }
    for (name, value) in embedding.and_then(|e| e.provenance.as_object()).into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), short);
        rows.push(vec![json!("embedding"), json!(name), json!(value)]);
    }
    Table {
        title: "Provenance".to_owned(),
        columns: ["input", "label", "BLAKE3 of the content, or value"].map(str::to_owned).to_vec(),
        rows,
        note: "Digests are shortened to their first 16 digits.".to_owned(),
    }
}
