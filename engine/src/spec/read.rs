//! [`Tree`] to [`Document`]: which keys exist, which shapes they have. Every misfit is a finding; reading goes on.

use super::document::{Document, OutputDef, ProfileDef, Text};
use super::include::read_includes;
use super::overrides::read_overrides;
use super::read_node::read_node;
use super::secrets::read_secrets;
use super::template::is_name;
use super::value::{Data, Key, Span, Tree};
use crate::check::suggest::hint;
use crate::diagnostic::Diagnostic;

const TOP: &[&str] = &[
    "celldag",
    "name",
    "description",
    "params",
    "axes",
    "include",
    "nodes",
    "outputs",
    "profiles",
    "secrets",
    "salt",
    "numerics",
];

/// Reads a whole file.
pub(crate) fn read(tree: &Tree, out: &mut Vec<Diagnostic>) -> Document {
    let mut document = Document::default();
    let Some(fields) = Fields::read(tree, "a pipeline", TOP, out) else { return document };
    version(&fields, tree, out);
    document.name = fields.get("name").and_then(|(key, value)| text(key, value, out));
    if let Some((key, value)) = fields.get("description") {
        let _ = text(key, value, out);
    }
    document.salt = fields
        .get("salt")
        .and_then(|(key, value)| text(key, value, out))
        .map_or_else(String::new, |t| t.value);
    document.strict = fields.get("numerics").is_some_and(|(key, value)| {
        choice(key, value, &["tolerant", "strict"], out).is_some_and(|word| word == "strict")
    });
    document.params = named(&fields, "params", "parameter", out);
    document.axes = named(&fields, "axes", "axis", out);
    for (name, value) in named(&fields, "nodes", "node", out) {
        document.nodes.push(read_node(name, &value, out));
    }
    if let Some((_, value)) = fields.get("include") {
        document.includes = read_includes(value, out);
    }
    if let Some((_, value)) = fields.get("secrets") {
        document.secrets = read_secrets(value, out);
    }
    if fields.get("nodes").is_none() && fields.get("include").is_none() {
        out.push(
            Diagnostic::error("celldag::pipeline::no_nodes", "the pipeline has no `nodes:`")
                .at(first_byte(tree), "in this file")
                .help("a pipeline needs at least one node: nodes: {qc: {uses: qc, in: {cells: data/cells.h5ad}}}"),
        );
    }
    for (path, value) in entries(&fields, "outputs", out) {
        if let Some(from) = text(&path, &value, out) {
            document.outputs.push(OutputDef { path: Text { value: path.name, span: path.span }, from });
        }
    }
    for (name, value) in named(&fields, "profiles", "profile", out) {
        if let Some(inside) = Fields::read(&value, "a profile", &["params", "axes", "nodes"], out) {
            let params = entries(&inside, "params", out);
            let axes = entries(&inside, "axes", out);
            let nodes = read_overrides(&inside, out);
            document.profiles.push(ProfileDef { name, params, axes, nodes });
        }
    }
    document
}

fn version(fields: &Fields<'_>, tree: &Tree, out: &mut Vec<Diagnostic>) {
    let code = "celldag::pipeline::version";
    match fields.get("celldag") {
        None => out.push(
            Diagnostic::error(code, "the file does not say which format it has")
                .at(first_byte(tree), "in this file")
                .help("begin the file with `celldag: 1`"),
        ),
        Some((_, value)) if value.scalar().is_some_and(|s| s.text == "1") => {}
        Some((_, value)) => out.push(
            Diagnostic::error(code, format!("unknown format {}", value.describe()))
                .at(value.span.clone(), "format")
                .help("this program reads `celldag: 1`"),
        ),
    }
}

fn first_byte(tree: &Tree) -> Span {
    tree.span.start..tree.span.start
}

/// The entries of a mapping whose keys are known.
pub(super) struct Fields<'t> {
    entries: &'t [(Key, Tree)],
}

impl<'t> Fields<'t> {
    /// Checks that `tree` is a mapping with none but `known` keys.
    pub(super) fn read(
        tree: &'t Tree,
        what: &str,
        known: &[&'static str],
        out: &mut Vec<Diagnostic>,
    ) -> Option<Self> {
        let Data::Map(entries) = &tree.data else {
            out.push(wrong_shape(tree, what, "a mapping of names to values"));
            return None;
        };
        for (key, _) in entries {
            let name = key.name.as_str();
            if !known.contains(&name) {
                out.push(
                    Diagnostic::error(
                        "celldag::pipeline::unknown_key",
                        format!("unknown key `{name}` in {what}"),
                    )
                    .at(key.span.clone(), "unknown key")
                    .maybe_help(hint(name, "known keys", known.iter().copied())),
                );
            }
        }
        Some(Self { entries })
    }

    /// One entry; an empty value counts as absent where nothing is a sensible value.
    pub(super) fn get(&self, name: &str) -> Option<(&'t Key, &'t Tree)> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(key, value)| (key, value))
    }
}

pub(super) fn wrong_shape(tree: &Tree, what: &str, wanted: &str) -> Diagnostic {
    Diagnostic::error(
        "celldag::pipeline::wrong_shape",
        format!("{what} must be {wanted}, not {}", tree.describe()),
    )
    .at(tree.span.clone(), format!("expected {wanted}"))
}

/// The entries of the mapping `section`, or nothing when it is absent or empty.
pub(super) fn entries(fields: &Fields<'_>, section: &str, out: &mut Vec<Diagnostic>) -> Vec<(Key, Tree)> {
    let Some((_, tree)) = fields.get(section) else { return Vec::new() };
    match &tree.data {
        Data::Map(entries) => entries.clone(),
        _ if tree.is_null() => Vec::new(),
        _ => {
            out.push(wrong_shape(tree, &format!("`{section}:`"), "a mapping of names to values"));
            Vec::new()
        }
    }
}

/// As [`entries`], for sections whose keys the user invents.
fn named(fields: &Fields<'_>, section: &str, what: &str, out: &mut Vec<Diagnostic>) -> Vec<(Key, Tree)> {
    let entries = entries(fields, section, out);
    for (key, _) in &entries {
        if !is_name(&key.name) {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::bad_name",
                    format!("`{}` cannot name a {what}", key.name),
                )
                .at(key.span.clone(), "name")
                .help("a name begins with a letter and goes on with letters, digits, `_` and `-`"),
            );
        }
    }
    entries
}

/// A text; numbers and words count as their own text.
pub(super) fn text(key: &Key, tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<Text> {
    match tree.scalar() {
        Some(scalar) if !tree.is_null() => Some(Text { value: scalar.text.clone(), span: tree.span.clone() }),
        _ => {
            let mut finding = wrong_shape(tree, &format!("`{}:`", key.name), "a text");
            if tree.is_null() {
                finding = finding.at(key.span.clone(), "has no value");
            }
            out.push(finding);
            None
        }
    }
}

/// One of a few words.
pub(super) fn choice(
    key: &Key,
    tree: &Tree,
    words: &[&'static str],
    out: &mut Vec<Diagnostic>,
) -> Option<String> {
    let found = text(key, tree, out)?;
    if words.contains(&found.value.as_str()) {
        return Some(found.value);
    }
    out.push(
        Diagnostic::error(
            "celldag::pipeline::wrong_choice",
            format!("`{}:` must be one of {}, not `{}`", key.name, words.join(", "), found.value),
        )
        .at(found.span, "not one of them")
        .maybe_help(hint(&found.value, "known words", words.iter().copied())),
    );
    None
}
