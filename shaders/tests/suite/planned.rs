//! Memory by plan: what is predicted is what is taken, results do not depend on it, and work that leaves its plan goes on.

use crate::common::stack::{SMALL, Sizes, Stack};
use crate::common::{bits, devices_with, noise, upload};
use celldag_shaders::{Device, DeviceError, DeviceOptions, Error, Plan, Result, Tape, Tensor, ops};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

/// Runs `work` by `plan`; the most bytes that were live meanwhile.
fn run<T>(device: &Device, plan: &Plan, work: impl FnOnce() -> T) -> (T, u64) {
    device.reset_peak();
    let result = device.run_planned(plan, work);
    (result, device.memory().peak)
}

#[test]
fn a_planned_batch_takes_exactly_what_is_predicted() {
    for device in devices_with(None) {
        let stack = Stack::new(&device, SMALL);
        for lengths in [&[5, 0, 31][..], &[1], &[130, 64, 65], &[], &[700, 3]] {
            let before = device.memory();
            let plan = device.plan(|| stack.embed(lengths)).unwrap();
            assert_eq!(device.memory(), before, "{device:?}: a plan takes no memory");
            let rehearsed = device.rehearse(|| stack.embed(lengths)).unwrap();
            assert_eq!(plan.peak(), before.live + plan.bytes());
            assert!(plan.peak() >= rehearsed && plan.buffers().len() < plan.tensors());
            let values = stack.embed(lengths).unwrap();
            // A plan serves as often as is wanted.
            for _ in 0..3 {
                let (planned, peak) = run(&device, &plan, || stack.embed(lengths).unwrap());
                assert_eq!(peak, plan.peak(), "{device:?} {lengths:?}");
                assert_eq!(bits(&planned), bits(&values), "{device:?} {lengths:?}");
                assert_eq!(device.memory().live, before.live);
                assert_eq!(device.memory().pooled, plan.bytes(), "{device:?}: nothing else is kept");
            }
        }
    }
}

#[test]
fn a_plan_covers_the_backward_pass() {
    for device in devices_with(None) {
        let x = upload(&device, &[37, 20], &noise(1, 740));
        let weight = upload(&device, &[30, 20], &noise(2, 600));
        let work = || {
            let tape = Tape::new();
            let weight = tape.watch(&weight);
            let y = ops::matmul(&ops::scale(&x, 2.0)?, &weight, ops::Layout::NT)?;
            let gradients = tape.gradients(&y, &device.upload(&[37, 30], &noise(3, 1110))?)?;
            gradients.of(&weight).unwrap().read()
        };
        let values = work().unwrap();
        let plan = device.plan(work).unwrap();
        let (planned, peak) = run(&device, &plan, || work().unwrap());
        assert_eq!((bits(&planned), peak), (bits(&values), plan.peak()), "{device:?}");
    }
}

#[test]
fn encoders_need_less_than_the_pool_keeps_for_them() {
    // Shaped as Geneformer and scGPT, a quarter as wide.
    let geneformer = Sizes { layers: 3, width: 64, heads: 4, inner: 128 };
    let scgpt = Sizes { layers: 3, width: 128, heads: 8, inner: 128 };
    for sizes in [geneformer, scgpt] {
        for device in devices_with(None) {
            let stack = Stack::new(&device, sizes);
            let weights = device.memory().live;
            let mut most = 0;
            for lengths in [&[300, 200][..], &[90; 5], &[61; 7]] {
                let plan = device.plan(|| stack.embed(lengths)).unwrap();
                let least = device.rehearse(|| stack.embed(lengths)).unwrap() - weights;
                assert!(plan.bytes() as f64 <= 1.1 * least as f64, "{} bytes for {least}", plan.bytes());
                most = most.max(plan.bytes());
                let (_, peak) = run(&device, &plan, || stack.embed(lengths).unwrap());
                assert_eq!(peak, plan.peak());
            }
            let [pooled] = devices_with(None)
                .into_iter()
                .filter(|d| d.info() == device.info())
                .collect::<Vec<_>>()
                .try_into()
                .unwrap();
            let stack = Stack::new(&pooled, sizes);
            for lengths in [&[300, 200][..], &[90; 5], &[61; 7]] {
                stack.embed(lengths).unwrap();
            }
            assert!(most < pooled.memory().pooled, "{most} {:?} on {device:?}", pooled.memory());
        }
    }
}

#[test]
fn results_outlive_their_run() {
    for device in devices_with(None) {
        let stack = Stack::new(&device, SMALL);
        let lengths = [40, 3, 17];
        let before = device.memory().live;
        let plan = device.plan(|| stack.states(&lengths)).unwrap();
        let first = device.run_planned(&plan, || stack.states(&lengths).unwrap());
        let held = device.memory().live - before;
        assert!(held >= 4 * first.len() as u64, "{device:?}");
        // The memory that it holds is not given to the next run.
        let second = device.run_planned(&plan, || stack.states(&lengths).unwrap());
        let others = upload(&device, &[200, 40], &noise(3, 8000));
        let want = bits(&stack.embed(&lengths).unwrap());
        assert_eq!(bits(&first.read().unwrap()), want, "{device:?}");
        assert_eq!(bits(&second.read().unwrap()), want, "{device:?}");
        drop((first, second, others));
        assert_eq!(device.memory().live, before, "{device:?}");
    }
}

#[test]
fn the_limit_decides_between_plan_and_pool() {
    let lengths = [60, 30, 7];
    for (unlimited, index) in devices_with(None).into_iter().zip(0..) {
        let stack = Stack::new(&unlimited, SMALL);
        let values = stack.embed(&lengths).unwrap();
        let least = unlimited.rehearse(|| stack.embed(&lengths)).unwrap();
        let whole = unlimited.plan(|| stack.embed(&lengths)).unwrap().peak();
        for limit in [whole, least] {
            let tight = devices_with(Some(limit)).swap_remove(index);
            let stack = Stack::new(&tight, SMALL);
            // Leftovers in the pool are in nobody's way.
            stack.embed(&lengths[1..]).unwrap();
            let plan = tight.plan(|| stack.embed(&lengths)).unwrap();
            assert_eq!(plan.peak(), limit, "{tight:?}");
            let (planned, peak) = run(&tight, &plan, || stack.embed(&lengths).unwrap());
            assert_eq!((bits(&planned), peak), (bits(&values), limit), "{tight:?}");
            assert!(tight.memory().live + tight.memory().pooled <= limit);
        }
        let short = devices_with(Some(least - 1)).swap_remove(index);
        let stack = Stack::new(&short, SMALL);
        let plan = short.plan(|| stack.embed(&lengths)).unwrap();
        assert!(plan.peak() > least - 1);
        let error = short.run_planned(&plan, || stack.embed(&lengths)).unwrap_err();
        assert!(matches!(error, Error::Device(DeviceError::OutOfMemory { .. })), "{short:?}: {error}");
    }
}

#[test]
fn plans_of_other_devices_and_inner_plans_change_nothing() {
    for device in devices_with(None) {
        let (stack, elsewhere) = (Stack::new(&device, SMALL), Stack::new(&crate::common::cpu(1), SMALL));
        let lengths = [9, 30];
        let values = bits(&stack.embed(&lengths).unwrap());
        let foreign = elsewhere.table.device().plan(|| elsewhere.embed(&lengths)).unwrap();
        assert_eq!(bits(&device.run_planned(&foreign, || stack.embed(&lengths).unwrap())), values);
        let plan = device.plan(|| stack.embed(&lengths)).unwrap();
        let nested = || device.run_planned(&plan, || stack.embed(&lengths));
        let (planned, peak) = run(&device, &plan, || nested().unwrap());
        assert_eq!((bits(&planned), peak), (values.clone(), plan.peak()), "{device:?}");
        assert_eq!(device.rehearse(nested).unwrap(), device.rehearse(|| stack.embed(&lengths)).unwrap());
        // A plan in the middle of a run that has its own, and work on another thread.
        let both = device.run_planned(&plan, || {
            let own = device.plan(|| stack.embed(&[3])).unwrap();
            let other =
                std::thread::scope(|scope| scope.spawn(|| stack.embed(&lengths).unwrap()).join().unwrap());
            (other, device.run_planned(&own, || stack.embed(&lengths).unwrap()))
        });
        assert_eq!((bits(&both.0), bits(&both.1)), (values.clone(), values), "{device:?}");
    }
}

#[test]
fn a_run_that_fails_leaves_nothing_behind() {
    for device in devices_with(None) {
        let stack = Stack::new(&device, SMALL);
        let before = device.memory().live;
        let plan = device.plan(|| stack.embed(&[20, 4])).unwrap();
        let stopped: Result<()> = device.run_planned(&plan, || {
            let states = stack.states(&[20, 4])?;
            ops::add(&states, &stack.table).map(drop)
        });
        assert!(stopped.is_err());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            device.run_planned(&plan, || {
                let _states = stack.states(&[20, 4]).unwrap();
                std::panic::resume_unwind(Box::new("on purpose"));
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(device.memory().live, before, "{device:?}");
        let (_, peak) = run(&device, &plan, || stack.embed(&[20, 4]).unwrap());
        assert_eq!(peak, plan.peak(), "{device:?}");
    }
}

/// A step of a random program over a few registers.
#[derive(Debug, Clone)]
enum Step {
    Upload {
        to: usize,
        rows: usize,
    },
    Scale {
        from: usize,
        to: usize,
    },
    /// Twice, with a sum that lives only in between.
    Double {
        from: usize,
        to: usize,
    },
    /// Rows of one against rows of the other.
    Product {
        left: usize,
        right: usize,
        to: usize,
    },
    Drop {
        at: usize,
    },
    Read {
        at: usize,
    },
}

const REGISTERS: usize = 6;
const WIDTH: usize = 24;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let at = || 0..REGISTERS;
    let rows = prop::sample::select(vec![1_usize, 2, 17, 64, 130, 301]);
    prop::collection::vec(
        prop_oneof![
            3 => (at(), rows).prop_map(|(to, rows)| Step::Upload { to, rows }),
            3 => (at(), at()).prop_map(|(from, to)| Step::Scale { from, to }),
            2 => (at(), at()).prop_map(|(from, to)| Step::Double { from, to }),
            2 => (at(), at(), at()).prop_map(|(left, right, to)| Step::Product { left, right, to }),
            1 => at().prop_map(|at| Step::Drop { at }),
            1 => at().prop_map(|at| Step::Read { at }),
        ],
        1..40,
    )
}

/// Everything that the program reads, and what its registers hold at the end.
fn execute(device: &Device, steps: &[Step]) -> Result<(Vec<Vec<f32>>, Vec<Tensor>)> {
    let mut registers: Vec<Option<Tensor>> = vec![None; REGISTERS];
    let mut read = Vec::new();
    for (number, step) in steps.iter().enumerate() {
        match *step {
            Step::Upload { to, rows } => {
                let values = noise(number as u64, rows * WIDTH);
                registers[to] = Some(device.upload(&[rows, WIDTH], &values)?);
            }
            Step::Scale { from, to } => {
                if let Some(from) = &registers[from] {
                    registers[to] = Some(ops::scale(from, 0.5)?);
                }
            }
            Step::Double { from, to } => {
                if let Some(from) = &registers[from] {
                    registers[to] = Some(ops::add(&ops::add(from, from)?, from)?);
                }
            }
            Step::Product { left, right, to } => {
                if let (Some(left), Some(right)) = (&registers[left], &registers[right])
                    && left.shape()[1] == right.shape()[1]
                {
                    registers[to] = Some(ops::matmul(left, right, ops::Layout::NT)?);
                }
            }
            Step::Drop { at } => registers[at] = None,
            Step::Read { at } => {
                if let Some(tensor) = &registers[at] {
                    read.push(tensor.read()?);
                }
            }
        }
    }
    Ok((read, registers.into_iter().flatten().collect()))
}

/// The bits of all that [`execute`] gives.
fn all_bits((read, held): &(Vec<Vec<f32>>, Vec<Tensor>)) -> Vec<Vec<u32>> {
    let held = held.iter().map(|tensor| bits(&tensor.read().unwrap()));
    read.iter().map(|values| bits(values)).chain(held).collect()
}

#[test]
fn random_programs_have_the_same_bits_with_and_without_a_plan() {
    // With small bindings, many a tensor and many a buffer of the plan is larger than what can be bound at once.
    let small = crate::common::gpu().map(|gpu| {
        let binding_limit = Some(160 << 10);
        Device::open_with(&DeviceOptions { binding_limit, ..DeviceOptions::new(&gpu.info().name, 0) })
            .unwrap()
    });
    for device in devices_with(None).into_iter().chain(small) {
        let cases = if device.info().backend == "cpu" { 60 } else { 25 };
        let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let programs = (steps(), steps());
        let outcome = runner.run(&programs, |(steps, others)| {
            let before = device.memory().live;
            let (want, want_others) =
                (all_bits(&execute(&device, &steps).unwrap()), all_bits(&execute(&device, &others).unwrap()));
            let plan = device.plan(|| execute(&device, &steps)).unwrap();
            let (planned, peak) = run(&device, &plan, || execute(&device, &steps).unwrap());
            prop_assert_eq!(peak, before + plan.bytes());
            // Another program leaves the plan somewhere, while the results of the first still hold some of its buffers.
            let deviating = device.run_planned(&plan, || execute(&device, &others).unwrap());
            prop_assert_eq!(all_bits(&planned), want.clone());
            prop_assert_eq!(all_bits(&deviating), want_others);
            drop((planned, deviating));
            prop_assert_eq!(device.memory().live, before);
            Ok(())
        });
        assert!(outcome.is_ok(), "{device:?}: {}", outcome.unwrap_err());
    }
}
