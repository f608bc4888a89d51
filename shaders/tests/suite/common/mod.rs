//! What the tests of this crate share: the devices to test on, reproducible inputs, and comparison with a reference.

pub mod attention;
pub mod gradient;
pub mod linear_attention;
pub mod reference;
pub mod stack;

use std::sync::OnceLock;

use celldag_shaders::{Device, DeviceOptions, Tensor};

/// The native backend with `threads` workers.
pub fn cpu(threads: usize) -> Device {
    Device::cpu(threads).unwrap()
}

/// The GPU to test on, shared because drivers compile slowly: `CELLDAG_TEST_DEVICE`, else a software driver. None, with
/// a message, where there is none; an error in CI.
pub fn gpu() -> Option<Device> {
    static GPU: OnceLock<Option<Device>> = OnceLock::new();
    let open = || {
        let choice = std::env::var("CELLDAG_TEST_DEVICE").unwrap_or_else(|_| "software".to_owned());
        match Device::open(&choice, 0) {
            Ok(device) => Some(device),
            Err(error) => {
                let wanted = std::env::var_os("CELLDAG_TEST_DEVICE").or_else(|| std::env::var_os("CI"));
                assert!(wanted.is_none(), "CI, and who names a device, must have one: {error}");
                eprintln!("SKIP the GPU half of the test: {error}");
                None
            }
        }
    };
    GPU.get_or_init(open).clone()
}

/// The GPU to test on, with kernels that may bind 64 KiB at once: tensors of a few thousand rows need several windows.
pub fn small_bindings() -> Option<Device> {
    static GPU: OnceLock<Option<Device>> = OnceLock::new();
    let open = || {
        let mut options = DeviceOptions::new(&gpu()?.info().name, 0);
        options.binding_limit = Some(64 << 10);
        Device::open_with(&options).ok()
    };
    GPU.get_or_init(open).clone()
}

/// Both backends; the CPU with one and with three threads.
pub fn devices() -> Vec<Device> {
    [Some(cpu(1)), Some(cpu(3)), gpu()].into_iter().flatten().collect()
}

/// As [`devices`], each opened for one test, with a limit of their memory.
pub fn devices_with(memory_limit: Option<u64>) -> Vec<Device> {
    let open = |choice: &str, threads| {
        Device::open_with(&DeviceOptions { memory_limit, ..DeviceOptions::new(choice, threads) }).unwrap()
    };
    let mut devices = vec![open("cpu", 1), open("cpu", 3)];
    devices.extend(gpu().map(|gpu| open(&gpu.info().name, 0)));
    devices
}

/// Reproducible values in -1 to 1.
pub fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..20).for_each(|_| {
        next();
    });
    (0..count).map(|_| next()).collect()
}

/// Uploads values.
pub fn upload(device: &Device, shape: &[usize], values: &[f32]) -> Tensor {
    device.upload(shape, values).unwrap()
}

/// Fails unless every value is within `tolerance` of the reference, relative to 1 or the reference, whichever is larger.
pub fn assert_close(label: &str, got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{label}: length");
    for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(got) - want).abs();
        let same = (got.is_nan() && want.is_nan()) || f64::from(got) == want;
        assert!(
            same || error <= tolerance * want.abs().max(1.0),
            "{label}: value {i} is {got:e}, not {want:e}"
        );
    }
}

/// Whether values have the same bits, or are not a number in the same places.
pub fn same_bits(a: &[f32], b: &[f32]) -> bool {
    let same = |(a, b): (&f32, &f32)| a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan();
    a.len() == b.len() && a.iter().zip(b).all(same)
}

/// The bits of the values, for exact comparison that also tells signs of zero apart.
pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}
