//! Steps that save how far they are: what the next attempt finds, and when there is nothing to find.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::events::{Quiet, RunEvent};
use crate::part::{Portion, Shard};
use crate::pipeline::Pipeline;
use crate::record::RunRecord;
use crate::run::{RunOptions, run};
use crate::step::Cancel;
use crate::world::{Seen, World, options};

/// A step that counts to 5, and does `what` says after as many steps as the file `stop` names.
fn counting(world: &World, what: &str, epoch: u32) -> Pipeline {
    let with = json!({ "what": what, "n": 5, "text": world.path("stop").to_str().unwrap() });
    world.build().epoch(epoch).job("a", "act", with, &[]).output("out.txt", "text").done()
}

/// Where the step of the last run went on.
fn resumed_at(record: &RunRecord) -> Value {
    record.job("a").unwrap().summary.execution["resumed_at"].clone()
}

fn partials(world: &World) -> usize {
    fs_err::read_dir(world.store.root().join("partial")).map_or(0, Iterator::count)
}

/// Runs until the step hangs after `steps` steps, and interrupts it.
fn interrupted(world: &World, steps: usize) {
    interrupt(world, &counting(world, "steps", 1), steps);
}

fn interrupt(world: &World, pipeline: &Pipeline, steps: usize) {
    world.write("stop", &steps.to_string());
    let cancel = Cancel::new();
    let record = std::thread::scope(|scope| {
        let running = scope.spawn(|| run(pipeline, &world.store, &options(), &Quiet, &cancel).unwrap());
        let start = Instant::now();
        while !world.path("stop.hung").exists() && start.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(2));
        }
        cancel.cancel();
        running.join().unwrap()
    });
    assert_eq!(record.exit().code(), 130);
    fs_err::remove_file(world.path("stop")).unwrap();
}

#[test]
fn an_interrupted_step_goes_on_and_gives_the_same() {
    let undisturbed = World::new();
    undisturbed.run(&counting(&undisturbed, "steps", 1));
    let world = World::new();
    interrupted(&world, 3);
    assert_eq!(partials(&world), 1);
    let seen = Seen::default();
    let record = run(&counting(&world, "steps", 1), &world.store, &options(), &seen, &Cancel::new()).unwrap();
    assert_eq!((record.exit().code(), resumed_at(&record)), (0, json!(3)));
    let text = |world: &World| fs_err::read_to_string(world.path("out.txt")).unwrap();
    assert_eq!(text(&world), text(&undisturbed));
    assert_eq!(partials(&world), 0, "nothing is left when it is done");
    // What was done before counts as done at once, and the time that it took (10 ms a step) as time.
    let events = seen.0.into_inner().unwrap();
    let last = events.iter().rev().find_map(|event| match event {
        RunEvent::Progress { done, total, .. } => Some((*done, *total)),
        _ => None,
    });
    assert_eq!(last, Some((5, Some(5))));
    assert!(record.job("a").unwrap().seconds >= 0.05, "{}", record.job("a").unwrap().seconds);
}

#[test]
fn another_epoch_or_parameter_starts_anew_and_leaves_the_other_alone() {
    let world = World::new();
    interrupted(&world, 3);
    let other = world.run(&counting(&world, "steps", 2));
    assert_eq!((other.exit().code(), resumed_at(&other)), (0, json!(0)));
    let mut pipeline = counting(&world, "steps", 1);
    std::sync::Arc::make_mut(&mut pipeline.jobs[0].params).0.insert("n".to_owned(), json!(4));
    assert_eq!(resumed_at(&world.run(&pipeline)), json!(0));
    assert_eq!(partials(&world), 1);
    assert_eq!(resumed_at(&world.run(&counting(&world, "steps", 1))), json!(3));
}

#[test]
fn a_shard_goes_on_from_its_own_state_and_from_no_other() {
    let world = World::new();
    let shard = |index, of| {
        let mut pipeline = counting(&world, "steps", 1);
        pipeline.jobs[0].portion = Portion::Shard(Shard::new(index, of).unwrap());
        pipeline.outputs.clear();
        pipeline
    };
    interrupt(&world, &shard(0, 2), 3);
    for other in [shard(1, 2), shard(0, 3), counting(&world, "steps", 1)] {
        let record = world.run(&other);
        assert_eq!((record.exit().code(), resumed_at(&record)), (0, json!(0)), "{:?}", other.jobs[0].portion);
    }
    assert_eq!(partials(&world), 1);
    let record = world.run(&shard(0, 2));
    assert_eq!((record.exit().code(), resumed_at(&record)), (0, json!(3)));
    let part = fs_err::read_to_string(world.blob(&record, "a", "part")).unwrap();
    assert_eq!((part, partials(&world)), (fs_err::read_to_string(world.path("out.txt")).unwrap(), 0));
}

#[test]
fn force_starts_anew() {
    let world = World::new();
    interrupted(&world, 3);
    let forced = RunOptions { force: vec!["a".to_owned()], ..options() };
    assert_eq!(resumed_at(&world.run_with(&counting(&world, "steps", 1), &forced)), json!(0));
    assert_eq!(partials(&world), 0);
}

#[test]
fn what_outlives_a_failure_depends_on_whether_trying_again_may_help() {
    for (what, stays) in [("steps-fail", 1), ("steps-data", 0), ("steps-panic", 0)] {
        let world = World::new();
        world.write("stop", "2");
        assert_ne!(world.run(&counting(&world, what, 1)).exit().code(), 0);
        assert_eq!(partials(&world), stays, "{what}");
        let again = RunOptions { retry_failed: true, ..options() };
        fs_err::remove_file(world.path("stop")).unwrap();
        assert_eq!(
            resumed_at(&world.run_with(&counting(&world, what, 1), &again)),
            json!(2 * stays),
            "{what}"
        );
    }
    let world = World::new();
    world.write("stop", "2");
    let mut pipeline = counting(&world, "steps", 1);
    pipeline.jobs[0].timeout = Some(Duration::from_millis(400));
    assert!(world.run(&pipeline).failures().next().unwrap().1.message.starts_with("timeout"));
    fs_err::remove_file(world.path("stop")).unwrap();
    assert_eq!(resumed_at(&world.run(&pipeline)), json!(2));
}

#[test]
fn a_damaged_state_counts_as_none() {
    let world = World::new();
    interrupted(&world, 3);
    let state: PathBuf =
        fs_err::read_dir(world.store.root().join("partial")).unwrap().next().unwrap().unwrap().path();
    let state = state.join("state");
    let mut bytes = fs_err::read(&state).unwrap();
    *bytes.last_mut().unwrap() ^= 4;
    fs_err::write(&state, bytes).unwrap();
    assert_eq!(resumed_at(&world.run(&counting(&world, "steps", 1))), json!(0));
}

#[test]
fn nothing_is_saved_from_an_input_that_changed() {
    let world = World::new();
    world.write("in.txt", "1");
    let with = json!({ "what": "save-meddled", "text": world.path("in.txt").to_str().unwrap() });
    let pipeline = world.build().job("a", "act", with, &[("after", "in.txt")]).done();
    assert_eq!(world.run(&pipeline).exit().code(), 3);
    assert_eq!(partials(&world), 0);
}

#[test]
fn a_state_that_cannot_be_saved_is_told_once_and_does_not_fail_the_step() {
    let world = World::new();
    // A file where the folder should be.
    fs_err::remove_dir_all(world.store.root().join("partial")).unwrap();
    fs_err::write(world.store.root().join("partial"), "").unwrap();
    let seen = Seen::default();
    let record = run(&counting(&world, "steps", 1), &world.store, &options(), &seen, &Cancel::new()).unwrap();
    assert_eq!(record.exit().code(), 0);
    let told: Vec<String> = seen
        .0
        .into_inner()
        .unwrap()
        .into_iter()
        .filter_map(|event| match event {
            RunEvent::Warning { message, .. } => Some(message),
            _ => None,
        })
        .collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("how far this is cannot be saved"), "{told:?}");
}
