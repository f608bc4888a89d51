//! No output may land on what a run reads or on another output: asked with the real destinations, after `--out` and
//! with links followed, before anything is computed.
//!
//! The check of the pipeline file knows neither `--out` nor links; a single step has no such check at all.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::{Selection, destination};
use crate::error::{EngineError, Overwrite};
use crate::pipeline::{Pipeline, Source};

/// Refuses destinations on, inside or around an input, the pipeline file, a table of an axis or another output.
pub(crate) fn guard(
    pipeline: &Pipeline,
    selection: &Selection,
    out: Option<&Path>,
) -> Result<(), EngineError> {
    let protected = protected(pipeline);
    let mut taken: BTreeMap<PathBuf, String> = BTreeMap::new();
    let mut problems = Vec::new();
    for (number, output) in pipeline.outputs.iter().enumerate() {
        if !selection.outputs[output.job].contains(&number) {
            continue;
        }
        let path = destination(pipeline, out, output);
        let name = format!("{}.{}", pipeline.jobs[output.job].id, output.port);
        let place = place(&path);
        // A folder is written through a link to it, and some file systems take `A` and `a` for one name.
        let hit = meets(&protected, &place).or_else(|| meets(&protected, &real(&path)));
        if let Some(what) = hit.or_else(|| meets(&taken, &place)) {
            problems.push(Overwrite { output: name.clone(), path: path.clone(), what: what.clone() });
        }
        taken.entry(place).or_insert_with(|| format!("output `{name}` at {}", path.display()));
    }
    if problems.is_empty() { Ok(()) } else { Err(EngineError::Overwrites(problems)) }
}

/// Place → what is there, in words. An input that is a link stands for the link and for the file behind it.
fn protected(pipeline: &Pipeline) -> BTreeMap<PathBuf, String> {
    let mut inputs: BTreeMap<&Path, (&str, &str)> = BTreeMap::new();
    for job in &pipeline.jobs {
        for input in &job.inputs {
            if let Source::Path(path) = &input.source {
                inputs.entry(path).or_insert((&input.port, &job.id));
            }
        }
    }
    let mut protected = BTreeMap::new();
    let mut add = |path: &Path, what: &dyn Fn() -> String| {
        for place in [place(path), real(path)] {
            protected.entry(place).or_insert_with(what);
        }
    };
    if !pipeline.file.as_os_str().is_empty() {
        add(&pipeline.file, &|| format!("the pipeline file {}", pipeline.file.display()));
    }
    for file in &pipeline.included {
        add(file, &|| format!("the included file {}", file.display()));
    }
    for table in &pipeline.tables {
        add(table, &|| format!("the table of an axis {}", table.display()));
    }
    for file in &pipeline.also_read {
        add(file, &|| format!("the file {}, which the step reads", file.display()));
    }
    for (path, (port, job)) in inputs {
        add(path, &|| format!("the input `{port}` of {job}, {}", path.display()));
    }
    protected
}

/// What stands at `path`, above it, or below it.
fn meets<'a>(known: &'a BTreeMap<PathBuf, String>, path: &Path) -> Option<&'a String> {
    let above = path.ancestors().find_map(|above| known.get(above));
    // Paths sort by component, so what lies below comes right after.
    let below = || known.range(path.to_owned()..).next().filter(|(below, _)| below.starts_with(path));
    above.or_else(|| below().map(|(_, what)| what))
}

/// The path with links in its folder followed, but not a link at the path itself.
fn place(path: &Path) -> PathBuf {
    match (path.parent(), path.file_name()) {
        (Some(folder), Some(name)) => real(folder).join(name),
        _ => real(path),
    }
}

/// The path with all links followed as far as it exists; the rest as written.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for above in path.ancestors() {
        if let (Ok(found), Ok(rest)) = (fs_err::canonicalize(above), path.strip_prefix(above)) {
            return lexical(&found, rest);
        }
    }
    path
}

/// `rest` does not exist, so nothing in it can be a link and `..` takes a name away.
fn lexical(from: &Path, rest: &Path) -> PathBuf {
    let mut out = from.to_owned();
    for part in rest.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

#[cfg(test)]
mod tests;
