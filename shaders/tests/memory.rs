//! Memory: its books, the limit, the rehearsal of a batch, and what a full memory leaves behind.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod common;

use celldag_shaders::ops::{self, Activation, Pool};
use celldag_shaders::{Device, DeviceError, DeviceOptions, Error, Ids, Result, Segments, Tape, Tensor};
use common::{bits, noise, upload};

const HIDDEN: usize = 40;
const HEADS: usize = 4;

/// The CPU with one and with three threads, and the software GPU, each opened for one test.
fn devices(memory_limit: Option<u64>) -> Vec<Device> {
    let open = |choice: &str, threads| {
        Device::open_with(&DeviceOptions { memory_limit, ..DeviceOptions::new(choice, threads) })
    };
    let mut devices = vec![open("cpu", 1).unwrap(), open("cpu", 3).unwrap()];
    if common::gpu().is_some() {
        let choice = std::env::var("CELLDAG_TEST_DEVICE").unwrap_or_else(|_| "software".to_owned());
        devices.push(open(&choice, 0).unwrap());
    }
    devices
}

/// Two layers of the kind that BERT stacks.
struct Stack {
    table: Tensor,
    layers: Vec<Vec<Tensor>>,
}

impl Stack {
    fn new(device: &Device) -> Stack {
        let square = |seed| upload(device, &[HIDDEN, HIDDEN], &noise(seed, HIDDEN * HIDDEN));
        let vector = |seed| upload(device, &[HIDDEN], &noise(seed, HIDDEN));
        let layer = |first: u64| {
            vec![
                square(first),
                square(first + 1),
                square(first + 2),
                square(first + 3),
                upload(device, &[4 * HIDDEN, HIDDEN], &noise(first + 4, 4 * HIDDEN * HIDDEN)),
                upload(device, &[HIDDEN, 4 * HIDDEN], &noise(first + 5, 4 * HIDDEN * HIDDEN)),
                vector(first + 6),
                vector(first + 7),
            ]
        };
        let table = upload(device, &[100, HIDDEN], &noise(1, 100 * HIDDEN));
        Stack { table, layers: vec![layer(10), layer(20)] }
    }

    /// Mean states of cells of the given lengths.
    fn embed(&self, lengths: &[usize]) -> Result<Vec<f32>> {
        let device = self.table.device();
        let cell = |length: &usize| (0..*length as u32).map(|i| (i * 7 + 3) % 100);
        let tokens: Vec<u32> = lengths.iter().flat_map(cell).collect();
        let segments = Segments::new(device, lengths)?;
        let mut x = ops::embed(&self.table, &Ids::new(device, &tokens)?)?;
        for layer in &self.layers {
            let [q, k, v, o, up, down, gamma, beta] = &layer[..] else { unreachable!() };
            let linear = |x: &Tensor, w: &Tensor, activation| ops::linear(x, w, None, activation);
            let mixed = {
                let q = linear(&x, q, Activation::None)?;
                let (k, v) = (linear(&x, k, Activation::None)?, linear(&x, v, Activation::None)?);
                ops::attention(&q, &k, &v, &segments, HEADS, false)?
            };
            let mixed = linear(&mixed, o, Activation::None)?;
            x = ops::layer_norm(&mixed, Some(&x), gamma, beta, 1e-5)?;
            let wide = linear(&x, up, Activation::Gelu)?;
            x = ops::layer_norm(&linear(&wide, down, Activation::None)?, Some(&x), gamma, beta, 1e-5)?;
        }
        ops::pool(&x, &segments, Pool::First)?.read()
    }
}

#[test]
fn a_rehearsal_predicts_the_peak_of_a_batch_exactly() {
    for device in devices(None) {
        let stack = Stack::new(&device);
        for lengths in [&[5, 0, 31][..], &[1], &[130, 64, 65], &[]] {
            let before = device.memory();
            let predicted = device.rehearse(|| stack.embed(lengths)).unwrap();
            assert_eq!(device.memory(), before, "{device:?}: a rehearsal takes no memory");
            device.reset_peak();
            let values = stack.embed(lengths).unwrap();
            assert_eq!(device.memory().peak, predicted, "{device:?} {lengths:?}");
            assert_eq!(device.memory().live, before.live, "{device:?} {lengths:?}");
            // A rehearsal leaves no trace in later results.
            let _ = device.rehearse(|| stack.embed(lengths)).unwrap();
            assert_eq!(bits(&stack.embed(lengths).unwrap()), bits(&values));
        }
    }
}

#[test]
fn a_rehearsal_covers_the_backward_pass() {
    for device in devices(None) {
        let x = upload(&device, &[37, 20], &noise(1, 740));
        let weight = upload(&device, &[30, 20], &noise(2, 600));
        let work = || {
            let tape = Tape::new();
            let weight = tape.watch(&weight);
            let y = ops::matmul(&ops::scale(&x, 2.0)?, &weight, ops::Layout::NT)?;
            let gradients = tape.gradients(&y, &device.upload(&[37, 30], &noise(3, 1110))?)?;
            gradients.of(&weight).unwrap().read()
        };
        let predicted = device.rehearse(work).unwrap();
        device.reset_peak();
        work().unwrap();
        assert_eq!(device.memory().peak, predicted, "{device:?}");
    }
}

#[test]
fn a_batch_fits_exactly_at_its_predicted_peak() {
    let lengths = [60, 30, 7];
    for (unlimited, index) in devices(None).into_iter().zip(0..) {
        let stack = Stack::new(&unlimited);
        let peak = unlimited.rehearse(|| stack.embed(&lengths)).unwrap();
        let values = stack.embed(&lengths).unwrap();
        let tight = devices(Some(peak)).swap_remove(index);
        assert_eq!(tight.memory().limit, Some(peak));
        let stack = Stack::new(&tight);
        assert_eq!(bits(&stack.embed(&lengths).unwrap()), bits(&values), "{tight:?}");
        assert!(tight.memory().live + tight.memory().pooled <= peak);
        let short = devices(Some(peak - 1)).swap_remove(index);
        let stack = Stack::new(&short);
        let error = stack.embed(&lengths).unwrap_err();
        assert!(matches!(error, Error::Device(DeviceError::OutOfMemory { .. })), "{short:?}: {error}");
        // The device goes on with what fits.
        let halves = [stack.embed(&lengths[..1]).unwrap(), stack.embed(&lengths[1..]).unwrap()].concat();
        assert_eq!(bits(&halves), bits(&values), "{short:?}");
    }
}

#[test]
fn memory_in_the_pool_is_given_back_before_an_allocation_fails() {
    for device in devices(Some(1 << 20)) {
        drop(device.zeros(&[150, 1000]).unwrap());
        assert!(device.memory().pooled >= 600_000, "{device:?}");
        let kept = device.zeros(&[200, 1000]).unwrap();
        assert_eq!(device.memory().pooled, 0, "{device:?}");
        let error = device.zeros(&[100, 1000]).unwrap_err();
        assert!(matches!(error, Error::Device(DeviceError::OutOfMemory { bytes, .. }) if bytes >= 400_000));
        assert_eq!(kept.read().unwrap(), vec![0.0; 200_000]);
    }
}

#[test]
fn tensors_of_a_rehearsal_have_no_values_afterwards() {
    for device in devices(None) {
        let x = upload(&device, &[3, 5], &noise(1, 15));
        let mut smuggled = None;
        let zeros = device.rehearse(|| {
            let sum = ops::add(&x, &x)?;
            assert_eq!(sum.read()?, vec![0.0; 15]);
            smuggled = Some(sum);
            Ok::<(), Error>(())
        });
        assert!(zeros.unwrap() >= 512);
        let smuggled = smuggled.unwrap();
        let refused =
            [smuggled.read().map(drop), ops::add(&smuggled, &x).and_then(|sum| sum.read()).map(drop)];
        for error in refused {
            assert!(error.unwrap_err().to_string().contains("rehearsal"), "{device:?}");
        }
        drop(smuggled);
        assert_eq!(ops::add(&x, &x).unwrap().read().unwrap()[0], 2.0 * x.read().unwrap()[0]);
    }
}

#[test]
fn later_work_overlaps_with_readbacks() {
    for device in devices(None) {
        let mut readings = Vec::new();
        for round in 0..7 {
            let x = upload(&device, &[1000], &vec![round as f32; 1000]);
            readings.push(ops::scale(&x, 2.0).unwrap().read_later().unwrap());
        }
        for (round, reading) in readings.into_iter().enumerate() {
            assert_eq!(reading.finish().unwrap(), vec![2.0 * round as f32; 1000], "{device:?}");
        }
    }
}
