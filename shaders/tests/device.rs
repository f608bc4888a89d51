//! Opening devices, and the errors that callers rely on.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "helpers of tests")]

mod common;

use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Device, DeviceError, Error, Segments, list_adapters};
use common::{cpu, gpu, noise, upload};

#[test]
fn auto_never_picks_a_software_driver() {
    let device = Device::open("auto", 2).unwrap();
    assert!(!device.info().software, "{device:?}");
    let hardware = list_adapters().iter().any(|adapter| !adapter.software);
    assert_eq!(device.info().backend, if hardware { "gpu" } else { "cpu" });
    if !hardware {
        let error = Device::open("gpu", 2).unwrap_err();
        assert!(error.to_string().contains("no hardware GPU"), "{error}");
    }
}

#[test]
fn an_unknown_device_lists_what_exists() {
    let error = Device::open("GeForce 9999", 1).unwrap_err();
    let DeviceError::NotFound { asked, found, .. } = &error else { panic!("{error}") };
    assert_eq!(asked, "geforce 9999");
    for adapter in list_adapters() {
        assert!(found.iter().any(|name| name.contains(&adapter.name)), "{error}");
    }
}

#[test]
fn an_adapter_is_found_by_index_and_by_part_of_its_name() {
    for adapter in list_adapters() {
        let by_index = Device::open(&adapter.index.to_string(), 1).unwrap();
        assert_eq!(by_index.info().name, adapter.name);
        let part: String = adapter.name.chars().take(5).collect();
        assert!(Device::open(&part.to_uppercase(), 1).unwrap().info().name.starts_with(&part));
    }
}

#[test]
fn operands_must_fit_and_share_a_device() {
    let device = cpu(1);
    let x = upload(&device, &[3, 4], &noise(1, 12));
    let weight = upload(&device, &[5, 3], &noise(2, 15));
    let error = ops::linear(&x, &weight, None, Activation::None).unwrap_err();
    assert_eq!(error.to_string(), "linear: [3, 4] and [5, 3] do not share an inner size (NT)");
    let elsewhere = upload(&cpu(1), &[3, 4], &noise(3, 12));
    assert_eq!(ops::add(&x, &elsewhere).unwrap_err(), Error::MixedDevices { op: "add" });
    let segments = Segments::new(&device, &[2]).unwrap();
    let error = ops::attention(&x, &x, &x, &segments, 2, false).unwrap_err();
    assert_eq!(error.to_string(), "attention: the segments cover 2 rows, `q` has 3");
    assert!(device.upload(&[2, 2], &[0.0; 3]).is_err());
    if let Some(gpu) = gpu() {
        assert!(ops::add(&x, &upload(&gpu, &[3, 4], &noise(3, 12))).is_err());
    }
}

#[test]
fn a_tensor_above_the_binding_limit_is_a_typed_error_and_the_device_goes_on() {
    let Some(device) = gpu() else { return };
    let limit = device.largest_tensor_bytes();
    if limit > 1 << 30 {
        return;
    }
    // A product of two thin matrices that is larger than the limit.
    let side = ((limit / 4) as f64).sqrt() as usize + 1;
    let thin = upload(&device, &[side, 1], &vec![1.0; side]);
    let error = ops::matmul(&thin, &thin, ops::Layout::NT).unwrap_err();
    assert!(matches!(error, Error::Device(DeviceError::TooLarge { bytes, .. }) if bytes > limit), "{error}");
    assert_eq!(ops::scale(&thin, 2.0).unwrap().read().unwrap()[side - 1], 2.0);
}

#[test]
fn results_that_wait_on_the_device_survive_reuse_of_memory() {
    let Some(device) = gpu() else { return };
    // Each round drops its tensors while their commands still wait; uploads must not overwrite what these read.
    let mut kept = Vec::new();
    for round in 0..20 {
        let values = vec![round as f32; 1000];
        let x = upload(&device, &[1000], &values);
        kept.push(ops::scale(&ops::add(&x, &x).unwrap(), 0.5).unwrap());
    }
    for (round, tensor) in kept.iter().enumerate() {
        assert!(tensor.read().unwrap().iter().all(|&value| value == round as f32), "round {round}");
    }
}
