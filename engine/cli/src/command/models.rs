//! `celldag models`: which models there are, and what a checkpoint folder holds.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::{Content, FileReport, inspect as inspect_files};
use celldag_models::drug::drug_models;
use celldag_models::{EncoderInfo, Found, Sighting, cell_models, inspect};
use serde_json::{Value, json};

use super::paths::must_exist;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::{bytes, table};

pub(crate) fn list(output: &Output) -> Result<(), Failure> {
    let cells = cell_models().iter().map(|m| [m.name(), "cells", m.vocabulary(), m.licence(), m.about()]);
    let drugs = drug_models().iter().map(|m| [m.name(), "drugs", "SMILES", m.licence(), m.about()]);
    let all: Vec<[&str; 5]> = cells.chain(drugs).collect();
    if output.json {
        let entry = |[name, embeds, vocabulary, licence, about]: &[&str; 5]| json!({ "name": name, "embeds": embeds, "vocabulary": vocabulary, "licence": licence, "about": about });
        return output.json_result(&all.iter().map(entry).collect::<Vec<Value>>());
    }
    let row = |[name, embeds, vocabulary, _, about]: &[&str; 5]| {
        [name, embeds, vocabulary, about].map(|text| (*text).to_owned()).to_vec()
    };
    let rows: Vec<Vec<String>> = all.iter().map(row).collect();
    output.result(&table(&["model", "embeds", "vocabulary", "what it is"], &rows))
}

pub(crate) fn look(checkpoint: &Path, output: &Output) -> Result<(), Failure> {
    must_exist("the checkpoint", checkpoint)?;
    let checkpoint = &fs_err::canonicalize(checkpoint)?;
    let root = if checkpoint.is_dir() { checkpoint } else { checkpoint.parent().unwrap_or(checkpoint) };
    let files = inspect_files(root).map_err(|e| Failure::Data(e.to_string()))?;
    let sightings = inspect(checkpoint).map_err(|e| Failure::Device(e.to_string()))?;
    let licences: Vec<PathBuf> =
        files.iter().map(|file| file.path.clone()).filter(|path| is_licence(path)).collect();
    if output.json {
        let models: Vec<Value> = sightings.iter().map(to_json).collect();
        output.json_result(&json!({ "models": models, "files": files, "licence_files": licences }))?;
    } else {
        output.result(&explain(root, &sightings, &files, &licences))?;
    }
    let complete = sightings.iter().any(|sighting| matches!(sighting.found, Found::Complete { .. }));
    let broken = sightings.iter().find_map(|sighting| match &sighting.found {
        Found::Broken { problem, .. } => Some(format!("{}: {problem}", sighting.model)),
        _ => None,
    });
    match broken {
        _ if complete => Ok(()),
        Some(problem) => Err(Failure::Data(format!("{} is not complete: {problem}", checkpoint.display()))),
        None => Err(Failure::Data(format!(
            "{} holds no checkpoint of a model that celldag knows",
            checkpoint.display()
        ))),
    }
}

/// Published terms lie in a file of their own.
fn is_licence(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    ["license", "licence", "copying", "use_policy"].iter().any(|start| name.starts_with(start))
}

fn explain(root: &Path, sightings: &[Sighting], files: &[FileReport], licences: &[PathBuf]) -> String {
    let mut out = String::new();
    // Files of one model may look like a damaged checkpoint of another; that is only of interest if none is whole.
    let complete = |s: &&Sighting| matches!(s.found, Found::Complete { .. });
    let broken = |s: &&Sighting| matches!(s.found, Found::Broken { .. });
    let any = sightings.iter().any(|s| complete(&s));
    for sighting in sightings.iter().filter(|s| if any { complete(s) } else { broken(s) }) {
        out.push_str(&describe(root, sighting, licences));
        out.push('\n');
    }
    if out.is_empty() {
        out.push_str("no model finds its files here:\n");
        for sighting in sightings {
            if let Found::Absent { problem } = &sighting.found {
                out.push_str(&format!("  {}: {problem}\n", sighting.model));
            }
        }
        out.push('\n');
    }
    let rows: Vec<Vec<String>> = files
        .iter()
        .map(|file| vec![file.path.display().to_string(), bytes(file.bytes), content(&file.content)])
        .collect();
    out.push_str(&table(&["file", "size", "what it holds"], &rows));
    out
}

fn describe(root: &Path, sighting: &Sighting, licences: &[PathBuf]) -> String {
    let (files, verdict, rows) = match &sighting.found {
        Found::Complete { files, info, memory } => (
            files,
            "complete, no tensor is missing, misshapen or left over".to_owned(),
            facts(info, *memory, sighting.vocabulary),
        ),
        Found::Broken { files, problem } => (files, problem.to_string(), Vec::new()),
        Found::Absent { problem } => return format!("{}: {problem}\n", sighting.model),
    };
    let mut out = format!("{}: {verdict}\n", sighting.model);
    let relative = |file: &PathBuf| {
        let root = fs_err::canonicalize(root).unwrap_or_else(|_| root.to_path_buf());
        file.strip_prefix(&root).unwrap_or(file).display().to_string()
    };
    let read: Vec<String> = files.iter().map(relative).collect();
    let mut licence = sighting.licence.to_owned();
    for file in licences {
        licence.push_str(&format!("; see {}", file.display()));
    }
    let more = [("reads", read.join(", ")), ("licence", licence)];
    for (name, value) in rows.into_iter().chain(more) {
        out.push_str(&format!("  {name:14} {value}\n"));
    }
    out
}

fn facts(info: &EncoderInfo, memory: u64, names: &str) -> Vec<(&'static str, String)> {
    vec![
        ("variant", info.variant.clone()),
        ("parameters", info.parameters.to_string()),
        ("layers", info.layers.to_string()),
        ("dimensions", info.dim.to_string()),
        ("context", info.context.to_string()),
        ("vocabulary", format!("{} tokens ({names})", info.vocabulary_size)),
        ("memory", format!("{} of weights on the device", bytes(memory))),
    ]
}

fn content(content: &Content) -> String {
    match content {
        Content::Weights { tensors, parameters, .. } => {
            format!("{} tensors, {parameters} parameters", tensors.len())
        }
        Content::Dictionary { entries, values, ensembl, .. } => {
            let ids = if *ensembl > 0 { format!(", {ensembl} Ensembl ids") } else { String::new() };
            format!("dictionary of {entries} entries ({values}){ids}")
        }
        Content::Table { columns, rows } => format!("table of {rows} rows: {}", columns.join(", ")),
        Content::Lines { lines, .. } => format!("{lines} lines"),
        Content::Data { .. } => "configuration".to_owned(),
        Content::Unreadable { problem } => format!("unreadable: {problem}"),
        _ => String::new(),
    }
}

fn to_json(sighting: &Sighting) -> Value {
    let (state, files, rest) = match &sighting.found {
        Found::Complete { files, info, memory } => (
            "complete",
            files.as_slice(),
            json!({
                "variant": info.variant, "parameters": info.parameters, "layers": info.layers,
                "dimensions": info.dim, "context": info.context, "vocabulary_size": info.vocabulary_size,
                "weights_bytes": memory, "options": info.options,
            }),
        ),
        Found::Broken { files, problem } => {
            ("broken", files.as_slice(), json!({ "problem": problem.to_string() }))
        }
        Found::Absent { problem } => ("absent", [].as_slice(), json!({ "problem": problem.to_string() })),
    };
    json!({
        "model": sighting.model, "state": state, "files": files, "names": sighting.vocabulary,
        "licence": sighting.licence, "detail": rest,
    })
}
