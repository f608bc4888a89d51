//! Toy kinds for the engine's own tests: small enough to follow by eye, rich enough to meet every rule.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::artifact::ArtifactType;
use crate::kind::{InPort, Kind, KindSpec, Multiplicity, OutPort};
use crate::param::{Param, ParamType, Params};
use crate::registry::Registry;
use crate::step::{NodeError, Step};

/// Plain text.
pub(crate) const TEXT: ArtifactType = ArtifactType { name: "text", about: "plain text" };
/// A number as JSON.
pub(crate) const NUMBER: ArtifactType = ArtifactType { name: "number", about: "a number as JSON" };

/// All toy kinds.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.add(Make);
    registry.add(Join);
    registry.add(Count);
    registry.add(Shout);
    registry.add(Trace);
    registry
}

fn spec(name: &'static str, about: &'static str) -> KindSpec {
    KindSpec {
        name,
        epoch: 1,
        about,
        inputs: Vec::new(),
        outputs: vec![OutPort { name: "text", ty: TEXT, file: "text.txt", about: "the text" }],
        params: Vec::new(),
        uses_device: false,
        wants_lineage: false,
    }
}

fn write(step: &Step<'_>, port: &str, bytes: &[u8]) -> Result<(), NodeError> {
    fs_err::write(step.output(port)?, bytes).map_err(|e| NodeError::failed(e.to_string()))
}

fn read(path: &std::path::Path) -> Result<String, NodeError> {
    fs_err::read_to_string(path).map_err(|e| NodeError::data(e.to_string()))
}

/// Writes a text given as parameter; reads nothing.
pub(crate) struct Make;

impl Kind for Make {
    fn spec(&self) -> KindSpec {
        KindSpec {
            params: vec![
                Param::text("text", "what to write"),
                Param::int("times", "how often").range(1, 1000).default(1).unit("copies"),
                Param::bool("upper", "in capitals").default(false),
                Param::list("tags", ParamType::Text, "appended words").default(json!([])),
                Param::text("note", "appended when given").optional(),
                Param::map("weights", ParamType::Float { min: 0.0, max: 1.0 }, "share per word")
                    .default(Map::new()),
                Param::int("threads", "speed only").range(1, 64).default(1).perf(),
            ],
            ..spec("make", "writes a text")
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let times = params.get("times").and_then(Value::as_i64).unwrap_or(1);
        let upper = params.get("upper").and_then(Value::as_bool).unwrap_or(false);
        if upper && times > 10 {
            return vec![("times".to_owned(), "at most 10 copies in capitals; lower `times`".to_owned())];
        }
        Vec::new()
    }

    /// A greeting has a note of its own, and an epoch.
    fn resolve(&self, params: &mut Params) {
        if params.get("text") == Some(&json!("greeting")) && params.get("note") == Some(&Value::Null) {
            params.0.insert("note".to_owned(), json!("hello"));
        }
    }

    fn parts(&self, params: &Params) -> BTreeMap<String, u32> {
        let greets = params.get("text") == Some(&json!("greeting"));
        greets.then(|| ("greeting".to_owned(), 3)).into_iter().collect()
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        #[derive(serde::Deserialize)]
        struct With {
            text: String,
            times: usize,
            upper: bool,
            tags: Vec<String>,
            note: Option<String>,
        }
        let with: With = step.read_params()?;
        let mut text = with.text.repeat(with.times);
        for tail in with.tags.iter().chain(&with.note) {
            text.push(' ');
            text.push_str(tail);
        }
        if with.upper {
            text = text.to_uppercase();
        }
        step.fact("characters", text.chars().count());
        write(step, "text", text.as_bytes())
    }
}

/// Joins any number of texts in the order of their labels.
pub(crate) struct Join;

impl Kind for Join {
    fn spec(&self) -> KindSpec {
        KindSpec {
            inputs: vec![
                InPort { name: "parts", ty: TEXT, many: Multiplicity::Many, about: "what to join" },
                InPort { name: "header", ty: TEXT, many: Multiplicity::Optional, about: "first line" },
            ],
            params: vec![Param::text("separator", "between parts").default(" ")],
            ..spec("join", "joins texts")
        }
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let separator = step.params.get("separator").and_then(Value::as_str).unwrap_or(" ");
        let mut parts = Vec::new();
        for input in step.inputs.get("header").into_iter().flatten().chain(step.gathered("parts")) {
            parts.push(read(&input.path)?);
        }
        step.fact("parts", parts.len());
        write(step, "text", parts.join(separator).as_bytes())
    }
}

/// Counts what a text holds.
pub(crate) struct Count;

impl Kind for Count {
    fn spec(&self) -> KindSpec {
        KindSpec {
            inputs: vec![InPort { name: "text", ty: TEXT, many: Multiplicity::One, about: "what to count" }],
            outputs: vec![OutPort { name: "number", ty: NUMBER, file: "number.json", about: "the count" }],
            params: vec![
                Param::choice("unit", &["words", "lines", "characters"], "what to count").default("words"),
                Param::float("scale", 0.0, 1e6, "factor").default(1.0),
            ],
            ..spec("count", "counts what a text holds")
        }
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let text = read(&step.input("text")?.path)?;
        let count = match step.params.get("unit").and_then(Value::as_str) {
            Some("lines") => text.lines().count(),
            Some("characters") => text.chars().count(),
            _ => text.split_whitespace().count(),
        };
        let scale = step.params.get("scale").and_then(Value::as_f64).unwrap_or(1.0);
        write(step, "number", json!(count as f64 * scale).to_string().as_bytes())
    }
}

/// Makes a text loud, on the compute device.
pub(crate) struct Shout;

impl Kind for Shout {
    fn spec(&self) -> KindSpec {
        KindSpec {
            inputs: vec![InPort { name: "text", ty: TEXT, many: Multiplicity::One, about: "what to say" }],
            uses_device: true,
            ..spec("shout", "makes a text loud on the device")
        }
    }

    fn can_be_cut(&self) -> bool {
        true
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let text = read(&step.input("text")?.path)?;
        step.execution("device", step.device);
        write(step, "text", text.to_uppercase().as_bytes())
    }
}

/// Writes what came before it.
pub(crate) struct Trace;

impl Kind for Trace {
    fn spec(&self) -> KindSpec {
        KindSpec {
            inputs: vec![InPort {
                name: "files",
                ty: ArtifactType::FILE,
                many: Multiplicity::Many,
                about: "anything",
            }],
            outputs: vec![OutPort { name: "trace", ty: TEXT, file: "trace.json", about: "the lineage" }],
            wants_lineage: true,
            ..spec("trace", "writes its lineage")
        }
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        write(step, "trace", step.lineage.to_string().as_bytes())
    }
}
