//! What may run beside what: never more than there is, and everything in the end.

use std::collections::BTreeSet;
use std::time::Instant;

use proptest::prelude::*;
use serde_json::json;

use crate::pipeline::Job;
use crate::run::RunOptions;
use crate::run::capacity::{Capacity, Need};
use crate::run::gpus::GpuSlot;
use crate::run::schedule::{Schedule, Start};
use crate::world::{PATIENCE, World, options};

const GIB: u64 = 1 << 30;

fn schedule(slots: usize, threads: usize) -> Schedule {
    Schedule::new(Capacity { slots, threads, ..Capacity::default() })
}

fn slots(slots: usize) -> Need {
    Need { slots, ..Need::default() }
}

fn gpu(memory: Option<u64>) -> Need {
    Need { slots: 1, gpus: 1, gpu_memory: memory.map(|gib| gib * GIB), ..Need::default() }
}

fn with_gpus(memory: &[Option<u64>]) -> Schedule {
    let slot = |(number, memory): (usize, &Option<u64>)| GpuSlot {
        device: number.to_string(),
        memory: memory.map(|gib| gib * GIB),
        ..GpuSlot::default()
    };
    let gpus = memory.iter().enumerate().map(slot).collect();
    Schedule::new(Capacity { slots: 16, threads: 16, ram: None, gpus })
}

/// All that starts now.
fn starts(schedule: &mut Schedule) -> Vec<(usize, Vec<usize>)> {
    std::iter::from_fn(|| schedule.next()).map(|start| (start.job, start.gpus)).collect()
}

fn jobs(schedule: &mut Schedule) -> Vec<usize> {
    starts(schedule).into_iter().map(|(job, _)| job).collect()
}

#[test]
fn device_jobs_run_one_at_a_time_and_let_others_pass() {
    let mut schedule = schedule(3, 3);
    for job in 0..4 {
        schedule.push(job, 0, if job < 2 { gpu(None) } else { slots(1) });
    }
    assert_eq!(starts(&mut schedule), [(0, vec![]), (2, vec![]), (3, vec![])], "1 waits for the device");
    schedule.done(0);
    assert_eq!(jobs(&mut schedule), [1]);
}

#[test]
fn wide_jobs_hold_their_slots_and_do_not_starve() {
    let mut schedule = schedule(4, 8);
    let wide = |threads| Need { threads: Some(threads), ..slots(threads.min(4)) };
    schedule.push(0, 0, wide(3));
    schedule.push(1, 0, wide(2));
    schedule.push(2, 0, slots(1));
    assert_eq!(schedule.next(), Some(Start { job: 0, threads: 3, gpus: vec![] }));
    assert_eq!(schedule.next(), None, "1 needs two slots, and 2 must not pass it");
    schedule.done(0);
    assert_eq!(schedule.next(), Some(Start { job: 1, threads: 2, gpus: vec![] }));
    assert_eq!(jobs(&mut schedule), [2]);
    schedule.done(1);
    schedule.done(2);
    schedule.push(3, 0, wide(64));
    assert_eq!(schedule.next(), Some(Start { job: 3, threads: 64, gpus: vec![] }), "all slots");
    schedule.push(4, 0, slots(1));
    assert_eq!(schedule.next(), None);
}

#[test]
fn a_lonely_job_gets_all_threads_and_company_shares() {
    let mut schedule = schedule(2, 8);
    schedule.push(0, 0, slots(1));
    assert_eq!(schedule.next().unwrap().threads, 8);
    schedule.done(0);
    (1..5).for_each(|job| schedule.push(job, 0, slots(1)));
    assert_eq!(schedule.next().unwrap().threads, 4);
    assert_eq!(schedule.next().unwrap().threads, 4);
}

#[test]
fn the_longest_goes_first_and_equals_in_their_order() {
    let mut schedule = schedule(8, 8);
    for (job, rank) in [(0, 5), (1, 9), (2, 5), (3, 1), (4, 9)] {
        schedule.push(job, rank, slots(1));
    }
    assert_eq!(jobs(&mut schedule), [1, 4, 0, 2, 3]);
}

#[test]
fn memory_is_a_budget_and_who_waits_for_it_is_not_passed_over() {
    let mut schedule = Schedule::new(Capacity { slots: 8, threads: 8, ram: Some(10), gpus: vec![] });
    let ram = |ram| Need { ram, ..slots(1) };
    schedule.push(0, 9, ram(6));
    schedule.push(1, 8, ram(5));
    schedule.push(2, 7, ram(4));
    schedule.push(3, 6, ram(0));
    assert_eq!(jobs(&mut schedule), [0, 3], "2 would fit beside 0, and 1 waits longer");
    schedule.done(0);
    assert_eq!(jobs(&mut schedule), [1, 2]);
}

#[test]
fn gpus_are_held_one_by_one() {
    let mut schedule = with_gpus(&[Some(80), Some(80)]);
    (0..3).for_each(|job| schedule.push(job, 0, gpu(None)));
    schedule.push(3, 0, slots(1));
    assert_eq!(starts(&mut schedule), [(0, vec![0]), (1, vec![1]), (3, vec![])]);
    schedule.done(1);
    assert_eq!(starts(&mut schedule), [(2, vec![1])], "the one that came back");
    schedule.push(4, 0, Need { gpus: 2, ..gpu(None) });
    schedule.push(5, 0, gpu(None));
    schedule.done(0);
    assert_eq!(starts(&mut schedule), [], "5 must not take the GPU that 4 waits for");
    schedule.done(2);
    assert_eq!(starts(&mut schedule), [(4, vec![0, 1])]);
}

#[test]
fn jobs_share_a_gpu_as_long_as_its_memory_lasts() {
    let mut schedule = with_gpus(&[Some(80), Some(40)]);
    (0..4).for_each(|job| schedule.push(job, 0, gpu(Some(30))));
    assert_eq!(
        starts(&mut schedule),
        [(0, vec![0]), (1, vec![1]), (2, vec![0])],
        "spread first; 60 of 80 and 30 of 40 are held"
    );
    schedule.push(4, 0, gpu(Some(10)));
    assert_eq!(starts(&mut schedule), [], "4 would fit, but 3 waits");
    schedule.done(1);
    assert_eq!(starts(&mut schedule), [(3, vec![1]), (4, vec![1])], "the least used has room for both");
    schedule.push(5, 0, gpu(None));
    for job in [0, 2] {
        assert_eq!(starts(&mut schedule), [], "nobody holds a GPU alone beside others");
        schedule.done(job);
    }
    assert_eq!(starts(&mut schedule), [(5, vec![0])]);
    schedule.push(6, 0, gpu(Some(1)));
    schedule.done(3);
    assert_eq!(starts(&mut schedule), [(6, vec![1])], "and nobody joins one that is held alone");
    let mut unknown = with_gpus(&[None]);
    (0..2).for_each(|job| unknown.push(job, 0, gpu(Some(1))));
    assert_eq!(jobs(&mut unknown), [0], "memory that is not known is not shared");
}

fn asking(change: impl FnOnce(&mut Job)) -> Job {
    let world = World::new();
    world.build().job("a", "device", json!({}), &[]).with(change).done().jobs.remove(0)
}

#[test]
fn what_can_never_be_had_is_refused() {
    let machine = |ram, gpus: &[Option<u64>]| Capacity { ram, ..with_gpus(gpus).capacity().clone() };
    let why = |capacity: &Capacity, job: &Job| capacity.refusal(job).map(|refusal| refusal.why);
    let large = asking(|job| job.resources.ram = Some(64 * GIB));
    insta::assert_snapshot!(why(&machine(Some(16 * GIB), &[]), &large).unwrap(),
        @"asks for 64.0 GiB of memory (`resources: {ram: ...}`), and there are 16.0 GiB");
    assert_eq!(why(&machine(None, &[]), &large), None, "nobody knows what there is");
    let three = asking(|job| job.resources.gpus = 3);
    insta::assert_snapshot!(why(&machine(None, &[Some(80), Some(80)]), &three).unwrap(),
        @"asks for 3 GPUs (`resources: {gpu: ...}`), and there are 2");
    assert_eq!(why(&machine(None, &[]), &three), None, "on the CPU there is one queue");
    assert_eq!(machine(None, &[]).need(&three).gpus, 1);
    let memory = asking(|job| {
        job.resources.gpus = 2;
        job.resources.gpu_memory = Some(48 * GIB);
    });
    insta::assert_snapshot!(why(&machine(None, &[Some(80), Some(40)]), &memory).unwrap(),
        @"asks for 48.0 GiB of GPU memory (`resources: {gpu_memory: ...}`) on 2 GPUs, and the largest has 80.0 GiB");
    assert_eq!(why(&machine(None, &[Some(80), None]), &memory), None);
}

/// Slots, memory, GPUs, and the needs of jobs that fit.
fn cases() -> impl Strategy<Value = (Capacity, Vec<(u64, Need)>)> {
    let memory = prop_oneof![Just(None), (1_u64..9).prop_map(Some)];
    let capacity = (1_usize..6, prop::option::of(1_u64..20), prop::collection::vec(memory, 0..4));
    capacity.prop_flat_map(|(slots, ram, gpus)| {
        let count = gpus.len().max(1);
        let need = (0_u64..4, 1..=slots, 0..=ram.unwrap_or(0), 0..=count, prop::option::of(1_u64..9));
        let large = gpus.clone();
        let need = need.prop_map(move |(rank, slots, ram, gpus, memory)| {
            // As `Capacity::need` and `Capacity::refusal` see to it.
            let enough = large.iter().filter(|m| m.is_none_or(|m| Some(m) >= memory)).count();
            let gpu_memory = memory.filter(|_| gpus > 0 && !large.is_empty() && enough >= gpus);
            (rank, Need { slots, threads: None, ram, gpus, gpu_memory })
        });
        let slot = |memory: &Option<u64>| GpuSlot { memory: *memory, ..GpuSlot::default() };
        let gpus = gpus.iter().map(slot).collect();
        let capacity = Capacity { slots, threads: 4, ram, gpus };
        (Just(capacity), prop::collection::vec(need, 1..30))
    })
}

/// Lets all jobs run; `order` says who of the running ends next, and when the next job is queued. Returns all that happened.
fn simulate(capacity: &Capacity, jobs: &[(u64, Need)], order: &[u8]) -> Vec<(bool, usize)> {
    let mut schedule = Schedule::new(capacity.clone());
    let mut running: Vec<Start> = Vec::new();
    let mut story = Vec::new();
    let mut queued = 0;
    let mut dice = order.iter().cycle().map(|die| usize::from(*die));
    while queued < jobs.len() || !running.is_empty() {
        let die = dice.next().unwrap();
        if queued < jobs.len() && (die % 2 == 0 || running.is_empty()) {
            schedule.push(queued, jobs[queued].0, jobs[queued].1);
            queued += 1;
        } else {
            let ended = running.remove(die % running.len());
            schedule.done(ended.job);
            story.push((false, ended.job));
        }
        while let Some(start) = schedule.next() {
            story.push((true, start.job));
            running.push(start);
            check(capacity, jobs, &running);
        }
        assert!(
            queued == 0 || !running.is_empty() || story.len() == 2 * queued,
            "nothing runs, and jobs wait"
        );
    }
    story
}

fn check(capacity: &Capacity, jobs: &[(u64, Need)], running: &[Start]) {
    let need = |start: &Start| jobs[start.job].1;
    assert!(running.iter().map(|start| need(start).slots).sum::<usize>() <= capacity.slots);
    let ram: u64 = running.iter().map(|start| need(start).ram).sum();
    assert!(capacity.ram.is_none_or(|most| ram <= most));
    for start in running.iter().filter(|_| !capacity.gpus.is_empty()) {
        let distinct: BTreeSet<usize> = start.gpus.iter().copied().collect();
        assert_eq!((start.gpus.len(), distinct.len()), (need(start).gpus, need(start).gpus));
    }
    for (gpu, slot) in capacity.gpus.iter().enumerate() {
        let on: Vec<Need> = running.iter().filter(|start| start.gpus.contains(&gpu)).map(need).collect();
        let shared = slot.memory.is_some_and(|memory| {
            let wanted: Option<Vec<u64>> = on.iter().map(|need| need.gpu_memory).collect();
            wanted.is_some_and(|wanted| wanted.iter().sum::<u64>() <= memory)
        });
        assert!(on.len() <= 1 || shared, "{on:?} on {slot:?}");
    }
    if capacity.gpus.is_empty() {
        assert!(running.iter().filter(|start| need(start).gpus > 0).count() <= 1);
    }
}

proptest! {
    #[test]
    fn never_more_than_there_is_and_every_job_in_the_end(
        (capacity, jobs) in cases(),
        order in prop::collection::vec(any::<u8>(), 1..60),
    ) {
        let story = simulate(&capacity, &jobs, &order);
        let started: BTreeSet<usize> = story.iter().filter(|(begins, _)| *begins).map(|(_, job)| *job).collect();
        prop_assert_eq!(started.len(), jobs.len());
        prop_assert_eq!(story.len(), 2 * jobs.len(), "once each");
        prop_assert_eq!(simulate(&capacity, &jobs, &order), story, "and again in the same order");
    }
}

#[test]
fn slow_look_ups_hold_up_nobody() {
    // Fewer and more slow ones than there are threads for them.
    for slow in [1, 6] {
        let world = World::new();
        let mut build = world.build();
        for name in ["a", "b", "c"] {
            world.write(name, name);
            build = build.job(name, "act", json!({ "text": name }), &[("after[x]", name)]);
        }
        for number in 0..slow {
            let name = format!("slow{number}");
            world.write(&name, &name);
            build = build.job(&name, "act", json!({ "text": name }), &[("after[x]", &name)]);
        }
        let begin = Instant::now();
        let options = RunOptions { jobs: 1, ..options() };
        let record = world.run_with(&build.done(), &options);
        assert_eq!(record.header.counts.ran, 3 + slow);
        assert!(begin.elapsed() < PATIENCE, "{slow} look-ups held up three jobs: {:?}", begin.elapsed());
    }
}
