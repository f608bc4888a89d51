//! Toy kinds, and the way back from a workflow to the jobs that it was read off.

use std::path::PathBuf;

use celldag_engine::{
    ArtifactType, Diagnostics, InPort, JobInput, Kind, KindSpec, LoadOptions, Multiplicity, NodeError,
    OutPort, Param, ParamType, Params, Pipeline, Registry, Source, Step, load, read_program, with_value,
};
use serde_json::{Map, Value, json};

use crate::workflow::{Coordinates, Item, Rule, Runs, Workflow};

const TEXT: ArtifactType = ArtifactType { name: "text", about: "plain text" };

struct Toy(KindSpec);

impl Kind for Toy {
    fn spec(&self) -> KindSpec {
        self.0.clone()
    }

    fn resolve(&self, params: &mut Params) {
        if params.get("text") == Some(&json!("greeting")) && params.get("note") == Some(&Value::Null) {
            params.0.insert("note".to_owned(), json!("hello"));
        }
    }

    fn run(&self, _step: &Step<'_>) -> Result<(), NodeError> {
        Err(NodeError::failed("only described"))
    }
}

/// `make` (a parameter of every type), `join` (many inputs), `device` (on the device, a folder as output), `trace` (wants the
/// lineage).
pub(crate) fn registry() -> Registry {
    let port = |name, many| InPort { name, ty: ArtifactType::FILE, many, about: "" };
    let out = |name, file| OutPort { name, ty: TEXT, file, about: "" };
    let kind = |name, inputs, outputs, params| KindSpec {
        name,
        epoch: 1,
        about: "a toy",
        inputs,
        outputs,
        params,
        uses_device: name == "device",
        wants_lineage: name == "trace",
    };
    let params = vec![
        Param::text("text", ""),
        Param::int("times", "").default(1),
        Param::bool("upper", "").default(false),
        Param::float("share", 0.0, 10.0, "").default(0.5),
        Param::choice("unit", &["words", "lines"], "").default("words"),
        Param::list("tags", ParamType::Text, "").default(json!([])),
        Param::map("weights", ParamType::Float { min: 0.0, max: 1.0 }, "").default(Map::new()),
        Param::text("note", "").optional(),
        Param::int("maybe", "").optional(),
        Param::int("threads", "").default(1).perf(),
    ];
    let mut registry = Registry::new();
    let file = port("file", Multiplicity::Optional);
    registry.add(Toy(kind("make", vec![file], vec![out("text", "text.txt")], params)));
    let inputs = vec![port("parts", Multiplicity::Many), port("one", Multiplicity::Optional)];
    let separator = vec![Param::text("separator", "").default(" ")];
    registry.add(Toy(kind("join", inputs, vec![out("text", "text.txt")], separator)));
    let outputs = vec![out("text", "text.txt"), out("model", "model/")];
    let batch =
        vec![Param::int("batch_size", "").default(64).perf(), Param::int("chunk", "").optional().perf()];
    registry.add(Toy(kind("device", vec![port("cells", Multiplicity::One)], outputs, batch)));
    let files = vec![port("files", Multiplicity::Many)];
    registry.add(Toy(kind("trace", files, vec![out("trace", "trace.json")], Vec::new())));
    registry
}

/// A folder with a pipeline and the files that it names; gone when dropped.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    /// A file in it that can be run.
    pub(crate) fn executable(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.0.path().join(name);
        fs_err::write(&path, text).unwrap();
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let table = "id\tpath\tshare\nd1\ta.txt\t0.5\nd 2\tb.txt\t1e-3\n";
        for (name, text) in
            [("a.txt", "one two"), ("b.txt", "three"), ("b}.txt", "four"), ("data.tsv", table)]
        {
            fs_err::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    pub(crate) fn try_load(&self, text: &str) -> Result<Pipeline, Diagnostics> {
        load(&self.0.path().join("pipeline.yaml"), Some(text), &registry(), &LoadOptions::default())
    }

    pub(crate) fn load(&self, text: &str) -> Pipeline {
        self.try_load(text).unwrap_or_else(|e| panic!("{}", e.one_line_each()))
    }
}

/// The parameters that a step of this job has.
pub(crate) fn params_of(rule: &Rule, at: &Coordinates) -> Params {
    let given = |name: &str| {
        let (_, setting) = rule.params.iter().find(|(own, _)| own == name)?;
        setting.at(at).unwrap().clone()
    };
    let kind = match &rule.runs {
        Runs::Program { text, .. } => {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs_err::write(file.path(), text).unwrap();
            read_program(file.path(), &registry()).unwrap_or_else(|e| panic!("{}", e.one_line_each()))
        }
        Runs::Kind(_) | Runs::Executable(_) => rule.kind.clone(),
    };
    let mut params = Params::default();
    for param in &kind.spec.params {
        let value = given(param.name)
            .map_or_else(|| param.default.clone().unwrap(), |text| with_value(param, &text).unwrap());
        params.0.insert(param.name.to_owned(), value);
    }
    rule.kind.kind.resolve(&mut params);
    params
}

/// What stands on the ports of this job.
pub(crate) fn inputs_of(workflow: &Workflow, rule: &Rule, at: &Coordinates) -> Vec<JobInput> {
    let made = |other: usize, at: &Coordinates, port: &str| {
        let other = &workflow.rules[other];
        let place = other
            .combinations
            .iter()
            .position(|own| own.iter().all(|(axis, value)| at.get(axis) == Some(value)))
            .unwrap();
        (other.combinations[place].clone(), Source::Job { job: other.jobs[place], port: port.to_owned() })
    };
    let mut inputs = Vec::new();
    for feed in &rule.feeds {
        let mut add =
            |label: String, source: Source| inputs.push(JobInput { port: feed.port.clone(), label, source });
        for item in feed.items.at(at).unwrap() {
            match item {
                Item::File { label, path } => {
                    let path: &PathBuf = path.at(at).unwrap();
                    add(label.at(at).unwrap().clone(), Source::Path(path.clone()));
                }
                Item::Join { rule, port, label } => {
                    let (coordinates, source) = made(*rule, at, port);
                    add(label.of(&coordinates), source);
                }
                Item::Gather { rule, port, label, over, members } => {
                    for values in members.at(at).unwrap() {
                        let mut at = at.clone();
                        at.extend(over.iter().cloned().zip(values.iter().cloned()));
                        let (coordinates, source) = made(*rule, &at, port);
                        add(label.of(&coordinates), source);
                    }
                }
            }
        }
    }
    inputs.sort_by(|a, b| (&a.port, &a.label).cmp(&(&b.port, &b.label)));
    inputs
}
