//! From what a node with `uses: exec` says to a kind, and everything that is wrong with it.

use std::collections::BTreeSet;

use super::ExecKind;
use super::usage::Usage;
use super::version::Versions;
use crate::artifact::ArtifactType;
use crate::check::Context;
use crate::check::suggest::hint;
use crate::diagnostic::Diagnostic;
use crate::intern::intern;
use crate::kind::{InPort, KindSpec, Multiplicity, OutPort};
use crate::param::{Param, ParamType};
use crate::registry::{Registered, Registry};
use crate::spec::document::{NodeDef, Text};
use crate::spec::exec::{CODE, EXEC, ExecDef, OWN};
use crate::spec::template::{Template, is_name};
use crate::spec::{Data, Key, Tree};

/// Bumped when the way programs are run changes what they give.
pub(super) const EPOCH: u32 = 1;

/// The kind of one node.
pub(crate) fn kind(context: &Context<'_>, node: &NodeDef, out: &mut Vec<Diagnostic>) -> Option<Registered> {
    let def = node.exec.as_ref()?;
    let spec = KindSpec {
        name: EXEC,
        epoch: EPOCH,
        about: "runs an external program",
        inputs: inputs(node),
        outputs: outputs(context.registry, &node.name, def, out),
        params: params(context, node, out),
        uses_device: false,
        wants_lineage: false,
    };
    Usage::of(&spec, def, out).check(&spec, node, out);
    variables(def, out);
    program(def, out);
    let secrets = def.secrets.iter().map(|name| name.value.clone()).collect();
    Some(Registered::new(ExecKind { spec, secrets, versions: Versions::default() }))
}

fn inputs(node: &NodeDef) -> Vec<InPort> {
    let port = |(key, input): &(Key, crate::spec::document::InputDef)| {
        let many = key.name == CODE || input.most() > 1 || input.items.iter().any(|item| item.gather);
        InPort {
            name: intern(&key.name),
            ty: ArtifactType::FILE,
            many: if many { Multiplicity::Many } else { Multiplicity::One },
            about: if key.name == CODE { "files of the program" } else { "an input of the program" },
        }
    };
    node.inputs.iter().map(port).collect()
}

/// The ports under `out:`; `node` is what gives them.
pub(super) fn outputs(
    registry: &Registry,
    node: &Key,
    def: &ExecDef,
    out: &mut Vec<Diagnostic>,
) -> Vec<OutPort> {
    if def.outputs.is_empty() {
        out.push(
            Diagnostic::error("celldag::pipeline::no_outputs", format!("node `{}` has no `out:`", node.name))
                .at(node.span.clone(), "what does it give?")
                .help("declare each file that the program writes: out: {table: table.csv}, and {out:table} among its arguments"),
        );
    }
    let mut taken = BTreeSet::new();
    let mut ports = Vec::new();
    for (key, output) in &def.outputs {
        if !is_name(&key.name) {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::bad_name",
                    format!("`{}` cannot name an output", key.name),
                )
                .at(key.span.clone(), "name")
                .help("a name begins with a letter and goes on with letters, digits, `_` and `-`"),
            );
        }
        let file = output.file.value.as_str();
        let outside = file.starts_with('/') || file.split('/').any(|part| matches!(part, "." | ".."));
        if outside || file.trim_end_matches('/').is_empty() || !taken.insert(file.trim_end_matches('/')) {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::bad_output_file",
                    format!("`{file}` cannot be the file of output `{}`", key.name),
                )
                .at(output.file.span.clone(), "file name")
                .help("write a plain name of its own, such as table.csv; a folder ends in a slash"),
            );
        }
        let ty = output.ty.as_ref().map_or(ArtifactType::FILE, |ty| artifact_type(registry, ty, out));
        let about = "an output of the program";
        ports.push(OutPort { name: intern(&key.name), ty, file: intern(file), about });
    }
    ports
}

/// A type that a kind knows: others would fit no port.
fn artifact_type(registry: &Registry, wanted: &Text, out: &mut Vec<Diagnostic>) -> ArtifactType {
    let specs = || registry.iter().map(|kind| &kind.spec);
    let types = specs().flat_map(|spec| {
        spec.inputs.iter().map(|port| port.ty).chain(spec.outputs.iter().map(|port| port.ty))
    });
    let known: BTreeSet<ArtifactType> = types.chain([ArtifactType::FILE]).collect();
    if let Some(found) = known.iter().find(|ty| ty.name == wanted.value) {
        return *found;
    }
    out.push(
        Diagnostic::error("celldag::pipeline::unknown_type", format!("unknown type `{}`", wanted.value))
            .at(wanted.span.clone(), "no port takes it")
            .maybe_help(hint(&wanted.value, "types", known.iter().map(|ty| ty.name))),
    );
    ArtifactType::FILE
}

fn params(context: &Context<'_>, node: &NodeDef, out: &mut Vec<Diagnostic>) -> Vec<Param> {
    let mut params = own_params();
    for (key, value) in node.with.iter().filter(|(key, _)| !OWN.contains(&key.name.as_str())) {
        if !is_name(&key.name) {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::bad_name",
                    format!("`{}` cannot name a parameter", key.name),
                )
                .at(key.span.clone(), "name")
                .help("a name begins with a letter and goes on with letters, digits, `_` and `-`"),
            );
        }
        params.push(value_param(&key.name, is_list(context, value)));
    }
    params
}

/// Parameters that come from keys of the node.
pub(super) fn own_params() -> Vec<Param> {
    vec![
        Param::list("run", ParamType::Text, "program and arguments").default(serde_json::json!([])),
        Param::map("env", ParamType::Text, "variables that the program sees").default(serde_json::json!({})),
        Param::list("version", ParamType::Text, "program that says the version")
            .default(serde_json::json!([])),
    ]
}

/// One under `with:`: a text, or a list of texts.
pub(super) fn value_param(name: &str, list: bool) -> Param {
    let ty = if list { ParamType::List(Box::new(ParamType::Text)) } else { ParamType::Text };
    Param::new(intern(name), ty, "a value for the program, used as {param:NAME}")
}

/// A list, or the name of a parameter of the pipeline that is one.
fn is_list(context: &Context<'_>, value: &Tree) -> bool {
    match &value.data {
        Data::List(_) => true,
        Data::Map(_) => false,
        Data::Scalar(scalar) => Template::parse(&scalar.text)
            .ok()
            .and_then(|template| {
                context
                    .scope(&value.span)
                    .get(&template.single()?.name)
                    .map(|tree| matches!(tree.data, Data::List(_)))
            })
            .unwrap_or(false),
    }
}

/// Names of variables and secrets.
pub(super) fn variables(def: &ExecDef, out: &mut Vec<Diagnostic>) {
    let named = def.env.iter().map(|(key, _)| (&key.name, &key.span));
    let secrets = def.secrets.iter().map(|text| (&text.value, &text.span));
    let mut seen = BTreeSet::new();
    for (name, span) in named.chain(secrets) {
        let good = is_name(name) && !name.contains('-');
        if !good || !seen.insert(name) {
            let message = if good {
                format!("the variable `{name}` is given twice")
            } else {
                format!("`{name}` cannot name a variable")
            };
            out.push(
                Diagnostic::error("celldag::pipeline::bad_variable", message)
                    .at(span.clone(), "variable")
                    .help("`env:` holds names and values, `secrets:` names of variables whose values stay out of keys and logs"),
            );
        }
    }
}

/// The program itself: `python3`, or a file of the user.
pub(super) fn program(def: &ExecDef, out: &mut Vec<Diagnostic>) {
    for first in def.run.first().into_iter().chain(def.version.first()) {
        let name = first.value.as_str();
        if name.contains('{') || name.contains("${") || name.starts_with('/') {
            continue;
        }
        if name.contains('/') {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::relative_program",
                    format!("`{name}` is a path that depends on where the program starts"),
                )
                .at(first.span.clone(), "which file?")
                .help(format!(
                    "write {{code:{}}} for a file beside the pipeline: its content is then part of the key",
                    super::template::clean(name)
                )),
            );
        } else if !in_path(name) {
            out.push(
                Diagnostic::warning(
                    "celldag::pipeline::missing_program",
                    format!("there is no program `{name}` in PATH"),
                )
                .at(first.span.clone(), "not found here")
                .help("install it before the pipeline runs, or check its name"),
            );
        }
    }
}

fn in_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}
