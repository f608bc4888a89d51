//! Whether arguments and declarations of a node agree: what is named is there, and what is there is named.

use std::collections::BTreeSet;

use super::template::{Piece, WORDS, parse};
use crate::check::suggest::{hint, nearest};
use crate::diagnostic::Diagnostic;
use crate::kind::{KindSpec, Multiplicity};
use crate::param::ParamType;
use crate::spec::Key;
use crate::spec::document::{NodeDef, Text};
use crate::spec::exec::{CODE, ExecDef, OWN};

/// What the arguments and variables name.
#[derive(Default)]
pub(super) struct Usage {
    inputs: BTreeSet<String>,
    outputs: BTreeSet<String>,
    params: BTreeSet<String>,
}

impl Usage {
    /// Reads everything that may hold placeholders.
    pub(super) fn of(spec: &KindSpec, def: &ExecDef, out: &mut Vec<Diagnostic>) -> Self {
        let mut usage = Self::default();
        for argument in &def.run {
            usage.read(spec, argument, true, out);
        }
        for (_, value) in &def.env {
            usage.read(spec, value, false, out);
        }
        for argument in &def.version {
            if parse(&argument.value).is_ok_and(|pieces| !matches!(pieces.as_slice(), [Piece::Text(_)])) {
                out.push(
                    Diagnostic::error("celldag::pipeline::version_placeholder", "the version probe has no placeholders")
                        .at(argument.span.clone(), "not known yet when it runs")
                        .help("it runs before inputs and outputs are known; files of the program are in the key by their content anyway"),
                );
            }
        }
        usage
    }

    /// Reads one text; `alone` where it may become several arguments.
    fn read(&mut self, spec: &KindSpec, text: &Text, alone: bool, out: &mut Vec<Diagnostic>) {
        let pieces = match parse(&text.value) {
            Ok(pieces) => pieces,
            Err(unknown) => {
                let message = format!("unknown placeholder `{{{}}}`", unknown.inside);
                out.push(
                    Diagnostic::error("celldag::pipeline::unknown_placeholder", message)
                        .at(text.span.clone(), "in this text")
                        .maybe_help(hint(&unknown.inside, "placeholders", WORDS.iter().copied()).map(
                            |hint| {
                                format!(
                                    "{hint}; for the text itself, double the braces: {{{{{}}}}}",
                                    unknown.inside
                                )
                            },
                        )),
                );
                return;
            }
        };
        let alone = alone && pieces.len() == 1;
        let unknown = |what: &str, name: &str, known: Vec<&str>, add: String| {
            Diagnostic::error(
                "celldag::pipeline::unknown_placeholder",
                format!("the node has no {what} `{name}`"),
            )
            .at(text.span.clone(), format!("unknown {what}"))
            .help(add)
            .maybe_help(nearest(name, known).map(|near| format!("did you mean `{near}`?")))
        };
        for piece in &pieces {
            match piece {
                Piece::In(name) | Piece::List(name) => {
                    self.inputs.insert(name.clone());
                    let port = spec.inputs.iter().find(|port| port.name == name && name != CODE);
                    match port {
                        None => {
                            let known = spec.inputs.iter().map(|port| port.name).filter(|name| *name != CODE);
                            out.push(unknown(
                                "input",
                                name,
                                known.collect(),
                                format!("add it: in: {{{name}: node.port}}"),
                            ));
                        }
                        Some(port)
                            if port.many == Multiplicity::Many && !alone && matches!(piece, Piece::In(_)) =>
                        {
                            out.push(several(
                                text,
                                &format!("{{in:{name}}}"),
                                &format!(", or write {{list:{name}}} for a file that lists them"),
                            ));
                        }
                        Some(_) => {}
                    }
                }
                Piece::Out(name) => {
                    self.outputs.insert(name.clone());
                    if !spec.outputs.iter().any(|port| port.name == name) {
                        let known = spec.outputs.iter().map(|port| port.name);
                        out.push(unknown(
                            "output",
                            name,
                            known.collect(),
                            format!("add it: out: {{{name}: FILE}}"),
                        ));
                    }
                }
                Piece::Param(name) => {
                    self.params.insert(name.clone());
                    let own = OWN.contains(&name.as_str());
                    match spec.params.iter().find(|param| param.name == name && !own) {
                        None => {
                            let known =
                                spec.params.iter().map(|param| param.name).filter(|name| !OWN.contains(name));
                            out.push(unknown(
                                "parameter",
                                name,
                                known.collect(),
                                format!("add it: with: {{{name}: VALUE}}"),
                            ));
                        }
                        Some(param) if !alone && matches!(param.ty, ParamType::List(_)) => {
                            out.push(several(text, &format!("{{param:{name}}}"), ""));
                        }
                        Some(_) => {}
                    }
                }
                Piece::Text(_) | Piece::Code(_) | Piece::Threads | Piece::Scratch => {}
            }
        }
    }

    /// Everything that is declared has a place where the program learns of it.
    pub(super) fn check(&self, spec: &KindSpec, node: &NodeDef, out: &mut Vec<Diagnostic>) {
        let name = &node.name.name;
        let inputs = node.inputs.iter().map(|(key, _)| key).filter(|key| key.name != CODE);
        tell_unused(&self.inputs, inputs, out, |input| {
            let message = format!("node `{name}` never uses its input `{input}`");
            let help = format!("write {{in:{input}}} where the program takes its path, or remove the input");
            (Diagnostic::error("celldag::pipeline::unused_input", message).help(help), "not used")
        });
        let outputs = node.exec.iter().flat_map(|def| &def.outputs).map(|(key, _)| key);
        tell_unused(&self.outputs, outputs, out, |output| {
            let message = format!("nothing tells the program of node `{name}` where to write `{output}`");
            let help = format!("write {{out:{output}}} among the arguments of the program");
            (Diagnostic::error("celldag::pipeline::unused_output", message).help(help), "never written")
        });
        let declared = |key: &&Key| spec.params.iter().any(|param| param.name == key.name);
        let params = node.with.iter().map(|(key, _)| key).filter(declared);
        let params = params.filter(|key| !OWN.contains(&key.name.as_str()));
        tell_unused(&self.params, params, out, |param| {
            let message = format!("node `{name}` never uses its parameter `{param}`");
            let help = format!("write {{param:{param}}} among the arguments of the program, or remove it");
            (Diagnostic::warning("celldag::pipeline::unused_value", message).help(help), "not used")
        });
    }
}

/// A finding for each name that is declared and stands in no argument; `finding` says it, and what to write at the name.
fn tell_unused<'k>(
    used: &BTreeSet<String>,
    declared: impl Iterator<Item = &'k Key>,
    out: &mut Vec<Diagnostic>,
    finding: impl Fn(&str) -> (Diagnostic, &'static str),
) {
    for key in declared.filter(|key| !used.contains(&key.name)) {
        let (finding, label) = finding(&key.name);
        out.push(finding.at(key.span.clone(), label));
    }
}

fn several(text: &Text, placeholder: &str, or: &str) -> Diagnostic {
    Diagnostic::error(
        "celldag::pipeline::several_arguments",
        format!("`{placeholder}` stands for several arguments"),
    )
    .at(text.span.clone(), "one text")
    .help(format!("make it an item of its own in `run:`{or}"))
}
