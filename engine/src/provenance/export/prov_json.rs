//! A run as PROV-JSON (<https://www.w3.org/submissions/prov-json/>): entities, activities, and who used and made what.

use serde_json::{Map, Value, json};

use super::{Export, names, text_of};

/// The run as a PROV-JSON document.
#[must_use]
pub fn prov_json(export: &Export<'_>) -> Value {
    let header = &export.run.header;
    let mut entity = Map::new();
    for (digest, name) in &export.sources {
        entity.insert(format!("b3:{digest}"), json!({ "prov:label": name, "prov:type": "celldag:Source" }));
    }
    let (mut activity, mut used, mut made) = (Map::new(), Map::new(), Map::new());
    let mut associated = Map::new();
    let plan = header.text_digest.as_ref().map(|digest| format!("b3:{digest}"));
    let mut members = Map::new();
    if let Some(plan) = &plan {
        for (path, digest) in export.included() {
            let part = format!("b3:{digest}");
            let member = json!({ "prov:collection": plan, "prov:entity": part });
            members.insert(format!("_:m{}", members.len()), member);
            entity.insert(part, json!({ "prov:label": path, "prov:type": "prov:Plan" }));
        }
        let ty =
            if members.is_empty() { json!("prov:Plan") } else { json!(["prov:Plan", "prov:Collection"]) };
        entity.insert(plan.clone(), json!({ "prov:label": export.pipeline, "prov:type": ty }));
    }
    for one in &export.jobs {
        let id = format!("run:{}", names::part(&one.id));
        let mut told = Map::new();
        told.insert("prov:label".to_owned(), json!(one.id));
        told.insert("celldag:kind".to_owned(), json!(one.action.kind));
        told.insert("celldag:epoch".to_owned(), json!(one.action.epoch));
        if let Some(key) = &one.job.key {
            told.insert("celldag:key".to_owned(), json!(key.to_string()));
        }
        told.insert("celldag:outcome".to_owned(), json!(one.job.outcome));
        if let Some((from, to)) = &one.times {
            told.insert("prov:startTime".to_owned(), json!(from));
            told.insert("prov:endTime".to_owned(), json!(to));
        }
        for (name, value) in &one.action.params {
            told.insert(format!("param:{}", names::part(name)), json!(text_of(value)));
        }
        activity.insert(id.clone(), Value::Object(told));
        for (port, list) in &one.action.inputs {
            for input in list {
                let content = format!("b3:{}", input.digest);
                entity.entry(content.clone()).or_insert_with(|| json!({}));
                let role =
                    if input.label.is_empty() { port.clone() } else { format!("{port}[{}]", input.label) };
                used.insert(
                    format!("_:u{}", used.len()),
                    json!({ "prov:activity": id, "prov:entity": content, "prov:role": role }),
                );
            }
        }
        for (port, artifact) in &one.job.outputs {
            let content = format!("b3:{}", artifact.digest);
            // A job may give the very bytes that it was given: the file of the user keeps its name.
            entity.entry(content.clone()).or_insert_with(
                || json!({ "prov:label": format!("{}.{port}", one.id), "celldag:bytes": artifact.size }),
            );
            made.insert(
                format!("_:g{}", made.len()),
                json!({ "prov:entity": content, "prov:activity": id, "prov:role": port }),
            );
        }
        let mut by = Map::new();
        by.insert("prov:activity".to_owned(), json!(id));
        by.insert("prov:agent".to_owned(), json!("celldag:celldag"));
        if let Some(plan) = &plan {
            by.insert("prov:plan".to_owned(), json!(plan));
        }
        associated.insert(format!("_:a{}", associated.len()), Value::Object(by));
    }
    let mut document = json!({
        "prefix": {
            "b3": "hash://blake3/",
            "celldag": "https://github.com/celldag/celldag#",
            "param": "https://github.com/celldag/celldag#param/",
            "run": format!("https://github.com/celldag/celldag#run/{}/", names::part(&header.id)),
        },
        "entity": entity,
        "activity": activity,
        "agent": {
            "celldag:celldag": { "prov:type": "prov:SoftwareAgent", "prov:label": format!("celldag {}", header.version) },
        },
        "used": used,
        "wasGeneratedBy": made,
        "wasAssociatedWith": associated,
    });
    if !members.is_empty() {
        document["hadMember"] = Value::Object(members);
    }
    document
}
