//! Temporary bytes of runs that were killed or failed.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use celldag_cache::{GcPolicy, Options, Store};
use serde_json::json;

use crate::events::Quiet;
use crate::pipeline::Pipeline;
use crate::record::JobOutcome;
use crate::run::{RunOptions, run};
use crate::step::Cancel;
use crate::world::{World, options};

/// Folder of the world of a started process.
const WORLD: &str = "CELLDAG_ENGINE_TEST_WORLD";

/// `raw` is temporary; what reads it does `what`.
fn chain(world: &World, what: &str) -> Pipeline {
    world
        .build()
        .job("raw", "act", json!({ "text": "temporary" }), &[])
        .with(|job| job.temporary = true)
        .job("reader", "act", json!({ "what": what }), &[("after", "raw.text")])
        .done()
}

/// Bytes in the store.
fn blobs(world: &World) -> usize {
    let shards = fs_err::read_dir(world.store.root().join("cas")).unwrap();
    shards.map(|shard| fs_err::read_dir(shard.unwrap().path()).unwrap().count()).sum()
}

/// Waits in a job below a temporary one, until the process is killed.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(WORLD) else { return };
    let world = World::new();
    let store = Store::open(&Path::new(&folder).join("store"), Options::default()).unwrap();
    let _ = run(&chain(&world, "hang"), &store, &options(), &Quiet, &Cancel::new());
}

/// A world in which a run was killed when `raw` was done.
fn killed() -> World {
    let world = World::new();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "run::tests::temporary::child", "--nocapture"])
        .env(WORLD, world.dir.path())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while blobs(&world) == 0 && begin.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(5));
    }
    // A run that lives beside it leaves its bytes alone.
    world.run(&world.build().job("other", "act", json!({ "text": "other" }), &[]).done());
    assert_eq!(blobs(&world), 2);
    process.kill().unwrap();
    process.wait().unwrap();
    world
}

#[test]
fn a_killed_run_that_goes_on_uses_its_temporary_bytes_and_drops_them() {
    let world = killed();
    world.ran();
    let record = world.run(&chain(&world, "write"));
    assert_eq!(world.ran(), ["act"], "raw was there");
    assert_eq!(record.job("raw").unwrap().outcome, JobOutcome::Hit);
    assert!(!world.blob(&record, "raw", "text").exists(), "and is dropped");
}

#[test]
fn temporary_bytes_of_a_killed_run_wait_for_it_and_go_with_garbage_collection() {
    let world = killed();
    world.run(&world.build().job("other", "act", json!({ "text": "other" }), &[]).done());
    assert_eq!(blobs(&world), 2, "another pipeline is none of its business");
    world.store.gc(&GcPolicy { grace: Duration::ZERO, ..GcPolicy::default() }).unwrap();
    assert_eq!(blobs(&world), 1, "the result of the other one");
}

#[test]
fn a_run_that_failed_leaves_them_to_the_one_that_goes_on() {
    let world = World::new();
    let keep_going = RunOptions { keep_going: true, ..options() };
    let failed = world.run_with(&chain(&world, "fail"), &keep_going);
    let raw = world.blob(&failed, "raw", "text");
    world.run(&world.build().job("other", "act", json!({ "text": "other" }), &[]).done());
    assert!(raw.exists(), "another pipeline is none of its business");
    world.run(&chain(&world, "write"));
    assert!(!raw.exists());
}
