//! The file of one program: what a node with `uses: exec` says of it, as far as all its jobs say the same, for `celldag step`.

use super::exec::{CODE, ExecDef, OWN, list, output};
use super::read::{Fields, choice, entries, text, wrong_shape};
use super::secrets::read_secrets;
use super::value::{Data, Key, Span, Tree};
use crate::diagnostic::Diagnostic;

/// Key and only version of such a file.
pub(crate) const PROGRAM: (&str, &str) = ("celldag_program", "1");
/// A port takes one artifact, or any number.
pub(crate) const PORTS: [&str; 2] = ["one", "many"];
/// A value is one text, or a list of texts.
pub(crate) const VALUES: [&str; 2] = ["text", "list"];

const KEYS: &[&str] = &[PROGRAM.0, "run", "env", "version", "secrets", "in", "out", "with", "given"];

/// Such a file as it was written.
#[derive(Clone, Debug)]
pub(crate) struct ProgramDef {
    /// What the format of pipelines knows too.
    pub(crate) exec: ExecDef,
    /// `in:`, port → whether it takes many.
    pub(crate) inputs: Vec<(Key, bool)>,
    /// `with:` and the values of `run:`, `env:` and `version:`.
    pub(crate) with: Vec<(Key, Tree)>,
    /// `given:`, what every step is told: parameter → whether it is a list.
    pub(crate) given: Vec<(Key, bool)>,
}

/// Reads a whole file; `None` when it is none of these.
pub(crate) fn read(tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<ProgramDef> {
    let fields = Fields::read(tree, "the file of a program", KEYS, out)?;
    version(&fields, tree, out);
    let mut exec = ExecDef {
        run: list(&fields, "run", out),
        env: Vec::new(),
        version: list(&fields, "version", out),
        secrets: fields.get("secrets").map(|(_, value)| read_secrets(value, out)).unwrap_or_default(),
        outputs: Vec::new(),
    };
    for (key, value) in entries(&fields, "env", out) {
        exec.env.extend(text(&key, &value, out).map(|value| (key, value)));
    }
    for (key, value) in entries(&fields, "out", out) {
        exec.outputs.extend(output(&key, &value, out).map(|file| (key, file)));
    }
    let inputs = words(&fields, "in", &PORTS, out);
    let mut given = words(&fields, "given", &VALUES, out);
    let mut with = entries(&fields, "with", out);
    agree(&inputs, &mut with, &mut given, out);
    // What has the wrong shape was told above.
    let shaped = |key: &Key, value: &Tree| {
        matches!((key.name.as_str(), &value.data), ("env", Data::Map(_)) | ("run" | "version", Data::List(_)))
    };
    let own = OWN.iter().filter_map(|name| fields.get(name)).filter(|(key, value)| shaped(key, value));
    with.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    Some(ProgramDef { exec, inputs, with, given })
}

/// Refuses values that have the name of a key of the file, values that are both fixed and given, and code as one file.
fn agree(
    inputs: &[(Key, bool)],
    with: &mut Vec<(Key, Tree)>,
    given: &mut Vec<(Key, bool)>,
    out: &mut Vec<Diagnostic>,
) {
    let reserved = |key: &Key, message: String, help: String| {
        Diagnostic::error("celldag::pipeline::reserved_name", message)
            .at(key.span.clone(), "taken")
            .help(help)
    };
    let mut free = |key: &Key| {
        let taken = OWN.contains(&key.name.as_str());
        if taken {
            let message = format!("`{}` cannot name a value of a program", key.name);
            let help = format!("give it another name; `{}:` stands directly in the file", key.name);
            out.push(reserved(key, message, help));
        }
        !taken
    };
    with.retain(|(key, _)| free(key));
    given.retain(|(key, _)| free(key));
    given.retain(|(key, _)| {
        let fixed = with.iter().find(|(fixed, _)| fixed.name == key.name);
        if let Some((fixed, _)) = fixed {
            out.push(
                Diagnostic::error(
                    "celldag::program::told_twice",
                    format!("`{}` stands under `with:` and under `given:`", key.name),
                )
                .at(key.span.clone(), "again here")
                .and(fixed.span.clone(), "first here")
                .help(
                    "remove one: under `with:` all steps have the value, under `given:` each is told its own",
                ),
            );
        }
        fixed.is_none()
    });
    for (key, _) in inputs.iter().filter(|(key, many)| key.name == CODE && !many) {
        let message = format!("`{CODE}` names the files of the program, of which there may be any number");
        let help = format!("write `{CODE}: many`, or give the input another name");
        out.push(reserved(key, message, help));
    }
}

fn version(fields: &Fields<'_>, tree: &Tree, out: &mut Vec<Diagnostic>) {
    let (key, version) = PROGRAM;
    let found = fields.get(key);
    if found.is_some_and(|(_, value)| value.scalar().is_some_and(|scalar| scalar.text == version)) {
        return;
    }
    let place: Span = found.map_or(tree.span.start..tree.span.start, |(_, value)| value.span.clone());
    out.push(
        Diagnostic::error("celldag::program::version", format!("this is no file of a program: it lacks `{key}: {version}`"))
            .at(place, "in this file")
            .help("name a file that `celldag export` of this version has written, or begin it so; docs/plugins.md shows one"),
    );
}

/// Name → whether it is the second of two words.
fn words(
    fields: &Fields<'_>,
    section: &str,
    known: &[&'static str; 2],
    out: &mut Vec<Diagnostic>,
) -> Vec<(Key, bool)> {
    let mut found = Vec::new();
    for (key, value) in entries(fields, section, out) {
        if value.is_null() {
            let wanted = known.join(" or ");
            out.push(
                wrong_shape(&value, &format!("`{}:`", key.name), &wanted)
                    .at(key.span.clone(), "says nothing"),
            );
        } else if let Some(word) = choice(&key, &value, known, out) {
            found.push((key, word == known[1]));
        }
    }
    found
}
