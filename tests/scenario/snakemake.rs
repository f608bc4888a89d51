//! Exported workflows run by Snakemake itself: the same bytes as `celldag run`, in one store with it.
//!
//! `.ci/snakemake.sh` installs Snakemake; `CELLDAG_SNAKEMAKE` names another one.

mod every;
mod wrappers;

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandbox::{Sandbox, digests, quickstart_data, repository};
use crate::studies::cut;

/// The program; `None`, and a message, where it is not installed.
pub(crate) fn snakemake() -> Option<PathBuf> {
    let usual = repository().join("target/snakemake/bin/snakemake");
    let program = std::env::var_os("CELLDAG_SNAKEMAKE").map_or(usual, PathBuf::from);
    if program.is_file() {
        return Some(program);
    }
    assert!(std::env::var("CI").is_err(), "CI needs Snakemake: run .ci/snakemake.sh");
    println!("SKIP: no Snakemake at {}: run .ci/snakemake.sh", program.display());
    None
}

/// `snakemake ARGS` in `folder` of the sandbox, with the binary under test on the CPU.
pub(crate) fn command(program: &Path, sandbox: &Sandbox, folder: &str, args: &[&str]) -> Command {
    let binary = format!("celldag={}", folder_with_a_space(sandbox).join("celldag").display());
    let mut command = Command::new(program);
    command.args(["--cores", "2", "--nocolor"]).args(args).args(["--config", &binary, "device=cpu"]);
    command.current_dir(sandbox.join(folder)).stdin(Stdio::null());
    // Snakemake keeps things in the home folder.
    command.env("HOME", sandbox.path()).env("XDG_CACHE_HOME", sandbox.join("xdg"));
    for name in ["CELLDAG_CACHE", "CELLDAG_DEVICE", "RUST_LOG"] {
        command.env_remove(name);
    }
    command
}

/// A folder with the binary, as users have them: there is a space in its name.
fn folder_with_a_space(sandbox: &Sandbox) -> PathBuf {
    let folder = sandbox.join("bin of mine");
    if !folder.exists() {
        fs_err::create_dir(&folder).expect("folder");
        fs_err::os::unix::fs::symlink(env!("CARGO_BIN_EXE_celldag"), folder.join("celldag")).expect("link");
    }
    folder
}

/// `--set` arguments: 70 cells of the quickstart, so that models take no time, and its checkpoint.
pub(crate) fn few_cells(sandbox: &Sandbox) -> [String; 2] {
    let [cells, checkpoint] = quickstart_data();
    let few = sandbox.join("cells.h5ad");
    cut(Path::new(cells.trim_start_matches("cells=")), &few, |_, row| row % 10 == 0);
    [format!("cells={}", few.display()), checkpoint]
}

/// Runs it, expects success, and returns what it said.
pub(crate) fn succeed(mut command: Command) -> String {
    let output = command.output().expect("Snakemake starts");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{said}");
    said
}

/// Jobs of a pipeline that the store `store` lacks.
pub(crate) fn not_cached(sandbox: &Sandbox, pipeline: &[&str]) -> Vec<String> {
    let mut args = vec!["plan", "--json", "--cache", "store"];
    args.extend(pipeline);
    let plan: Value = serde_json::from_str(&sandbox.ok(&args).stdout).expect("JSON");
    let jobs = plan["jobs"].as_array().expect("jobs");
    assert!(!jobs.is_empty());
    let open = jobs.iter().filter(|job| job["state"] != "cached" && job["state"]["state"] != "cached");
    open.map(|job| format!("{} {}", job["id"], job["state"])).collect()
}

#[test]
fn the_drug_response_pipeline_gives_the_same_bytes() {
    let Some(program) = snakemake() else { return };
    let sandbox = Sandbox::new();
    let pipeline = repository().join("pipelines/drug_response.yaml");
    let [cells, checkpoint] = few_cells(&sandbox);
    let common = [
        pipeline.to_str().expect("path"),
        "--profile",
        "ungrouped",
        "--set",
        &cells,
        "--set",
        &checkpoint,
        "--set",
        "label=myeloid",
        "--set",
        "positive=1",
        "--set",
        "folds=3",
        "--set",
        "min_genes=100",
    ];
    let with = |first: &[&'static str]| -> Vec<&str> { first.iter().copied().chain(common).collect() };
    sandbox.ok(&with(&["export", "snakemake", "-o", "flow", "--cache", "store"]));
    let written = || {
        ["Snakefile", "config.yaml", "README.md", "lineage/report/lineage.json", "celldag-export.json"]
            .map(|name| fs_err::read_to_string(sandbox.join("flow").join(name)).expect(name))
    };
    let before = written();
    sandbox.ok(&with(&["export", "snakemake", "-o", "flow", "--cache", "store"]));
    assert_eq!(written(), before, "written again, the same");
    let profile = sandbox.join("flow/profiles/local/config.yaml");
    fs_err::write(&profile, "cores: 2\n").expect("profile");
    let told = sandbox.ok(&with(&["export", "snakemake", "-o", "flow", "--cache", "store"])).stderr;
    assert!(told.contains("warning: flow/profiles/local/config.yaml stays as you changed it\n"), "{told}");
    assert_eq!(fs_err::read_to_string(&profile).expect("profile"), "cores: 2\n");

    succeed(command(&program, &sandbox, "flow", &[]));
    sandbox.ok(&with(&["run", "--cache", "other", "--out", "out", "--device", "cpu"]));
    assert_eq!(digests(&sandbox.join("flow/drug_response")), digests(&sandbox.join("out/drug_response")));
    assert_eq!(not_cached(&sandbox, &common), [""; 0]);
    let runs: Value =
        serde_json::from_str(&sandbox.ok(&["runs", "--json", "--cache", "store"]).stdout).expect("JSON");
    assert_eq!(runs.as_array().map(Vec::len), Some(1), "the workflow is a run: {runs}");

    let again = succeed(command(&program, &sandbox, "flow", &[]));
    assert!(again.contains("Nothing to be done"), "{again}");
}

const STUDY: &str = r#"
celldag: 1
name: study
params: {cells: cells.h5ad, checkpoint: models/geneformer-mini}
axes:
  size: [8, 16]
  fold: {range: 2}
nodes:
  qc:     {uses: qc, in: {cells: "${cells}"}, with: {min_genes: 100, min_cells: 3}}
  split:  {uses: split, in: {cells: qc.cells}, with: {kind: stratified-k-fold, folds: 2, label: myeloid, seed: 1}}
  tokens: {uses: tokenize, in: {cells: qc.cells, checkpoint: "${checkpoint}"}, with: {model: geneformer}, keep: temp}
  embedding: {uses: embed, in: {tokens: tokens.tokens, checkpoint: "${checkpoint}"}}
  head:
    uses: mlp-head
    foreach: [size, fold]
    in: {embedding: embedding.embedding, split: split.split}
    with: {fold: "${fold}", hidden: ["${size}"], epochs: 3}
  metrics:
    uses: evaluate
    foreach: [size]
    in: {predictions: {gather: head.predictions}, cells: qc.cells, split: split.split, split_info: split.info, embedding: embedding.embedding}
  report: {uses: report, foreach: [size], in: {metrics: metrics.report}, with: {title: "Width {${size}}"}}
outputs:
  "results/${size}/metrics.json": metrics.report
  "results/${size}/report.html": report.page
"#;

#[test]
fn a_killed_study_goes_on_where_it_was() {
    let Some(program) = snakemake() else { return };
    let sandbox = Sandbox::new();
    sandbox.write("study.yaml", STUDY);
    let [cells, checkpoint] = few_cells(&sandbox);
    let common = ["study.yaml", "--set", &cells, "--set", &checkpoint];
    let with = |first: &[&'static str]| -> Vec<&str> { first.iter().copied().chain(common).collect() };
    sandbox.ok(&with(&["export", "snakemake", "-o", "flow", "--cache", "store"]));

    let mut killed = command(&program, &sandbox, "flow", &[]);
    let mut child =
        killed.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("starts");
    let begin = Instant::now();
    while !sandbox.join("flow/nodes/split").join("split.csv").exists() {
        assert!(begin.elapsed() < Duration::from_secs(120), "no step ended");
        assert_eq!(child.try_wait().expect("state"), None, "it ended by itself");
        std::thread::sleep(Duration::from_millis(20));
    }
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-9", "--", &group]).status().expect("kill").success());
    child.wait().expect("gone");
    assert!(!sandbox.join("flow/results/8/metrics.json").exists(), "killed in the middle");

    succeed(command(&program, &sandbox, "flow", &["--unlock"]));
    succeed(command(&program, &sandbox, "flow", &["--rerun-incomplete"]));
    sandbox.ok(&with(&["run", "--cache", "other", "--out", "out", "--device", "cpu"]));
    for size in ["8", "16"] {
        let place = format!("results/{size}");
        assert_eq!(digests(&sandbox.join("flow").join(&place)), digests(&sandbox.join("out").join(&place)));
    }
    assert_eq!(not_cached(&sandbox, &common), [""; 0]);
}

#[test]
fn a_snakefile_of_ones_own_shares_the_store() {
    let Some(program) = snakemake() else { return };
    let sandbox = Sandbox::new();
    let [cells, checkpoint] = few_cells(&sandbox);
    fs_err::create_dir(sandbox.join("own")).expect("folder");
    let snakefile = repository().join("pipelines/snakemake/Snakefile");
    let path = |set: &str| set.split_once('=').expect("NAME=PATH").1.to_owned();
    let samples = format!("samples={{pbmc68k: {}}}", path(&cells));
    let args = ["--snakefile", snakefile.to_str().expect("path")];
    let mut own = command(&program, &sandbox, "own", &args);
    own.args([&samples, &checkpoint, &format!("cache={}", sandbox.join("store").display())]);
    succeed(own);
    assert!(sandbox.join("own/results/pbmc68k/embedding.h5ad").exists());
    sandbox.write(
        "same.yaml",
        r#"
celldag: 1
params: {cells: x, checkpoint: x}
nodes:
  qc: {uses: qc, in: {cells: "${cells}"}, with: {min_genes: 100, min_cells: 3}}
  tokens: {uses: tokenize, in: {cells: qc.cells, checkpoint: "${checkpoint}"}, with: {model: geneformer}}
  embedding: {uses: embed, in: {tokens: tokens.tokens, checkpoint: "${checkpoint}"}}
"#,
    );
    assert_eq!(not_cached(&sandbox, &["same.yaml", "--set", &cells, "--set", &checkpoint]), [""; 0]);
}
