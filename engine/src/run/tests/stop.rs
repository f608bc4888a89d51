//! Ctrl-C while a large file is hashed, be it an input or an output: nobody waits for its end. A small result is kept.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::error::EngineError;
use crate::events::Quiet;
use crate::plan::{PlanOptions, plan};
use crate::record::JobOutcome;
use crate::run::run;
use crate::step::Cancel;
use crate::world::{World, options};

#[test]
fn a_plan_and_a_run_stop_while_they_hash_a_large_file() {
    let world = World::new();
    // A hole: it takes no space, and minutes to hash.
    let large = fs_err::File::create(world.path("cells.txt")).unwrap();
    large.set_len(100 << 30).unwrap();
    let pipeline = world.build().job("qc", "keep", json!({}), &[("cells", "cells.txt")]).done();
    let cancel = Cancel::new();
    let begin = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(Duration::from_millis(100));
            cancel.cancel();
        });
        let record = run(&pipeline, &world.store, &options(), &Quiet, &cancel).unwrap();
        assert_eq!(record.exit().code(), 130);
        let asked = PlanOptions { cancel: cancel.clone(), ..PlanOptions::default() };
        assert!(matches!(plan(&pipeline, &world.store, &asked), Err(EngineError::Interrupted)));
    });
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn a_run_stops_while_it_publishes_a_large_output() {
    let world = World::new();
    let pipeline = world.build().job("big", "act", json!({ "what": "hole", "n": 100 }), &[]).done();
    let (cancel, begin) = (Cancel::new(), Instant::now());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while world.ran().is_empty() && begin.elapsed() < Duration::from_secs(30) {
                std::thread::sleep(Duration::from_millis(2));
            }
            // The kind is done at once.
            std::thread::sleep(Duration::from_millis(100));
            cancel.cancel();
        });
        let record = run(&pipeline, &world.store, &options(), &Quiet, &cancel).unwrap();
        assert_eq!(record.exit().code(), 130);
        assert_eq!(record.jobs[0].outcome, JobOutcome::Skipped, "an interrupt is not a failure");
    });
    assert!(begin.elapsed() < Duration::from_secs(40), "{:?}", begin.elapsed());
    assert!(!world.plan(&pipeline).is_cached());
}

#[test]
fn a_result_that_is_there_when_somebody_stops_is_kept() {
    let world = World::new();
    // Written a moment ago, so that it is read again before the result is stored.
    let cells = world.write("cells.txt", "1\n");
    let build = world.build().job("late", "act", json!({ "what": "late" }), &[("after", "cells.txt")]);
    let pipeline = build.output("late.txt", "text").done();
    let cancel = Cancel::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while world.ran().is_empty() {
                std::thread::sleep(Duration::from_millis(2));
            }
            fs_err::write(&cells, "1\n").unwrap();
            cancel.cancel();
        });
        let record = run(&pipeline, &world.store, &options(), &Quiet, &cancel).unwrap();
        let late = &record.jobs[0];
        assert_eq!((late.outcome, record.exit().code()), (JobOutcome::Ran, 130));
        assert!(late.remarks[0].contains("stopped before its outputs"), "{:?}", late.remarks);
        assert!(record.outputs.is_empty() && !world.path("late.txt").exists());
    });
    assert!(world.plan(&pipeline).is_cached());
    let next = world.run(&pipeline);
    assert_eq!((next.exit().code(), next.jobs[0].outcome), (0, JobOutcome::Hit));
    assert_eq!(fs_err::read(world.path("late.txt")).unwrap(), [0xff; 1024]);
}
