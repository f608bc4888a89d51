//! Steps are told what jobs of a run are told: the same value, from files.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::*;
use crate::load::{LoadOptions, load};
use crate::pipeline::{JobOutput, Source};
use crate::run::RunOptions;
use crate::testing::registry;
use crate::world::{World, options};

/// Two words of two lengths, so that the jobs of `make` do not agree on their only fact; and one that stands alone.
const PIPELINE: &str = r#"
celldag: 1
name: told
salt: pepper
axes: {word: [one, three]}
nodes:
  make:  {uses: make, foreach: [word], with: {text: "${word}"}}
  alone: {uses: make, with: {text: alone}}
  join:  {uses: join, in: {parts: {gather: make.text}, header: alone.text}}
  count: {uses: count, in: {text: join.text}}
  trace: {uses: trace, in: {files: [count.number, join.text, extra.txt]}}
"#;

fn pipeline(world: &World) -> Pipeline {
    world.write("extra.txt", "a file of the user");
    load(&world.path("demo.yaml"), Some(PIPELINE), &registry(), &LoadOptions::default())
        .unwrap_or_else(|findings| panic!("{}", findings.one_line_each()))
}

/// Where a step writes.
fn place(world: &World, id: &str, port: &str) -> PathBuf {
    world.path("steps").join(format!("{id}.{port}"))
}

/// The jobs of a pipeline as steps of a workflow manager: files in, files out, a summary each. Returns their summaries.
fn as_steps(world: &World, pipeline: &Pipeline) -> Vec<StepSummary> {
    let folder = world.path("summaries");
    fs_err::create_dir_all(&folder).unwrap();
    let step = |(index, job): (usize, &crate::pipeline::Job)| {
        let inputs: Vec<(String, String, PathBuf)> = job
            .inputs
            .iter()
            .map(|input| {
                let path = match &input.source {
                    Source::Path(path) => path.clone(),
                    Source::Job { job, port } => place(world, &pipeline.jobs[*job].id, port),
                };
                (input.port.clone(), input.label.clone(), path)
            })
            .collect();
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let with: Vec<(String, String)> =
            job.params.0.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        let mut step = Pipeline::single(job.kind.clone(), &with, &inputs).unwrap().called(&job.id);
        step.salt.clone_from(&pipeline.salt);
        if job.kind.spec.wants_lineage {
            let file = world.write("lineage.json", &lineage_skeleton(pipeline, index).to_string());
            step.lineage = Some(read_lineage(&file, std::slice::from_ref(&folder)).unwrap());
        }
        for port in &job.kind.spec.outputs {
            let path = place(world, &job.id, port.name);
            step.outputs.push(JobOutput { path, job: 0, port: port.name.to_owned() });
        }
        let record = world.run_with(&step, &RunOptions { record: false, ..options() });
        assert_eq!(record.job(&job.id).unwrap().failure, None);
        let summary = StepSummary::of(&record.jobs[0]).unwrap();
        fs_err::write(folder.join(format!("{}.json", job.id)), serde_json::to_vec(&summary).unwrap())
            .unwrap();
        summary
    };
    pipeline.jobs.iter().enumerate().map(step).collect()
}

#[test]
fn steps_have_the_keys_of_a_run() {
    let (one, other) = (World::new(), World::new());
    let record = one.run(&pipeline(&one));
    let run: Vec<StepSummary> = record.jobs.iter().filter_map(StepSummary::of).collect();
    let planned = pipeline(&other);
    let steps = as_steps(&other, &planned);
    assert_eq!((steps.len(), &steps), (6, &run), "names, keys, facts and digests");
    assert!(other.plan(&planned).is_cached(), "and a run finds everything that steps have computed");
    assert!(!other.store.runs_dir().join("x").parent().is_some_and(has_entries), "steps are no runs");

    let told: Value =
        serde_json::from_slice(&fs_err::read(place(&other, "trace", "trace")).unwrap()).unwrap();
    let nodes: Vec<&str> =
        told.as_array().unwrap().iter().map(|node| node["node"].as_str().unwrap()).collect();
    assert_eq!(nodes, ["alone", "make", "join", "count"], "each after those that it needs");
    assert_eq!(told[0]["facts"], json!({ "characters": 5 }));
    assert_eq!((&told[1]["jobs"], &told[1]["facts"]), (&json!(2), &json!({})), "they do not agree");
}

fn has_entries(folder: &Path) -> bool {
    fs_err::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    let world = World::new();
    let planned = pipeline(&world);
    as_steps(&world, &planned);
    let folder = world.path("summaries");
    let lineage = world.path("lineage.json");
    let told = |above: &[PathBuf]| read_lineage(&lineage, above).map(|_| ()).map_err(|e| e.to_string());
    assert_eq!(told(&[folder.clone(), folder.join("count.json")]), Ok(()), "the same twice does no harm");
    world.write("summaries/other.json", r#"{"what": "some other file"}"#);
    world.write("summaries/not.json", "NaN");
    let text = fs_err::read_to_string(folder.join("count.json")).unwrap();
    for (name, warning) in [("part-0.json", ""), ("part-1.json", "\"late\"")] {
        let part = text.replace("\"job\":\"count\"", "\"job\":\"part\"");
        assert_ne!(part, text);
        world.write(
            &format!("summaries/{name}"),
            &part.replace("\"warnings\":[", &format!("\"warnings\":[{warning}")),
        );
    }
    assert_eq!(told(std::slice::from_ref(&folder)), Ok(()), "a folder may hold other files");

    assert!(
        told(&[folder.join("other.json")]).unwrap_err().contains("no summary"),
        "named, it has to be one"
    );
    assert!(told(std::slice::from_ref(&lineage)).unwrap_err().contains("no summary"));
    assert_eq!(
        told(&[folder.join("count.json"), folder.join("join.json")]).unwrap_err(),
        "no summary of alone, make[word=one], make[word=three]"
    );
    let text = fs_err::read_to_string(folder.join("count.json")).unwrap();
    let stale = world.write("stale.json", &text.replace("\"warnings\":[", "\"warnings\":[\"old\""));
    let conflict = told(&[folder.clone(), stale]).unwrap_err();
    assert!(conflict.ends_with("tell of count, and not the same"), "{conflict}");
    world.write("summaries/count.json", &text.replace("\"kind\":\"count\"", "\"kind\":\"join\""));
    assert_eq!(
        told(std::slice::from_ref(&folder)).unwrap_err(),
        "count is of the kind `join` by its summary, and of `count` by the lineage"
    );
    world.write("summaries/count.json", &text.replace("\"celldag_summary\":1", "\"celldag_summary\":2"));
    assert!(told(&[folder]).unwrap_err().contains("version 2"));
    assert!(read_lineage(&world.path("none.json"), &[]).is_err());
}
