//! From arguments as written to arguments as passed: placeholders become paths and values.

use std::ffi::OsString;
use std::path::Path;

use serde_json::{Value, json};

use super::template::{Piece, parse};
use crate::step::{Input, NodeError, Step};

/// What placeholders stand for in one attempt.
pub(super) struct Places<'a> {
    pub(super) step: &'a Step<'a>,
    /// Copies of the code.
    pub(super) code: &'a Path,
    /// Where lists of gathered inputs go.
    pub(super) lists: &'a Path,
}

impl Places<'_> {
    /// The arguments that one argument becomes: several when it is a gathered input or a list.
    pub(super) fn expand(&self, text: &str, out: &mut Vec<OsString>) -> Result<(), NodeError> {
        let pieces = pieces(text)?;
        if let [Piece::In(port)] = pieces.as_slice() {
            out.extend(self.step.gathered(port).iter().map(|input| input.path.clone().into_os_string()));
            return Ok(());
        }
        if let [Piece::Param(name)] = pieces.as_slice()
            && let Some(Value::Array(items)) = self.step.params.get(name)
        {
            out.extend(items.iter().map(|item| OsString::from(shown(item))));
            return Ok(());
        }
        out.push(self.join(&pieces)?);
        Ok(())
    }

    /// The one text that `text` becomes.
    pub(super) fn one(&self, text: &str) -> Result<OsString, NodeError> {
        self.join(&pieces(text)?)
    }

    fn join(&self, pieces: &[Piece]) -> Result<OsString, NodeError> {
        let mut whole = OsString::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => whole.push(text),
                Piece::In(port) => whole.push(&self.single(port)?.path),
                Piece::List(port) => whole.push(self.list(port)?),
                Piece::Out(port) => whole.push(self.step.output(port)?),
                Piece::Code(path) => whole.push(self.code.join(path)),
                Piece::Param(name) => whole.push(self.step.params.get(name).map(shown).unwrap_or_default()),
                Piece::Threads => whole.push(self.step.threads.to_string()),
                Piece::Scratch => whole.push(self.step.scratch.join("work")),
            }
        }
        Ok(whole)
    }

    fn single(&self, port: &str) -> Result<&Input, NodeError> {
        match self.step.gathered(port) {
            [one] => Ok(one),
            several => Err(NodeError::parameter(format!(
                "`{{in:{port}}}` stands inside a longer text, but there are {} artifacts on `{port}`",
                several.len()
            ))
            .help(format!(
                "write {{in:{port}}} as an argument of its own, or {{list:{port}}} for a file that lists them"
            ))),
        }
    }

    /// Writes labels and paths of a port into a file: for more artifacts than a command line takes.
    fn list(&self, port: &str) -> Result<std::path::PathBuf, NodeError> {
        let items: Vec<Value> = self
            .step
            .gathered(port)
            .iter()
            .map(|input| json!({"label": input.label, "path": input.path, "digest": input.digest}))
            .collect();
        let path = self.lists.join(format!("{port}.json"));
        let text = serde_json::to_vec_pretty(&items).map_err(|e| NodeError::failed(e.to_string()))?;
        fs_err::write(&path, text).map_err(|e| NodeError::failed(e.to_string()))?;
        Ok(path)
    }
}

/// The check of the pipeline has seen the text as written; a value that was filled in since may hold anything.
fn pieces(text: &str) -> Result<Vec<Piece>, NodeError> {
    parse(text).map_err(|unknown| {
        NodeError::parameter(format!("unknown placeholder `{{{}}}` in `{text}`", unknown.inside))
            .help("it came from a value that was filled in; double its braces to have them as they are")
    })
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
