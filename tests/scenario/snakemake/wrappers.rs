//! The generated wrappers, used by Snakemake itself.

use std::collections::BTreeSet;
use std::process::Command;

use super::{command, few_cells, folder_with_a_space, not_cached, snakemake, succeed};
use crate::sandbox::Sandbox;

/// A wrapper of each family: of cells, of tokens, of models, of splits, of heads and of what takes many inputs.
const CHAIN: &str = r#"
rule all:
    input: "report.html"

rule qc:
    input: cells=config["cells"]
    output: cells="cells.h5ad"
    params: min_genes=100, min_cells=3
    wrapper: "file:modules/celldag/qc"

rule split:
    input: cells="cells.h5ad"
    output: split="split.csv", info="split.json"
    params: kind="stratified-k-fold", folds=2, label="myeloid", seed=1
    wrapper: "file:modules/celldag/split"

rule tokenize:
    input: cells="cells.h5ad", checkpoint=config["checkpoint"]
    output: tokens="tokens.safetensors"
    params: model="geneformer"
    wrapper: "file:modules/celldag/tokenize"

rule embed:
    input: tokens="tokens.safetensors", checkpoint=config["checkpoint"]
    output: embedding="embedding.h5ad"
    params: extra="--device cpu"
    wrapper: "file:modules/celldag/embed"

rule head:
    input: embedding="embedding.h5ad", split="split.csv"
    output: predictions="{fold}/predictions.csv", head=directory("{fold}/head"), history="{fold}/history.json"
    params: fold="{fold}"
    wrapper: "file:modules/celldag/linear-head"

rule evaluate:
    input: predictions=["0/predictions.csv", "1/predictions.csv"]
    output: report="metrics.json", metrics="metrics.csv"
    params: input_labels={"predictions": ["fold=0", "fold=1"]}, bootstrap=0
    wrapper: "file:modules/celldag/evaluate"

rule report:
    input: metrics="metrics.json"
    output: page="report.html"
    params: extra=""
    wrapper: "file:modules/celldag/report"
"#;

/// The same nodes up to the metrics; a report of a rule knows nothing of what was above it.
const SAME: &str = r#"
celldag: 1
params: {cells: x, checkpoint: x}
axes: {fold: {range: 2}}
nodes:
  qc:     {uses: qc, in: {cells: "${cells}"}, with: {min_genes: 100, min_cells: 3}}
  split:  {uses: split, in: {cells: qc.cells}, with: {kind: stratified-k-fold, folds: 2, label: myeloid, seed: 1}}
  tokens: {uses: tokenize, in: {cells: qc.cells, checkpoint: "${checkpoint}"}, with: {model: geneformer}}
  embedding: {uses: embed, in: {tokens: tokens.tokens, checkpoint: "${checkpoint}"}}
  head:
    {uses: linear-head, foreach: [fold], in: {embedding: embedding.embedding, split: split.split}, with: {fold: "${fold}"}}
  metrics: {uses: evaluate, in: {predictions: {gather: head.predictions}}, with: {bootstrap: 0}}
"#;

/// `command`, with the binary in the PATH, where wrappers look for it, and a store.
fn wrapped(program: &std::path::Path, sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = command(program, sandbox, "own", args);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder_with_a_space(sandbox)).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(folders).expect("a PATH"));
    command.env("CELLDAG_CACHE", sandbox.join("store"));
    command
}

#[test]
fn wrappers_compute_what_a_run_would() {
    let Some(program) = snakemake() else { return };
    let sandbox = Sandbox::new();
    let [cells, checkpoint] = few_cells(&sandbox);
    sandbox.write("own/Snakefile", CHAIN);
    sandbox.ok(&["export", "modules", "snakemake", "-o", "own/modules"]);
    let mut own = wrapped(&program, &sandbox, &[]);
    own.args([&cells, &checkpoint]);
    succeed(own);
    assert!(sandbox.join("own/report.html").exists());
    sandbox.write("same.yaml", SAME);
    assert_eq!(not_cached(&sandbox, &["same.yaml", "--set", &cells, "--set", &checkpoint]), [""; 0]);
}

#[test]
fn every_example_of_a_wrapper_is_a_rule() {
    let Some(program) = snakemake() else { return };
    let sandbox = Sandbox::new();
    sandbox.ok(&["export", "modules", "snakemake", "-o", "own/modules"]);
    let mut snakefile = "rule every:\n    input: TARGETS\n\n".to_owned();
    let (mut targets, mut rules) = (BTreeSet::new(), 0);
    for entry in fs_err::read_dir(sandbox.join("own/modules/celldag")).expect("wrappers") {
        let place = entry.expect("entry").path().join("test/Snakefile");
        let text = fs_err::read_to_string(&place).expect("an example");
        rules += 1;
        snakefile.push_str(&format!("include: \"{}\"\n", place.display()));
        let (inputs, outputs) = text.split_once("    output:").expect("outputs");
        let paths = |text: &str| -> Vec<String> {
            let quoted = text.lines().filter(|line| !line.trim_start().starts_with('#'));
            let quoted = quoted.flat_map(|line| line.split('"').skip(1).step_by(2));
            quoted
                .filter_map(|path| path.strip_prefix("{sample}/"))
                .map(|path| format!("one/{path}"))
                .collect()
        };
        paths(inputs).iter().for_each(|path| drop(sandbox.write(&format!("own/{path}"), "")));
        let outputs = outputs.split("    params:").next().unwrap_or_default();
        targets.extend(paths(outputs));
    }
    sandbox.write(
        "own/Snakefile",
        &snakefile.replace("TARGETS", &format!("{targets:?}").replace(['{', '}'], "")),
    );
    let said = succeed(wrapped(&program, &sandbox, &["--dry-run", "--quiet", "rules"]));
    let total = said.lines().find_map(|line| line.trim().strip_prefix("total")).map(str::trim);
    assert_eq!(total, Some(&*(rules + 1).to_string()), "{said}");
}
