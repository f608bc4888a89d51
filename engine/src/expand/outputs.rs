//! `outputs:` for every job, and whether any two would overwrite each other or an input.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::jobs::NodeJobs;
use crate::check::{Checked, Context};
use crate::diagnostic::Diagnostic;
use crate::pipeline::{Job, JobOutput, Source};
use crate::spec::Span;

/// Expands all outputs and reports collisions, once for each pair of entries.
pub(crate) fn expand(
    context: &Context<'_>,
    checked: &Checked<'_>,
    all: &[Option<NodeJobs>],
    jobs: &[Job],
    out: &mut Vec<Diagnostic>,
) -> Vec<JobOutput> {
    let mut outputs = Vec::new();
    let mut taken: BTreeMap<PathBuf, (usize, Span)> = BTreeMap::new();
    for output in &checked.outputs {
        let sketch = &checked.sketches.nodes[output.node];
        let (Some(node), Some(kind)) = (&all[output.node], &sketch.kind) else { continue };
        let Some(port) = kind.spec.outputs.get(output.port) else { continue };
        let mut clash = None;
        for number in 0..node.grid.count() {
            let text = match sketch.names_at(context, &output.span).render(&output.path, node.grid.at(number))
            {
                Ok(text) if !text.trim().is_empty() => text,
                Ok(_) => {
                    let code = "celldag::pipeline::bad_output";
                    out.push(Diagnostic::error(code, "the path is empty").at(output.span.clone(), "path"));
                    break;
                }
                Err(message) => {
                    let code = "celldag::pipeline::bad_interpolation";
                    out.push(Diagnostic::error(code, message).at(output.span.clone(), "here"));
                    break;
                }
            };
            let job = node.first + number;
            let path = lexical(Path::new(&text));
            if let Some((other, span)) = taken.insert(path.clone(), (job, output.span.clone())) {
                clash.get_or_insert((path.clone(), other, job, span));
            }
            outputs.push(JobOutput { path, job, port: port.name.to_owned() });
        }
        if let Some((path, other, job, first)) = clash {
            out.push(collision(&path, &jobs[other], &jobs[job], &output.span, &first));
        }
    }
    report_nested(&taken, out);
    report_overwritten(context, &taken, jobs, out);
    outputs
}

fn collision(path: &Path, first: &Job, second: &Job, span: &Span, first_span: &Span) -> Diagnostic {
    let message = format!("`{}` and `{}` would both be written to {}", first.id, second.id, path.display());
    let differ: Vec<String> = second
        .coordinates
        .iter()
        .filter(|(axis, value)| first.coordinates.get(*axis).is_some_and(|other| other != *value))
        .map(|(axis, _)| format!("${{{axis}}}"))
        .collect();
    let finding =
        Diagnostic::error("celldag::pipeline::output_collision", message).at(span.clone(), "same path");
    let finding = if first_span == span { finding } else { finding.and(first_span.clone(), "first here") };
    if first.node == second.node && !differ.is_empty() {
        return finding.help(format!("put {} into the path", differ.join(" and ")));
    }
    finding.help("give each its own path")
}

/// A path below another one: the artifact there would be both a file and a folder.
fn report_nested(taken: &BTreeMap<PathBuf, (usize, Span)>, out: &mut Vec<Diagnostic>) {
    let mut reported = std::collections::BTreeSet::new();
    for (path, (_, span)) in taken {
        let above = path.ancestors().skip(1).find_map(|folder| taken.get_key_value(folder));
        if let Some((folder, (_, other))) = above
            && reported.insert(span.start)
        {
            let message =
                format!("{} lies inside {}, which is an artifact itself", path.display(), folder.display());
            out.push(
                Diagnostic::error("celldag::pipeline::output_collision", message)
                    .at(span.clone(), "inside another output")
                    .and(other.clone(), "the other output")
                    .help("give each its own path"),
            );
        }
    }
}

/// An output on top of an input would destroy data of the user.
fn report_overwritten(
    context: &Context<'_>,
    taken: &BTreeMap<PathBuf, (usize, Span)>,
    jobs: &[Job],
    out: &mut Vec<Diagnostic>,
) {
    let absolute: BTreeMap<PathBuf, &Span> =
        taken.iter().map(|(path, (_, span))| (lexical(&context.modules.root(0).join(path)), span)).collect();
    let mut reported = std::collections::BTreeSet::new();
    for input in jobs.iter().flat_map(|job| &job.inputs) {
        let Source::Path(path) = &input.source else { continue };
        let clean = lexical(path);
        let hit = clean.ancestors().find_map(|above| absolute.get(above)).or_else(|| {
            absolute
                .range(clean.clone()..)
                .next()
                .filter(|(below, _)| below.starts_with(&clean))
                .map(|(_, span)| span)
        });
        if let Some(span) = hit
            && reported.insert(span.start)
        {
            let message = format!("this output would overwrite the input {}", path.display());
            out.push(
                Diagnostic::error("celldag::pipeline::overwrites_input", message)
                    .at((*span).clone(), "an input lies here")
                    .help("write it elsewhere: results/..."),
            );
        }
    }
}

/// The path without `.` and `..`, as far as its text alone can say.
fn lexical(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}
