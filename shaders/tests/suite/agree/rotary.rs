//! The rotary position embedding.

use celldag_shaders::ops::{self, Rotary, row_positions};
use celldag_shaders::{Device, Ids, Segments};

use crate::common::{assert_close, bits, devices, noise, upload};

/// Each head turned in f64.
fn turned(x: &[f32], columns: usize, frequencies: &[f64], positions: &[u32]) -> Vec<f64> {
    let half = frequencies.len();
    let mut out = vec![0.0; x.len()];
    for (row, &position) in positions.iter().enumerate() {
        for head in (0..columns).step_by(2 * half) {
            for (i, frequency) in frequencies.iter().enumerate() {
                let at = row * columns + head + i;
                let (a, b) = (f64::from(x[at]), f64::from(x[at + half]));
                let (sin, cos) = (f64::from(position) * frequency).sin_cos();
                out[at] = a * cos - b * sin;
                out[at + half] = b * cos + a * sin;
            }
        }
    }
    out
}

#[test]
fn heads_turn_by_their_position() {
    for device in devices() {
        for (heads, head_width, lengths) in
            [(1, 2, vec![1]), (3, 10, vec![3, 0, 70, 1]), (2, 64, vec![33, 129]), (1, 6, vec![0, 0])]
        {
            let segments = Segments::new(&device, &lengths).unwrap();
            let positions = row_positions(&segments).unwrap();
            let want: Vec<u32> = lengths.iter().flat_map(|&length| 0..length as u32).collect();
            assert_eq!(positions.values(), want);
            let frequencies = Rotary::frequencies(10_000.0, head_width);
            let table = Rotary::new(&device, &frequencies, 130).unwrap();
            assert_eq!((table.positions(), table.head_width()), (130, head_width));
            let columns = heads * head_width;
            let x = noise(1, want.len() * columns);
            let got = ops::rotary(&upload(&device, &[want.len(), columns], &x), &table, &positions).unwrap();
            let want = turned(&x, columns, &frequencies, &want);
            let label = format!("{heads} x {head_width} {device:?}");
            assert_close(&label, &got.read().unwrap(), &want, 3e-7);
        }
    }
}

#[test]
fn frequencies_and_far_positions_are_those_of_llama() {
    let frequencies = Rotary::frequencies(500_000.0, 128);
    assert_eq!((frequencies.len(), frequencies[0]), (64, 1.0));
    assert!((frequencies[63] * 500_000f64.powf(126.0 / 128.0) - 1.0).abs() < 1e-12);
    for device in devices() {
        let table = Rotary::new(&device, &frequencies, 8192).unwrap();
        let places = [0, 1, 8191, 4097, 8191];
        let positions = Ids::new(&device, &places).unwrap();
        let x = noise(2, places.len() * 256);
        let got = ops::rotary(&upload(&device, &[places.len(), 256], &x), &table, &positions).unwrap();
        let got = got.read().unwrap();
        assert_close(&format!("{device:?}"), &got, &turned(&x, 256, &frequencies, &places), 3e-7);
        // Position 0 does not turn.
        assert_eq!(bits(&got[..256]), bits(&x[..256]));
    }
}

#[test]
fn mistakes_are_errors() {
    let device = Device::cpu(1).unwrap();
    let table = Rotary::new(&device, &Rotary::frequencies(10_000.0, 4), 3).unwrap();
    let ids = |values: &[u32]| Ids::new(&device, values).unwrap();
    let x = upload(&device, &[2, 8], &[0.0; 16]);
    assert!(ops::rotary(&x, &table, &ids(&[0, 2])).is_ok());
    assert!(ops::rotary(&x, &table, &ids(&[0, 3])).is_err());
    assert!(ops::rotary(&x, &table, &ids(&[0])).is_err());
    assert!(ops::rotary(&upload(&device, &[2, 6], &[0.0; 12]), &table, &ids(&[0, 1])).is_err());
    assert!(Rotary::new(&device, &[], 3).is_err());
    let other = Device::cpu(1).unwrap();
    assert!(ops::rotary(&upload(&other, &[2, 8], &[0.0; 16]), &table, &ids(&[0, 1])).is_err());
}
