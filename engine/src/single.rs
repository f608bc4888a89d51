//! One kind on given files as a pipeline of one job: what `celldag step` runs.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::check::scope::{collection, word};
use crate::check::suggest::hint;
use crate::check::types::{describe, normal, typed};
use crate::diagnostic::{Diagnostic, Diagnostics, SourceText};
use crate::kind::{KindSpec, Multiplicity};
use crate::param::{Param, ParamType, Params};
use crate::part::Portion;
use crate::pipeline::{Job, JobInput, Pipeline, Source};
use crate::registry::Registered;
use crate::resources::{Resources, Retries};
use crate::spec::Tree;

impl Pipeline {
    /// A pipeline of one job. Values of `with` are texts of the command line and typed by their parameter (lists and
    /// mappings as `[a, b]` and `{a: 1}`); `inputs` are (port, label, path). Nothing is materialised: the caller adds
    /// [`Pipeline::outputs`].
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn single(
        kind: Registered,
        with: &[(String, String)],
        inputs: &[(String, String, PathBuf)],
    ) -> Result<Self, Diagnostics> {
        let mut findings = Vec::new();
        let params = params(&kind, with, &mut findings);
        let inputs = job_inputs(&kind.spec, inputs, &mut findings);
        let root = std::path::absolute(".").map_err(|e| {
            Diagnostic::error("celldag::step::folder", format!("the current folder cannot be read: {e}"))
        })?;
        if !findings.is_empty() {
            return Err(Diagnostics { items: findings });
        }
        let name = kind.spec.name.to_owned();
        let job = Job {
            node: name.clone(),
            coordinates: Arc::default(),
            id: name.clone(),
            params: Arc::new(params),
            inputs,
            temporary: false,
            retries: Retries::default(),
            timeout: None,
            resources: Resources::default(),
            uses_device: kind.spec.uses_device,
            portion: Portion::Whole,
            dispatch: Arc::default(),
            kind,
        };
        Ok(Self {
            name,
            file: PathBuf::new(),
            root,
            tables: Vec::new(),
            also_read: Vec::new(),
            included: Vec::new(),
            salt: String::new(),
            strict_numerics: false,
            secrets: Vec::new(),
            lineage: None,
            jobs: vec![job],
            outputs: Vec::new(),
            warnings: Vec::new(),
        })
    }

    /// The same single step under the name that its job has in a workflow: `head[fold=3]`.
    #[must_use]
    pub fn called(mut self, id: &str) -> Self {
        id.clone_into(&mut self.name);
        for job in &mut self.jobs {
            job.node = id.split('[').next().unwrap_or(id).to_owned();
            job.id = id.to_owned();
        }
        self
    }

    /// The same single step, of which only a shard is computed, or whose result is put together from parts.
    ///
    /// # Errors
    /// When the kind cannot be cut.
    pub fn doing(mut self, portion: &Portion) -> Result<Self, Diagnostics> {
        for job in &mut self.jobs {
            if *portion != Portion::Whole && !job.kind.kind.can_be_cut() {
                let message = format!("kind `{}` cannot be cut into shards", job.kind.spec.name);
                let finding = Diagnostic::error("celldag::step::cannot_be_cut", message);
                return Err(finding.help("leave --shard and --part out").into());
            }
            // Putting together needs no device.
            job.uses_device &= !matches!(portion, Portion::Parts(_));
            job.portion = portion.clone();
        }
        Ok(self)
    }
}

fn params(kind: &Registered, with: &[(String, String)], out: &mut Vec<Diagnostic>) -> Params {
    let mut map = Map::new();
    for (name, text) in with {
        let Some(param) = kind.spec.params.iter().find(|param| param.name == name) else {
            out.push(
                Diagnostic::error(
                    "celldag::step::unknown_param",
                    format!("--with {name}: kind `{}` has no parameter `{name}`", kind.spec.name),
                )
                .help("it takes no parameters")
                .maybe_help(hint(
                    name,
                    "parameters",
                    kind.spec.params.iter().map(|param| param.name),
                )),
            );
            continue;
        };
        match with_value(param, text) {
            Ok(value) => {
                map.insert(name.clone(), value);
            }
            Err(finding) => out.push(*finding),
        }
    }
    for param in &kind.spec.params {
        if map.contains_key(param.name) {
            continue;
        }
        match &param.default {
            Some(default) => {
                map.insert(param.name.to_owned(), normal(default, &param.ty));
            }
            None if with.iter().any(|(name, _)| name == param.name) => {}
            None => out.push(
                Diagnostic::error(
                    "celldag::step::missing_param",
                    format!(
                        "kind `{}` needs the parameter `{}`: {}",
                        kind.spec.name, param.name, param.about
                    ),
                )
                .help(format!("add --with {}=..., {}", param.name, describe(&param.ty))),
            ),
        }
    }
    let mut params = Params(map);
    if out.is_empty() {
        for (name, message) in kind.kind.check(&params) {
            out.push(Diagnostic::error("celldag::step::rule", format!("--with {name}: {message}")));
        }
    }
    if out.is_empty() {
        kind.kind.resolve(&mut params);
    }
    params
}

/// The value of a parameter that was written as `--with NAME=TEXT`, typed as the parameter declares it: `33` is a text for
/// a parameter of text and a number for one of numbers; lists and mappings are written as `[a, b]` and `{a: 1}`.
///
/// # Errors
/// When the text is no value of the parameter's type.
pub fn with_value(param: &Param, text: &str) -> Result<Value, Box<Diagnostic>> {
    value(param, text).map_err(|(message, help)| {
        let written = format!("{}={text}", param.name);
        let place = param.name.len() + 1..written.len();
        let mut finding =
            Diagnostic::error("celldag::step::wrong_param", format!("--with {}: {message}", param.name))
                .at(place, format!("expected {}", describe(&param.ty)))
                .help(param.about.clone())
                .maybe_help(help);
        finding.source = Some(Arc::new(SourceText::new("--with", written)));
        Box::new(finding)
    })
}

/// A text of the command line as the value of a parameter.
fn value(param: &Param, text: &str) -> Result<Value, (String, Option<String>)> {
    let tree = match &param.ty {
        // Whatever it looks like, a text is the text that was typed.
        ParamType::Text | ParamType::Choice(_) if param.default != Some(Value::Null) => {
            Tree::quoted(text, 0..text.len())
        }
        ParamType::List(_) | ParamType::Map(_) => {
            collection(text, &(0..text.len())).unwrap_or_else(|| word(text, 0..text.len()))
        }
        _ => word(text, 0..text.len()),
    };
    if param.default == Some(Value::Null) && tree.is_null() {
        return Ok(Value::Null);
    }
    typed(&tree, &param.ty).map_err(|misfit| (misfit.message, misfit.help))
}

fn job_inputs(
    spec: &KindSpec,
    inputs: &[(String, String, PathBuf)],
    out: &mut Vec<Diagnostic>,
) -> Vec<JobInput> {
    let mut found: Vec<JobInput> = Vec::new();
    for (port, label, path) in inputs {
        let Some(declared) = spec.inputs.iter().find(|declared| declared.name == port) else {
            out.push(
                Diagnostic::error(
                    "celldag::step::unknown_port",
                    format!("--in {port}: kind `{}` has no input `{port}`", spec.name),
                )
                .help("it takes no inputs")
                .maybe_help(hint(port, "inputs", spec.inputs.iter().map(|port| port.name))),
            );
            continue;
        };
        if !path.exists() {
            let message = format!("--in {port}: there is no file {}", path.display());
            out.push(Diagnostic::error("celldag::pipeline::missing_file", message).help("check the path"));
        }
        let many = declared.many == Multiplicity::Many;
        let label = match (many, label.as_str()) {
            (true, "") => {
                path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
            }
            (true, label) => label.to_owned(),
            (false, _) => String::new(),
        };
        let source = Source::Path(std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        found.push(JobInput { port: port.clone(), label, source });
    }
    found.sort_by(|a, b| (&a.port, &a.label).cmp(&(&b.port, &b.label)));
    for pair in found.windows(2) {
        let [first, second] = pair else { continue };
        if first.port == second.port && first.label == second.label {
            let many =
                spec.inputs.iter().any(|port| port.name == first.port && port.many == Multiplicity::Many);
            let (message, help) = if many {
                (
                    format!("--in {}: two files have the label `{}`", first.port, first.label),
                    "write --in PORT:LABEL=PATH",
                )
            } else {
                (format!("--in {} takes one file", first.port), "give it once")
            };
            out.push(Diagnostic::error("celldag::step::too_many", message).help(help));
        }
    }
    for port in &spec.inputs {
        if port.many != Multiplicity::Optional && !inputs.iter().any(|(name, ..)| name == port.name) {
            out.push(
                Diagnostic::error(
                    "celldag::step::missing_input_port",
                    format!(
                        "kind `{}` needs the input `{}` ({}): {}",
                        spec.name, port.name, port.ty, port.about
                    ),
                )
                .help(format!("add --in {}=PATH", port.name)),
            );
        }
    }
    found
}
