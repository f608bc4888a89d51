//! `celldag provenance`: what made a file, and runs for archives.

use std::path::Path;

use celldag_cache::{Digest, Store};
use celldag_engine::plan::duration;
use celldag_engine::provenance::{self, Origin, Provenance, Work};
use celldag_engine::short;
use serde_json::Value;

use super::provenance_export::export;
use super::shared::{open_existing_store, shown};
use crate::args::{ProvenanceArgs, ProvenanceCommand};
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &ProvenanceArgs, output: &Output) -> Result<(), Failure> {
    let store = open_existing_store(&args.store)?;
    match (&args.command, &args.file) {
        (Some(ProvenanceCommand::Export { run, format, output: to, license, metadata_only }), _) => {
            export(&store, run, *format, to, license, !metadata_only, output)
        }
        (None, Some(file)) => of_file(&store, file, args.depth.unwrap_or(usize::MAX), output),
        (None, None) => Err(Failure::usage("which file?")),
    }
}

fn of_file(store: &Store, file: &Path, depth: usize, output: &Output) -> Result<(), Failure> {
    let given = file.to_str().and_then(|text| text.parse::<Digest>().ok());
    let digest = match given {
        Some(digest) if !file.exists() => digest,
        _ if !file.exists() => {
            return Err(Failure::Data(format!(
                "{} does not exist; give a file, a folder or a digest",
                file.display()
            )));
        }
        _ => store.digest_path(file, None)?.0,
    };
    let Some(found) = provenance::provenance(store, &digest, depth)? else {
        return Err(Failure::Data(nobody(store, file, &digest)?));
    };
    if output.json {
        return output.json_result(&found);
    }
    output.result(&told(&file.display().to_string(), &found))
}

/// What can be said about a file that no run made.
fn nobody(store: &Store, file: &Path, digest: &Digest) -> Result<String, Failure> {
    let name = file.display();
    let mut text = format!(
        "no run in {} has made {name} (BLAKE3 {})",
        store.root().display(),
        short(&digest.to_string())
    );
    if let Some(reader) = provenance::readers(store, digest)?.first() {
        text.push_str(&format!(
            "\nit was given: run {} read it as `{}` of {}, from {}",
            reader.run,
            reader.port,
            reader.job,
            shown(&reader.path).display()
        ));
    } else if let Some(writer) = written(store, file)? {
        let place = if writer.path == std::path::absolute(file)? {
            "to this path, with other content: it was changed since".to_owned()
        } else {
            format!("the folder {}: ask for that", shown(&writer.path).display())
        };
        text.push_str(&format!(
            "\nrun {} wrote {}.. of {} {place}",
            writer.run,
            short(&writer.digest.to_string()),
            writer.job
        ));
    } else {
        text.push_str("\nname the store of the pipeline that made it with --cache DIR");
    }
    Ok(text)
}

fn written(store: &Store, file: &Path) -> Result<Option<provenance::Writer>, Failure> {
    let path = std::path::absolute(file)?;
    Ok(provenance::writers(store, &path)?)
}

/// The whole story as text.
fn told(name: &str, found: &Provenance) -> String {
    let mut lines = vec![name.to_owned(), line("BLAKE3", &found.digest.to_string())];
    match found.runs.first() {
        None => lines.push(line("run", "none in this store; the result is known from the store alone")),
        Some(run) => {
            lines.push(line("made by", &format!("{}.{}", run.job, run.port)));
            let file = if run.file.as_os_str().is_empty() {
                "single step".to_owned()
            } else {
                let digest = run.pipeline_digest.as_deref().map_or("not readable", short);
                format!("{}, BLAKE3 {digest}", run.file.display())
            };
            lines.push(line("pipeline", &format!("{} ({file})", run.pipeline)));
            for included in run.included.iter().flatten() {
                let digest = included.digest.as_deref().map_or("not readable", short);
                lines.push(line("included", &format!("{}, BLAKE3 {digest}", included.path)));
            }
            lines.push(line("run", &format!("{}, celldag {}", run.id, run.version)));
            match found.runs.len() {
                0 | 1 => {}
                2 => lines.push(line("also in", "1 earlier run")),
                many => lines.push(line("also in", &format!("{} earlier runs", many - 1))),
            }
        }
    }
    for work in &found.works {
        lines.push(String::new());
        lines.extend(work_lines(work));
    }
    lines.push(String::new());
    if found.cut {
        lines.push("Work further up is left out; --depth shows more.".to_owned());
    }
    if let Some(run) = found.runs.first() {
        lines.push(format!(
            "more: celldag runs show {0}; celldag why {1} --run {0}; celldag provenance export {0} -o crate/",
            run.id,
            quoted(&run.job)
        ));
    }
    lines.join("\n")
}

fn work_lines(work: &Work) -> Vec<String> {
    let job = if work.job.is_empty() { "job unknown" } else { &work.job };
    let mut parts = String::new();
    for (part, epoch) in &work.parts {
        parts.push_str(&format!(", {part} epoch {epoch}"));
    }
    let mut lines = vec![format!("{job}  {} (epoch {}{parts})", work.kind, work.epoch)];
    lines.push(line("key", short(&work.key.to_string())));
    match &work.made {
        None => lines
            .push(line("computed", &format!("in {}; the store has forgotten where", duration(work.seconds)))),
        Some(made) => {
            let took = duration(work.seconds);
            lines.push(line(
                "computed",
                &format!("{} on {}, in {took}, celldag {}", made.created, made.host, made.version),
            ));
            let on: Vec<String> =
                made.execution.iter().map(|(name, value)| format!("{name} {}", text(value))).collect();
            if !on.is_empty() {
                lines.push(line("on", &on.join(", ")));
            }
        }
    }
    for (name, value) in &work.params {
        lines.push(line("with", &format!("{name} = {}", text(value))));
    }
    for input in &work.inputs {
        let label = if input.label.is_empty() { String::new() } else { format!("[{}]", input.label) };
        let from = match &input.from {
            Origin::Work { job, port, run } if *run == work.run => format!("{job}.{port}"),
            Origin::Work { job, port, run } => format!("{job}.{port} of run {run}"),
            Origin::File { path } => format!("file {}", shown(path).display()),
            Origin::Unknown => "source not recorded".to_owned(),
        };
        lines.push(line("in", &format!("{}{label}  {}  {from}", input.port, short(&input.digest))));
    }
    for warning in &work.warnings {
        lines.push(line("warned", warning));
    }
    lines
}

fn line(name: &str, text: &str) -> String {
    format!("  {name:9} {text}")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A job id as a shell takes it.
fn quoted(job: &str) -> String {
    if job.contains('[') { format!("'{job}'") } else { job.to_owned() }
}
