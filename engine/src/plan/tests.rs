use serde_json::json;

use super::*;
use crate::action::DeviceIdentity;
use crate::error::ExitClass;
use crate::record::{LastActions, Origin};
use crate::run::RunOptions;
use crate::world::{Build, World, options};

fn small<'w>(world: &'w World, min: i64, factor: f64) -> Build<'w> {
    world.build().job("qc", "keep", json!({ "min": min }), &[("cells", "cells.txt")]).job(
        "total",
        "sum",
        json!({ "factor": factor }),
        &[("cells", "qc.cells")],
    )
}

fn world() -> World {
    let world = World::new();
    world.write("cells.txt", "1\n5\n9\n");
    world
}

#[test]
fn a_new_pipeline_is_new_and_a_finished_one_is_cached() {
    let world = world();
    let pipeline = small(&world, 2, 1.0).done();
    insta::assert_snapshot!(world.states(&pipeline), @r"
    qc: runs: new
    total: may run: new, input cells is being computed
    ");
    assert_eq!(world.plan(&pipeline).counts(), (0, 1, 1));
    world.run(&pipeline);
    insta::assert_snapshot!(world.states(&pipeline), @r"
    qc: cached
    total: cached
    ");
    assert!(world.plan(&pipeline).is_cached());
}

#[test]
fn reasons_name_what_changed() {
    let world = world();
    world.run(&small(&world, 2, 1.0).done());
    insta::assert_snapshot!(world.states(&small(&world, 3, 1.0).done()), @r"
    qc: runs: parameter min changed 2 → 3
    total: may run: input cells is being recomputed
    ");
    insta::assert_snapshot!(world.states(&small(&world, 3, 10_000.0).done()), @r"
    qc: runs: parameter min changed 2 → 3
    total: may run: input cells is being recomputed; parameter factor changed 1 → 10000
    ");
    insta::assert_snapshot!(world.states(&small(&world, 2, 0.1).done()), @r"
    qc: cached
    total: runs: parameter factor changed 1 → 0.1
    ");
    let epoch_two =
        world.build().epoch(2).job("qc", "keep", json!({ "min": 2 }), &[("cells", "cells.txt")]).done();
    insta::assert_snapshot!(world.states(&epoch_two), @"qc: runs: kind keep epoch 1 → 2");
    let mut salted = small(&world, 2, 1.0).done();
    salted.salt = "again".to_owned();
    insta::assert_snapshot!(world.states(&salted), @r#"
    qc: runs: salt changed "" → "again"
    total: may run: input cells is being recomputed; salt changed "" → "again"
    "#);
    world.write("cells.txt", "1\n5\n10\n");
    insta::assert_snapshot!(world.states(&small(&world, 2, 1.0).done()), @r"
    qc: runs: input cells changed
    total: may run: input cells is being recomputed
    ");
}

#[test]
fn touching_an_input_changes_nothing() {
    let world = world();
    let pipeline = small(&world, 2, 1.0).done();
    world.run(&pipeline);
    world.write("cells.txt", "1\n5\n9\n");
    assert!(world.plan(&pipeline).is_cached());
}

#[test]
fn a_hit_is_the_last_record_too() {
    // min 2, then 3, then 2 again (a hit): the next reason must say 2, not 3.
    let world = world();
    for min in [2, 3, 2] {
        world.run(&small(&world, min, 1.0).done());
    }
    let states = world.states(&small(&world, 7, 1.0).done());
    assert!(states.starts_with("qc: runs: parameter min changed 2 → 7"), "{states}");
}

#[test]
fn many_changed_artifacts_are_counted() {
    let world = world();
    let build = |texts: [&str; 4]| {
        for (i, text) in texts.iter().enumerate() {
            world.write(&format!("p{i}"), text);
        }
        let inputs = [("parts[a]", "p0"), ("parts[b]", "p1"), ("parts[c]", "p2"), ("parts[d]", "p3")];
        world.build().job("all", "list", json!({}), &inputs).done()
    };
    world.run(&build(["1", "2", "3", "4"]));
    insta::assert_snapshot!(world.states(&build(["1", "2", "3", "5"])), @"all: runs: input parts[d] changed");
    insta::assert_snapshot!(world.states(&build(["9", "8", "7", "4"])), @"all: runs: input parts changed (3 of 4 artifacts)");
}

#[test]
fn force_and_only() {
    let world = world();
    let pipeline = small(&world, 2, 1.0).done();
    world.run(&pipeline);
    let plan_of = |only: &[&str], force: &[&str]| {
        let names = |list: &[&str]| list.iter().map(|&name| name.to_owned()).collect();
        let options = PlanOptions { only: names(only), force: names(force), ..PlanOptions::default() };
        plan(&pipeline, &world.store, &options)
    };
    let forced = plan_of(&[], &["qc"]).unwrap();
    insta::assert_snapshot!(forced.jobs[0].state, @"runs: forced");
    insta::assert_snapshot!(forced.jobs[1].state, @"may run: input cells is being recomputed");
    assert_eq!(plan_of(&["qc"], &[]).unwrap().jobs.len(), 1);
    assert_eq!(plan_of(&["total"], &[]).unwrap().jobs.len(), 2, "with what it needs");
    let unknown = plan_of(&["totl"], &[]).unwrap_err();
    insta::assert_snapshot!(unknown, @"the pipeline has no node `totl`");
    assert_eq!(unknown.help().as_deref(), Some("did you mean `total`?"));
    assert_eq!(unknown.exit_class(), ExitClass::Usage);
}

#[test]
fn removed_and_damaged_results_are_told_apart() {
    let world = world();
    let pipeline = small(&world, 2, 1.0).done();
    let record = world.run(&pipeline);
    let blob = world.blob(&record, "total", "total");
    fs_err::remove_file(&blob).unwrap();
    fs_err::write(&blob, "other size than before").unwrap();
    insta::assert_snapshot!(world.states(&pipeline), @r"
    qc: cached
    total: runs: result damaged: the stored bytes of total have the wrong size
    ");
    fs_err::remove_file(&blob).unwrap();
    insta::assert_snapshot!(world.states(&pipeline), @r"
    qc: cached
    total: runs: result was removed
    ");
    fs_err::remove_dir_all(world.store.root().join("ac")).unwrap();
    insta::assert_snapshot!(world.states(&pipeline), @r"
    qc: runs: result was removed
    total: may run: input cells is being recomputed
    ");
}

#[test]
fn a_producer_runs_when_its_bytes_are_gone_and_needed() {
    let world = world();
    let record = world.run(&small(&world, 2, 1.0).done());
    fs_err::remove_file(world.blob(&record, "qc", "cells")).unwrap();
    insta::assert_snapshot!(world.states(&small(&world, 2, 1.0).done()), @r"
    qc: cached
    total: cached
    ");
    insta::assert_snapshot!(world.states(&small(&world, 2, 3.0).done()), @r"
    qc: runs: total needs the bytes of cells, which were dropped
    total: runs: parameter factor changed 1 → 3
    ");
}

#[test]
fn all_unusable_inputs_are_told_at_once() {
    let world = world();
    let pipeline = world
        .build()
        .job("a", "keep", json!({}), &[("cells", "absent.txt")])
        .job("b", "keep", json!({}), &[("cells", "gone.txt")])
        .done();
    let error = plan(&pipeline, &world.store, &PlanOptions::default()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("absent.txt does not exist") && text.contains("gone.txt does not exist"), "{text}");
    assert_eq!(error.exit_class(), ExitClass::Data);
    assert!(error.help().unwrap().contains("folder of the pipeline file"));
}

#[test]
fn strict_numerics_put_the_device_into_keys_of_device_jobs() {
    let world = world();
    let mut pipeline =
        small(&world, 2, 1.0).job("gpu", "device", json!({}), &[("after", "total.total")]).done();
    pipeline.strict_numerics = true;
    let on = |adapter: &str| DeviceIdentity { adapter: adapter.to_owned(), ..DeviceIdentity::default() };
    let plan_on =
        |identity| plan(&pipeline, &world.store, &PlanOptions { identity, ..PlanOptions::default() });
    assert!(matches!(plan_on(None), Err(EngineError::NoDeviceIdentity)));
    world.run_with(&pipeline, &RunOptions { identity: Some(on("one")), ..options() });
    assert!(plan_on(Some(on("one"))).unwrap().is_cached());
    let other = plan_on(Some(on("two"))).unwrap();
    insta::assert_snapshot!(other.jobs[2].state, @"runs: numerics changed strict on one → strict on two");
    assert!(other.jobs[1].state.is_cached());
}

#[test]
fn a_plan_writes_nothing_but_digests_of_files() {
    let world = world();
    let pipeline = small(&world, 2, 1.0).done();
    world.run(&pipeline);
    let list = || {
        let mut found = Vec::new();
        let mut open = vec![world.store.root().to_path_buf()];
        while let Some(folder) = open.pop() {
            for entry in fs_err::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.path().is_dir() {
                    open.push(entry.path());
                } else if !entry.path().starts_with(world.store.root().join("memo")) {
                    found.push((entry.path(), entry.metadata().unwrap().len()));
                }
            }
        }
        found.sort();
        found
    };
    let before = list();
    world.plan(&pipeline);
    let other = small(&world, 5, 2.0).done();
    let plan = world.plan(&other);
    assert!(crate::estimate(&world.store, &other, &plan).unwrap().runs.known > 0);
    assert_eq!(before, list());
}

#[test]
fn failed_before_is_a_reason() {
    let world = world();
    let build = || world.build().job("a", "act", json!({ "what": "fail" }), &[]).done();
    world.run(&build());
    insta::assert_snapshot!(world.states(&build()), @"a: runs: failed before: it broke");
    let last = LastActions::load(&world.store, &Origin::named("demo"), 1).unwrap();
    assert_eq!(last.get("a").unwrap().failure.as_deref(), Some("it broke"));
}

#[test]
fn times_read_like_a_person_would_say_them() {
    let said: Vec<String> = [0.0, 41.0, 120.0, 3600.0 * 5.0, 86_400.0 * 3.0].into_iter().map(ago).collect();
    assert_eq!(said, ["just now", "41 seconds ago", "2 minutes ago", "5 hours ago", "3 days ago"]);
    let said: Vec<String> = [0.012, 3.21, 41.0, 600.0, 9000.0].into_iter().map(duration).collect();
    assert_eq!(said, ["12 ms", "3.2 s", "41 s", "10 min", "2.5 h"]);
    let cached = JobState::Cached { age: 120.0, saved_seconds: 41.0 };
    assert_eq!(cached.to_string(), "cached 2 minutes ago, saved 41 s");
}

#[test]
fn a_single_step_is_compared_with_calls_that_wrote_to_the_same_place() {
    let world = world();
    let step = |min: i64, to: &str| {
        let build = world.build().job("keep", "keep", json!({ "min": min }), &[("cells", "cells.txt")]);
        let pipeline = build.output(to, "cells").done();
        Pipeline { name: "keep".to_owned(), file: PathBuf::new(), ..pipeline }
    };
    world.run(&step(2, "a.txt"));
    assert_eq!(world.states(&step(3, "b.txt")), "keep: runs: new");
    assert_eq!(world.states(&step(3, "a.txt")), "keep: runs: parameter min changed 2 → 3");
    let file = Pipeline { file: world.path("demo.yaml"), ..step(3, "a.txt") };
    assert_eq!(world.states(&file), "keep: runs: new", "a pipeline of the same name is something else");
}

#[test]
fn a_plan_that_was_stopped_while_it_looked_at_an_output_in_place_says_so() {
    let world = world();
    let mut pipeline = small(&world, 2, 1.0).output("cells-out.txt", "total").done();
    let record = world.run(&pipeline);
    // Whether it runs then hangs on the output alone.
    pipeline.jobs[1].temporary = true;
    fs_err::remove_file(world.blob(&record, "total", "total")).unwrap();
    let output = world.path("cells-out.txt");
    fs_err::remove_file(&output).unwrap();
    // A hole: it takes no space, and minutes to hash.
    fs_err::File::create(&output).unwrap().file().set_len(100 << 30).unwrap();
    let cancel = Cancel::new();
    let options = PlanOptions { cancel: cancel.clone(), ..PlanOptions::default() };
    let planned = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(200));
            cancel.cancel();
        });
        plan(&pipeline, &world.store, &options)
    });
    assert!(matches!(planned, Err(EngineError::Interrupted)), "{planned:?}");
}
