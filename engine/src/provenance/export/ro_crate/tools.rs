//! Kinds as tools with formal parameters.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::names;
use super::{FORMAL, Graph, HOME, link, links};

impl Graph<'_> {
    pub(super) fn formal(&mut self, id: &str, name: &str, ty: &str) {
        self.add(
            id,
            "FormalParameter",
            json!({
                "name": name, "additionalType": ty, "conformsTo": link(FORMAL), "valueRequired": "True",
            }),
        );
    }

    /// Kinds as tools; their ports and parameters as far as the jobs of the run have them.
    pub(super) fn tools(&mut self) {
        self.add(FORMAL, "CreativeWork", json!({ "name": "FormalParameter", "version": "1.0-RELEASE" }));
        let mut tools: BTreeMap<&str, (u32, Vec<String>, Vec<String>)> = BTreeMap::new();
        for one in &self.export.jobs {
            let kind = one.action.kind.as_str();
            let tool = format!("#kind/{}", names::part(kind));
            let (epoch, mut inputs, mut outputs) = tools.remove(kind).unwrap_or_default();
            for (name, value) in &one.action.params {
                let id = format!("{tool}/with/{}", names::part(name));
                if !inputs.contains(&id) {
                    self.formal(&id, name, scalar(value));
                    inputs.push(id);
                }
            }
            for port in one.action.inputs.keys() {
                let id = format!("{tool}/in/{}", names::part(port));
                if !inputs.contains(&id) {
                    self.formal(&id, port, "File");
                    inputs.push(id);
                }
            }
            for (port, output) in &one.action.outputs {
                let id = format!("{tool}/out/{}", names::part(port));
                if !outputs.contains(&id) {
                    self.formal(&id, port, if output.file.ends_with('/') { "Dataset" } else { "File" });
                    outputs.push(id);
                }
            }
            tools.insert(kind, (epoch.max(one.action.epoch), inputs, outputs));
        }
        for (kind, (epoch, inputs, outputs)) in tools {
            let id = format!("#kind/{}", names::part(kind));
            self.add(
                &id,
                "SoftwareApplication",
                json!({
                    "name": kind,
                    "description": format!("celldag node kind {kind}"),
                    "softwareVersion": format!("celldag {}, epoch {epoch}", self.export.run.header.version),
                    "url": HOME,
                    "input": links(inputs),
                    "output": links(outputs),
                }),
            );
        }
    }
}

/// The type of a formal parameter, from a value of it.
fn scalar(value: &Value) -> &'static str {
    match value {
        Value::Bool(_) => "Boolean",
        Value::Number(number) if number.is_f64() => "Float",
        Value::Number(_) => "Integer",
        _ => "Text",
    }
}
