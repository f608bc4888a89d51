//! What users get wrong and what they are told; what valid pipelines expand to.

mod choices;
mod dispatch;
mod expansion;
mod includes;
mod mistakes;
mod needs;
mod properties;

use std::path::PathBuf;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::load::{LoadOptions, load};
use crate::pipeline::Pipeline;
use crate::testing::registry;

/// A folder with the files that the tests refer to; gone when dropped.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a.txt", "one two"),
            ("b.txt", "three"),
            ("data.tsv", "id\tpath\tshare\nd1\ta.txt\t0.5\nd2\tb.txt\t1e-3\n"),
            ("holes.csv", "id,path\nd1\n"),
        ] {
            fs_err::write(folder.path().join(name), text).unwrap();
        }
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("pipeline.yaml")
    }

    fn load(&self, text: &str, options: &LoadOptions) -> Result<Pipeline, Diagnostics> {
        load(&self.file(), Some(text), &registry(), options)
    }

    /// Text without the name of the folder.
    fn tidy(&self, text: &str) -> String {
        text.replace(&self.0.path().display().to_string(), "FOLDER")
    }

    /// One finding as tests show it: place, code, message, the words it points at, hint.
    fn show(&self, item: &Diagnostic) -> String {
        let (line, column) = item.position().unwrap_or((0, 0));
        let source = item.source.as_ref().map_or("", |source| source.text.as_str());
        let file = item.source.as_ref().map_or("", |source| source.name.as_str());
        // The file is only worth a word when it is not the pipeline itself.
        let file = if file.ends_with("/pipeline.yaml") || !file.ends_with(".yaml") {
            String::new()
        } else {
            format!("{file}:")
        };
        let mut out = format!("{file}{line}:{column} {} {}: {}\n", item.severity, item.code, item.message);
        for label in item.label.iter().chain(&item.related) {
            out.push_str(&format!("    at |{}| {}\n", &source[label.span.clone()], label.text));
        }
        if let Some(help) = &item.help {
            out.push_str(&format!("    help: {help}\n"));
        }
        for other in &item.elsewhere {
            let words = &other.source.text[other.label.span.clone()];
            out.push_str(&format!("    {} |{words}|\n", other.one_line()));
        }
        self.tidy(&out)
    }
}

/// `celldag: 1` and nodes, so that a test shows only what matters.
fn with_nodes(nodes: &str) -> String {
    format!("celldag: 1\nnodes:\n{nodes}")
}

fn set(pairs: &[(&str, &str)]) -> LoadOptions {
    let set = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    LoadOptions { set, profiles: Vec::new() }
}
