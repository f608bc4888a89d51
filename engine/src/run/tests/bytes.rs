//! Missing, damaged and temporary bytes: never a false success, never more work than needed.

use serde_json::json;

use crate::error::ExitClass;
use crate::pipeline::Pipeline;
use crate::record::JobOutcome;
use crate::world::World;

fn world() -> World {
    let world = World::new();
    world.write("cells.txt", "1\n5\n9\n");
    world
}

fn chain(world: &World, factor: f64, temporary: bool) -> Pipeline {
    world
        .build()
        .job("raw", "keep", json!({}), &[("cells", "cells.txt")])
        .with(|job| job.temporary = temporary)
        .job("qc", "keep", json!({ "min": 2 }), &[("cells", "raw.cells")])
        .with(|job| job.temporary = temporary)
        .job("total", "sum", json!({ "factor": factor }), &[("cells", "qc.cells")])
        .output("total.txt", "total")
        .done()
}

#[test]
fn a_damaged_blob_is_found_when_it_is_read_and_computed_again() {
    let mut world = world();
    let record = world.run(&chain(&world, 1.0, false));
    world.ran();
    world.damage(&world.blob(&record, "qc", "cells"));
    world.reopen();
    let record = world.run(&chain(&world, 2.0, false));
    assert_eq!(record.exit(), ExitClass::Ok);
    assert_eq!(world.ran(), ["keep", "sum"], "raw is intact and only read");
    assert_eq!(fs_err::read_to_string(world.path("total.txt")).unwrap(), "28");
    let state = record.job("qc").unwrap().state.as_ref().unwrap().to_string();
    assert!(state.starts_with("runs: result damaged: its content has digest"), "{state}");
    assert_eq!(record.job("qc").unwrap().outcome, JobOutcome::Ran);
}

#[test]
fn damage_two_levels_up_is_repaired_from_the_top() {
    let mut world = world();
    let record = world.run(&chain(&world, 1.0, false));
    world.ran();
    world.damage(&world.blob(&record, "raw", "cells"));
    fs_err::remove_file(world.blob(&record, "qc", "cells")).unwrap();
    world.reopen();
    let record = world.run(&chain(&world, 2.0, false));
    assert_eq!(record.exit(), ExitClass::Ok);
    assert_eq!(world.ran(), ["keep", "keep", "sum"]);
}

#[test]
fn a_damaged_output_is_computed_again_before_it_is_delivered() {
    let mut world = world();
    let record = world.run(&chain(&world, 1.0, false));
    world.ran();
    world.damage(&world.blob(&record, "total", "total"));
    world.reopen();
    world.run(&chain(&world, 1.0, false));
    assert!(world.ran().is_empty(), "the user's copy is right, nobody needs the stored bytes");
    fs_err::remove_file(world.path("total.txt")).unwrap();
    let record = world.run(&chain(&world, 1.0, false));
    assert_eq!(world.ran(), ["sum"]);
    assert_eq!(record.exit(), ExitClass::Ok);
    assert_eq!(fs_err::read_to_string(world.path("total.txt")).unwrap(), "14");
}

#[test]
fn all_blobs_deleted_is_no_false_success() {
    let mut world = world();
    world.run(&chain(&world, 1.0, false));
    world.ran();
    fs_err::remove_dir_all(world.store.root().join("cas")).unwrap();
    fs_err::create_dir(world.store.root().join("cas")).unwrap();
    fs_err::remove_file(world.path("total.txt")).unwrap();
    world.reopen();
    let record = world.run(&chain(&world, 1.0, false));
    assert_eq!(world.ran(), ["keep", "keep", "sum"]);
    assert_eq!(record.exit(), ExitClass::Ok);
    assert_eq!(fs_err::read_to_string(world.path("total.txt")).unwrap(), "14");
}

#[test]
fn temporary_bytes_go_and_nothing_runs_for_them_until_they_are_needed() {
    let world = world();
    let record = world.run(&chain(&world, 1.0, true));
    assert!(!world.blob(&record, "raw", "cells").exists());
    assert!(!world.blob(&record, "qc", "cells").exists());
    assert!(world.blob(&record, "total", "total").exists());
    world.ran();
    let again = world.run(&chain(&world, 1.0, true));
    assert!(world.ran().is_empty());
    assert_eq!(again.header.counts.cached, 3);
    let states = world.states(&chain(&world, 2.0, true));
    insta::assert_snapshot!(states, @r"
    raw: runs: qc needs the bytes of cells, which were dropped
    qc: runs: total needs the bytes of cells, which were dropped
    total: runs: parameter factor changed 1 → 2
    ");
    let record = world.run(&chain(&world, 2.0, true));
    assert_eq!(world.ran(), ["keep", "keep", "sum"]);
    assert_eq!(record.exit(), ExitClass::Ok);
    assert!(!world.blob(&record, "qc", "cells").exists(), "dropped again");
}

#[test]
fn temporary_bytes_that_are_also_a_result_of_another_job_stay() {
    let world = world();
    // `copy` keeps everything, so its bytes are those of the temporary `raw`.
    let pipeline = world
        .build()
        .job("raw", "keep", json!({}), &[("cells", "cells.txt")])
        .with(|job| job.temporary = true)
        .job("copy", "keep", json!({ "min": 1 }), &[("cells", "raw.cells")])
        .done();
    let record = world.run(&pipeline);
    assert_eq!(record.job("raw").unwrap().outputs, record.job("copy").unwrap().outputs);
    assert!(world.blob(&record, "copy", "cells").exists());
}

#[test]
fn temporary_bytes_stay_while_a_consumer_has_not_run() {
    let world = world();
    let options = crate::run::RunOptions { only: vec!["qc".to_owned()], ..crate::world::options() };
    let record = world.run_with(&chain(&world, 1.0, true), &options);
    assert!(!world.blob(&record, "raw", "cells").exists(), "qc is done");
    assert!(world.blob(&record, "qc", "cells").exists(), "total is not");
}
