//! The size of a real study: looking up thousands of jobs must stay cheap.

use std::time::Instant;

use serde_json::json;

use crate::world::World;

#[test]
fn thousands_of_jobs_are_planned_and_rerun_in_no_time() {
    const JOBS: usize = 3_000;
    let world = World::new();
    world.write("cells.txt", "1\n5\n9\n");
    let mut build = world.build().job("qc", "keep", json!({}), &[("cells", "cells.txt")]);
    let labels: Vec<(String, String)> =
        (0..JOBS).map(|i| (format!("parts[{i:05}]"), format!("total[{i}].total"))).collect();
    for i in 0..JOBS {
        build = build.job(&format!("total[{i}]"), "sum", json!({ "factor": i }), &[("cells", "qc.cells")]);
    }
    let parts: Vec<(&str, &str)> = labels.iter().map(|(at, from)| (at.as_str(), from.as_str())).collect();
    let pipeline = build.job("all", "list", json!({}), &parts).done();
    let first = Instant::now();
    let record = world.run(&pipeline);
    let first = first.elapsed();
    assert_eq!(record.header.counts.ran, JOBS + 2);
    let start = Instant::now();
    assert!(world.plan(&pipeline).is_cached());
    let plan = start.elapsed();
    let start = Instant::now();
    let record = world.run(&pipeline);
    let rerun = start.elapsed();
    assert_eq!(record.header.counts.cached, JOBS + 2);
    println!("{JOBS} jobs: first {first:?}, plan {plan:?}, rerun {rerun:?}");
    // Ten times what it takes on a slow machine: this finds quadratic costs, not percents.
    assert!(rerun.as_secs_f64() < 10.0 && plan.as_secs_f64() < 10.0, "plan {plan:?}, rerun {rerun:?}");
}

#[test]
fn a_huge_number_of_slots_costs_no_threads() {
    let world = World::new();
    world.write("cells.txt", "1\n");
    let pipeline = world.build().job("qc", "keep", json!({}), &[("cells", "cells.txt")]).done();
    let options = crate::run::RunOptions { jobs: usize::MAX, ..crate::world::options() };
    assert_eq!(world.run_with(&pipeline, &options).exit(), crate::ExitClass::Ok);
}
