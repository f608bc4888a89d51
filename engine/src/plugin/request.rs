//! What an executable is asked to do.

use std::path::Path;

use serde_json::{Value, json};

use crate::exec::environment::Folders;
use crate::exec::gpus;
use crate::step::Step;

/// The text of the request file: everything of the step that a kind may look at.
pub(super) fn text(
    (kind, protocol): (&str, u32),
    step: &Step<'_>,
    folders: &Folders,
    events: &Path,
) -> String {
    let inputs: serde_json::Map<String, Value> = step
        .inputs
        .iter()
        .map(|(port, list)| {
            let list = list.iter().map(|i| json!({"label": i.label, "path": i.path, "digest": i.digest}));
            (port.clone(), list.collect())
        })
        .collect();
    let seed: String = step.seed.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut request = json!({
        "celldag": protocol,
        "kind": kind,
        "params": step.params.0,
        "inputs": inputs,
        "outputs": step.outputs,
        "seed": seed,
        "threads": step.threads,
        "device": step.device,
        "memory_limit": step.memory_limit,
        "offline": step.offline,
        "scratch": folders.work,
        "events": events,
    });
    // One of the first version may refuse what it does not know.
    if let (2.., Some(fields)) = (protocol, request.as_object_mut()) {
        fields.insert("gpus".to_owned(), json!(gpus::addresses(step.gpus)));
        fields.insert("main_memory".to_owned(), json!(step.main_memory));
    }
    format!("{request:#}\n")
}
