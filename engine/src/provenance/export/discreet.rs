//! What leaves the machine speaks of no folder of it and holds no secret.
//!
//! Paths may stand anywhere: in messages, in arguments of programs, in labels and job ids (an axis may have paths as values).
//! Those below the pipeline's folder become relative to it, of others the name stays.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::process::Log;
use crate::record::{InputFrom, RunRecord};

/// Where people and clusters keep files, on whatever machine the run was: HDF5 paths and patterns that begin with `/` stay.
const USUAL: [&str; 6] = ["home", "Users", "mnt", "media", "scratch", "tmp"];

/// Replaces what must not leave the machine.
pub(super) struct Discreet {
    /// The pipeline's folder, as recorded and with links followed, the longest first.
    roots: Vec<PathBuf>,
    /// Its name is that of the user.
    home: Option<PathBuf>,
    /// Files that the record knows, the longest first: only of these is it known where a path with blanks ends.
    known: Vec<PathBuf>,
    /// What absolute paths begin with.
    tops: BTreeSet<String>,
    secrets: Log,
}

impl Discreet {
    pub(super) fn new(run: &RunRecord) -> Self {
        let root = run.header.root.clone();
        let mut roots: Vec<PathBuf> = fs_err::canonicalize(&root).into_iter().chain([root]).collect();
        roots.retain(|root| root.components().count() > 1);
        roots.sort_by_key(|root| std::cmp::Reverse(root.as_os_str().len()));
        let inputs = run.jobs.iter().flat_map(|job| &job.inputs).filter_map(|input| match &input.from {
            InputFrom::File(path) => Some(path.clone()),
            InputFrom::Job { .. } => None,
        });
        let outputs = run.outputs.iter().map(|output| output.path.clone());
        let home = std::env::home_dir();
        let known: BTreeSet<PathBuf> = inputs.chain(outputs).chain(home.clone()).collect();
        let mut known: Vec<PathBuf> =
            known.into_iter().filter(|path| path.is_absolute() && path.components().count() > 1).collect();
        known.sort_by_key(|path| std::cmp::Reverse(path.as_os_str().len()));
        let top = |path: &PathBuf| Some(path.iter().nth(1)?.to_string_lossy().into_owned());
        let tops = roots.iter().chain(&known).filter_map(top).chain(USUAL.map(str::to_owned)).collect();
        // Their values are in the environment or nowhere: the record has the names.
        let value = |name: &String| Some(std::env::var_os(name)?.to_string_lossy().into_owned());
        let secrets: Vec<String> = run.header.secrets.iter().filter_map(value).collect();
        Self { roots, home, known, tops, secrets: Log::in_memory("export", &secrets) }
    }

    /// A path as others may see it: relative to the pipeline's folder, or only the name.
    pub(super) fn path(&self, path: &Path) -> String {
        let inside = self.roots.iter().find_map(|root| path.strip_prefix(root).ok());
        let inside = inside.filter(|path| path.iter().all(|part| part != ".."));
        let shown = match inside {
            Some(inside) if inside.as_os_str().is_empty() => ".".into(),
            Some(inside) => inside.to_string_lossy(),
            None if self.home.as_deref() == Some(path) => "~".into(),
            None => path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy()),
        };
        self.secrets.mask(&shown)
    }

    /// Whether a path lies in the pipeline's folder.
    pub(super) fn is_inside(&self, path: &Path) -> bool {
        self.roots.iter().any(|root| path.starts_with(root))
    }

    /// Whether a folder is above the pipeline's folder or that of the user, so that paths from there on tell where these are.
    pub(super) fn is_above(&self, folder: &Path) -> bool {
        self.roots.iter().chain(&self.home).any(|place| place.starts_with(folder))
    }

    /// A text without what must not leave.
    pub(super) fn text(&self, text: &str) -> String {
        // A text that is a path as a whole may have blanks in it.
        if self.is_path(text) && !text.contains('\n') && self.is_whole(text) {
            return self.path(Path::new(text));
        }
        let mut text = self.secrets.mask(text);
        for path in &self.known {
            let written = path.to_string_lossy();
            if text.contains(written.as_ref()) {
                text = replace_whole(&text, &written, &self.path(path));
            }
        }
        self.paths_in(&text)
    }

    /// A value without what must not leave, also in the texts within it.
    pub(super) fn value(&self, value: &Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(text)),
            Value::Array(items) => items.iter().map(|item| self.value(item)).collect(),
            Value::Object(entries) => {
                entries.iter().map(|(name, value)| (self.text(name), self.value(value))).collect()
            }
            other => other.clone(),
        }
    }

    /// Whether an absolute path begins at the beginning of `text`.
    fn is_path(&self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix('/') else { return false };
        let top = rest.split(ends_path).next().and_then(|path| path.split('/').next()).unwrap_or_default();
        // `/var` of an AnnData file is a group in it.
        let is_there = || top != "var" && Path::new("/").join(top).exists();
        !top.is_empty() && (self.tops.contains(top) || is_there())
    }

    /// Whether a text that begins with a path is nothing else: `/a/b:/c/d` and `/a/b is not there` are more.
    fn is_whole(&self, text: &str) -> bool {
        let known = |folder: &Path| folder.is_dir() || self.known.iter().any(|path| path.starts_with(folder));
        !text.contains(ends_path) || Path::new(text).parent().is_some_and(known)
    }

    /// Shortens every path in a text.
    fn paths_in(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('/') {
            let (before, path) = rest.split_at(at);
            out.push_str(before);
            // `a/b` and `https://host/b` begin elsewhere; `file:///b` does not.
            let file_url = out.ends_with("file://");
            let begins = file_url || out.chars().last().is_none_or(|last| ends_path(last) || last == '=');
            if begins && self.is_path(path) {
                let end = path.find(ends_path).unwrap_or(path.len());
                let (path, after) = path.split_at(end);
                let ended = path.trim_end_matches(['.', '/']);
                if file_url {
                    out.truncate(out.len() - "file://".len());
                }
                out.push_str(&self.path(Path::new(ended)));
                out.push_str(&path[ended.len()..]);
                rest = after;
            } else {
                // To the end of the word: what follows within it is no path of its own.
                let end = path[1..].find(|c| c == '/' || ends_path(c)).map_or(path.len(), |end| end + 1);
                out.push_str(&path[..end]);
                rest = &path[end..];
            }
        }
        out.push_str(rest);
        out
    }
}

/// Characters at which a path in a text ends, if nothing tells more.
fn ends_path(c: char) -> bool {
    c.is_whitespace() || "\"'`()[]{}<>,;:|".contains(c)
}

/// Replaces a path where it does not go on: `/data/a` is not the beginning of `/data/ab`.
fn replace_whole(text: &str, path: &str, by: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(path) {
        let (before, found) = rest.split_at(at);
        let after = &found[path.len()..];
        out.push_str(before);
        let begins = out.chars().last().is_none_or(|last| ends_path(last) || last == '=');
        let ends = after.chars().next().is_none_or(|next| ends_path(next) || next == '.');
        out.push_str(if begins && ends { by } else { path });
        rest = after;
    }
    out.push_str(rest);
    out
}
