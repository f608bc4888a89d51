//! What single steps have left in the store becomes the record of a run.

use serde_json::json;

use crate::error::EngineError;
use crate::events::Quiet;
use crate::pipeline::Pipeline;
use crate::record::{JobOutcome, RunRecord, RunStatus, list, load};
use crate::run::{Import, RunOptions, run};
use crate::step::Cancel;
use crate::world::{World, options};

fn two(world: &World) -> Pipeline {
    world.write("cells.txt", "1\n2\n");
    world
        .build()
        .job("qc", "keep", json!({}), &[("cells", "cells.txt")])
        .output("kept.txt", "cells")
        .job("total", "sum", json!({}), &[("cells", "qc.cells")])
        .done()
}

fn import(world: &World, pipeline: &Pipeline) -> Result<RunRecord, EngineError> {
    let import = Some(Import { by: Some("snakemake".to_owned()) });
    run(pipeline, &world.store, &RunOptions { import, ..options() }, &Quiet, &Cancel::new())
}

#[test]
fn a_run_is_made_of_results_without_computing_any() {
    let world = World::new();
    let pipeline = two(&world);
    world.run_with(&pipeline, &RunOptions { record: false, ..options() });
    assert_eq!(world.ran(), ["keep", "sum"]);
    assert_eq!(list(&world.store).unwrap(), [], "steps leave no record");
    fs_err::remove_file(world.path("kept.txt")).unwrap();

    let made = import(&world, &pipeline).unwrap();
    assert_eq!(world.ran(), Vec::<String>::new());
    assert!(!world.path("kept.txt").exists(), "nothing is written");
    assert_eq!(made.outputs, [], "and nothing is recorded that is not there");
    let read = load(&world.store, "last").unwrap();
    assert_eq!((read.id(), read.header.status, read.header.counts.cached), (made.id(), RunStatus::Ok, 2));
    assert_eq!(read.header.imported.as_ref().unwrap().by.as_deref(), Some("snakemake"));
    assert!(read.jobs.iter().all(|job| job.outcome == JobOutcome::Hit && job.key.is_some()));
    let results: Vec<jiff::Timestamp> =
        read.jobs.iter().map(|job| world.store.record(&job.key.unwrap()).unwrap().unwrap().created).collect();
    let moment = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
    let apart = |a: jiff::Timestamp, b: jiff::Timestamp| a.duration_since(b).as_secs_f64().abs();
    let started = moment(&read.header.started);
    assert!(apart(started, *results.iter().min().unwrap()) < 0.5, "it began with its first result");
    let finished = moment(read.header.finished.as_ref().unwrap());
    assert!(apart(finished, *results.iter().max().unwrap()) < 0.5, "it ended with its last result");

    let again = world.run(&pipeline);
    assert_eq!(again.header.imported, None);
}

#[test]
fn outputs_that_are_there_belong_to_the_run() {
    let world = World::new();
    let pipeline = two(&world);
    world.run_with(&pipeline, &RunOptions { record: false, ..options() });
    let outputs = import(&world, &pipeline).unwrap().outputs;
    assert_eq!(outputs.iter().map(|o| (&o.port[..], o.changed)).collect::<Vec<_>>(), [("cells", false)]);
}

#[test]
fn what_is_missing_is_named_with_its_reason() {
    let world = World::new();
    let mut pipeline = two(&world);
    let text = import(&world, &pipeline).unwrap_err().to_string();
    assert!(text.starts_with("the store has no result of 2 of 2 jobs\n  qc: runs: "), "{text}");
    assert!(text.contains("\n  total: may run"), "{text}");
    assert_eq!(list(&world.store).unwrap(), [], "no record of half a run");

    world.run(&pipeline);
    pipeline.salt = "other".to_owned();
    let error = import(&world, &pipeline).unwrap_err();
    assert!(error.to_string().contains("  qc: runs: "), "{error}");
    assert_eq!(error.exit_class().code(), 3);
}
