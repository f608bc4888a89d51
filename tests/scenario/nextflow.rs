//! Modules and exported workflows for Nextflow. Its runtime cannot be had on the machines of this project: its own language
//! server reads what is written, and scripts and channels are executed here as its documentation says that Nextflow does.

mod batch;
mod channel;
mod eval;
mod export;
mod flow;
mod groovy;
mod lex;
mod lint;
mod parse;
mod task;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value as Json;

use self::eval::Value;
use self::flow::Flow;
use self::task::{Settings, run};
use crate::plugins::has;
use crate::programs::programs;
use crate::sandbox::{Sandbox, digests, quickstart_data, repository};

fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_celldag"))
}

fn path(path: &Path) -> Value {
    Value::Path(path.to_str().expect("text").to_owned())
}

fn settings(args: &str, store: &Path) -> Settings {
    let ext = [("args", args), ("store", store.to_str().expect("text"))];
    let ext = ext.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let env = [("CELLDAG_DEVICE".to_owned(), "cpu".to_owned())].into();
    Settings { ext, env, ..Settings::default() }
}

fn module(kind: &str) -> parse::Process {
    let path = repository().join(format!("pipelines/nextflow/modules/celldag/{kind}/main.nf"));
    parse::parse(&fs_err::read_to_string(path).expect("a module")).processes.remove(0)
}

fn kinds() -> Vec<Json> {
    let told = Sandbox::new().ok(&["nodes", "--json"]).stdout;
    serde_json::from_str::<Json>(&told).expect("JSON").as_array().expect("kinds").clone()
}

#[test]
fn the_language_server_accepts_what_is_written_and_finds_what_is_planted() {
    let folder = repository().join("pipelines/nextflow");
    let Some(lines) = lint::lint(&folder) else { return };
    assert!(lint::complaints(&lines).is_empty(), "{:#?}", lint::complaints(&lines));

    let sandbox = Sandbox::new();
    let good = fs_err::read_to_string(folder.join("modules/celldag/qc/main.nf")).expect("a module");
    sandbox.write("unknown/main.nf", &good.replace("${memory}", "${memmory}"));
    sandbox
        .write("syntax/main.nf", &good.replace("tuple val(meta), path(cells", "tuple val(meta) path(cells"));
    let Some(lines) = lint::lint(sandbox.path()) else { return };
    let errors = lint::complaints(&lines);
    assert!(errors.iter().any(|line| line.contains("memmory")) && errors.len() >= 2, "{lines:#?}");
}

#[test]
fn stubs_of_all_modules_give_every_output() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("in put.txt", "x");
    for kind in kinds() {
        let name = kind["kind"].as_str().expect("a name");
        let process = module(name);
        let mut tuple = vec![Value::map([("id".to_owned(), Value::text("it's a b"))])];
        for port in kind["inputs"].as_array().expect("ports") {
            match port["multiplicity"].as_str() {
                Some("many") => {
                    tuple.push(Value::List(vec![path(&file), path(&file)]));
                    tuple.push(Value::List(vec![Value::text("fold=0"), Value::text("fold=1")]));
                }
                Some("optional") => tuple.push(Value::List(Vec::new())),
                _ => tuple.push(path(&file)),
            }
        }
        if ["report", "predict"].contains(&name) {
            tuple.extend([Value::List(Vec::new()), Value::List(Vec::new())]);
        }
        let folder = sandbox.join("work").join(name);
        let task =
            run(&process, &Value::List(tuple), &folder, &Settings { stub: true, ..Settings::default() });
        assert_eq!(task.code, 0, "{name}: {}", task.stderr);
        let ports = kind["outputs"].as_array().expect("ports").len();
        assert_eq!(task.outputs.len(), ports + 2, "{name}: its ports, the summary and the versions");
        let versions = fs_err::read_to_string(folder.join("versions.yml")).expect("versions.yml");
        let read: BTreeMap<String, BTreeMap<String, String>> = serde_yaml::from_str(&versions).expect("YAML");
        assert_eq!(read[&process.name]["celldag"], env!("CARGO_PKG_VERSION"), "{versions}");
    }
}

#[test]
fn exit_codes_of_steps_are_those_of_tasks() {
    let sandbox = Sandbox::new();
    let meta = Value::map([("id".to_owned(), Value::text("x"))]);
    let broken = sandbox.write("cells.h5ad", "no cells");
    let input = Value::List(vec![meta, path(&broken)]);
    let task = run(&module("qc"), &input, &sandbox.join("data"), &settings("", &sandbox.join("a store")));
    assert_eq!(task.code, 3, "{}", task.stderr);
    assert!(!sandbox.join("data/x.cells.h5ad").exists());
    let wrong = settings("--with min_gene=1", &sandbox.join("a store"));
    let task = run(&module("qc"), &input, &sandbox.join("usage"), &wrong);
    assert_eq!(task.code, 2, "{}", task.stderr);
    assert!(task.stderr.contains("min_genes"), "{}", task.stderr);
}

#[test]
#[should_panic(expected = "1 files on `predictions`, and 2 labels")]
fn labels_that_do_not_fit_stop_a_task() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("p.csv", "x");
    let meta = Value::map([("id".to_owned(), Value::text("x"))]);
    let labels = Value::List(vec![Value::text("fold=0"), Value::text("fold=1")]);
    let mut tuple = vec![meta, Value::List(vec![path(&file)]), labels];
    tuple.extend(vec![Value::List(Vec::new()); 6]);
    run(
        &module("evaluate"),
        &Value::List(tuple),
        &sandbox.join("work"),
        &settings("", &sandbox.join("a store")),
    );
}

/// The values of `params {}` in a configuration, as far as they are plain texts.
fn params(config: &str) -> BTreeMap<String, Value> {
    let block = config.split("params {").nth(1).and_then(|rest| rest.split("\n}").next()).expect("params");
    let pairs = block.lines().filter_map(|line| line.trim().split_once(" = '"));
    pairs.map(|(name, value)| (name.to_owned(), Value::text(value.trim_end_matches('\'')))).collect()
}

#[test]
fn the_exported_drug_response_pipeline_gives_the_bytes_of_a_run() {
    let sandbox = Sandbox::new();
    let pipeline = repository().join("pipelines/drug_response.yaml");
    let [cells, checkpoint] = quickstart_data();
    let pipeline = pipeline.to_str().expect("text");
    let mut common = vec![pipeline, "--profile", "ungrouped"];
    for set in [&cells, &checkpoint, "label=myeloid", "positive=1", "folds=3", "min_genes=100"] {
        common.extend(["--set", set]);
    }
    let with = |first: &[&str], last: &[&str]| -> Vec<String> {
        [first, &common, last].concat().into_iter().map(str::to_owned).collect()
    };
    let command = |args: Vec<String>| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        sandbox.ok(&args)
    };
    command(with(&["export", "nextflow"], &["-o", "flow"]));
    let flow = sandbox.join("flow");
    if let Some(lines) = lint::lint(&flow) {
        assert!(lint::complaints(&lines).is_empty(), "{:#?}", lint::complaints(&lines));
    }
    let config = fs_err::read_to_string(flow.join("nextflow.config")).expect("the configuration");
    let done =
        Flow::run(&flow, &sandbox.join("work"), params(&config), settings("", &sandbox.join("a store")));

    // One task for each job of the pipeline, and what they computed is what a run looks for.
    let plan: Json = serde_json::from_str(
        &command(with(&["plan", "--json", "--cache", "a store"], &["--device", "cpu"])).stdout,
    )
    .expect("JSON");
    let jobs = plan["jobs"].as_array().expect("jobs");
    let mut ids: Vec<String> = jobs.iter().map(|job| job["id"].as_str().expect("id").to_owned()).collect();
    ids.sort();
    assert_eq!(done.ids(), ids);
    let ran = command(with(&["run", "--json", "--cache", "a store", "--device", "cpu", "--out", "run"], &[]));
    assert!(ran.events("finished").is_empty(), "all of it is cached: {}", ran.stdout);

    // What Nextflow would publish.
    let published = sandbox.join("published");
    fs_err::create_dir_all(&published).expect("folder");
    for (name, file) in &done.published {
        let name = name.strip_prefix("drug_response/").expect("below the folder of the pipeline");
        fs_err::copy(file, published.join(name)).expect("a copy");
    }
    assert_eq!(digests(&published), digests(&sandbox.join("run/drug_response")));
}

#[test]
fn programs_have_the_keys_of_a_run() {
    if !has("python3") {
        return;
    }
    let sandbox = Sandbox::new();
    programs(&sandbox);
    sandbox.ok(&["export", "nextflow", "programs.yaml", "-o", "flow"]);
    let flow = sandbox.join("flow");
    if let Some(lines) = lint::lint(&flow) {
        assert!(lint::complaints(&lines).is_empty(), "{:#?}", lint::complaints(&lines));
    }
    let config = fs_err::read_to_string(flow.join("nextflow.config")).expect("the configuration");
    let store = sandbox.join("a store");
    // The versions of programs are in the keys: tasks have to find those of the run.
    let mut settings = settings("", &store);
    let path = std::env::var("PATH").expect("PATH");
    let folder = binary().parent().expect("a folder").display();
    settings.env.insert("PATH".to_owned(), format!("{folder}:{path}"));
    let done = Flow::run(&flow, &sandbox.join("work"), params(&config), settings);
    assert_eq!(done.tasks.len(), 1 + 1 + 4 + 1);
    let ran = sandbox.ok(&["run", "programs.yaml", "--json", "--cache", "a store", "--out", "run"]);
    assert!(ran.events("finished").is_empty(), "all of it is cached: {}", ran.stdout);
}

#[test]
fn the_example_chains_modules() {
    let sandbox = Sandbox::new();
    let [cells, _] = quickstart_data();
    let folder = repository().join("pipelines/nextflow");
    let mut params =
        params(&fs_err::read_to_string(folder.join("nextflow.config")).expect("the configuration"));
    params.insert("cells".to_owned(), Value::text(cells.trim_start_matches("cells=")));
    let store = sandbox.join("a store");
    let done = Flow::run(&folder, &sandbox.join("work"), params, settings("", &store));
    let names: Vec<&str> = done.tasks.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["CELLDAG_QC", "CELLDAG_NORMALIZE", "CELLDAG_HVG"]);
    // The same steps as a pipeline: nothing is left to compute.
    sandbox.write(
        "p.yaml",
        &format!(
            "celldag: 1\nnodes:\n  qc: {{uses: qc, in: {{cells: \"{}\"}}}}\n  normalize: {{uses: normalize, in: {{cells: qc.cells}}}}\n  hvg: {{uses: hvg, in: {{cells: normalize.cells}}}}\n",
            cells.trim_start_matches("cells=")
        ),
    );
    let ran = sandbox.ok(&["run", "p.yaml", "--json", "--device", "cpu", "--cache", "a store"]);
    assert!(ran.events("finished").is_empty(), "{}", ran.stdout);
}
