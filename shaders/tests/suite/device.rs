//! Opening devices, and the errors that callers rely on.

use crate::common::{cpu, gpu, noise, upload};
use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{
    Device, DeviceError, DeviceOptions, Error, Precision, Segments, Tensor, list_adapters, testing,
};

#[test]
fn auto_never_picks_a_software_driver() {
    let device = Device::open("auto", 2).unwrap();
    assert!(!device.info().software, "{device:?}");
    let hardware = list_adapters().iter().any(|adapter| !adapter.software);
    assert_eq!(device.info().backend, if hardware { "gpu" } else { "cpu" });
    if !hardware {
        let error = Device::open("gpu", 2).unwrap_err();
        assert!(error.to_string().contains("hardware GPU"), "{error}");
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
    assert_eq!(error.to_string(), "linear: [3, 4] and [5, 3] do not fit together (NT)");
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
fn a_tensor_above_the_buffer_limit_is_a_typed_error_and_the_device_goes_on() {
    let Some(device) = gpu() else { return };
    let limit = device.info().largest_buffer;
    if limit > 1 << 40 {
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

/// The device of [`gpu`], opened once more with other options.
fn another(options: DeviceOptions) -> Option<Device> {
    gpu()?;
    let choice = std::env::var("CELLDAG_TEST_DEVICE").unwrap_or_else(|_| "software".to_owned());
    Some(Device::open_with(&DeviceOptions { choice, ..options }).unwrap())
}

#[test]
fn a_reduced_precision_is_refused_where_it_cannot_be_had() {
    for precision in [Precision::F32x3, Precision::F16] {
        let options = DeviceOptions { precision, ..DeviceOptions::new("cpu", 1) };
        let error = Device::open_with(&options).unwrap_err();
        assert!(matches!(error, DeviceError::Precision { .. }), "{error}");
        assert!(error.to_string().contains("--precision f32"), "{error}");
        for adapter in list_adapters() {
            let able = adapter.cooperative.iter().any(|shape| shape.f16_factors && !shape.f16_sums);
            let options = DeviceOptions { choice: adapter.index.to_string(), ..options.clone() };
            match Device::open_with(&options) {
                Ok(device) => assert!(able && device.precision() == precision, "{device:?}"),
                Err(DeviceError::Precision { .. }) => {}
                Err(other) => panic!("{other}"),
            }
        }
    }
    assert_eq!(cpu(1).precision(), Precision::F32);
    assert_eq!("f32x3".parse(), Ok(Precision::F32x3));
    assert!("bf16".parse::<Precision>().unwrap_err().to_string().contains("f32x3"));
}

#[test]
fn an_open_device_has_the_features_and_limits_of_its_adapter() {
    let Some(device) = gpu() else { return };
    let info = device.info();
    let adapters = list_adapters();
    let adapter = adapters.iter().find(|adapter| adapter.name == info.name).unwrap();
    for feature in &info.features {
        assert!(adapter.features.contains(feature), "{feature}");
    }
    assert!(!info.features.contains(&"cooperative-matrix"), "only a precision that needs it asks for it");
    assert_eq!(
        (info.largest_buffer, info.largest_binding),
        (adapter.largest_buffer, adapter.largest_binding)
    );
}

#[test]
fn a_lost_device_is_a_typed_error_and_the_work_can_be_repeated() {
    let Some(device) = another(DeviceOptions::default()) else { return };
    let work = |device: &Device| {
        let x = device.upload(&[37, 53], &noise(1, 37 * 53))?;
        ops::linear(&x, &device.upload(&[29, 53], &noise(2, 29 * 53))?, None, Activation::Gelu)?.read()
    };
    let before = work(&device).unwrap();
    let kept = upload(&device, &[4], &[1.0; 4]);
    testing::destroy(&device);
    for _ in 0..2 {
        let error = work(&device).unwrap_err();
        assert!(matches!(error, Error::Device(DeviceError::Lost { .. })), "{error}");
    }
    assert!(matches!(kept.read(), Err(Error::Device(DeviceError::Lost { .. }))));
    let again = device.reopen().unwrap();
    assert!(!again.same(&device) && again.info() == device.info());
    assert_eq!(work(&again).unwrap(), before);
}

#[test]
fn a_device_lost_between_recording_and_reading_is_found() {
    let Some(device) = another(DeviceOptions::default()) else { return };
    let x = upload(&device, &[1000], &noise(1, 1000));
    let sum = ops::add(&x, &x).unwrap();
    let reading = ops::scale(&sum, 2.0).unwrap().read_later().unwrap();
    let later = ops::scale(&sum, 3.0).unwrap();
    testing::destroy(&device);
    assert!(matches!(later.read(), Err(Error::Device(DeviceError::Lost { .. }))));
    // The copy was under way: it ends one way or the other, but it ends.
    match reading.finish() {
        Ok(values) => assert_eq!(values.len(), 1000),
        Err(error) => assert!(matches!(error, Error::Device(DeviceError::Lost { .. })), "{error}"),
    }
}

#[test]
fn pipelines_are_kept_in_files_and_damaged_files_are_harmless() {
    let folder = std::env::temp_dir().join(format!("celldag-pipelines-{}", std::process::id()));
    let options = || DeviceOptions { driver_folder: Some(folder.clone()), ..DeviceOptions::default() };
    let run = || {
        let device = another(options())?;
        if !device.info().features.contains(&"pipeline-cache") {
            eprintln!("SKIP: the driver keeps no pipelines");
            return None;
        }
        let x = upload(&device, &[100], &noise(1, 100));
        Some(ops::add(&x, &x).unwrap().read().unwrap())
    };
    let Some(first) = run() else { return };
    let files = || {
        let entries = fs_err::read_dir(&folder).unwrap();
        entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>()
    };
    let [file] = &files()[..] else { panic!("{:?}", files()) };
    assert!(file.file_name().unwrap().to_string_lossy().starts_with("wgpu_pipeline_cache_vulkan"));
    let whole = fs_err::read(file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for damaged in [&b""[..], b"nonsense", &whole[..whole.len() - 1], &flipped, &whole] {
        fs_err::write(file, damaged).unwrap();
        assert_eq!(run().unwrap(), first);
        assert_eq!(files().len(), 1, "nothing half written stays");
        assert_eq!(fs_err::read(file).unwrap(), whole, "the file is written anew");
    }
    fs_err::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_refused_launch_leaves_nothing_behind() {
    let Some(device) = gpu() else { return };
    let mut left_over = None;
    device
        .rehearse(|| {
            left_over = Some(device.zeros(&[4])?);
            Ok::<(), Error>(())
        })
        .unwrap();
    let left_over = left_over.unwrap();
    let x = upload(&device, &[4], &[1.0, 2.0, 3.0, 4.0]);
    // More launches than one submission holds, some of them refused.
    let results: Vec<Tensor> = (0..600)
        .map(|i| {
            if i % 40 == 0 {
                assert!(ops::add(&x, &left_over).is_err());
            }
            ops::scale(&x, i as f32).unwrap()
        })
        .collect();
    for (i, result) in results.iter().enumerate() {
        let i = i as f32;
        assert_eq!(result.read().unwrap(), [i, 2.0 * i, 3.0 * i, 4.0 * i]);
    }
}

/// Parameters of kernels as immediate data and in a uniform buffer: same bits.
#[test]
fn immediate_data_does_not_change_bits() {
    let Some(plain) = gpu() else { return };
    let uniform = another(DeviceOptions { uniform_parameters: true, ..DeviceOptions::default() }).unwrap();
    assert!(!uniform.info().features.contains(&"immediates"));
    if !plain.info().features.contains(&"immediates") {
        eprintln!("SKIP: the adapter has no immediate data");
    }
    let run = |device: &Device| {
        let x = upload(device, &[300, 40], &noise(1, 300 * 40));
        let weight = upload(device, &[40, 40], &noise(2, 1600));
        let row = upload(device, &[40], &noise(3, 40));
        let y = ops::linear(&x, &weight, Some(&row), Activation::Gelu).unwrap();
        let y = ops::layer_norm(&y, Some(&x), &row, &row, 1e-5).unwrap();
        let segments = Segments::new(device, &[100, 0, 200]).unwrap();
        let y = ops::attention(&y, &y, &x, &segments, 4, true).unwrap();
        let mut z = ops::pool(&y, &segments, ops::Pool::Mean { skip_first: 1, skip_last: 0 }).unwrap();
        // More dispatches than one submission holds.
        for i in 0..300 {
            z = ops::scale(&z, 1.0 + i as f32 / 1000.0).unwrap();
        }
        crate::common::bits(&z.read().unwrap())
    };
    assert_eq!(run(&plain), run(&uniform));
}

/// Keys and saved states hold the adapter: what no bit depends on must not be in it.
#[test]
fn the_adapter_of_a_processor_is_the_same_for_every_number_of_threads() {
    let [one, two] = [1, 2].map(|threads| cpu(threads).info().clone());
    assert_ne!(one.name, two.name);
    assert_eq!((one.adapter(), one.machine()), (two.adapter(), two.machine()));
    assert!(one.adapter().starts_with("native CPU (") && one.adapter().ends_with(')'), "{}", one.adapter());
    if let Some(gpu) = gpu() {
        assert_eq!(gpu.info().adapter(), gpu.info().name);
    }
}
