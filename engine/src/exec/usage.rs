//! Whether arguments and declarations of a node agree: what is named is there, and what is there is named.

use std::collections::BTreeSet;

use super::template::{Piece, WORDS, parse};
use crate::check::suggest::{hint, nearest};
use crate::diagnostic::Diagnostic;
use crate::kind::{KindSpec, Multiplicity};
use crate::param::ParamType;
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
        for (key, _) in
            node.inputs.iter().filter(|(key, _)| key.name != CODE && !self.inputs.contains(&key.name))
        {
            let message = format!("node `{}` never uses its input `{}`", node.name.name, key.name);
            out.push(
                Diagnostic::error("celldag::pipeline::unused_input", message)
                    .at(key.span.clone(), "not used")
                    .help(format!(
                        "write {{in:{}}} where the program takes its path, or remove the input",
                        key.name
                    )),
            );
        }
        let outputs = node.exec.iter().flat_map(|def| &def.outputs);
        for (key, _) in outputs.filter(|(key, _)| !self.outputs.contains(&key.name)) {
            let message = format!(
                "nothing tells the program of node `{}` where to write `{}`",
                node.name.name, key.name
            );
            out.push(
                Diagnostic::error("celldag::pipeline::unused_output", message)
                    .at(key.span.clone(), "never written")
                    .help(format!("write {{out:{}}} among the arguments of the program", key.name)),
            );
        }
        let declared =
            node.with.iter().filter(|(key, _)| spec.params.iter().any(|param| param.name == key.name));
        for (key, _) in
            declared.filter(|(key, _)| !OWN.contains(&key.name.as_str()) && !self.params.contains(&key.name))
        {
            let message = format!("node `{}` never uses its parameter `{}`", node.name.name, key.name);
            out.push(
                Diagnostic::warning("celldag::pipeline::unused_value", message)
                    .at(key.span.clone(), "not used")
                    .help(format!(
                        "write {{param:{}}} among the arguments of the program, or remove it",
                        key.name
                    )),
            );
        }
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
