//! A run as Provenance Run Crate 0.5 (<https://w3id.org/ro/wfrun/provenance/0.5>), an RO-Crate 1.1 profile.
//!
//! | Of the run | In the crate |
//! |---|---|
//! | pipeline file | `ComputationalWorkflow`, main entity |
//! | files that it includes | `SoftwareSourceCode`, parts of it |
//! | node | `HowToStep` |
//! | kind, with its ports and parameters | `SoftwareApplication`, `FormalParameter` |
//! | job | `CreateAction`, and the `ControlAction` of its step |
//! | value of a parameter | `PropertyValue`, shared by all jobs that have it |
//! | the run, and celldag running it | `CreateAction`, `OrganizeAction` |
//! | artifact | `File` or `Dataset`; what does not travel along is named by its content |

mod tools;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Export, Exported, hash_uri, names, text_of};
use crate::record::JobOutcome;

const PROFILES: [(&str, &str, &str); 4] = [
    ("https://w3id.org/ro/wfrun/process/0.5", "Process Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/workflow/0.5", "Workflow Run Crate", "0.5"),
    ("https://w3id.org/ro/wfrun/provenance/0.5", "Provenance Run Crate", "0.5"),
    ("https://w3id.org/workflowhub/workflow-ro-crate/1.0", "Workflow RO-Crate", "1.0"),
];
const FORMAL: &str = "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE";
const HOME: &str = "https://github.com/celldag/celldag";
const LANGUAGE: &str = "#celldag-pipeline";
const ENGINE: &str = "#celldag";
const RUN: &str = "#run";

/// What a crate is made of besides the run.
#[derive(Clone, Debug)]
pub struct Crate {
    /// File name of the pipeline in the crate.
    pub pipeline: String,
    /// Whether the outputs of the pipeline lie in the crate at their paths.
    pub with_outputs: bool,
    /// Licence of the crate: a URL, an SPDX id or a sentence.
    pub license: String,
}

/// `ro-crate-metadata.json` of a run.
#[must_use]
pub fn ro_crate(export: &Export<'_>, about: &Crate) -> Value {
    let mut graph = Graph { export, about, entities: BTreeMap::new(), places: BTreeMap::new() };
    graph.places = places(export, about);
    graph.artifacts();
    graph.tools();
    graph.jobs();
    graph.workflow();
    graph.run();
    graph.root();
    let mut entities = graph.entities;
    // Readers expect these two first.
    let first =
        ["ro-crate-metadata.json", "./"].into_iter().filter_map(|id| entities.remove(id)).collect::<Vec<_>>();
    let all: Vec<Value> = first.into_iter().chain(entities.into_values()).map(Value::Object).collect();
    json!({
        "@context": ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"],
        "@graph": all,
    })
}

/// Digest → id of its entity.
fn places(export: &Export<'_>, about: &Crate) -> BTreeMap<String, String> {
    let outputs = export.outputs().filter(|_| about.with_outputs);
    outputs
        .map(|(path, artifact)| {
            let folder = if artifact.tree { "/" } else { "" };
            (artifact.digest.to_string(), format!("{}{folder}", names::path(path)))
        })
        .collect()
}

struct Graph<'a> {
    export: &'a Export<'a>,
    about: &'a Crate,
    entities: BTreeMap<String, Map<String, Value>>,
    places: BTreeMap<String, String>,
}

fn link(id: &str) -> Value {
    json!({ "@id": id })
}

fn links<I: AsRef<str>>(ids: impl IntoIterator<Item = I>) -> Value {
    let mut ids: Vec<String> = ids.into_iter().map(|id| id.as_ref().to_owned()).collect();
    ids.sort();
    ids.dedup();
    match ids.as_slice() {
        // As RO-Crate asks: one value stands alone.
        [one] => link(one),
        several => several.iter().map(|id| link(id)).collect(),
    }
}

impl Graph<'_> {
    fn add(&mut self, id: &str, ty: impl Into<Value>, properties: Value) {
        let entity = self.entities.entry(id.to_owned()).or_default();
        entity.insert("@id".to_owned(), json!(id));
        entity.insert("@type".to_owned(), ty.into());
        if let Value::Object(properties) = properties {
            entity.extend(properties.into_iter().filter(|(_, value)| !value.is_null()));
        }
    }

    /// The entity of a content.
    fn place(&self, digest: &str) -> String {
        self.places.get(digest).cloned().unwrap_or_else(|| hash_uri(digest))
    }

    /// One more thing that an artifact is an example of.
    fn example(&mut self, entity: &str, of: &str) {
        let Some(entity) = self.entities.get_mut(entity) else { return };
        let list = entity.entry("exampleOfWork").or_insert_with(|| json!([]));
        if let Some(list) = list.as_array_mut()
            && !list.contains(&link(of))
        {
            list.push(link(of));
        }
    }

    fn artifacts(&mut self) {
        for one in &self.export.jobs {
            for (port, artifact) in &one.job.outputs {
                let digest = artifact.digest.to_string();
                let id = self.place(&digest);
                let ty = if artifact.tree { "Dataset" } else { "File" };
                self.add(
                    &id,
                    ty,
                    json!({
                        "name": format!("{}.{port}", one.id),
                        "identifier": format!("blake3:{digest}"),
                        "contentSize": (!artifact.tree).then(|| artifact.size.to_string()),
                    }),
                );
            }
        }
        // After the jobs: one may give the very bytes that it was given, and the file of the user keeps its name.
        let export = self.export;
        for (digest, name) in &export.sources {
            let id = self.place(digest);
            self.add(&id, "File", json!({ "name": name, "identifier": format!("blake3:{digest}") }));
        }
        for (path, artifact) in self.export.outputs() {
            let id = self.place(&artifact.digest.to_string());
            self.add(&id, if artifact.tree { "Dataset" } else { "File" }, json!({ "name": path }));
        }
    }

    fn jobs(&mut self) {
        for one in &self.export.jobs {
            let tool = format!("#kind/{}", names::part(&one.action.kind));
            let mut objects = Vec::new();
            for (port, list) in &one.action.inputs {
                for input in list {
                    let entity = self.place(&input.digest);
                    // An input whose source no record tells, as in runs of earlier versions.
                    if !self.entities.contains_key(&entity) {
                        let identifier = format!("blake3:{}", input.digest);
                        self.add(&entity, "File", json!({ "name": port, "identifier": identifier }));
                    }
                    self.example(&entity, &format!("{tool}/in/{}", names::part(port)));
                    objects.push(entity);
                }
            }
            for (name, value) in &one.action.params {
                objects.push(self.value(&tool, name, value));
            }
            let mut results = Vec::new();
            for (port, artifact) in &one.job.outputs {
                let entity = self.place(&artifact.digest.to_string());
                self.example(&entity, &format!("{tool}/out/{}", names::part(port)));
                results.push(entity);
            }
            self.action(one, &tool, &objects, &results);
        }
    }

    fn action(&mut self, one: &Exported<'_>, tool: &str, objects: &[String], results: &[String]) {
        let id = names::job(&one.id);
        let told = match one.job.outcome {
            JobOutcome::Hit => "The result was in the store; the times are those of its computation.",
            JobOutcome::Ran => "Computed in this run.",
            JobOutcome::Failed | JobOutcome::Skipped => "Failed in this run.",
        };
        let status = if one.error.is_some() { "FailedActionStatus" } else { "CompletedActionStatus" };
        self.add(
            &id,
            "CreateAction",
            json!({
                "name": format!("Run of {}", one.id),
                "description": told,
                "instrument": link(tool),
                "object": links(objects),
                "result": (!results.is_empty()).then(|| links(results)),
                "startTime": one.times.as_ref().map(|(from, _)| from),
                "endTime": one.times.as_ref().map(|(_, to)| to),
                "actionStatus": link(&format!("http://schema.org/{status}")),
                "error": one.error,
            }),
        );
        let control = format!("#control/{}", names::part(&one.id));
        self.add(
            &control,
            "ControlAction",
            json!({
                "name": format!("Orchestration of {}", one.id),
                "instrument": link(&step_id(&one.job.node)),
                "object": link(&id),
            }),
        );
    }

    /// The value of a parameter; jobs with the same value share it.
    fn value(&mut self, tool: &str, name: &str, value: &Value) -> String {
        let text = text_of(value);
        let digest = blake3::hash(format!("{tool}\n{name}\n{text}").as_bytes()).to_hex();
        let id = format!("#value/{}", &digest[..16]);
        let of = format!("{tool}/with/{}", names::part(name));
        self.add(&id, "PropertyValue", json!({ "name": name, "value": text, "exampleOfWork": link(&of) }));
        id
    }

    fn workflow(&mut self) {
        let mut steps: Vec<(&str, &str)> = Vec::new();
        for one in &self.export.jobs {
            let step = (one.job.node.as_str(), one.action.kind.as_str());
            if !steps.contains(&step) {
                steps.push(step);
            }
        }
        for (position, (node, kind)) in steps.iter().enumerate() {
            self.add(
                &step_id(node),
                "HowToStep",
                json!({
                    "name": node,
                    "position": position.to_string(),
                    "workExample": link(&format!("#kind/{}", names::part(kind))),
                }),
            );
        }
        let mut inputs = Vec::new();
        let export = self.export;
        for (digest, name) in &export.sources {
            let id = format!("#in/{}", names::part(name));
            self.formal(&id, name, "File");
            self.example(&self.place(digest), &id);
            inputs.push(id);
        }
        let mut outputs = Vec::new();
        for (path, artifact) in self.export.outputs() {
            let id = format!("#out/{}", names::part(path));
            self.formal(&id, path, if artifact.tree { "Dataset" } else { "File" });
            self.example(&self.place(&artifact.digest.to_string()), &id);
            outputs.push(id);
        }
        let header = &self.export.run.header;
        self.add(LANGUAGE, "ComputerLanguage", json!({
            "name": "celldag pipeline", "alternateName": "celldag", "identifier": link(HOME), "url": link(HOME),
            "version": "1",
        }));
        let workflow = names::path(&self.about.pipeline);
        for (path, digest) in self.export.included() {
            // `hasPart` of the workflow is for tools that actions use; this says the same from the other end.
            self.add(
                &names::path(&path),
                json!(["File", "SoftwareSourceCode"]),
                json!({
                    "name": path,
                    "identifier": format!("blake3:{digest}"),
                    "programmingLanguage": link(LANGUAGE),
                    "isPartOf": link(&workflow),
                }),
            );
        }
        let ty = json!(["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"]);
        self.add(
            &workflow,
            ty,
            json!({
                "name": self.export.pipeline,
                "identifier": header.text_digest.as_ref().map(|digest| format!("blake3:{digest}")),
                "programmingLanguage": link(LANGUAGE),
                "hasPart": links(steps.iter().map(|(_, kind)| format!("#kind/{}", names::part(kind)))),
                "step": links(steps.iter().map(|(node, _)| step_id(node))),
                "input": links(inputs),
                "output": links(outputs),
            }),
        );
    }

    fn run(&mut self) {
        let header = &self.export.run.header;
        let sources: Vec<String> = self.export.sources.keys().map(|digest| self.place(digest)).collect();
        let outputs: Vec<String> =
            self.export.outputs().map(|(_, artifact)| self.place(&artifact.digest.to_string())).collect();
        let done = header.exit == crate::error::ExitClass::Ok;
        let status = if done { "CompletedActionStatus" } else { "FailedActionStatus" };
        self.add(
            RUN,
            "CreateAction",
            json!({
                "name": format!("Run {} of {}", header.id, self.export.pipeline),
                "instrument": link(&names::path(&self.about.pipeline)),
                "object": links(sources),
                "result": links(outputs),
                "startTime": header.started,
                "endTime": header.finished,
                "actionStatus": link(&format!("http://schema.org/{status}")),
            }),
        );
        self.add(
            ENGINE,
            "SoftwareApplication",
            json!({
                "name": "celldag", "softwareVersion": header.version, "url": HOME,
            }),
        );
        let controls = self.export.jobs.iter().map(|one| format!("#control/{}", names::part(&one.id)));
        let controls = links(controls);
        self.add(
            "#organize",
            "OrganizeAction",
            json!({
                "name": format!("Run of celldag {}", header.version),
                "instrument": link(ENGINE),
                "object": controls,
                "result": link(RUN),
                "startTime": header.started,
                "endTime": header.finished,
            }),
        );
    }

    fn root(&mut self) {
        let header = &self.export.run.header;
        for (id, name, version) in PROFILES {
            self.add(id, "CreativeWork", json!({ "name": name, "version": version }));
        }
        let is_data = |entity: &&Map<String, Value>| {
            let ty = &entity["@type"];
            let data = |ty: &Value| ty == "File" || ty == "Dataset";
            data(ty) || ty.as_array().is_some_and(|list| list.iter().any(data))
        };
        let parts: Vec<String> = self
            .entities
            .values()
            .filter(is_data)
            .filter_map(|entity| entity["@id"].as_str().map(str::to_owned))
            .collect();
        let workflow = names::path(&self.about.pipeline);
        let jobs = self.export.jobs.iter().map(|one| names::job(&one.id));
        let actions: Vec<String> = jobs.chain([RUN.to_owned(), "#organize".to_owned()]).collect();
        self.add("./", "Dataset", json!({
            "name": format!("celldag run {} of {}", header.id, self.export.pipeline),
            "description": format!(
                "What ran, on which inputs, with which parameters and results. {} jobs computed, {} taken from the store, {} failed.",
                header.counts.ran, header.counts.cached, header.counts.failed
            ),
            "datePublished": header.finished.as_ref().unwrap_or(&header.started),
            "license": self.about.license,
            "conformsTo": links(PROFILES.iter().map(|(id, ..)| id)),
            "hasPart": links(parts),
            "mainEntity": link(&workflow),
            "mentions": links(actions),
        }));
        self.add(
            "ro-crate-metadata.json",
            "CreativeWork",
            json!({
                "about": link("./"),
                "conformsTo": links(["https://w3id.org/ro/crate/1.1", PROFILES[3].0]),
            }),
        );
    }
}

fn step_id(node: &str) -> String {
    format!("#step/{}", names::part(node))
}
