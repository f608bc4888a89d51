//! Ctrl-C while a large file is hashed: nobody waits for its end.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::error::EngineError;
use crate::events::Quiet;
use crate::plan::{PlanOptions, plan};
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
