//! What a node with `uses: exec` says about its program.
//!
//! `run`, `env` and `version` are read as parameters and the files of `code` as an input: they are interpolated, checked,
//! hashed, compared and explained like all others.

use super::document::{InputDef, InputItem, NodeDef, Text};
use super::read::{Fields, entries, text, wrong_shape};
use super::secrets::read_secrets;
use super::value::{Data, Key, Tree};
use crate::diagnostic::Diagnostic;
use crate::exec::template::{Piece, clean, parse};

/// Keys that only nodes with `uses: exec` have.
pub(crate) const KEYS: &[&str] = &["run", "env", "code", "version", "secrets", "out"];
/// The kind that runs any program.
pub(crate) const EXEC: &str = "exec";
/// The input port of the files that the program consists of.
pub(crate) const CODE: &str = "code";
/// Parameters that come from keys of the node.
pub(crate) const OWN: &[&str] = &["run", "env", "version"];

/// The parts that are neither parameters nor inputs.
#[derive(Clone, Debug)]
pub(crate) struct ExecDef {
    /// `run:` as written; empty after a finding.
    pub(crate) run: Vec<Text>,
    /// `env:` as written.
    pub(crate) env: Vec<(Key, Text)>,
    /// `version:` as written.
    pub(crate) version: Vec<Text>,
    /// `secrets:`, names of variables.
    pub(crate) secrets: Vec<Text>,
    /// `out:` by port.
    pub(crate) outputs: Vec<(Key, OutputFile)>,
}

/// An output port: `calls: calls.csv` or `calls: {file: calls.csv, type: predictions}`.
#[derive(Clone, Debug)]
pub(crate) struct OutputFile {
    /// File name.
    pub(crate) file: Text,
    /// Type of the artifact.
    pub(crate) ty: Option<Text>,
}

/// Reads the keys of a node with `uses: exec`, and refuses them in others.
pub(super) fn read(fields: &Fields<'_>, node: &mut NodeDef, out: &mut Vec<Diagnostic>) {
    let Some(uses) = node.uses.clone().filter(|uses| uses.value == EXEC) else {
        for (key, _) in KEYS.iter().filter_map(|key| fields.get(key)) {
            let message = format!("`{}:` belongs to nodes with `uses: exec`", key.name);
            out.push(
                Diagnostic::error("celldag::pipeline::exec_only", message)
                    .at(key.span.clone(), "not here")
                    .help(
                        "a kind has its own ports and parameters: see `celldag nodes KIND`; remove the key",
                    ),
            );
        }
        return;
    };
    refuse_reserved(node, out);
    let mut def = ExecDef {
        run: list(fields, "run", out),
        env: Vec::new(),
        version: list(fields, "version", out),
        secrets: fields.get("secrets").map(|(_, value)| read_secrets(value, out)).unwrap_or_default(),
        outputs: Vec::new(),
    };
    if fields.get("run").is_none() {
        out.push(
            Diagnostic::error("celldag::pipeline::missing_run", format!("node `{}` has no `run:`", node.name.name))
                .at(uses.span, "which program?")
                .help("add the program and its arguments: run: [python3, \"{code:scripts/a.py}\", \"{in:cells}\", \"{out:table}\"]"),
        );
    }
    for (key, value) in entries(fields, "env", out) {
        if let Some(value) = text(&key, &value, out) {
            def.env.push((key, value));
        }
    }
    for (key, value) in entries(fields, "out", out) {
        if let Some(file) = output(&key, &value, out) {
            def.outputs.push((key, file));
        }
    }
    let code = code_files(&def, &list(fields, "code", out), out);
    if let Some((first, _)) = code.first() {
        let span = fields.get("code").map_or_else(|| first.clone(), |(key, _)| key.span.clone());
        let items = code.into_iter().map(|(span, path)| {
            // A bare name could be that of a node.
            let value = if path.contains('/') { path } else { format!("./{path}") };
            InputItem { gather: false, text: Text { value, span }, case: None }
        });
        let input = InputDef { span: span.clone(), items: items.collect(), choices: Vec::new() };
        node.inputs.push((Key { name: CODE.to_owned(), span }, input));
    }
    for name in OWN {
        // What has the wrong shape was told above.
        let shaped = |value: &Tree| {
            matches!((*name, &value.data), ("env", Data::Map(_)) | ("run" | "version", Data::List(_)))
        };
        if let Some((key, value)) = fields.get(name).filter(|(_, value)| shaped(value)) {
            node.with.push((key.clone(), value.clone()));
        }
    }
    node.exec = Some(def);
}

fn refuse_reserved(node: &mut NodeDef, out: &mut Vec<Diagnostic>) {
    let mut refuse = |key: &Key, what: &str, instead: &str| {
        out.push(
            Diagnostic::error(
                "celldag::pipeline::reserved_name",
                format!("`{}` cannot name {what} of an exec node", key.name),
            )
            .at(key.span.clone(), "taken")
            .help(format!("give it another name; {instead}")),
        );
    };
    node.with.retain(|(key, _)| {
        let taken = OWN.contains(&key.name.as_str());
        if taken {
            refuse(key, "a parameter", &format!("`{}:` stands directly in the node", key.name));
        }
        !taken
    });
    node.inputs.retain(|(key, _)| {
        let taken = key.name == CODE;
        if taken {
            refuse(key, "an input", "files of the program are listed as `code: [...]` directly in the node");
        }
        !taken
    });
}

pub(super) fn list(fields: &Fields<'_>, name: &str, out: &mut Vec<Diagnostic>) -> Vec<Text> {
    let Some((key, tree)) = fields.get(name) else { return Vec::new() };
    match &tree.data {
        Data::List(items) if !items.is_empty() => {
            items.iter().filter_map(|item| text(key, item, out)).collect()
        }
        _ if name != "run" && tree.is_null() => Vec::new(),
        _ => {
            let mut finding = wrong_shape(tree, &format!("`{name}:`"), "a list of texts");
            if name == "run" || name == "version" {
                finding = finding.help(
                    "no shell splits it: write [program, argument, ...]; for a shell, [sh, -c, \"...\"]",
                );
            }
            out.push(finding);
            Vec::new()
        }
    }
}

pub(super) fn output(port: &Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<OutputFile> {
    if !matches!(tree.data, Data::Map(_)) {
        return Some(OutputFile { file: text(port, tree, out)?, ty: None });
    }
    let fields = Fields::read(tree, &format!("output `{}`", port.name), &["file", "type"], out)?;
    let ty = fields.get("type").and_then(|(key, value)| text(key, value, out));
    match fields.get("file") {
        Some((key, value)) => Some(OutputFile { file: text(key, value, out)?, ty }),
        None => {
            out.push(wrong_shape(
                tree,
                &format!("output `{}`", port.name),
                "a file name or {file: NAME, type: TYPE}",
            ));
            None
        }
    }
}

/// Every file or folder of the program once: those under `code:`, and those that arguments name.
fn code_files(def: &ExecDef, listed: &[Text], out: &mut Vec<Diagnostic>) -> Vec<(super::Span, String)> {
    let mut files: Vec<(super::Span, String)> = Vec::new();
    let mut add = |span: &super::Span, path: String, out: &mut Vec<Diagnostic>| {
        let outside = path.is_empty() || path.starts_with('/') || path.split('/').any(|part| part == "..");
        if outside {
            out.push(
                Diagnostic::error("celldag::pipeline::code_outside", format!("`{path}` is not below the folder of the pipeline file"))
                    .at(span.clone(), "cannot be part of the program")
                    .help("code is copied beside the program under its relative name: write a path below the folder of the pipeline file"),
            );
        } else if !files.iter().any(|(_, known)| path == *known || path.starts_with(&format!("{known}/"))) {
            files.push((span.clone(), path));
        }
    };
    for item in listed {
        add(&item.span, clean(&item.value), out);
    }
    let arguments = def.run.iter().chain(def.env.iter().map(|(_, value)| value)).chain(&def.version);
    for argument in arguments {
        for piece in parse(&argument.value).unwrap_or_default() {
            if let Piece::Code(path) = piece {
                add(&argument.span, path, out);
            }
        }
    }
    files
}
