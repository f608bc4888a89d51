//! A run record as sections of a page: what ran and why, counts, warnings, provenance.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::plan::duration;
use celldag_engine::record::InputFrom;
use celldag_engine::{JobOutcome, JobRecord, RunRecord, short};
use serde_json::{Map, Value, json};

use crate::nodes::by_node;
use crate::page::Page;
use crate::{lineage, many};

/// More jobs than this are told node by node, and one by one in a file beside the page. 13,644 jobs, the size of a real study,
/// then make a page of some ten kilobytes.
pub(crate) const MOST_JOBS: usize = 200;

/// More failures than this are counted, and more warnings of one node.
const MOST_TOLD: usize = 20;

/// Longer values of parameters are cut, in characters.
const LONGEST_VALUE: usize = 80;

/// Adds everything that the record says, without the warnings that stand above already; `all_jobs` is the address of the jobs
/// of a large run, `None` where they are in a file beside the page.
pub(crate) fn render(page: &mut Page, run: &RunRecord, known_warnings: &[&str], all_jobs: Option<&str>) {
    let header = &run.header;
    page.section("Run");
    let included = header.included.iter().flatten().map(|file| {
        let digest = file.digest.clone().unwrap_or_else(|| "not readable".to_owned());
        (format!("included file {}, BLAKE3", file.path), digest)
    });
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
    .map(|(name, value)| (name.to_owned(), value))
    .chain(header.imported.as_ref().map(|imported| ("imported".to_owned(), imported.to_string())))
    .chain(included)
    .map(|(name, value)| vec![json!(name), json!(value)])
    .collect();
    page.table("", &["".to_owned(), "".to_owned()], &rows, "");
    let lineage = lineage_of(run);
    lineage::warnings(page, &lineage, known_warnings);
    lineage::render(page, &lineage);
    jobs(page, run, all_jobs);
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
            let texts: Vec<String> = values.iter().take(12).map(|value| cut(&value.to_string())).collect();
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

fn jobs(page: &mut Page, run: &RunRecord, all_jobs: Option<&str>) {
    page.section("Jobs");
    let failures = run.jobs.iter().filter_map(|job| {
        let failure = job.failure.as_ref()?;
        let help = failure.help.as_ref().map(|h| format!(" ({h})")).unwrap_or_default();
        Some(format!("{} failed: {}{help}", job.id, failure.message))
    });
    let mut failures: Vec<String> = failures.collect();
    shorten(&mut failures, "failures");
    page.warnings(failures.iter().map(String::as_str));
    if run.jobs.len() <= MOST_JOBS {
        let columns = ["job", "kind", "outcome", "seconds", "why"].map(str::to_owned);
        let rows: Vec<Vec<Value>> = run
            .jobs
            .iter()
            .map(|job| {
                let why = job.state.as_ref().map(ToString::to_string).unwrap_or_default();
                vec![
                    json!(job.id),
                    json!(job.kind),
                    json!(outcome(job.outcome)),
                    json!(job.seconds),
                    json!(why),
                ]
            })
            .collect();
        page.table("", &columns, &rows, "");
        return;
    }
    many::nodes(page, run, all_jobs);
}

fn provenance(page: &mut Page, run: &RunRecord) {
    if run.jobs.len() > MOST_JOBS {
        return;
    }
    page.section("Provenance");
    let columns = ["job", "key", "port", "BLAKE3", "bytes", "computed on"].map(str::to_owned);
    let mut rows = Vec::new();
    for job in &run.jobs {
        let on: Vec<String> = job
            .summary
            .execution
            .iter()
            .filter(|(_, v)| !v.is_object())
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
                json!(job.key.as_ref().map(|key| short(&key.to_string()).to_owned())),
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

/// How a job ended, in a word.
pub(crate) fn outcome(outcome: JobOutcome) -> &'static str {
    match outcome {
        JobOutcome::Hit => "cached",
        JobOutcome::Ran => "computed",
        JobOutcome::Failed => "failed",
        JobOutcome::Skipped => "skipped",
    }
}

/// Cuts a list of sentences to a readable length.
pub(crate) fn shorten(list: &mut Vec<String>, what: &str) {
    if list.len() > MOST_TOLD {
        let more = list.len() - MOST_TOLD;
        list.truncate(MOST_TOLD);
        list.push(format!("and {more} {what} more"));
    }
}

fn cut(text: &str) -> String {
    if text.chars().count() <= LONGEST_VALUE {
        return text.to_owned();
    }
    text.chars().take(LONGEST_VALUE).chain("...".chars()).collect()
}

/// The same structure that a node with `wants_lineage` is given, recovered from the record.
fn lineage_of(run: &RunRecord) -> Value {
    let node_of: BTreeMap<&str, &str> =
        run.jobs.iter().map(|job| (job.id.as_str(), job.node.as_str())).collect();
    let by_content = ByContent::new(run);
    let entries = by_node(run).into_iter().filter_map(|(node, jobs)| {
        let first = jobs.first()?;
        let mut edges = BTreeSet::new();
        let mut warnings: Vec<String> = Vec::new();
        let mut heard: BTreeSet<&str> = BTreeSet::new();
        for job in &jobs {
            if job.inputs.is_empty() {
                edges.extend(by_content.edges(job));
            }
            for input in &job.inputs {
                let from = match &input.from {
                    InputFrom::File(_) => "file".to_owned(),
                    InputFrom::Job { id, port } => format!("{}.{port}", node_of.get(id.as_str())?),
                };
                edges.insert((input.port.clone(), from));
            }
            let new = job.summary.warnings.iter().filter(|warning| heard.insert(warning));
            warnings.extend(new.cloned());
        }
        shorten(&mut warnings, "warnings of this node");
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

/// Records of earlier versions do not say where inputs came from: an edge is where the digest of an output stands on an input.
struct ByContent<'a>(BTreeMap<String, (&'a str, &'a str)>);

impl<'a> ByContent<'a> {
    fn new(run: &'a RunRecord) -> Self {
        let mut makers = BTreeMap::new();
        // New records need no such table.
        for job in run.jobs.iter().filter(|_| run.header.root.as_os_str().is_empty()) {
            for (port, artifact) in &job.outputs {
                makers.entry(artifact.digest.to_string()).or_insert((job.node.as_str(), port.as_str()));
            }
        }
        Self(makers)
    }

    fn edges(&self, job: &JobRecord) -> BTreeSet<(String, String)> {
        let mut edges = BTreeSet::new();
        for (port, artifacts) in job.action().map(|action| action.inputs).unwrap_or_default() {
            for artifact in artifacts {
                let from =
                    self.0.get(&artifact.digest).map_or("file".to_owned(), |(n, p)| format!("{n}.{p}"));
                edges.insert((port.clone(), from));
            }
        }
        edges
    }
}
