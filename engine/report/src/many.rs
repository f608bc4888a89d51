//! Runs of thousands of jobs: one row a node, the jobs worth looking at, and results summed up along the axes.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::document::ReportDocument;
use celldag_engine::{JobOutcome, JobRecord, RunRecord};
use serde_json::{Value, json};

use crate::nodes::by_node;
use crate::page::{Page, link};
use crate::run::shorten;

/// More documents than this are summed up: each has tables and figures, and a study has thousands.
pub const MOST_DOCUMENTS: usize = 8;

/// Rows of a table of single jobs.
const MOST_ROWS: usize = 20;

/// More values of an axis than this make no table of their own.
const MOST_VALUES: usize = 60;

/// A row for each node, and the jobs that took longest. All jobs are at an address, or in the file beside the page.
pub(crate) fn nodes(page: &mut Page, run: &RunRecord, all_jobs: Option<&str>) {
    let columns = [
        "node",
        "kind",
        "jobs",
        "computed",
        "cached",
        "failed",
        "skipped",
        "seconds",
        "longest",
        "bytes",
        "computed on",
    ];
    let rows: Vec<Vec<Value>> = by_node(run).into_iter().map(|(node, jobs)| row(node, &jobs)).collect();
    let seconds = "Seconds are those of the computations, also of cached results.";
    let note = match all_jobs {
        None => format!("{seconds} All jobs are in the .jobs.json file beside this page."),
        Some(_) => seconds.to_owned(),
    };
    page.table("Nodes", &columns.map(str::to_owned), &rows, &note);
    if let Some(address) = all_jobs {
        page.html(&format!("<p class=\"note\">{}</p>", link(address, "All jobs of this run as JSON")));
    }
    let mut longest: Vec<&JobRecord> = run.jobs.iter().collect();
    longest.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let rows: Vec<Vec<Value>> = longest
        .into_iter()
        .take(MOST_ROWS)
        .map(|job| {
            let why = job.state.as_ref().map(ToString::to_string).unwrap_or_default();
            vec![json!(job.id), json!(job.kind), json!(job.seconds), json!(why)]
        })
        .collect();
    page.table("Jobs that took longest", &["job", "kind", "seconds", "why"].map(str::to_owned), &rows, "");
}

fn row(node: &str, jobs: &[&JobRecord]) -> Vec<Value> {
    let ended = |outcome: JobOutcome| jobs.iter().filter(|job| job.outcome == outcome).count();
    let seconds: f64 = jobs.iter().map(|job| job.seconds).sum();
    let longest = jobs.iter().map(|job| job.seconds).fold(0.0, f64::max);
    let bytes: u64 = jobs.iter().flat_map(|job| job.outputs.values()).map(|artifact| artifact.size).sum();
    let named = |job: &&JobRecord| {
        let say = |name: &str| job.summary.execution.get(name).and_then(Value::as_str).map(str::to_owned);
        say("adapter").or_else(|| say("backend"))
    };
    let mut on: Vec<String> = jobs.iter().filter_map(named).collect::<BTreeSet<_>>().into_iter().collect();
    shorten(&mut on, "adapters");
    vec![
        json!(node),
        json!(jobs.first().map(|job| &job.kind)),
        json!(jobs.len()),
        json!(ended(JobOutcome::Ran)),
        json!(ended(JobOutcome::Hit)),
        json!(ended(JobOutcome::Failed)),
        json!(ended(JobOutcome::Skipped)),
        json!(seconds),
        json!(longest),
        json!(bytes),
        json!(on.join(", ")),
    ]
}

/// A number of a headline in one job.
struct Score<'a> {
    job: &'a JobRecord,
    value: Option<f64>,
}

/// Headlines of many documents: by node, by the values of each axis, and the best and the worst jobs.
pub(crate) fn documents(page: &mut Page, run: &RunRecord, documents: &[(String, ReportDocument)]) {
    page.section("Results");
    page.paragraph(&format!(
        "{} report documents; means are over jobs, each counted once. the outputs of the pipeline have every one of them.",
        documents.len()
    ));
    let jobs: BTreeMap<&str, &JobRecord> = run.jobs.iter().map(|job| (job.id.as_str(), job)).collect();
    let mut scores: BTreeMap<(&str, &str), Vec<Score<'_>>> = BTreeMap::new();
    let mut warnings: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, document) in documents {
        let Some(&job) = jobs.get(id.as_str()) else { continue };
        for (name, value) in &document.headline {
            scores.entry((&job.node, name)).or_default().push(Score { job, value: *value });
        }
        for warning in &document.warnings {
            *warnings.entry(warning).or_default() += 1;
        }
    }
    let mut told: Vec<(usize, &str)> =
        warnings.into_iter().map(|(warning, count)| (count, warning)).collect();
    told.sort_by(|a, b| b.cmp(a));
    let mut told: Vec<String> =
        told.into_iter().map(|(count, text)| format!("{text} ({count} documents)")).collect();
    shorten(&mut told, "warnings");
    page.warnings(told.iter().map(String::as_str));
    let rows: Vec<Vec<Value>> = scores
        .iter()
        .map(|((node, name), scores)| [vec![json!(node), json!(name)], summary(scores.iter())].concat())
        .collect();
    let columns =
        ["node", "number", "documents", "undefined", "mean", "lowest", "highest"].map(str::to_owned);
    page.table("All documents", &columns, &rows, "");
    for ((node, name), scores) in &scores {
        axes(page, node, name, scores);
    }
    // The first number of a headline is the most important one.
    let first = documents.first().and_then(|(_, document)| document.headline.first());
    for ((node, name), scores) in
        scores.iter().filter(|((_, name), _)| first.is_some_and(|first| first.0 == *name))
    {
        extremes(page, node, name, scores);
    }
}

/// Documents, undefined ones, mean, lowest, highest.
fn summary<'a, 'b: 'a>(scores: impl Iterator<Item = &'a Score<'b>>) -> Vec<Value> {
    let values: Vec<Option<f64>> =
        scores.map(|score| score.value.filter(|value| value.is_finite())).collect();
    let known: Vec<f64> = values.iter().flatten().copied().collect();
    #[expect(clippy::cast_precision_loss, reason = "a number of documents")]
    let mean = (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64);
    let lowest = known.iter().copied().reduce(f64::min);
    let highest = known.iter().copied().reduce(f64::max);
    vec![json!(values.len()), json!(values.len() - known.len()), json!(mean), json!(lowest), json!(highest)]
}

/// A table for each axis of moderate length: how the number depends on its values.
fn axes(page: &mut Page, node: &str, name: &str, scores: &[Score<'_>]) {
    let names: BTreeSet<&str> =
        scores.iter().flat_map(|score| score.job.coordinates.keys()).map(String::as_str).collect();
    for axis in names {
        let mut values: BTreeMap<&str, Vec<&Score<'_>>> = BTreeMap::new();
        for score in scores {
            if let Some(value) = score.job.coordinates.get(axis) {
                values.entry(value).or_default().push(score);
            }
        }
        if values.len() < 2 || values.len() > MOST_VALUES {
            continue;
        }
        let rows: Vec<Vec<Value>> = values
            .into_iter()
            .map(|(value, scores)| [vec![json!(value)], summary(scores.into_iter())].concat())
            .collect();
        let columns = [axis, "documents", "undefined", "mean", "lowest", "highest"].map(str::to_owned);
        page.table(&format!("{name} of {node} by {axis}"), &columns, &rows, "");
    }
}

fn extremes(page: &mut Page, node: &str, name: &str, scores: &[Score<'_>]) {
    let mut known: Vec<(&str, f64)> = scores
        .iter()
        .filter_map(|score| Some((score.job.id.as_str(), score.value.filter(|value| value.is_finite())?)))
        .collect();
    known.sort_by(|a, b| a.1.total_cmp(&b.1));
    if known.len() <= MOST_ROWS {
        return;
    }
    let columns = ["job", name].map(str::to_owned);
    let rows = |list: &mut dyn Iterator<Item = &(&str, f64)>| -> Vec<Vec<Value>> {
        list.take(MOST_ROWS / 2).map(|(job, value)| vec![json!(job), json!(value)]).collect()
    };
    page.table(&format!("Lowest {name} of {node}"), &columns, &rows(&mut known.iter()), "");
    page.table(&format!("Highest {name} of {node}"), &columns, &rows(&mut known.iter().rev()), "");
}
