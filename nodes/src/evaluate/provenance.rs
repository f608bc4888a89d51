//! Where the numbers come from: content digests of everything that was read, and what made the embedding.
//!
//! Only content, never a parameter of a step upstream: a change there that gives the same cells must leave the report as
//! it was. Parameters and versions are in the run record.

use celldag_data::CellsFile;
use celldag_engine::document::Table;
use celldag_engine::{NodeError, Step};
use serde_json::{Value, json};

use crate::failure::data;

/// Digits of a digest that are shown: enough to tell files apart, and `b3sum` prints the same ones.
const SHOWN: usize = 16;

/// One row an input, and one a fact about the embedding.
pub(super) fn table(step: &Step<'_>) -> Result<Table, NodeError> {
    let short = |digest: &str| digest.chars().take(SHOWN).collect::<String>();
    let mut rows = Vec::new();
    for (port, inputs) in step.inputs {
        for input in inputs {
            rows.push(vec![json!(port), json!(input.label), json!(short(&input.digest))]);
        }
    }
    if let Some(input) = step.optional_input("embedding") {
        let made = CellsFile::open(&input.path).and_then(|file| file.uns("celldag")).map_err(data)?;
        let made = match made {
            Some(Value::String(text)) => serde_json::from_str(&text).unwrap_or(Value::Null),
            other => other.unwrap_or(Value::Null),
        };
        for (name, value) in made.as_object().into_iter().flatten() {
            let value = value.as_str().map_or_else(|| value.to_string(), short);
            rows.push(vec![json!("embedding"), json!(name), json!(value)]);
        }
    }
    Ok(Table {
        title: "Provenance".to_owned(),
        columns: ["input", "label", "BLAKE3 of the content, or value"].map(str::to_owned).to_vec(),
        rows,
        note: "Digests are shortened to their first 16 digits.".to_owned(),
    })
}
