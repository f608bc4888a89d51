use serde_json::json;

use super::*;
use crate::world::World;

fn slow(world: &World, name: &str, n: u64) -> Pipeline {
    world.build().job("a", "act", json!({ "what": "sleep", "n": n, "text": name }), &[]).done()
}

#[test]
fn the_same_job_is_the_best_witness() {
    let world = World::new();
    let run = world.run(&slow(&world, "first", 30));
    let next = slow(&world, "other", 30);
    let told = estimate(&world.store, &next, &world.plan(&next)).unwrap();
    assert_eq!(told.jobs[0].basis, Basis::LastTime { run: run.id().to_owned() });
    assert_eq!((told.jobs[0].seconds, told.jobs[0].bytes), (run.jobs[0].seconds, 5));
    assert_eq!((told.runs.known, told.runs.unknown, told.may_run), (1, 0, Total::default()));
    world.run(&next);
    assert_eq!(
        estimate(&world.store, &next, &world.plan(&next)).unwrap(),
        Estimate::default(),
        "nothing to do"
    );
}

#[test]
fn without_a_past_nothing_is_claimed() {
    let world = World::new();
    let pipeline = slow(&world, "x", 1);
    let told = estimate(&world.store, &pipeline, &world.plan(&pipeline)).unwrap();
    assert_eq!((told.runs.known, told.runs.unknown, told.jobs.len()), (0, 1, 0));
    assert_eq!(told.runs.unknown_nodes, ["a".to_owned()].into());
}

#[test]
fn other_jobs_of_the_node_and_then_of_the_kind_stand_in() {
    let world = World::new();
    let job = |id: &str, text: &str| world.build().job(id, "act", json!({ "text": text }), &[]).done();
    world.run(&job("a[x=1]", "one"));
    let sibling = job("a[x=2]", "two");
    let told = estimate(&world.store, &sibling, &world.plan(&sibling)).unwrap();
    assert_eq!(told.jobs[0].basis, Basis::SameNode { jobs: 1 });
    let mut elsewhere = job("b", "three");
    elsewhere.name = "another pipeline".to_owned();
    let told = estimate(&world.store, &elsewhere, &world.plan(&elsewhere)).unwrap();
    assert_eq!(told.jobs[0].basis, Basis::SameKind { jobs: 1 });
}

#[test]
fn cost_grows_with_the_counts_that_both_know() {
    let amounts = |n: u64| Amounts::from([("cells".to_owned(), n)]);
    let facts = json!({ "cells_in": 100, "cells_out": 80, "genes": 5, "name": "x" });
    let facts = facts.as_object().unwrap();
    assert_eq!(past::amounts(facts, "_in")["cells"], 100);
    assert_eq!(past::amounts(facts, "_out")["cells"], 80);
    let past = Past { run: "r".to_owned(), seconds: 10.0, bytes: 1000, taken: amounts(100) };
    assert_eq!(past.growth(&amounts(250)), Some(2.5));
    assert_eq!(past.growth(&Amounts::new()), None);
    let nothing = Past { taken: amounts(0), ..past };
    assert_eq!(nothing.growth(&amounts(5)), None, "nothing tells nothing about something");
}

#[test]
fn what_may_run_is_counted_apart() {
    let world = World::new();
    world.write("cells.txt", "1\n5\n9\n");
    let chain = |min: i64| {
        world
            .build()
            .job("qc", "keep", json!({ "min": min }), &[("cells", "cells.txt")])
            .job("total", "sum", json!({}), &[("cells", "qc.cells")])
            .done()
    };
    world.run(&chain(2));
    let next = chain(3);
    let told = estimate(&world.store, &next, &world.plan(&next)).unwrap();
    assert_eq!((told.runs.known, told.may_run.known), (1, 1));
    assert!(told.jobs.iter().all(|job| matches!(job.basis, Basis::LastTime { .. })));
}
