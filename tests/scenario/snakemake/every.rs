//! Everything that becomes of a node in one workflow: parts, batches, groups, values that are no file names, listed outputs.

use super::{command, few_cells, not_cached, snakemake, succeed};
use crate::sandbox::Sandbox;

const EVERY: &str = r#"
celldag: 1
name: every
params: {cells: cells.h5ad, checkpoint: models/geneformer-mini}
axes:
  fold: {range: 2}
  note: ["a b", "v1.0", "x/é", "it's"]
nodes:
  qc:     {uses: qc, in: {cells: "${cells}"}, with: {min_genes: 100, min_cells: 3}}
  split:  {uses: split, in: {cells: qc.cells}, with: {kind: stratified-k-fold, folds: 2, label: myeloid, seed: 1}}
  tokens: {uses: tokenize, in: {cells: qc.cells, checkpoint: "${checkpoint}"}, with: {model: geneformer}, shards: 3}
  embedding: {uses: embed, in: {tokens: tokens.tokens, checkpoint: "${checkpoint}"}, shards: 3}
  head:
    uses: linear-head
    foreach: [fold]
    batch: [fold]
    in: {embedding: embedding.embedding, split: split.split}
    with: {fold: "${fold}"}
  named:
    uses: linear-head
    foreach: [note]
    in: {embedding: embedding.embedding, split: split.split}
    with: {fold: 0, dataset: "${note}"}
  metrics: {uses: evaluate, in: {predictions: [{gather: head.predictions}]}, with: {title: "{braces} and \"quotes\"", bootstrap: 0}}
outputs:
  results/embedding.h5ad: embedding.embedding
  results/metrics.json: metrics.report
  "notes/${note}.csv": named.predictions
"#;

#[test]
fn every_form_of_a_node_gives_the_bytes_of_a_run() {
    let Some(program) = snakemake() else { return };
    let sandbox = Sandbox::new();
    sandbox.write("every.yaml", EVERY);
    let [cells, checkpoint] = few_cells(&sandbox);
    let common = ["every.yaml", "--set", &cells, "--set", &checkpoint];
    let with = |first: &[&'static str]| -> Vec<&str> { first.iter().copied().chain(common).collect() };
    sandbox.ok(&with(&["export", "snakemake", "-o", "flow", "--cache", "store", "--group-small"]));
    let snakefile = fs_err::read_to_string(sandbox.join("flow/Snakefile")).expect("Snakefile");
    assert!(snakefile.contains("group: \"small_"), "{snakefile}");

    let said = succeed(command(&program, &sandbox, "flow", &[]));
    let jobs = |rule: &str| {
        let mut words = said.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        words.find_map(|words| (words.len() == 2 && words[0] == rule).then(|| words[1].to_owned()))
    };
    for (rule, count) in [("tokens_shard", "3"), ("embedding_shard", "3"), ("head", "1"), ("named", "4")] {
        assert_eq!(jobs(rule).as_deref(), Some(count), "{rule}: {said}");
    }
    sandbox.ok(&with(&["run", "--cache", "other", "--out", "out", "--device", "cpu"]));
    for folder in ["results", "notes", "notes/x"] {
        let of = |top: &str| {
            let mut all = Vec::new();
            for entry in fs_err::read_dir(sandbox.join(top).join(folder)).expect("outputs") {
                all.push(entry.expect("entry").path());
            }
            all.retain(|path| path.is_file());
            all.sort();
            let digest = |path: &std::path::PathBuf| celldag_cache::digest_file(path).expect("digest").0;
            let name = |path: &std::path::PathBuf| path.file_name().map(std::ffi::OsStr::to_owned);
            all.iter().map(|path| (name(path), digest(path))).collect::<Vec<_>>()
        };
        assert_eq!(of("flow"), of("out"), "{folder}");
        assert!(!of("out").is_empty(), "{folder}");
    }
    assert_eq!(not_cached(&sandbox, &common), [""; 0]);
}
