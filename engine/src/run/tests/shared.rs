//! Many jobs and many runs at once: slots, the device, equal keys, several users of one store.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use celldag_cache::{Durability, Options, Store};
use serde_json::json;

use crate::events::{Quiet, RunEvent};
use crate::record::JobOutcome;
use crate::run::{RunOptions, run};
use crate::step::Cancel;
use crate::world::{Seen, World, options};

#[test]
fn two_runs_of_one_store_compute_each_result_once() {
    let world = World::new();
    let mut build = world.build();
    for i in 0..6 {
        let with = json!({ "what": "sleep", "n": 40, "text": i.to_string() });
        build = build.job(&format!("a{i}"), "act", with, &[]);
    }
    let pipeline =
        build.job("end", "list", json!({}), &[("parts[x]", "a0.text"), ("parts[y]", "a5.text")]).done();
    let barrier = Barrier::new(3);
    let seen = Seen::default();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                // As another process: a store opened anew shares nothing but the disk.
                let store =
                    Store::open(world.store.root(), Options { durability: Durability::Relaxed }).unwrap();
                barrier.wait();
                let record = run(&pipeline, &store, &options(), &seen, &Cancel::new()).unwrap();
                assert_eq!(record.exit().code(), 0);
            });
        }
    });
    assert_eq!(world.ran().len(), 7);
    assert!(seen.0.lock().unwrap().iter().any(|e| matches!(e, RunEvent::Waiting { .. })));
}

#[test]
fn jobs_with_one_key_are_computed_once() {
    let world = World::new();
    let mut build = world.build();
    for i in 0..5 {
        build = build.job(&format!("a{i}"), "act", json!({ "what": "sleep", "n": 30 }), &[]);
    }
    let record = world.run(&build.done());
    assert_eq!(world.ran().len(), 1);
    let hits = record.jobs.iter().filter(|job| job.outcome == JobOutcome::Hit).count();
    assert_eq!(hits, 4);
}

/// How many of four jobs run at once, at most, with four slots.
fn at_once(world: &World, kind: &str, threads: Option<usize>) -> usize {
    let mut build = world.build();
    for i in 0..4 {
        let with = json!({ "what": "sleep", "n": 100, "text": format!("{kind}{threads:?}{i}") });
        build = build.job(&format!("a{i}"), kind, with, &[]).with(|job| job.resources.threads = threads);
    }
    let seen = Seen::default();
    let options = RunOptions { jobs: 4, threads: 4, ..options() };
    let record = run(&build.done(), &world.store, &options, &seen, &Cancel::new()).unwrap();
    assert_eq!(record.header.counts.ran, 4);
    let (mut now, mut most) = (0_usize, 0);
    for event in seen.0.into_inner().unwrap() {
        match event {
            RunEvent::Started { .. } => now += 1,
            RunEvent::Finished { .. } => now -= 1,
            _ => {}
        }
        most = most.max(now);
    }
    most
}

#[test]
fn independent_jobs_run_together_and_device_jobs_one_by_one() {
    let world = World::new();
    assert!(at_once(&world, "act", None) > 1);
    assert_eq!(at_once(&world, "device", None), 1, "one queue for the device");
    assert_eq!(at_once(&world, "act", Some(4)), 1, "each holds all slots");
    assert_eq!(at_once(&world, "act", Some(2)), 2, "each holds half of them");
}

#[test]
fn hits_do_not_wait_behind_long_jobs() {
    let world = World::new();
    let quick = |text: &str| json!({ "text": text });
    let after_slow = |build: crate::world::Build<'_>| {
        build
            .job("q1", "act", quick("1"), &[])
            .job("q2", "act", quick("2"), &[("after", "q1.text")])
            .output("q2.txt", "text")
            .done()
    };
    world.run(&after_slow(world.build()));
    fs_err::remove_file(world.path("q2.txt")).unwrap();
    let long = after_slow(world.build().job("slow", "act", json!({ "what": "hang" }), &[]));
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| {
            let one_slot = RunOptions { jobs: 1, ..options() };
            run(&long, &world.store, &one_slot, &Quiet, &cancel).unwrap()
        });
        let start = Instant::now();
        while !world.path("q2.txt").exists() && start.elapsed() < Duration::from_secs(30) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let delivered = world.path("q2.txt").exists();
        cancel.cancel();
        let record = slow.join().unwrap();
        assert!(delivered, "while the slow job hangs");
        assert_eq!(record.header.counts.cached, 2);
    });
}
