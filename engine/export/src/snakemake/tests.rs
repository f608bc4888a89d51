//! What is written for a pipeline with everything in it. Whether Snakemake understands it is a matter of tests/scenario/snakemake.rs.

use super::*;
use crate::testing::Folder;

const STUDY: &str = "celldag: 1
name: study
salt: new
axes:
  model: [a, c]
  fold: {range: 11}
  data: {from: data.tsv, key: id}
nodes:
  read:
    {uses: make, foreach: [data], in: {file: \"${data.path}\"}, with: {text: \"it's ${data}\", share: \"${data.share}\"}, timeout: 90s}
  only: {uses: make, foreach: [data, model], when: \"${model} in [a]\", with: {text: x}}
  embedding:
    uses: device
    foreach: [data, model]
    in: {cells: {by: model, a: only.text, c: read.text}}
    resources: {gpu: 1, ram: 4G}
    retries: {transient: 1, out_of_memory: {times: 2, set: {batch_size: half}}}
    keep: temp
  head:
    uses: join
    foreach: [model, fold]
    in: {parts: {gather: embedding.text}}
    with: {separator: \"${fold}\"}
  all: {uses: join, foreach: [model], in: {parts: [{gather: head}], one: a.txt}, with: {separator: \"{}\\n\"}}
  every: {uses: join, in: {parts: [{gather: all.text}, {gather: head.text}]}}
  report: {uses: trace, foreach: [model], in: {files: all.text}}
outputs:
  \"out/${model}.json\": report.trace
  \"out/${data.share}-${model}.txt\": embedding.text
";

#[test]
fn a_study_reads_well() {
    let folder = Folder::new();
    let pipeline = folder.load(STUDY);
    let options = Options {
        folder: pipeline.root.clone(),
        store: Some("/scratch/store".to_owned()),
        pipeline: vec!["study.yaml".to_owned()],
        small: ["read".to_owned()].into(),
    };
    let files = snakemake(&pipeline, &options).unwrap();
    let names: Vec<_> = files.keys().map(|path| path.display().to_string()).collect();
    let text = format!(
        "{}\n\n=== Snakefile\n{}\n=== config.yaml\n{}\n=== above.txt\n{}",
        names.join("\n"),
        files[Path::new("Snakefile")],
        files[Path::new("config.yaml")],
        files[Path::new("lineage/report/model=a/above.txt")].lines().take(3).collect::<Vec<_>>().join("\n"),
    );
    insta::with_settings!({prepend_module_to_snapshot => false}, { insta::assert_snapshot!("study", text) });
}

#[test]
fn no_path_comes_back_to_a_group() {
    let folder = Folder::new();
    let workflow = Workflow::of(&folder.load(STUDY)).unwrap();
    let small = ["read", "head", "all", "every"].map(str::to_owned).into();
    let names: Vec<&str> = workflow.rules.iter().map(|rule| rule.node.as_str()).collect();
    assert_eq!(names, ["read", "only", "embedding", "head", "all", "every", "report"]);
    let got = group::groups(&workflow, &small);
    let got: Vec<&str> = got.iter().map(|group| group.as_deref().unwrap_or("-")).collect();
    assert_eq!(got, ["small_0", "-", "-", "small_2", "small_2", "small_2", "-"]);
    let got = group::groups(&workflow, &["embedding".to_owned()].into());
    assert!(got.iter().all(Option::is_none), "a text that changes with attempts fits into no group");
}

#[test]
fn jobs_that_nothing_takes_are_asked_for() {
    let folder = Folder::new();
    let text = "celldag: 1\naxes: {m: [a, b]}\nnodes:\n  one: {uses: make, foreach: [m], with: {text: \"${m}\"}}\n  \
                two: {uses: make, foreach: [m], with: {text: x}}\n  \
                last: {uses: device, foreach: [m], in: {cells: {by: m, a: one.text, b: two.text}}}\n";
    let files = snakemake(&folder.load(text), &Options::default()).unwrap();
    let all = files[Path::new("Snakefile")].split("rule all:").nth(1).unwrap().split("rule ").next().unwrap();
    assert!(all.contains("nodes/one/m={m}/text.txt\", m=[\"b\"])"), "{all}");
    assert!(all.contains("nodes/two/m={m}/text.txt\", m=[\"a\"])"), "{all}");
}

#[test]
fn a_batch_has_the_time_of_its_steps() {
    let folder = Folder::new();
    let text = "celldag: 1\naxes: {m: [a, b, c]}\nnodes:\n  \
                one: {uses: make, foreach: [m], batch: [m], timeout: 90s, with: {text: \"${m}\"}}\n";
    let files = snakemake(&folder.load(text), &Options::default()).unwrap();
    let snakefile = &files[Path::new("Snakefile")];
    assert!(snakefile.contains("runtime=5,"), "{snakefile}");
}

#[test]
fn an_output_among_the_files_of_the_workflow_is_refused() {
    let folder = Folder::new();
    for place in ["nodes/a.txt", "config.yaml.new2", "celldag-export.json"] {
        let text = format!(
            "celldag: 1\nnodes:\n  a: {{uses: make, with: {{text: a}}}}\noutputs:\n  {place}: a.text\n"
        );
        let told = snakemake(&folder.load(&text), &Options::default()).unwrap_err().to_string();
        assert!(told.contains(place), "{told}");
    }
}

#[test]
fn programs_and_executables_are_named_by_their_files() {
    let folder = Folder::new();
    let said =
        r#"{"celldag": 1, "name": "own", "epoch": 1, "about": "", "outputs": [{"name": "o", "file": "o"}]}"#;
    folder.executable("own", &format!("#!/bin/sh\necho '{said}'\n"));
    let text = "celldag: 1\nnodes:\n  a: {uses: exec, in: {f: ./a.txt}, run: [sh, '{code:b.txt}', '{in:f}', '{out:g}'], out: {g: g.txt}}\n  \
                b: {uses: ./own}\n";
    let files = snakemake(&folder.load(text), &Options::default()).unwrap();
    let snakefile = &files[Path::new("Snakefile")];
    assert!(
        snakefile.contains("program_file=\"exec/a.yaml\",") && files.contains_key(Path::new("exec/a.yaml"))
    );
    assert!(snakefile.contains("{STEP} exec --spec {input.program_file:q}"), "{snakefile}");
    assert!(snakefile.contains("--in code:./b.txt={input.code:q}"), "{snakefile}");
    assert!(snakefile.contains("{STEP} {config[kinds][b]:q}"), "{snakefile}");
    let config = &files[Path::new("config.yaml")];
    assert!(config.contains("kinds:\n  b: \"/") && config.contains("/own\"\n"), "{config}");
}

#[test]
fn braces_in_a_path_are_refused() {
    let folder = Folder::new();
    let told = |node: &str, outputs: &str| {
        let text =
            format!("celldag: 1\nnodes:\n  a: {{uses: make, {node}with: {{text: '{{b}}'}}}}\n{outputs}");
        snakemake(&folder.load(&text), &Options::default()).err().map(|e| e.to_string())
    };
    let output = told("", "outputs:\n  \"out/{x}.txt\": a.text\n").unwrap();
    assert!(output.starts_with("a.text: out/{x}.txt has braces"), "{output}");
    assert!(output.ends_with("choose a path without `{` and `}`"), "{output}");
    let input = told("in: {file: \"b}.txt\"}, ", "").unwrap();
    assert!(input.starts_with("a.file: ") && input.contains("b}.txt has braces"), "{input}");
    assert_eq!(told("", ""), None, "values may have them");
}

#[test]
fn folders_of_jobs_stay_when_values_come_and_go() {
    let folder = Folder::new();
    for (m, n) in [("[a]", 3), ("[a, b, c]", 1), ("[a, b]", 2), ("[a]", 1)] {
        let text = format!(
            "celldag: 1\naxes: {{m: {m}, n: {{range: {n}}}}}\nnodes:\n  \
             one: {{uses: make, foreach: [n, m], with: {{text: \"${{m}}${{n}}\"}}}}\n"
        );
        let files = snakemake(&folder.load(&text), &Options::default()).unwrap();
        let snakefile = &files[Path::new("Snakefile")];
        assert!(snakefile.contains("text=\"nodes/one/m={m}/n={n}/text.txt\""), "{snakefile}");
    }
}

#[test]
fn parameters_change_with_attempts_as_in_a_run() {
    let folder = Folder::new();
    let text = "celldag: 1\naxes: {n: [7, 64]}\nnodes:\n  \
                one:\n    uses: device\n    foreach: [n]\n    in: {cells: a.txt}\n    with: {batch_size: \"${n}\"}\n    \
                retries: {out_of_memory: {times: 2, set: {batch_size: half, chunk: 8}}, transient: 3}\n";
    let files = snakemake(&folder.load(text), &Options::default()).unwrap();
    let [snakefile, config] = ["Snakefile", "config.yaml"].map(|name| &files[Path::new(name)]);
    for line in [
        "--with batch_size={resources.with_batch_size:q}",
        "with_batch_size=retried(\"one\", \"batch_size\"),",
        "--with chunk={resources.with_chunk:q}",
        "with_chunk=lambda wildcards, attempt: [\"null\", \"8\"][min(attempt, 2) - 1],",
        "retries: 5",
    ] {
        assert!(snakefile.contains(line), "{line}\n{snakefile}");
    }
    assert_eq!(snakefile.matches("--with").count(), 2, "{snakefile}");
    assert!(config.contains("\"64\": [\"64\",\"32\",\"16\"]"), "{config}");
    assert!(config.contains("\"7\": [\"7\",\"3\",\"1\"]"), "{config}");
}

#[test]
fn names_of_parameters_do_not_meet() {
    let folder = Folder::new();
    let text = "celldag: 1\naxes: {m: [a, b]}\nnodes:\n  x:\n    uses: exec\n    foreach: [m]\n    in: {with_note: [./a.txt, ./b.txt]}\n    \
                run: [sh, '{code:b.txt}', '{in:with_note}', '{param:a_b}', '{param:a-b}', '{param:note}', '{out:g}']\n    \
                with: {a_b: \"1${m}\", a-b: \"2${m}\", note: \"3${m}\"}\n    out: {g: g.txt}\n";
    let files = snakemake(&folder.load(text), &Options::default()).unwrap();
    let snakefile = &files[Path::new("Snakefile")];
    let params = snakefile.split("    params:\n").nth(1).unwrap().split("    threads:").next().unwrap();
    let names: Vec<&str> =
        params.lines().filter_map(|line| line.trim().split_once('=')).map(|(name, _)| name).collect();
    let distinct: BTreeSet<String> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
    assert!(names.len() >= 4 && distinct.len() == names.len(), "{params}");
}

#[test]
fn an_executable_may_be_called_exec() {
    let folder = Folder::new();
    let said =
        r#"{"celldag": 1, "name": "exec", "epoch": 1, "about": "", "outputs": [{"name": "o", "file": "o"}]}"#;
    folder.executable("exec", &format!("#!/bin/sh\necho '{said}'\n"));
    let files =
        snakemake(&folder.load("celldag: 1\nnodes:\n  b: {uses: ./exec}\n"), &Options::default()).unwrap();
    let snakefile = &files[Path::new("Snakefile")];
    assert!(snakefile.contains("{STEP} {config[kinds][b]:q}"), "{snakefile}");
}
