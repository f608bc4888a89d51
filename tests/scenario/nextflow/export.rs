//! Exported workflows beyond the plain ones: jobs that are cut, inputs that are chosen, results at any path, texts with every
//! sign, attempts with parameters of their own.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::eval::{Host as _, Value, shown};
use super::flow::Flow;
use super::task::{ScriptHost, Settings};
use super::{lint, params, parse, settings};
use crate::sandbox::{Sandbox, quickstart_data};

/// Exports `p.yaml` of the sandbox into `flow`, and runs it.
pub(super) fn exported(sandbox: &Sandbox, work: &str, settings: Settings) -> Flow {
    sandbox.ok(&["export", "nextflow", "p.yaml", "-o", "flow"]);
    let flow = sandbox.join("flow");
    let config = fs_err::read_to_string(flow.join("nextflow.config")).expect("the configuration");
    Flow::run(&flow, &sandbox.join(work), params(&config), settings)
}

/// Nothing is left for a run, and its outputs are what the tasks have published.
pub(super) fn is_the_run(sandbox: &Sandbox, store: &str, done: &Flow) {
    assert_eq!(sandbox.computed(&["p.yaml", "--cache", store, "--out", "run"]), [""; 0]);
    assert!(!done.published.is_empty());
    for (name, file) in &done.published {
        let made = sandbox.join("run").join(name);
        assert!(fs_err::read(file).expect("a result") == fs_err::read(&made).expect("an output"), "{name}");
    }
}

fn quickstart_paths() -> [String; 2] {
    quickstart_data().map(|set| set.split_once('=').expect("NAME=PATH").1.to_owned())
}

#[test]
fn parts_of_a_job_are_tasks_and_give_the_whole() {
    let sandbox = Sandbox::new();
    let [cells, checkpoint] = quickstart_paths();
    let pipeline = |shards: [&str; 2]| {
        format!(
            "celldag: 1\nnodes:\n  \
             t: {{uses: tokenize, in: {{cells: {cells}, checkpoint: {checkpoint}}}, with: {{model: geneformer}}{}}}\n  \
             e: {{uses: embed, in: {{tokens: t, checkpoint: {checkpoint}}}{}}}\n\
             outputs: {{e.h5ad: e.embedding}}\n",
            shards[0], shards[1]
        )
    };
    sandbox.write("p.yaml", &pipeline([", shards: 3", ", shards: 2"]));
    let done = exported(&sandbox, "work", settings("", &sandbox.join("store")));
    let count = |name: &str| done.tasks.iter().filter(|(process, _)| process == name).count();
    assert_eq!(["T_PART", "T", "E_PART", "E"].map(count), [3, 1, 2, 1]);
    is_the_run(&sandbox, "store", &done);

    // The same bytes as of jobs that nobody cut; and where those are in the store, tasks find them.
    sandbox.write("p.yaml", &pipeline(["", ""]));
    assert_eq!(sandbox.computed(&["p.yaml", "--cache", "other", "--out", "whole"]), ["t", "e"]);
    let (_, made) = done.published.iter().next().expect("a result");
    assert!(
        fs_err::read(made).expect("a result")
            == fs_err::read(sandbox.join("whole/e.h5ad")).expect("an output")
    );
    let again = Flow::run(
        &sandbox.join("flow"),
        &sandbox.join("again"),
        params(&fs_err::read_to_string(sandbox.join("flow/nextflow.config")).expect("the configuration")),
        settings("", &sandbox.join("other")),
    );
    for name in ["T", "E"] {
        let (_, task) = again.tasks.iter().find(|(process, _)| process == name).expect("a task");
        assert!(task.stderr.contains("cached"), "{name}: {}", task.stderr);
    }
}

#[test]
fn chosen_inputs_several_results_and_any_sign() {
    let sandbox = Sandbox::new();
    let [cells, _] = quickstart_paths();
    let away = sandbox.join("away");
    sandbox.write(
        "p.yaml",
        &format!(
            r#"celldag: 1
salt: "it's\n$5 \\ \"x\""
axes:
  data: ["it's", 'a "b" $c `d` \e']
  way: [raw, "log 1"]
nodes:
  qc: {{uses: qc, foreach: [data], in: {{cells: {cells}}}, with: {{min_genes: 100}}}}
  normalize: {{uses: normalize, foreach: [data], in: {{cells: qc.cells}}}}
  chosen: {{uses: qc, foreach: [data, way], in: {{cells: {{by: way, raw: qc.cells, "log 1": normalize.cells}}}}}}
  there: {{uses: qc, foreach: [data, way], batch: [data], in: {{cells: {{by: way, raw: back.cells, "log 1": {cells}}}}}, with: {{min_genes: 120}}}}
  back: {{uses: qc, foreach: [data, way], in: {{cells: {{by: way, raw: {cells}, "log 1": there.cells}}}}, with: {{min_genes: 110}}}}
  all: {{uses: concat, in: {{cells: [{{gather: chosen.cells}}, {{gather: there.cells}}]}}}}
outputs:
  "there/${{data}} ${{way}}.h5ad": there.cells
  "first/${{data}}/${{way}}.h5ad": chosen.cells
  "{}/${{data}} ${{way}}.h5ad": chosen.cells
  all.h5ad: all.cells
"#,
            away.display()
        ),
    );
    let store = sandbox.join("a st'ore $x");
    let done = exported(&sandbox, "work", settings("", &store));
    assert_eq!(done.published.len(), 4 + 4 + 4 + 1, "{:?}", done.published);
    is_the_run(&sandbox, "a st'ore $x", &done);
}

/// A stand-in for celldag that keeps its arguments, makes its outputs, and has no memory for large batches.
const STAND_IN: &str = r#"#!/bin/bash -eu
printf '%s\0' "$@" > arguments
for word in "$@"; do
    case "$word" in batch_tokens=16|batch_tokens=8) exit 4;; esac
done
while [ $# -gt 0 ]; do
    case "$1" in
        --out) mkdir -p "$(dirname "${2#*=}")"; : > "${2#*=}";;
        --summary) mkdir -p "$(dirname "$2")"; : > "$2";;
    esac
    shift
done
"#;

fn stand_in(sandbox: &Sandbox) -> Settings {
    let binary = sandbox.write("bin/celldag", STAND_IN);
    fs_err::set_permissions(&binary, std::fs::Permissions::from_mode(0o755)).expect("permissions");
    Settings { binary: Some(binary), ..settings("", &sandbox.join("store")) }
}

fn arguments(folder: &Path) -> Vec<String> {
    let text = fs_err::read_to_string(folder.join("arguments")).expect("arguments");
    text.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn attempts_after_a_lack_of_memory_have_other_parameters() {
    let sandbox = Sandbox::new();
    let [cells, checkpoint] = quickstart_paths();
    sandbox.write(
        "p.yaml",
        &format!(
            "celldag: 1\naxes: {{label: [\"it's\", 'a \"b\" $c']}}\nnodes:\n  \
             t: {{uses: tokenize, in: {{cells: {cells}, checkpoint: {checkpoint}}}, with: {{model: geneformer}}, shards: 2}}\n  \
             q: {{uses: qc, in: {{cells: {cells}}}}}\n  \
             c: {{uses: qc, foreach: [label], in: {{cells: {{by: label, \"it's\": {cells}, 'a \"b\" $c': q.cells}}}}}}\n  \
             e: {{uses: embed, in: {{tokens: t, checkpoint: {checkpoint}}}, with: {{batch_tokens: 16}}, retries: {{out_of_memory: {{times: 2, set: {{batch_tokens: half}}}}}}}}\n  \
             s: {{uses: split, foreach: [label], in: {{cells: {cells}}}, with: {{label: \"${{label}}\", positive: \"a\\n  ${{label}}\"}}}}\n\
             outputs: {{\"c/${{label}}.h5ad\": c.cells, \"/c/${{label}}.h5ad\": c.cells}}\n"
        ),
    );
    let done = exported(&sandbox, "work", stand_in(&sandbox));
    // Everything that an export writes stands in this one.
    if let Some(lines) = lint::lint(&sandbox.join("flow")) {
        assert!(lint::complaints(&lines).is_empty(), "{:#?}", lint::complaints(&lines));
    }
    assert_eq!(done.published.len(), 4, "{:?}", done.published);
    let (_, task) = done.tasks.iter().find(|(process, _)| process == "E").expect("a task");
    assert!(arguments(&task.folder).contains(&"batch_tokens=4".to_owned()));
    let tried = |attempt: u32| -> PathBuf {
        let name = task.folder.file_name().expect("a name").to_string_lossy().into_owned();
        task.folder.with_file_name(format!("{}-{attempt}", name.rsplit_once('-').expect("an attempt").0))
    };
    assert_eq!(task.folder, tried(3));
    assert!(arguments(&tried(1)).contains(&"batch_tokens=16".to_owned()));
    assert!(arguments(&tried(2)).contains(&"batch_tokens=8".to_owned()));

    let splits: Vec<Vec<String>> = done
        .tasks
        .iter()
        .filter(|(process, _)| process == "S")
        .map(|(_, task)| arguments(&task.folder))
        .collect();
    for label in ["it's", "a \"b\" $c"] {
        let own = splits.iter().find(|words| words.contains(&format!("label={label}"))).expect("a task");
        for word in [format!("positive=a\n  {label}"), format!("s[label={label}]")] {
            assert!(own.contains(&word), "{word:?} in {own:?}");
        }
    }
}

#[test]
fn any_text_is_one_word_of_bash() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "p.yaml",
        &format!("celldag: 1\nnodes: {{qc: {{uses: qc, in: {{cells: {}}}}}}}\n", quickstart_paths()[0]),
    );
    sandbox.ok(&["export", "nextflow", "p.yaml", "-o", "flow"]);
    let functions =
        parse::parse(&fs_err::read_to_string(sandbox.join("flow/main.nf")).expect("main.nf")).functions;
    let mut host = ScriptHost { functions };
    let signs =
        ["", "a", " ", "'", "\"", "$", "\\", "\n", "\r", "\t", "`", "!", "${x}", "$'", "''", "é\u{1f9ec}"];
    let texts: Vec<String> = signs
        .iter()
        .flat_map(|a| signs.iter().flat_map(move |b| ["", "x"].map(|c| format!("{a}{c}{b}{a}"))))
        .collect();
    let words: Vec<String> =
        texts.iter().map(|text| shown(&host.call("quote", vec![Value::text(text)], Vec::new()))).collect();
    assert!(words.iter().all(|word| !word.contains(['\n', '\r'])), "Nextflow takes the indent off lines");
    let script = format!("printf '%s\\0' {}\n", words.join(" "));
    let told = Command::new("bash").args(["-uec", &script]).output().expect("bash starts").stdout;
    let told = String::from_utf8(told).expect("text");
    assert!(told.split_terminator('\0').eq(texts.iter().map(String::as_str)));
}
