//! A plan is a promise: over random pipelines and random changes to them, a run does what the plan said.

use proptest::prelude::*;
use serde_json::json;

use super::{JobState, PlanOptions, Reason, plan};
use crate::pipeline::Pipeline;
use crate::record::JobOutcome;
use crate::run::RunOptions;
use crate::world::{World, options};

/// Files of the user.
const FILES: [&str; 2] = ["one.txt", "two.txt"];

/// A job: `keep` over numbers, or `list` over anything.
#[derive(Clone, Debug)]
struct Spec {
    list: bool,
    from: Vec<usize>,
    min: i64,
    temporary: bool,
}

/// What happens between two runs.
#[derive(Clone, Debug)]
enum Event {
    Nothing,
    Parameter(usize, i64),
    Content(usize, u8),
    /// The bytes of a result are deleted.
    BytesGone(usize),
    /// All records are deleted.
    StoreCleaned,
    Force(usize),
}

fn spec() -> impl Strategy<Value = Spec> {
    (any::<bool>(), prop::collection::vec(0..100_usize, 1..4), 0..6_i64, prop::bool::weighted(0.3))
        .prop_map(|(list, from, min, temporary)| Spec { list, from, min, temporary })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        Just(Event::Nothing),
        (0..100_usize, 0..6_i64).prop_map(|(job, min)| Event::Parameter(job, min)),
        (0..2_usize, 0..4_u8).prop_map(|(file, content)| Event::Content(file, content)),
        (0..100_usize).prop_map(Event::BytesGone),
        Just(Event::StoreCleaned),
        (0..100_usize).prop_map(Event::Force),
    ]
}

fn pipeline(world: &World, specs: &[Spec]) -> Pipeline {
    let mut build = world.build();
    let mut numbers: Vec<String> = FILES.map(str::to_owned).to_vec();
    let mut anything = numbers.clone();
    for (index, spec) in specs.iter().enumerate() {
        let id = format!("j{index}");
        let pick = |known: &[String], from: usize| known[from % known.len()].clone();
        build = if spec.list {
            let parts: Vec<(String, String)> = (0..)
                .zip(&spec.from)
                .map(|(i, &from)| (format!("parts[{i}]"), pick(&anything, from)))
                .collect();
            let parts: Vec<(&str, &str)> =
                parts.iter().map(|(at, from)| (at.as_str(), from.as_str())).collect();
            build.job(&id, "list", json!({}), &parts)
        } else {
            let from = pick(&numbers, spec.from[0]);
            numbers.push(format!("{id}.cells"));
            build.job(&id, "keep", json!({ "min": spec.min }), &[("cells", &from)])
        };
        build = build.with(|job| job.temporary = spec.temporary);
        anything.push(format!("{id}.{}", if spec.list { "text" } else { "cells" }));
    }
    build.done()
}

fn about_bytes(reason: &Reason) -> bool {
    matches!(reason, Reason::Removed | Reason::BytesNeeded { .. } | Reason::Damaged { .. })
}

/// Plans, runs, and holds the run to the plan.
fn held(world: &World, specs: &[Spec], force: &[String]) -> Result<(), TestCaseError> {
    let pipeline = pipeline(world, specs);
    let asked = PlanOptions { force: force.to_vec(), ..PlanOptions::default() };
    let planned = plan(&pipeline, &world.store, &asked).map_err(|e| TestCaseError::fail(e.to_string()))?;
    world.ran();
    let run = world.run_with(&pipeline, &RunOptions { force: force.to_vec(), ..options() });
    let executed = world.ran().len();
    prop_assert_eq!(run.header.counts.failed, 0);
    for (planned, ran) in planned.jobs.iter().zip(&run.jobs) {
        let (state, outcome) = (&planned.state, ran.outcome);
        match state {
            JobState::Cached { .. } => {
                prop_assert_eq!(outcome, JobOutcome::Hit, "{} was called {}", ran.id, state);
            }
            // Bytes that are gone may come back with another result of the same content, before this job is looked up.
            JobState::Runs { reasons } if reasons.iter().any(about_bytes) => {}
            // Of two jobs with one key only the first is computed.
            JobState::Runs { .. } => {
                let twin =
                    run.jobs.iter().any(|other| other.key == ran.key && other.outcome == JobOutcome::Ran);
                prop_assert!(twin, "{} was said to run: {}", ran.id, state);
            }
            JobState::MayRun { .. } | JobState::Fails { .. } => {}
        }
    }
    if planned.is_cached() {
        prop_assert_eq!(executed, 0, "a plan without work led to work");
    }
    // A second run has nothing to do, and its plan knows.
    prop_assert!(world.plan(&pipeline).is_cached());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_run_does_what_its_plan_said(
        mut specs in prop::collection::vec(spec(), 1..7),
        events in prop::collection::vec(event(), 1..5),
    ) {
        let world = World::new();
        for file in FILES {
            world.write(file, "1\n2\n3\n4\n5\n");
        }
        held(&world, &specs, &[])?;
        for event in events {
            let mut force = Vec::new();
            match event {
                Event::Nothing => {}
                Event::Parameter(job, min) => {
                    let job = job % specs.len();
                    specs[job].min = min;
                }
                Event::Content(file, content) => {
                    world.write(FILES[file], &format!("1\n{content}\n5\n7\n"));
                }
                Event::BytesGone(job) => {
                    let last = crate::record::load(&world.store, "last").unwrap();
                    let artifact = *last.jobs[job % specs.len()].outputs.values().next().unwrap();
                    world.store.discard(&artifact).unwrap();
                }
                Event::StoreCleaned => fs_err::remove_dir_all(world.store.root().join("ac")).unwrap(),
                Event::Force(job) => force.push(format!("j{}", job % specs.len())),
            }
            held(&world, &specs, &force)?;
        }
    }
}
