//! Failures, interrupts, timeouts: what stops, what goes on, what is recorded.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::error::ExitClass;
use crate::events::{Observer, RunEvent};
use crate::record::{JobOutcome, RunRecord, RunStatus};
use crate::run::{RunOptions, run};
use crate::step::Cancel;
use crate::world::{Seen, World, options};

fn outcomes(record: &RunRecord) -> String {
    let line = |job: &crate::record::JobRecord| {
        let outcome = format!("{:?}", job.outcome).to_lowercase();
        match (&job.failure, &job.because) {
            (Some(failure), _) => format!("{} {outcome}: {}", job.id, failure.message),
            (_, Some(because)) => format!("{} {outcome}: {because}", job.id),
            _ => format!("{} {outcome}", job.id),
        }
    };
    record.jobs.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn one(world: &World, what: &str) -> RunRecord {
    world.run(&world.build().job("a", "act", json!({ "what": what, "text": "x" }), &[]).done())
}

#[test]
fn each_way_to_fail_has_its_message_and_exit_code() {
    let world = World::new();
    let exit = |what: &str| (one(&world, what).exit().code(), outcomes(&one(&world, what)));
    assert_eq!(exit("fail"), (1, "a failed: it broke\nin two lines".to_owned()));
    assert_eq!(exit("data"), (3, "a failed: bad cells".to_owned()));
    assert_eq!(exit("device"), (4, "a failed: device lost".to_owned()));
    assert_eq!(exit("panic"), (1, "a failed: kind `act` panicked: oh no: 0".to_owned()));
    assert_eq!(exit("nothing"), (1, "a failed: output `text`: kind `act` did not write it".to_owned()));
    assert_eq!(
        exit("folder").1,
        "a failed: output `text`: kind `act` wrote a folder where a file is declared"
    );
    let record = one(&world, "fail");
    let (_, failure) = record.failures().next().unwrap();
    assert_eq!(failure.help.as_deref(), Some("mend it"));
    let key = record.job("a").unwrap().key.unwrap();
    assert_eq!(world.store.failure(&key).unwrap().unwrap().cause, "failed");
    assert!(
        fs_err::read_dir(world.store.root().join("ac")).unwrap().next().is_none(),
        "nothing was published"
    );
}

#[test]
fn a_failure_stops_the_run_and_keep_going_does_not() {
    let pipeline = |world: &World| {
        world
            .build()
            .job("bad", "act", json!({ "what": "data" }), &[])
            .job("next", "act", json!({}), &[("after", "bad.text")])
            .job("last", "act", json!({}), &[("after", "next.text")])
            .job("wait", "act", json!({ "what": "sleep", "n": 300 }), &[])
            .job("other", "act", json!({ "text": "other" }), &[("after", "wait.text")])
            .done()
    };
    let world = World::new();
    let stopped = world.run_with(&pipeline(&world), &RunOptions { jobs: 2, ..options() });
    // Whether `wait` has begun when `bad` fails is chance; it sleeps long enough that `other` has not.
    let told = outcomes(&stopped);
    let told: Vec<&str> = told.lines().filter(|line| !line.starts_with("wait")).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    bad failed: bad cells
    next skipped: bad failed
    last skipped: bad failed
    other skipped: bad failed before; `--keep-going` goes on with what does not need it
    ");
    assert_eq!((stopped.exit(), stopped.header.status), (ExitClass::Data, RunStatus::Failed));
    // A store of its own, for the same reason: a `wait` that was published would be a hit.
    let world = World::new();
    let on = world.run_with(&pipeline(&world), &RunOptions { keep_going: true, ..options() });
    insta::assert_snapshot!(outcomes(&on), @r"
    bad failed: bad cells
    next skipped: bad failed
    last skipped: bad failed
    wait ran
    other ran
    ");
    assert_eq!(on.exit(), ExitClass::Data);
    let counts = on.header.counts;
    assert_eq!((counts.jobs, counts.ran, counts.failed, counts.skipped), (5, 2, 1, 2));
}

#[test]
fn missing_input_files_are_data_errors_of_their_node() {
    let world = World::new();
    let record = world.run(&world.build().job("qc", "keep", json!({}), &[("cells", "absent.txt")]).done());
    assert_eq!(record.exit(), ExitClass::Data);
    assert!(outcomes(&record).contains("absent.txt does not exist"), "{}", outcomes(&record));
}

#[test]
fn a_kind_that_panics_while_it_looks_at_files_fails_like_any_other() {
    let world = World::new();
    world.write("trap", "1\n");
    let record = world.run(&world.build().job("qc", "keep", json!({}), &[("cells", "trap")]).done());
    assert_eq!(outcomes(&record), "qc failed: kind `keep` panicked: trapped");
}

#[test]
fn an_input_that_changes_while_it_is_read_is_not_published() {
    let world = World::new();
    let path = world.write("cells.txt", "1\n");
    let with = json!({ "what": "meddle", "text": path.to_str().unwrap() });
    let record = world.run(&world.build().job("a", "act", with, &[("after", "cells.txt")]).done());
    let text = outcomes(&record);
    assert!(text.contains("cells.txt changed while the pipeline was running"), "{text}");
    assert_eq!(record.exit(), ExitClass::Data);
    let key = record.job("a").unwrap().key.unwrap();
    assert!(world.store.record(&key).unwrap().is_none());
}

#[test]
fn a_timeout_stops_the_node() {
    let world = World::new();
    let pipeline = world
        .build()
        .job("a", "act", json!({ "what": "hang" }), &[])
        .with(|job| job.timeout = Some(Duration::from_millis(80)))
        .done();
    let start = Instant::now();
    let record = world.run(&pipeline);
    assert_eq!(outcomes(&record), "a failed: timeout after 0.08 s");
    assert_eq!(record.exit(), ExitClass::Failed);
    assert!(start.elapsed() < Duration::from_secs(5));
}

#[test]
fn transient_failures_are_tried_again_and_others_are_not() {
    let world = World::new();
    for (what, times) in [("device", 3), ("fail", 1)] {
        let pipeline = world
            .build()
            .job("a", "act", json!({ "what": what }), &[])
            .with(|job| job.retries.transient = 2)
            .done();
        let seen = Seen::default();
        run(&pipeline, &world.store, &options(), &seen, &Cancel::new()).unwrap();
        assert_eq!(world.ran().len(), times, "{what}");
        let events = seen.0.into_inner().unwrap();
        let retries = events.iter().filter(|e| matches!(e, RunEvent::Retrying { .. })).count();
        assert_eq!(retries, times - 1);
    }
}

/// Interrupts when a given job starts.
struct Interrupt<'a>(&'a str, &'a Cancel);

impl Observer for Interrupt<'_> {
    fn event(&self, event: &RunEvent) {
        if matches!(event, RunEvent::Started { job, .. } if job == self.0) {
            self.1.cancel();
        }
    }
}

#[test]
fn an_interrupt_stops_running_nodes_and_is_recorded() {
    let world = World::new();
    let pipeline = world
        .build()
        .job("first", "act", json!({ "text": "1" }), &[])
        .job("hang", "act", json!({ "what": "hang" }), &[("after", "first.text")])
        .job("next", "act", json!({}), &[("after", "hang.text")])
        .done();
    let cancel = Cancel::new();
    let record = run(&pipeline, &world.store, &options(), &Interrupt("hang", &cancel), &cancel).unwrap();
    insta::assert_snapshot!(outcomes(&record), @r"
    first ran
    hang skipped: interrupted
    next skipped: interrupted
    ");
    assert_eq!((record.exit().code(), record.header.status), (130, RunStatus::Cancelled));
    let key = record.job("hang").unwrap().key.unwrap();
    assert!(world.store.failure(&key).unwrap().is_none(), "an interrupt is not a failure");
    let again = crate::record::load(&world.store, "last").unwrap();
    assert_eq!(again.header.status, RunStatus::Cancelled);
    assert_eq!(again.job("first").unwrap().outcome, JobOutcome::Ran);
}

#[test]
fn what_failed_for_good_is_not_tried_again_unless_asked_for() {
    let world = World::new();
    let pipeline = |what: &str| {
        world
            .build()
            .job("a", "act", json!({ "what": what }), &[])
            .job("b", "act", json!({}), &[("after", "a.text")])
            .done()
    };
    let retry = RunOptions { retry_failed: true, ..options() };
    for (what, lasts) in [
        ("data", true),
        ("diverge", true),
        ("fail", false),
        ("panic", false),
        ("nothing", false),
        ("device", false),
        ("lost", false),
        ("memory", false),
    ] {
        let first = world.run(&pipeline(what));
        let tried = world.ran().len();
        let again = world.run(&pipeline(what));
        assert_eq!(world.ran().len(), if lasts { 0 } else { tried }, "{what}");
        let failure = |record: &RunRecord| record.failures().next().unwrap().1.clone();
        assert_eq!(
            (again.exit(), failure(&again).message),
            (first.exit(), failure(&first).message),
            "{what}"
        );
        assert_eq!(failure(&again).help.unwrap_or_default().contains("--retry-failed"), lasts, "{what}");
        world.run_with(&pipeline(what), &retry);
        assert_eq!(world.ran().len(), tried, "{what}");
    }
    insta::assert_snapshot!(world.states(&pipeline("data")), @r"
    a: fails: failed before: bad cells
    b: fails: a fails
    ");
    let record = world.run(&pipeline("data"));
    assert_eq!(
        record.job("a").unwrap().state.as_ref().unwrap().to_string(),
        "fails: failed before: bad cells"
    );
    let asked = crate::plan::PlanOptions { retry_failed: true, ..Default::default() };
    let plan = crate::plan(&pipeline("data"), &world.store, &asked).unwrap();
    assert_eq!(plan.counts(), (0, 1, 1));
    let forced = RunOptions { force: vec!["a".to_owned()], ..options() };
    world.run_with(&pipeline("data"), &forced);
    assert_eq!(world.ran(), ["act"], "who forces it wants it tried");
}

#[test]
fn another_version_of_the_program_tries_again() {
    let world = World::new();
    let pipeline = world.build().job("a", "act", json!({ "what": "data" }), &[]).done();
    let key = world.run(&pipeline).job("a").unwrap().key.unwrap();
    let mut failure = world.store.failure(&key).unwrap().unwrap();
    assert!(failure.lasting && failure.cause == "data" && failure.attempts == 1);
    failure.version = "0.0.0".to_owned();
    world.store.remember_failure(&key, &failure).unwrap();
    world.ran();
    world.run(&pipeline);
    assert_eq!(world.ran(), ["act"]);
}

#[test]
fn bad_data_in_a_file_that_somebody_writes_is_not_held_against_it() {
    let world = World::new();
    let path = world.write("cells.txt", "1\n");
    let with = json!({ "what": "meddle-data", "text": path.to_str().unwrap() });
    let record = world.run(&world.build().job("a", "act", with, &[("after", "cells.txt")]).done());
    assert_eq!(outcomes(&record), "a failed: bad cells");
    let key = record.job("a").unwrap().key.unwrap();
    assert!(!world.store.failure(&key).unwrap().unwrap().lasting);
}

#[test]
fn a_lost_device_is_tried_once_more_without_being_asked() {
    let world = World::new();
    let text = world.path("lost").display().to_string();
    let once = world.build().job("a", "act", json!({ "what": "lost-once", "text": text }), &[]).done();
    let record = world.run(&once);
    assert_eq!((record.exit(), world.ran().len()), (ExitClass::Ok, 2));
    assert_eq!(record.job("a").unwrap().summary.execution["attempts"], 2);
    let gone = world.build().job("a", "act", json!({ "what": "lost" }), &[]).done();
    assert_eq!((world.run(&gone).exit(), world.ran().len()), (ExitClass::Device, 2));
}

#[test]
fn memory_that_ran_out_is_tried_again_with_less_and_the_record_says_so() {
    let world = World::new();
    let set = [("batch".to_owned(), crate::PerfChange::Half)].into_iter().collect();
    let rule = crate::OutOfMemory { times: 3, set };
    let pipeline = world
        .build()
        .job("a", "act", json!({ "what": "memory", "n": 3 }), &[])
        .with(|job| job.retries.out_of_memory = Some(rule))
        .done();
    let seen = Seen::default();
    let record = run(&pipeline, &world.store, &options(), &seen, &Cancel::new()).unwrap();
    assert_eq!((record.exit(), world.ran().len()), (ExitClass::Ok, 3));
    let execution = &record.job("a").unwrap().summary.execution;
    assert_eq!((&execution["attempts"], &execution["changed"]), (&json!(3), &json!({ "batch": 2 })));
    let changes: Vec<_> = seen
        .0
        .into_inner()
        .unwrap()
        .into_iter()
        .filter_map(|event| match event {
            RunEvent::Retrying { attempt, changed, wait_seconds, .. } => {
                Some((attempt, changed["batch"].clone(), wait_seconds))
            }
            _ => None,
        })
        .collect();
    assert_eq!(changes, [(2, json!(4), 0.0), (3, json!(2), 0.0)]);
    assert_eq!(world.run(&pipeline).header.counts.cached, 1, "the key does not know of batches");
}

#[test]
fn an_interrupt_ends_the_wait_before_another_attempt() {
    let world = World::new();
    let pipeline = world
        .build()
        .job("a", "act", json!({ "what": "device" }), &[])
        .with(|job| job.retries.transient = 9)
        .done();
    /// Interrupts at the first retry.
    struct AtRetry<'a>(&'a Cancel);
    impl Observer for AtRetry<'_> {
        fn event(&self, event: &RunEvent) {
            if matches!(event, RunEvent::Retrying { .. }) {
                self.0.cancel();
            }
        }
    }
    let cancel = Cancel::new();
    let slow = RunOptions { backoff: Duration::from_secs(20), ..options() };
    let start = Instant::now();
    let record = run(&pipeline, &world.store, &slow, &AtRetry(&cancel), &cancel).unwrap();
    assert_eq!((record.exit(), world.ran().len()), (ExitClass::Interrupted, 1));
    assert!(start.elapsed() < Duration::from_secs(5));
}
