//! What runs again, and what does not.

use serde_json::{Value, json};

use crate::error::ExitClass;
use crate::events::RunEvent;
use crate::pipeline::Pipeline;
use crate::record::{JobOutcome, RunStatus};
use crate::run::{RunOptions, run};
use crate::step::Cancel;
use crate::world::{Seen, World, options};

fn world() -> World {
    let world = World::new();
    world.write("cells.txt", "1\n5\n9\n");
    world
}

fn chain(world: &World, min: i64, factor: f64) -> Pipeline {
    world
        .build()
        .job("qc", "keep", json!({ "min": min }), &[("cells", "cells.txt")])
        .job("total", "sum", json!({ "factor": factor }), &[("cells", "qc.cells")])
        .output("out/total.txt", "total")
        .job("table", "list", json!({}), &[("parts[t]", "total.total"), ("parts[raw]", "cells.txt")])
        .done()
}

#[test]
fn a_run_gives_the_right_bytes_and_a_second_one_computes_nothing() {
    let world = world();
    let first = world.run(&chain(&world, 2, 2.0));
    assert_eq!(world.ran(), ["keep", "list", "sum"]);
    assert_eq!((first.exit(), first.header.status), (ExitClass::Ok, RunStatus::Ok));
    assert_eq!(fs_err::read_to_string(world.path("out/total.txt")).unwrap(), "28");
    let table = world.blob(&first, "table", "text");
    assert_eq!(fs_err::read_to_string(table).unwrap(), "raw=1\n5\n9\nt=28\n", "sorted by label");
    let second = world.run(&chain(&world, 2, 2.0));
    assert!(world.ran().is_empty());
    assert_eq!(second.header.counts.cached, 3);
    assert_eq!(second.job("qc").unwrap().summary, first.job("qc").unwrap().summary, "facts are replayed");
    assert_eq!(second.job("qc").unwrap().summary.facts["kept"], 2);
    assert_eq!(second.job("qc").unwrap().summary.execution["batch"], 8);
}

#[test]
fn equal_bytes_stop_the_wave_and_going_back_is_a_hit() {
    let world = world();
    world.run(&chain(&world, 2, 1.0));
    world.ran();
    let cut = world.run(&chain(&world, 3, 1.0));
    assert_eq!(world.ran(), ["keep"], "the same cells stay, so nothing below runs");
    assert_eq!(cut.job("total").unwrap().outcome, JobOutcome::Hit);
    world.run(&chain(&world, 6, 1.0));
    assert_eq!(world.ran(), ["keep", "list", "sum"]);
    world.run(&chain(&world, 2, 1.0));
    assert!(world.ran().is_empty());
    assert_eq!(fs_err::read_to_string(world.path("out/total.txt")).unwrap(), "14", "outputs follow");
}

#[test]
fn a_perf_parameter_does_not_run_anything() {
    let world = world();
    let with = |batch: i64| {
        world.build().job("qc", "keep", json!({ "batch": batch }), &[("cells", "cells.txt")]).done()
    };
    world.run(&with(1));
    world.ran();
    world.run(&with(99));
    assert!(world.ran().is_empty());
}

#[test]
fn what_a_plan_calls_cached_does_not_run() {
    // Over a history of changes: after each plan, the run executes exactly the jobs that the plan said would run, and
    // of those that may run only such whose inputs really changed.
    let world = world();
    for (min, factor) in [(2, 1.0), (2, 1.0), (3, 1.0), (6, 1.0), (6, 2.0), (2, 2.0), (2, 1.0)] {
        let pipeline = chain(&world, min, factor);
        let plan = world.plan(&pipeline);
        let record = world.run(&pipeline);
        for (planned, ran) in plan.jobs.iter().zip(&record.jobs) {
            match &planned.state {
                crate::plan::JobState::Cached { .. } => {
                    assert_eq!(ran.outcome, JobOutcome::Hit, "{}", ran.id);
                }
                crate::plan::JobState::Runs { .. } => {
                    assert_eq!(ran.outcome, JobOutcome::Ran, "{}", ran.id);
                    assert_eq!(ran.state.as_ref(), Some(&planned.state), "same reasons");
                }
                crate::plan::JobState::MayRun { .. } => {}
                crate::plan::JobState::Fails { .. } => panic!("nothing has failed: {}", ran.id),
            }
        }
    }
}

#[test]
fn outputs_are_written_only_when_their_content_differs() {
    let world = world();
    let out = world.path("elsewhere");
    let into = RunOptions { out: Some(out.clone()), ..options() };
    let file = out.join("out/total.txt");
    let changed =
        |record: &crate::record::RunRecord| record.outputs.iter().map(|o| o.changed).collect::<Vec<_>>();
    assert_eq!(changed(&world.run_with(&chain(&world, 2, 1.0), &into)), [true]);
    let before = fs_err::metadata(&file).unwrap().modified().unwrap();
    assert_eq!(changed(&world.run_with(&chain(&world, 3, 1.0), &into)), [false]);
    assert_eq!(fs_err::metadata(&file).unwrap().modified().unwrap(), before);
    fs_err::write(&file, "edited").unwrap();
    assert_eq!(changed(&world.run_with(&chain(&world, 2, 1.0), &into)), [true]);
    assert_eq!(fs_err::read_to_string(&file).unwrap(), "14");
}

#[test]
fn force_runs_a_node_and_cutoff_stops_there() {
    let world = world();
    let pipeline = chain(&world, 2, 1.0);
    world.run(&pipeline);
    world.ran();
    let forced = world.run_with(&pipeline, &RunOptions { force: vec!["qc".to_owned()], ..options() });
    assert_eq!(world.ran(), ["keep"]);
    assert_eq!(forced.job("qc").unwrap().state.as_ref().unwrap().to_string(), "runs: forced");
    assert_eq!(forced.job("total").unwrap().outcome, JobOutcome::Hit);
}

#[test]
fn only_runs_what_is_asked_for_and_what_that_needs() {
    let world = world();
    let record =
        world.run_with(&chain(&world, 2, 1.0), &RunOptions { only: vec!["total".to_owned()], ..options() });
    assert_eq!(world.ran(), ["keep", "sum"]);
    assert_eq!(record.jobs.len(), 2);
}

#[test]
fn a_kind_that_is_not_deterministic_is_told() {
    let world = World::new();
    let build = || world.build().job("a", "act", json!({ "what": "clock" }), &[]).done();
    let first = world.run(&build());
    let forced = world.run_with(&build(), &RunOptions { force: vec!["a".to_owned()], ..options() });
    let job = forced.job("a").unwrap();
    assert!(job.remarks[0].starts_with("not deterministic"), "{:?}", job.remarks);
    assert_eq!(job.outputs, first.job("a").unwrap().outputs, "the first published result wins");
}

#[test]
fn lineage_holds_facts_and_no_circumstances() {
    let world = world();
    let build = |min: i64| {
        world
            .build()
            .job("qc", "keep", json!({ "min": min }), &[("cells", "cells.txt")])
            .job("total[a]", "sum", json!({}), &[("cells", "qc.cells")])
            .job("total[b]", "sum", json!({ "factor": 2 }), &[("cells", "qc.cells")])
            .job(
                "report",
                "trace",
                json!({}),
                &[("parts[a]", "total[a].total"), ("parts[b]", "total[b].total")],
            )
            .done()
    };
    let record = world.run(&build(2));
    let text = fs_err::read_to_string(world.blob(&record, "report", "text")).unwrap();
    let lineage: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        lineage,
        json!([
            { "node": "qc", "kind": "keep", "jobs": 1, "inputs": [{ "port": "cells", "from": "file" }],
              "facts": { "kept": 2 }, "warnings": [] },
            { "node": "total", "kind": "sum", "jobs": 2, "inputs": [{ "port": "cells", "from": "qc.cells" }],
              "facts": {}, "warnings": [] },
        ])
    );
    world.ran();
    world.run(&build(3));
    assert_eq!(world.ran(), ["keep"], "same content, same facts: the report stays");
    // Other facts with the same content of the direct inputs: only whoever wants the lineage runs.
    world.write("cells.txt", "0\n5\n9\n");
    let states = world.states(&build(0));
    assert!(states.contains("report: may run"), "{states}");
    let record = world.run(&build(0));
    let why: Vec<String> = crate::why(&world.store, "report", record.id()).unwrap()[0]
        .changes
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(why, ["upstream qc.kept changed 2 → 3"]);
}

#[test]
fn events_tell_the_story_in_order() {
    let world = world();
    let pipeline = chain(&world, 100, 1.0);
    let seen = Seen::default();
    let record = run(&pipeline, &world.store, &options(), &seen, &Cancel::new()).unwrap();
    let events = seen.0.into_inner().unwrap();
    let names: Vec<String> = events
        .iter()
        .map(|event| serde_json::to_value(event).unwrap()["event"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        names[..6],
        ["run_started", "decided", "started", "finished", "warning", "decided"],
        "{names:?}"
    );
    assert_eq!(names.last().unwrap(), "run_finished");
    assert!(events.iter().any(|e| matches!(e, RunEvent::OutputWritten { changed: true, .. })));
    let logged: Vec<RunEvent> =
        crate::record::read_events(&record.folder).unwrap().into_iter().map(|line| line.event).collect();
    assert_eq!(logged, events);
}

#[test]
fn progress_is_throttled_and_ends_complete() {
    let world = World::new();
    let pipeline = world.build().job("a", "act", json!({ "what": "progress", "n": 100_000 }), &[]).done();
    let seen = Seen::default();
    run(&pipeline, &world.store, &options(), &seen, &Cancel::new()).unwrap();
    let events = seen.0.into_inner().unwrap();
    let progress: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            RunEvent::Progress { done, total, unit, .. } => Some((*done, *total, unit.clone())),
            _ => None,
        })
        .collect();
    assert_eq!(progress.last(), Some(&(100_000, Some(100_000), "cells".to_owned())));
    assert!(progress.len() < 50, "{}", progress.len());
}
