//! Files of the user on input ports: from text to absolute path, and whether they are there.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::check::Sketch;
use crate::check::modules::Modules;
use crate::check::references::CheckedItem;
use crate::diagnostic::Diagnostic;
use crate::spec::Span;

/// Remembers which paths exist, because thousands of jobs name the same few, and which inputs lack theirs.
#[derive(Default)]
pub(crate) struct Paths {
    known: BTreeMap<PathBuf, bool>,
    missing: BTreeMap<(usize, String), Missing>,
}

struct Missing {
    span: Span,
    place: String,
    /// Where its paths start.
    start: String,
    paths: Vec<PathBuf>,
}

impl Paths {
    /// The absolute path that the text of `item` means for a port of `node`.
    pub(crate) fn resolve(
        &mut self,
        modules: &Modules,
        item: &CheckedItem,
        text: &str,
        node: &Sketch<'_>,
        port: &str,
    ) -> PathBuf {
        let (span, home) = (&item.span, modules.of(&item.home));
        let path = clean(&modules.root(home).join(text));
        // An empty text would mean the folder of the pipeline.
        let exists = !text.is_empty() && *self.known.entry(path.clone()).or_insert_with(|| path.exists());
        if !exists {
            let missing = self.missing.entry((span.start, port.to_owned())).or_insert_with(|| Missing {
                span: span.clone(),
                place: format!("input `{port}` of {}", node.place),
                start: modules.start(home),
                paths: Vec::new(),
            });
            if !missing.paths.contains(&path) {
                missing.paths.push(path.clone());
            }
        }
        path
    }

    /// One finding for each input that lacks files.
    pub(crate) fn report(self, out: &mut Vec<Diagnostic>) {
        for missing in self.missing.into_values() {
            let Some((first, rest)) = missing.paths.split_first() else { continue };
            let more = match rest.len() {
                0 => String::new(),
                n => format!(" and {n} more"),
            };
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::missing_file",
                    format!("{}: there is no file {}{more}", missing.place, first.display()),
                )
                .at(missing.span, "no such file")
                .maybe_help(Some(near_file(first, &missing.start))),
            );
        }
    }
}

/// Drops `.` so that one file has one spelling; `..` stays, since links may stand before it.
fn clean(path: &Path) -> PathBuf {
    path.components().filter(|part| *part != Component::CurDir).collect()
}

/// A hint for a file that is not there; `start` says where its path starts.
pub(crate) fn near_file(path: &Path, start: &str) -> String {
    let Some(folder) = path.parent() else { return start.to_owned() };
    let Ok(entries) = folder.read_dir() else {
        return format!("there is no folder {} either; {start}", folder.display());
    };
    let mut names: Vec<String> =
        entries.take(1000).flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    let wanted = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    match crate::check::suggest::nearest(wanted, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`? {start}"),
        None => start.to_owned(),
    }
}
