//! A program in a file of its own: what `celldag export` writes for a node with `uses: exec`, and what a step reads. The step
//! then has the action of the node's job, and so its key.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::ExecKind;
use super::node::{EPOCH, outputs, own_params, program, value_param, variables};
use super::usage::Usage;
use super::version::Versions;
use crate::artifact::ArtifactType;
use crate::check::types::typed;
use crate::diagnostic::sources::Sources;
use crate::diagnostic::{Diagnostic, Diagnostics, SourceText};
use crate::intern::intern;
use crate::kind::{InPort, KindSpec, Multiplicity};
use crate::param::{Param, ParamType};
use crate::registry::{Registered, Registry};
use crate::spec::exec::{EXEC, OWN};
use crate::spec::parse::parse;
use crate::spec::program::{PORTS, PROGRAM, ProgramDef, VALUES, read};
use crate::spec::template::is_name;
use crate::spec::{Data, Key};

/// The kind of the nodes with `uses: exec`.
#[must_use]
pub fn is_program(kind: &Registered) -> bool {
    kind.spec.name == EXEC && kind.kind.executable().is_none()
}

/// The file of the program that a node runs. `shared` holds the parameters in which all its jobs agree, those of `run:`, `env:`
/// and `version:` among them; what is not there has to be given to each step.
#[must_use]
pub fn program_text(kind: &Registered, shared: &Map<String, Value>) -> String {
    let spec = &kind.spec;
    let (key, version) = PROGRAM;
    let mut text = format!("{key}: {version}\n");
    for name in OWN {
        let lines = match shared.get(*name) {
            Some(Value::Array(items)) => items.iter().map(|item| format!("- {}", quoted(item))).collect(),
            Some(Value::Object(map)) => map.iter().map(|(name, value)| entry(name, value)).collect(),
            _ => Vec::new(),
        };
        section(&mut text, name, lines.into_iter());
    }
    section(
        &mut text,
        "secrets",
        kind.kind.secrets().iter().map(|name| format!("- {}", quoted(&json!(name)))),
    );
    let word = |port: &InPort| PORTS[usize::from(port.many == Multiplicity::Many)];
    section(&mut text, "in", spec.inputs.iter().map(|port| entry(port.name, &word(port).into())));
    let file = |ty: ArtifactType, file: &str| match ty == ArtifactType::FILE {
        true => json!(file),
        false => json!({"file": file, "type": ty.name}),
    };
    section(&mut text, "out", spec.outputs.iter().map(|port| entry(port.name, &file(port.ty, port.file))));
    let values = || spec.params.iter().filter(|param| !OWN.contains(&param.name));
    let with = values().filter_map(|param| Some(entry(param.name, shared.get(param.name)?)));
    section(&mut text, "with", with);
    let given = values().filter(|param| !shared.contains_key(param.name));
    let word = |param: &Param| VALUES[usize::from(matches!(param.ty, ParamType::List(_)))];
    section(&mut text, "given", given.map(|param| entry(param.name, &word(param).into())));
    text
}

fn entry(name: &str, value: &Value) -> String {
    format!("{}: {}", quoted(&json!(name)), quoted(value))
}

/// What JSON quotes, YAML reads, whatever the words mean in one of its versions; but for characters that JSON leaves as they
/// are, and that YAML refuses or takes for the end of a line.
fn quoted(value: &Value) -> String {
    let mut text = String::new();
    for char in value.to_string().chars() {
        match char {
            '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                text.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            char => text.push(char),
        }
    }
    text
}

fn section(text: &mut String, name: &str, lines: impl Iterator<Item = String>) {
    let lines: String = lines.map(|line| format!("  {line}\n")).collect();
    if !lines.is_empty() {
        text.push_str(&format!("{name}:\n{lines}"));
    }
}

/// The kind of the program that the file at `path` describes.
///
/// # Errors
/// Everything that is wrong with the file, at once.
pub fn read_program(path: &Path, registry: &Registry) -> Result<Registered, Diagnostics> {
    let text = fs_err::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => {
            let message = format!("there is no file {}", path.display());
            Diagnostic::error("celldag::pipeline::missing_file", message).help("check the path")
        }
        _ => Diagnostic::error("celldag::program::unreadable", format!("{}: {e}", path.display())),
    })?;
    let mut findings = Vec::new();
    let tree = parse(&text, &mut findings);
    let name = path.file_stem().map_or_else(|| EXEC.to_owned(), |stem| stem.to_string_lossy().into_owned());
    let kind = tree.and_then(|tree| {
        let def = read(&tree, &mut findings)?;
        let name = Key { name, span: tree.span.start..tree.span.start };
        Some(kind(&name, &def, registry, &mut findings))
    });
    let mut sources = Sources::default();
    sources.add(SourceText::new(path.display().to_string(), text), None);
    let findings = sources.resolve(findings);
    // Warnings, such as that of a program that is not in PATH: the step itself will say so.
    kind.filter(|_| !findings.has_errors()).ok_or(findings)
}

fn kind(name: &Key, def: &ProgramDef, registry: &Registry, out: &mut Vec<Diagnostic>) -> Registered {
    let port = |(key, many): &(Key, bool)| InPort {
        name: intern(&key.name),
        ty: ArtifactType::FILE,
        many: if *many { Multiplicity::Many } else { Multiplicity::One },
        about: "an input of the program",
    };
    let spec = KindSpec {
        name: EXEC,
        epoch: EPOCH,
        about: "runs an external program",
        inputs: def.inputs.iter().map(port).collect(),
        outputs: outputs(registry, name, &def.exec, out),
        params: params(def, out),
        uses_device: false,
        wants_lineage: false,
    };
    names(def, out);
    // What steps are given is not known here: only what stands in the file is held against its ports.
    Usage::of(&spec, &def.exec, out);
    variables(&def.exec, out);
    program(&def.exec, out);
    let secrets = def.exec.secrets.iter().map(|name| name.value.clone()).collect();
    Registered::new(ExecKind { spec, secrets, versions: Versions::default() })
}

fn params(def: &ProgramDef, out: &mut Vec<Diagnostic>) -> Vec<Param> {
    let mut params = own_params();
    // Which program to run is said in the file or to the step.
    params.iter_mut().filter(|param| param.name == "run").for_each(|run| run.default = None);
    for (key, list) in &def.given {
        params.push(value_param(&key.name, *list));
    }
    for (key, tree) in &def.with {
        if !params.iter().any(|param| param.name == key.name) {
            params.push(value_param(&key.name, matches!(tree.data, Data::List(_))));
        }
        let Some(param) = params.iter_mut().find(|param| param.name == key.name) else { continue };
        match typed(tree, &param.ty) {
            Ok(value) => param.default = Some(value),
            Err(misfit) => out.push(
                Diagnostic::error(
                    "celldag::program::wrong_value",
                    format!("`{}`: {}", key.name, misfit.message),
                )
                .at(misfit.span, format!("expected {}", misfit.wanted))
                .maybe_help(misfit.help),
            ),
        }
    }
    params
}

/// Names that ports and parameters may have.
fn names(def: &ProgramDef, out: &mut Vec<Diagnostic>) {
    let ports = def.inputs.iter().chain(&def.given).map(|(key, _)| key);
    let values = def.with.iter().map(|(key, _)| key);
    for key in ports.chain(values).filter(|key| !is_name(&key.name)) {
        out.push(
            Diagnostic::error(
                "celldag::pipeline::bad_name",
                format!("`{}` cannot name a port or a value", key.name),
            )
            .at(key.span.clone(), "name")
            .help("a name begins with a letter and goes on with letters, digits, `_` and `-`"),
        );
    }
}
