//! Memory: its books, the limit, the rehearsal of a batch, and what a full memory leaves behind.

use crate::common::stack::{SMALL, Stack};
use crate::common::{bits, devices_with, noise, upload};
use celldag_shaders::{DeviceError, Element, Error, Tape, ops};

#[test]
fn a_rehearsal_predicts_the_peak_of_a_batch_exactly() {
    for device in devices_with(None) {
        let stack = Stack::new(&device, SMALL);
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
        let predicted = device.rehearse(work).unwrap();
        device.reset_peak();
        work().unwrap();
        assert_eq!(device.memory().peak, predicted, "{device:?}");
    }
}

#[test]
fn a_batch_fits_exactly_at_its_predicted_peak() {
    let lengths = [60, 30, 7];
    for (unlimited, index) in devices_with(None).into_iter().zip(0..) {
        let stack = Stack::new(&unlimited, SMALL);
        let peak = unlimited.rehearse(|| stack.embed(&lengths)).unwrap();
        let values = stack.embed(&lengths).unwrap();
        let tight = devices_with(Some(peak)).swap_remove(index);
        assert_eq!(tight.memory().limit, Some(peak));
        let stack = Stack::new(&tight, SMALL);
        assert_eq!(bits(&stack.embed(&lengths).unwrap()), bits(&values), "{tight:?}");
        assert!(tight.memory().live + tight.memory().pooled <= peak);
        let short = devices_with(Some(peak - 1)).swap_remove(index);
        let stack = Stack::new(&short, SMALL);
        let error = stack.embed(&lengths).unwrap_err();
        assert!(matches!(error, Error::Device(DeviceError::OutOfMemory { .. })), "{short:?}: {error}");
        // The device goes on with what fits.
        let halves = [stack.embed(&lengths[..1]).unwrap(), stack.embed(&lengths[1..]).unwrap()].concat();
        assert_eq!(bits(&halves), bits(&values), "{short:?}");
    }
}

#[test]
fn memory_in_the_pool_is_given_back_before_an_allocation_fails() {
    for device in devices_with(Some(1 << 20)) {
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
    for device in devices_with(None) {
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
    for device in devices_with(None) {
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

#[test]
fn uploads_and_readbacks_go_through_few_staging_buffers() {
    for device in devices_with(None) {
        // Several times around the ring, neither a multiple of its buffers nor of a word.
        let halves: Vec<u16> =
            (0..30_000_001_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 17) as u16).collect();
        let tensor = device.upload_half(&[halves.len()], Element::Bf16, &halves).unwrap();
        let widened = Element::Bf16.widen(&halves);
        // Read in pieces.
        assert!(bits(&tensor.read().unwrap()) == bits(&widened), "{device:?}");
        let most = if device.info().backend == "gpu" { (4 * 8 + 3 * 16) << 20 } else { 0 };
        assert!(device.memory().staging <= most, "{device:?}: {:?}", device.memory());
    }
}

#[test]
fn uploads_keep_their_place_among_recorded_commands() {
    for device in devices_with(None) {
        let weight = upload(&device, &[300, 300], &noise(1, 90_000));
        let x = upload(&device, &[2000, 300], &noise(2, 600_000));
        let mut sums = Vec::new();
        for round in 0..40 {
            // The memory of each result is uploaded into as soon as it is dropped, while its commands wait.
            let product = ops::linear(&x, &weight, None, ops::Activation::None).unwrap();
            let sum = ops::add(&product, &product).unwrap();
            drop(product);
            let next = upload(&device, &[2000, 300], &vec![round as f32; 600_000]);
            sums.push(ops::column_sum(&ops::add(&sum, &next).unwrap()).unwrap());
            drop((sum, next));
        }
        let first = sums[0].read().unwrap();
        for (round, sum) in sums.iter().enumerate() {
            for (value, first) in sum.read().unwrap().iter().zip(&first) {
                assert!((value - first - 2000.0 * round as f32).abs() < 2.0, "{device:?} round {round}");
            }
        }
    }
}

#[test]
fn panels_and_scratch_memory_are_counted() {
    let device = crate::common::cpu(2);
    let (x, weight) =
        (upload(&device, &[100, 512], &noise(1, 51_200)), upload(&device, &[640, 512], &noise(2, 327_680)));
    let bytes = 640 * 512 * 4;
    for (panels, scratch) in [(0, bytes), (bytes, 0), (bytes, 0)] {
        // Panels are made in scratch memory, and kept at the second use.
        ops::linear(&x, &weight, None, ops::Activation::None).unwrap();
        assert_eq!((device.memory().panels, device.memory().scratch), (panels, scratch));
    }
    drop(weight);
    assert_eq!((device.memory().panels, device.memory().scratch), (0, bytes));
    assert_eq!(device.memory().staging, 0);
}
