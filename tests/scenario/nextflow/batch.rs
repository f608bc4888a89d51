//! `batch:`: one task for several jobs, each with its own key and its own results.

use super::export::{exported, is_the_run};
use super::flow::Flow;
use super::{lint, params, settings};
use crate::sandbox::Sandbox;
use crate::snakemake::few_cells;

/// Inputs that jobs of a batch share, and such that differ; one, many, chosen and none; files of the user; programs; a report.
/// Not every combination of values exists.
const PIPELINE: &str = r#"
celldag: 1
name: batches
params: {cells: cells.h5ad, checkpoint: models/geneformer-mini}
axes:
  data: [raw, "it's 2 é"]
  fold: {range: 3}
nodes:
  qc: {uses: qc, foreach: [data], in: {cells: "${cells}"}, with: {min_genes: 100, min_cells: {by: data, raw: 3, default: 5}}, batch: [data], timeout: 600s}
  split: {uses: split, foreach: [data], in: {cells: qc.cells}, with: {kind: stratified-k-fold, folds: 3, label: myeloid, seed: 1}, batch: [data]}
  tokens: {uses: tokenize, foreach: [data], in: {cells: qc.cells, checkpoint: "${checkpoint}"}, with: {model: geneformer}}
  embedding: {uses: embed, foreach: [data], in: {tokens: tokens.tokens, checkpoint: "${checkpoint}"}, shards: 2}
  head:
    uses: linear-head
    foreach: [data, fold]
    exclude: [{data: raw, fold: 1}]
    batch: [fold]
    in: {embedding: embedding.embedding, split: split.split}
    with: {fold: "${fold}"}
  metrics:
    uses: evaluate
    foreach: [data]
    batch: [data]
    in:
      predictions: [{gather: head.predictions}]
      split: {by: data, raw: null, default: split.split}
    with: {title: "{braces} and \"quotes\" of ${data}", bootstrap: 0}
  lines:
    uses: exec
    foreach: [data, fold]
    exclude: [{data: raw, fold: 1}]
    batch: [data, fold]
    in: {table: head.predictions, more: ./more.txt}
    out: {lines: lines.txt}
    run: [sh, -c, 'cat "$1" "$2" > "$3"; echo "$4" >> "$3"', sh, "{in:table}", "{in:more}", "{out:lines}", "${data} ${fold}"]
  report: {uses: report, foreach: [data], in: {metrics: metrics.report}, with: {title: "${data}"}, batch: [data]}
outputs:
  "heads/${data}/${fold}.csv": head.predictions
  "again/${fold} ${data}.csv": head.predictions
  "lines/${data}/${fold}.txt": lines.lines
  "${data}.html": report.page
"#;

#[test]
fn a_task_works_through_jobs_and_each_has_its_own_result() {
    let sandbox = Sandbox::new();
    let [cells, checkpoint] = few_cells(&sandbox);
    let value = |set: &str| set.split_once('=').expect("NAME=PATH").1.to_owned();
    sandbox.write("more.txt", "more\n");
    let pipeline = PIPELINE
        .replace("cells: cells.h5ad", &format!("cells: \"{}\"", value(&cells)))
        .replace("models/geneformer-mini", &format!("\"{}\"", value(&checkpoint)));
    sandbox.write("p.yaml", &pipeline);
    let store = sandbox.join("a store");
    let done = exported(&sandbox, "work", settings("", &store));
    if let Some(lines) = lint::lint(&sandbox.join("flow")) {
        assert!(lint::complaints(&lines).is_empty(), "{:#?}", lint::complaints(&lines));
    }
    let tasks = |name: &str| done.tasks.iter().filter(|(process, _)| process == name).count();
    assert_eq!(
        ["QC", "SPLIT", "TOKENS", "EMBEDDING_PART", "EMBEDDING", "HEAD", "METRICS", "LINES", "REPORT"]
            .map(tasks),
        [1, 1, 2, 4, 2, 2, 1, 1, 1]
    );
    assert_eq!(done.published.len(), 5 + 5 + 5 + 2, "{:?}", done.published);
    is_the_run(&sandbox, "a store", &done);

    // A task that is tried again finds what each of its jobs has made.
    let config = fs_err::read_to_string(sandbox.join("flow/nextflow.config")).expect("the configuration");
    let again =
        Flow::run(&sandbox.join("flow"), &sandbox.join("again"), params(&config), settings("", &store));
    for (name, jobs) in [("HEAD", 2), ("HEAD", 3), ("LINES", 5), ("REPORT", 2)] {
        let found = again.tasks.iter().filter(|(process, task)| {
            process == name
                && task.stderr.lines().filter(|line| line.contains("0 computed, 1 cached")).count() == jobs
        });
        assert_eq!(found.count(), 1, "{name} of {jobs} jobs");
    }
}
