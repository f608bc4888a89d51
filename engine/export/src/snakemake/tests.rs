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
    let text = "celldag: 1\nnodes:\n  a: {uses: make, with: {text: a}}\noutputs:\n  nodes/a.txt: a.text\n";
    let told = snakemake(&folder.load(text), &Options::default()).unwrap_err().to_string();
    assert!(told.contains("nodes/a.txt"), "{told}");
}
