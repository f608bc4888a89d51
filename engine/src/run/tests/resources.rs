//! Runs on machines with little memory and several GPUs, and the order in which jobs start.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::error::{EngineError, ExitClass};
use crate::events::{Observer, Quiet, RunEvent};
use crate::pipeline::Pipeline;
use crate::run::{GpuSlot, Gpus, RunOptions, run};
use crate::step::{Cancel, NodeError};
use crate::world::{Seen, World, options};

const GIB: u64 = 1 << 30;

fn gpus(memory: &[Option<u64>]) -> Gpus {
    let slot = |(number, memory): (usize, &Option<u64>)| GpuSlot {
        device: format!("pci:0000:0{number}:00.0"),
        memory: memory.map(|gib| gib * GIB),
        ..GpuSlot::default()
    };
    Gpus::known(memory.iter().enumerate().map(slot).collect())
}

/// Jobs of the device, each of `ms` milliseconds.
fn device_jobs(world: &World, count: usize, ms: u64, memory: Option<u64>) -> Pipeline {
    let mut build = world.build();
    for number in 0..count {
        let with = json!({ "what": "where", "n": ms, "text": number.to_string() });
        build = build
            .job(&format!("d[{number}]"), "device", with, &[])
            .with(|job| job.resources.gpu_memory = memory.map(|gib| gib * GIB));
    }
    build.done()
}

/// The most jobs on each device at the same time.
#[derive(Default)]
struct Crowd(
    Mutex<std::collections::BTreeMap<String, (usize, usize)>>,
    Mutex<std::collections::BTreeMap<String, String>>,
);

impl Observer for Crowd {
    fn event(&self, event: &RunEvent) {
        let mut crowd = self.0.lock().unwrap();
        let mut places = self.1.lock().unwrap();
        match event {
            RunEvent::Started { job, gpus, .. } => {
                let device = gpus.first().cloned().unwrap_or_default();
                let (now, most) = crowd.entry(device.clone()).or_default();
                *now += 1;
                *most = (*most).max(*now);
                places.insert(job.clone(), device);
            }
            RunEvent::Finished { job, .. } => {
                if let Some((now, _)) = crowd.get_mut(&places[job]) {
                    *now -= 1;
                }
            }
            _ => {}
        }
    }
}

#[test]
fn each_job_of_the_device_gets_the_gpu_that_it_holds() {
    let world = World::new();
    let options = RunOptions { jobs: 8, gpus: gpus(&[Some(80), Some(80)]), ..options() };
    let crowd = Crowd::default();
    let record =
        run(&device_jobs(&world, 6, 30, None), &world.store, &options, &crowd, &Cancel::new()).unwrap();
    assert_eq!(record.exit(), ExitClass::Ok);
    let most: Vec<(String, usize)> =
        crowd.0.into_inner().unwrap().into_iter().map(|(device, (_, most))| (device, most)).collect();
    assert_eq!(most, [("pci:0000:00:00.0".to_owned(), 1), ("pci:0000:01:00.0".to_owned(), 1)]);
    for job in &record.jobs {
        let execution = &job.summary.execution;
        assert_eq!(json!([execution["device"]]), execution["gpus"]);
        assert_eq!(execution["memory_limit"], Value::Null, "the whole GPU is its own");
    }
}

#[test]
fn jobs_that_share_a_gpu_are_held_to_what_they_asked_for() {
    let world = World::new();
    let options = RunOptions { jobs: 8, gpus: gpus(&[Some(80)]), memory_limit: Some(60 * GIB), ..options() };
    let crowd = Crowd::default();
    let record =
        run(&device_jobs(&world, 5, 60, Some(30)), &world.store, &options, &crowd, &Cancel::new()).unwrap();
    assert_eq!(crowd.0.into_inner().unwrap()["pci:0000:00:00.0"].1, 2);
    assert!(record.jobs.iter().all(|job| job.summary.execution["memory_limit"] == json!(30 * GIB)));
    // On the CPU nobody holds a GPU, and what was asked for on one is no limit.
    let world = World::new();
    let record = world.run(&device_jobs(&world, 1, 0, Some(30)));
    let execution = &record.jobs[0].summary.execution;
    assert_eq!((&execution["device"], &execution["memory_limit"]), (&json!("cpu"), &Value::Null));
}

#[test]
fn gpus_are_asked_for_when_one_is_needed_and_their_error_is_that_of_the_job() {
    let world = World::new();
    let asked = Arc::new(AtomicBool::new(false));
    let gpus = || {
        let asked = Arc::clone(&asked);
        Gpus::ask(move || {
            asked.store(true, Ordering::Relaxed);
            Err(NodeError::device("CUDA_VISIBLE_DEVICES=7 names no GPU").help("unset it"))
        })
    };
    let with = |gpus: Gpus| RunOptions { gpus, keep_going: true, ..options() };
    world.run_with(&world.build().job("a", "act", json!({}), &[]).done(), &with(gpus()));
    assert!(!asked.load(Ordering::Relaxed), "no job needs one");
    let both = world.build().job("a", "act", json!({}), &[]).job("d", "device", json!({}), &[]).done();
    let record = world.run_with(&both, &with(gpus()));
    assert_eq!(record.exit(), ExitClass::Device);
    let (job, failure) = record.failures().next().unwrap();
    assert_eq!((job.id.as_str(), failure.help.as_deref()), ("d", Some("unset it")));
    world.run(&both);
    asked.store(false, Ordering::Relaxed);
    assert_eq!(world.run_with(&both, &with(gpus())).header.counts.cached, 2);
    assert!(!asked.load(Ordering::Relaxed), "everything is cached");
}

#[test]
fn a_job_that_asks_for_too_much_is_refused_before_anything_runs() {
    let world = World::new();
    let pipeline = world
        .build()
        .job("first", "act", json!({}), &[])
        .job("large", "act", json!({ "text": "l" }), &[("after", "first.text")])
        .with(|job| job.resources.ram = Some(64 * GIB))
        .job("many", "device", json!({}), &[])
        .with(|job| job.resources.gpus = 2)
        .done();
    let small = RunOptions { ram: Some(16 * GIB), gpus: gpus(&[Some(80)]), ..options() };
    let refused = run(&pipeline, &world.store, &small, &Quiet, &Cancel::new()).unwrap_err();
    insta::assert_snapshot!(refused, @r"
    large asks for 64.0 GiB of memory (`resources: {ram: ...}`), and there are 16.0 GiB
    many asks for 2 GPUs (`resources: {gpu: ...}`), and there is 1
    ");
    assert!(matches!(refused, EngineError::Resources(_)) && refused.exit_class() == ExitClass::Device);
    assert!(refused.help().unwrap().contains("--ram SIZE"));
    assert!(world.ran().is_empty());
    let only = RunOptions { only: vec!["first".to_owned()], ..small.clone() };
    assert_eq!(world.run_with(&pipeline, &only).exit(), ExitClass::Ok, "who is not asked for needs nothing");
    let large = RunOptions { ram: Some(64 * GIB), gpus: gpus(&[Some(80), Some(80)]), ..options() };
    assert_eq!(world.run_with(&pipeline, &large).exit(), ExitClass::Ok);
    assert_eq!(world.run_with(&pipeline, &small).header.counts.cached, 3, "what is cached needs nothing");
}

#[test]
fn memory_is_shared_by_what_runs_at_once() {
    let world = World::new();
    let mut build = world.build();
    for number in 0..4 {
        let with = json!({ "what": "sleep", "n": 40, "text": number.to_string() });
        build = build.job(&format!("a[{number}]"), "act", with, &[]).with(|job| job.resources.ram = Some(6));
    }
    let crowd = Crowd::default();
    let options = RunOptions { jobs: 4, ram: Some(12), ..options() };
    run(&build.done(), &world.store, &options, &crowd, &Cancel::new()).unwrap();
    assert_eq!(crowd.0.into_inner().unwrap()[""].1, 2);
}

/// Jobs in the order of their starts.
fn order(seen: &Seen) -> Vec<String> {
    let events = seen.0.lock().unwrap();
    let started = events.iter().filter_map(|event| match event {
        RunEvent::Started { job, .. } => Some(job.clone()),
        _ => None,
    });
    started.collect()
}

#[test]
fn the_job_with_the_longest_way_to_go_starts_first() {
    let world = World::new();
    let pipeline = |salt: &str| {
        let with = |text: &str, ms: u64| json!({ "what": "sleep", "n": ms, "text": format!("{text}{salt}") });
        world
            .build()
            .job("alone", "act", with("a", 1), &[])
            .job("slow", "act", with("s", 600), &[])
            .job("head", "act", with("h", 1), &[])
            .job("body", "act", with("b", 1), &[("after", "head.text")])
            .job("tail", "act", with("t", 1), &[("after", "body.text")])
            .done()
    };
    let one = RunOptions { jobs: 1, ..options() };
    let starts = |salt: &str| {
        let seen = Seen::default();
        run(&pipeline(salt), &world.store, &one, &seen, &Cancel::new()).unwrap();
        let known = seen.0.lock().unwrap().iter().all(|event| match event {
            RunEvent::Started { expected_seconds, .. } => expected_seconds.is_some() != salt.is_empty(),
            _ => true,
        });
        assert!(known, "what jobs took is known after the first run");
        order(&seen)
    };
    assert_eq!(starts(""), ["head", "body", "alone", "slow", "tail"], "nothing is known: the longest chain");
    // What the short ones took, and so their order, is chance.
    assert_eq!(starts("x")[0], "slow", "it took longer than the chain");
}
