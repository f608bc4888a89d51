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
        let pipeline =
            world.build().job("a", "act", json!({ "what": what }), &[]).with(|job| job.retries = 2).done();
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
