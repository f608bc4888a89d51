//! A pipeline file and the files that it includes, put together: every node with the name that it has in the whole, every
//! axis once. Which file a thing was written in is known by its place among all texts.

use std::path::{Path, PathBuf};

use super::shared_axes::{self, SharedAxis};
use crate::check::modules::{Module, Modules};
use crate::diagnostic::{Diagnostic, SourceText};
use crate::expand::axes::depends;
use crate::expand::paths::near_file;
use crate::spec::document::Document;
use crate::spec::include::IncludeDef;
use crate::spec::{Data, Key, Span, Tree, parse, read};

/// A pipeline in parts and as a whole.
pub(super) struct Whole {
    /// The files; the first is the pipeline itself.
    pub(super) modules: Modules,
    /// The document of the pipeline with the nodes, axes and secrets of all files.
    pub(super) document: Document,
    /// Whether the text of the pipeline itself could be read.
    pub(super) readable: bool,
}

/// Reads `text`, and the files that it includes.
pub(super) fn read_all(file: &Path, root: &Path, text: String, out: &mut Vec<Diagnostic>) -> Whole {
    let mut reader = Reader { modules: Modules::default(), shared: Vec::new(), out };
    let name = file.display().to_string();
    let module = Module {
        name: name.clone(),
        // A pipeline from standard input has no file; no file includes it.
        file: fs_err::canonicalize(file).unwrap_or_else(|_| file.to_owned()),
        root: root.to_owned(),
        prefix: String::new(),
        parent: None,
        with: Vec::new(),
        params: Vec::new(),
    };
    let read = reader.add(module, SourceText::new(name, text), None);
    let (modules, shared) = (reader.modules, reader.shared);
    if let Some(document) = &read {
        shared_axes::check(&shared, document, &modules, out);
    }
    match read {
        Some(document) => Whole { modules, document, readable: true },
        None => Whole { modules, document: Document::default(), readable: false },
    }
}

struct Reader<'o> {
    modules: Modules,
    /// Axes that two included files wrote with the same text.
    shared: Vec<SharedAxis>,
    out: &'o mut Vec<Diagnostic>,
}

impl Reader<'_> {
    /// Reads one file, and those that it includes, into one document. `None` when it is not YAML.
    fn add(&mut self, mut module: Module, text: SourceText, included: Option<Span>) -> Option<Document> {
        let content = text.text.clone();
        let start = self.modules.sources.add(text, included);
        let own = self.modules.list.len();
        let parsed = parse_at(&content, start, self.out);
        let mut document = parsed.map(|tree| read::read(&tree, self.out));
        if let Some(document) = &mut document {
            module.params = document.params.clone();
            for node in &mut document.nodes {
                node.name.name.insert_str(0, &module.prefix);
            }
        }
        self.modules.list.push(module);
        let mut document = document?;
        for include in document.includes.clone() {
            match self.include(own, &include) {
                Some(inner) => self.merge(&mut document, inner),
                None => self.modules.incomplete = true,
            }
        }
        Some(document)
    }

    fn include(&mut self, own: usize, include: &IncludeDef) -> Option<Document> {
        let module = self.modules.list.get(own)?;
        let path = module.root.join(&include.file.value);
        let shown =
            Path::new(&module.name).parent().map_or_else(|| path.clone(), |f| f.join(&include.file.value));
        let prefix = match &include.prefix {
            Some(prefix) => format!("{}{}_", module.prefix, prefix.value),
            None => module.prefix.clone(),
        };
        let text = match fs_err::read_to_string(&path) {
            Ok(text) => text,
            Err(error) => {
                let what = if path.exists() { "cannot be read" } else { "is not there" };
                let mut finding = Diagnostic::error(
                    "celldag::pipeline::include",
                    format!("the included file {} {what}", path.display()),
                )
                .at(include.file.span.clone(), "this file");
                finding = match path.exists() {
                    true => finding.help(error.to_string()),
                    false => finding.help(near_file(&path, &self.modules.start(own))),
                };
                self.out.push(finding);
                return None;
            }
        };
        let file = fs_err::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if let Some(chain) = self.chain(own, &file) {
            self.out.push(
                Diagnostic::error(
                    "celldag::pipeline::include_cycle",
                    format!("files include each other: {chain}"),
                )
                .at(include.file.span.clone(), "this closes the cycle")
                .help("move what both need into a third file"),
            );
            return None;
        }
        let inner = Module {
            name: shown.display().to_string(),
            root: path.parent().map_or_else(PathBuf::new, Path::to_owned),
            file,
            prefix,
            parent: Some(own),
            with: include.with.clone(),
            params: Vec::new(),
        };
        let name = inner.name.clone();
        self.add(inner, SourceText::new(name, text), Some(include.span.clone()))
    }

    /// `a.yaml -> b.yaml -> a.yaml`, when `file` is among the files that lead to `own`.
    fn chain(&self, own: usize, file: &Path) -> Option<String> {
        let mut names = Vec::new();
        let mut at = Some(own);
        while let Some(module) = at.and_then(|at| self.modules.list.get(at)) {
            names.push(short(&module.file));
            if module.file == file {
                names.reverse();
                names.push(short(file));
                return Some(names.join(" -> "));
            }
            at = module.parent;
        }
        None
    }

    /// Puts the nodes, axes and secrets of an included file into the file that includes it. Its outputs, profiles, salt and
    /// numerics are those of a pipeline that runs by itself.
    fn merge(&mut self, document: &mut Document, inner: Document) {
        for node in inner.nodes {
            match document.nodes.iter().find(|other| other.name.name == node.name.name) {
                Some(other) => self.out.push(twice(&node.name, &other.name)),
                None => document.nodes.push(node),
            }
        }
        for (key, tree) in inner.axes {
            match document.axes.iter().find(|(other, _)| other.name == key.name) {
                Some((other, written)) => self.shared_axis(&key, &tree, other, written),
                None => document.axes.push((key, tree)),
            }
        }
        for secret in inner.secrets {
            if !document.secrets.iter().any(|known| known.value == secret.value) {
                document.secrets.push(secret);
            }
        }
    }

    /// Whether a text of an axis means the same in two files: their parameters, and the folders where tables lie, may differ.
    fn means_same(&self, tree: &Tree, one: usize, two: usize) -> bool {
        let (Some(a), Some(b)) = (self.modules.list.get(one), self.modules.list.get(two)) else {
            return false;
        };
        if depends(tree) {
            let with = |module: &Module| -> Vec<(String, Tree)> {
                module.with.iter().map(|(key, value)| (key.name.clone(), value.moved_to(&(0..0)))).collect()
            };
            return a.file == b.file && a.parent == b.parent && with(a) == with(b);
        }
        let table = match &tree.data {
            Data::Map(entries) => entries.iter().find(|(key, _)| key.name == "from"),
            _ => None,
        };
        let Some(from) = table.and_then(|(_, from)| from.scalar()) else { return true };
        let path = |module: &Module| {
            let path = module.root.join(&from.text);
            fs_err::canonicalize(&path).unwrap_or(path)
        };
        path(a) == path(b)
    }

    /// An axis is shared by name and has the values of the file that includes; two included files must agree.
    fn shared_axis(&mut self, key: &Key, tree: &Tree, other: &Key, written: &Tree) {
        let (inner, outer) = (self.modules.of(&key.span), self.modules.of(&other.span));
        if self.modules.within(inner, outer) {
            return;
        }
        if same(tree, written) && self.means_same(tree, inner, outer) {
            let (kept, again) = (other.clone(), key.clone());
            self.shared.push(SharedAxis { kept, again, values: tree.clone() });
            return;
        }
        self.out.push(
            Diagnostic::error(
                "celldag::pipeline::axis_twice",
                format!("two included files give the axis `{}` different values", key.name),
            )
            .at(key.span.clone(), "here")
            .and(other.span.clone(), "and here")
            .help(format!("write the axis in the file that includes both: axes: {{{}: ...}}", key.name)),
        );
    }
}

fn twice(again: &Key, first: &Key) -> Diagnostic {
    Diagnostic::error("celldag::pipeline::duplicate_node", format!("two nodes are called `{}`", again.name))
        .at(again.span.clone(), "one here")
        .and(first.span.clone(), "the other here")
        .help("include the file under a name: {file: ..., as: std} puts `std_` before the names of its nodes")
}

fn short(file: &Path) -> String {
    file.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// The same value, wherever it stands.
fn same(a: &Tree, b: &Tree) -> bool {
    a.moved_to(&(0..0)) == b.moved_to(&(0..0))
}

/// Parses a text that begins at `start` of all texts.
fn parse_at(text: &str, start: usize, out: &mut Vec<Diagnostic>) -> Option<Tree> {
    let mut found = Vec::new();
    let tree = parse::parse(text, &mut found);
    if tree.is_none() && found.is_empty() {
        found.push(
            Diagnostic::error("celldag::pipeline::empty", "the pipeline file is empty")
                .at(0..0, "here")
                .help("begin it with `celldag: 1` and add `nodes:`"),
        );
    }
    for finding in &mut found {
        for label in finding.label.iter_mut().chain(&mut finding.related) {
            label.span = shifted(&label.span, start);
        }
    }
    out.append(&mut found);
    tree.map(|tree| shift(tree, start))
}

fn shifted(span: &Span, by: usize) -> Span {
    span.start + by..span.end + by
}

fn shift(tree: Tree, by: usize) -> Tree {
    let data = match tree.data {
        Data::Scalar(scalar) => Data::Scalar(scalar),
        Data::List(items) => Data::List(items.into_iter().map(|item| shift(item, by)).collect()),
        Data::Map(entries) => Data::Map(
            entries
                .into_iter()
                .map(|(key, value)| (Key { span: shifted(&key.span, by), ..key }, shift(value, by)))
                .collect(),
        ),
    };
    Tree { span: shifted(&tree.span, by), data }
}
