//! A run record as sections of a page: what ran and why, counts, warnings, provenance.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::plan::duration;
use celldag_engine::{JobOutcome, JobRecord, RunRecord};
use serde_json::{Map, Value, json};

use crate::lineage;
use crate::page::Page;

/// More jobs than this are told node by node.
const MOST_JOBS: usize = 200;

/// Adds everything that the record says, without the warnings that stand above already.
pub(crate) fn render(page: &mut Page, run: &RunRecord, known_warnings: &[&str]) {
    let header = &run.header;
    page.section("Run");
    let rows: Vec<Vec<Value>> = [
        ("run", header.id.clone()),
        ("pipeline", format!("{} ({})", header.pipeline, header.file.display())),
        ("started", header.started.clone()),
        ("took", duration(header.seconds)),
        ("status", format!("{:?}", header.status).to_lowercase()),
        (
            "jobs",
            format!(
                "{} computed, {} cached, {} failed, {} skipped",
                header.counts.ran, header.counts.cached, header.counts.failed, header.counts.skipped
            ),
        ),
        ("device asked for", header.device.clone()),
        ("celldag", header.version.clone()),
        ("pipeline file, BLAKE3", header.text_digest.clone().unwrap_or_else(|| "not readable".to_owned())),
    ]
    .into_iter()
    .map(|(name, value)| vec![json!(name), json!(value)])
    .collect();
    page.table("", &["".to_owned(), "".to_owned()], &rows, "");
    let lineage = lineage_of(run);
    lineage::warnings(page, &lineage, known_warnings);
    lineage::render(page, &lineage);
    jobs(page, run);
    parameters(page, run);
    provenance(page, run);
}

/// One row a parameter of each node; where jobs of a node differ, the values of all of them.
fn parameters(page: &mut Page, run: &RunRecord) {
    page.section("Parameters");
    let mut values: BTreeMap<(&str, String), Vec<Value>> = BTreeMap::new();
    for job in &run.jobs {
        for (name, value) in job.action().map(|action| action.params).unwrap_or_default() {
            let known = values.entry((job.node.as_str(), name)).or_default();
            if !known.contains(&value) {
                known.push(value);
            }
        }
    }
    let columns = ["node", "parameter", "value"].map(str::to_owned);
    let rows: Vec<Vec<Value>> = values
        .into_iter()
        .map(|((node, name), values)| {
            let texts: Vec<String> = values.iter().take(12).map(ToString::to_string).collect();
            let more = if values.len() > texts.len() { ", ..." } else { "" };
            vec![json!(node), json!(name), json!(format!("{}{more}", texts.join(", ")))]
        })
        .collect();
    page.table(
        "",
        &columns,
        &rows,
        "Defaults are written out; parameters that only change speed are left out.",
    );
}

fn jobs(page: &mut Page, run: &RunRecord) {
    page.section("Jobs");
    let failures = run.jobs.iter().filter_map(|job| {
        let failure = job.failure.as_ref()?;
        let help = failure.help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default();
        Some(format!("{} failed: {}{help}", job.id, failure.message))
    });
    let failures: Vec<String> = failures.collect();
    page.warnings(failures.iter().map(String::as_str));
    if run.jobs.len() <= MOST_JOBS {
        let columns = ["job", "kind", "outcome", "seconds", "why"].map(str::to_owned);
        let rows: Vec<Vec<Value>> = run
            .jobs
            .iter()
            .map(|job| {
                let why = job.state.as_ref().map(ToString::to_string).unwrap_or_default();
                vec![json!(job.id), json!(job.kind), json!(outcome(job)), json!(job.seconds), json!(why)]
            })
            .collect();
        page.table("", &columns, &rows, "");
        return;
    }
    let mut nodes: BTreeMap<&str, (usize, usize, f64)> = BTreeMap::new();
    for job in &run.jobs {
        let entry = nodes.entry(&job.node).or_default();
        entry.0 += 1;
        entry.1 += usize::from(job.outcome == JobOutcome::Ran);
        entry.2 += job.seconds;
    }
    let columns = ["node", "jobs", "computed", "seconds"].map(str::to_owned);
    let rows: Vec<Vec<Value>> = nodes
        .into_iter()
        .map(|(node, (jobs, ran, seconds))| vec![json!(node), json!(jobs), json!(ran), json!(seconds)])
        .collect();
    page.table("", &columns, &rows, "Too many jobs for one page: the table has a row a node.");
}

fn provenance(page: &mut Page, run: &RunRecord) {
    page.section("Provenance");
    let columns = ["job", "key", "port", "BLAKE3", "bytes", "computed on"].map(str::to_owned);
    let mut rows = Vec::new();
    for job in run.jobs.iter().take(MOST_JOBS) {
        let on: Vec<String> = job
            .summary
            .execution
            .iter()
            .map(|(k, v)| v.as_str().map_or_else(|| format!("{k} {v}"), |text| format!("{k} {text}")))
            .collect();
        for (port, inputs) in job.action().map(|action| action.inputs).unwrap_or_default() {
            for input in inputs {
                let port = if input.label.is_empty() {
                    format!("in: {port}")
                } else {
                    format!("in: {port} [{}]", input.label)
                };
                rows.push(vec![
                    json!(job.id),
                    json!(""),
                    json!(port),
                    json!(short(&input.digest)),
                    json!(""),
                    json!(""),
                ]);
            }
        }
        for (port, artifact) in &job.outputs {
            rows.push(vec![
                json!(job.id),
                json!(job.key.as_ref().map(|key| short(&key.to_string()))),
                json!(format!("out: {port}")),
                json!(short(&artifact.digest.to_string())),
                json!(artifact.size),
                json!(on.join(", ")),
            ]);
        }
    }
    page.table(
        "",
        &columns,
        &rows,
        "Keys and digests are shortened; the run record in the store has them whole.",
    );
}

fn short(hex: &str) -> String {
    hex.chars().take(16).collect()
}

fn outcome(job: &JobRecord) -> &'static str {
    match job.outcome {
        JobOutcome::Hit => "cached",
        JobOutcome::Ran => "computed",
        JobOutcome::Failed => "failed",
        JobOutcome::Skipped => "skipped",
    }
}

/// The same structure that a node with `wants_lineage` is given, recovered from the record: an edge is where the digest of an
/// output stands on an input.
fn lineage_of(run: &RunRecord) -> Value {
    let mut makers: BTreeMap<String, (&str, &str)> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    let mut nodes: BTreeMap<&str, Vec<&JobRecord>> = BTreeMap::new();
    for job in &run.jobs {
        for (port, artifact) in &job.outputs {
            makers.entry(artifact.digest.to_string()).or_insert((job.node.as_str(), port.as_str()));
        }
        if !nodes.contains_key(job.node.as_str()) {
            order.push(&job.node);
        }
        nodes.entry(&job.node).or_default().push(job);
    }
    let entries = order.into_iter().filter_map(|node| {
        let jobs = &nodes[node];
        let first = jobs.first()?;
        let mut edges = BTreeSet::new();
        let mut warnings: Vec<&str> = Vec::new();
        for job in jobs {
            for (port, artifacts) in job.action().map(|action| action.inputs).unwrap_or_default() {
                for artifact in artifacts {
                    let from =
                        makers.get(&artifact.digest).map_or("file".to_owned(), |(n, p)| format!("{n}.{p}"));
                    edges.insert((port.clone(), from));
                }
            }
            for warning in &job.summary.warnings {
                if !warnings.contains(&warning.as_str()) {
                    warnings.push(warning);
                }
            }
        }
        let inputs: Vec<Value> =
            edges.into_iter().map(|(port, from)| json!({ "port": port, "from": from })).collect();
        let facts: Map<String, Value> =
            if jobs.len() == 1 { first.summary.facts.clone() } else { Map::new() };
        Some(json!({
            "node": node, "kind": first.kind, "jobs": jobs.len(), "inputs": inputs, "facts": facts,
            "warnings": warnings,
        }))
    });
    Value::Array(entries.collect())
}
