//! Dropout: the same noise on every device, in every batch, forward and backward.

use celldag_shaders::ops::{self, Dropout};
use celldag_shaders::{Device, Ids, Tape, Tensor};

use crate::common::{bits, cpu, devices, gpu, noise, upload};

const NOISE: Dropout =
    Dropout { probability: 0.25, seed: 0x0123_4567_89ab_cdef, stream: 0xfedc_ba98_7654_3210 };

/// Four words of Philox4x32-10, written apart from the library, with 128-bit products.
fn philox(counter: [u32; 4], seed: u64) -> [u32; 4] {
    let mut c = counter.map(u128::from);
    let mut key = [u128::from(seed as u32), u128::from(seed >> 32)];
    for _ in 0..10 {
        let (p, q) = (c[0] * 0xD251_1F53, c[2] * 0xCD9E_8D57);
        c = [(q >> 32) ^ c[1] ^ key[0], q & 0xffff_ffff, (p >> 32) ^ c[3] ^ key[1], p & 0xffff_ffff];
        key = [(key[0] + 0x9E37_79B9) & 0xffff_ffff, (key[1] + 0xBB67_AE85) & 0xffff_ffff];
    }
    c.map(|word| word as u32)
}

/// What [`ops::dropout`] must give for rows with these keys.
fn expected(x: &[f32], columns: usize, dropout: Dropout, keys: &[u32]) -> Vec<f32> {
    let threshold = (f64::from(dropout.probability) * 2f64.powi(32)).round();
    let scale = (1.0 / (1.0 - f64::from(dropout.probability))) as f32;
    let stream = [dropout.stream as u32, (dropout.stream >> 32) as u32];
    let mut out = Vec::new();
    for (row, key) in x.chunks(columns).zip(keys) {
        for (column, value) in row.iter().enumerate() {
            let words = philox([column as u32 / 4, *key, stream[0], stream[1]], dropout.seed);
            let dropped = f64::from(words[column % 4]) < threshold;
            out.push(value * if dropped { 0.0 } else { scale });
        }
    }
    out
}

fn read(tensor: celldag_shaders::Result<Tensor>) -> Vec<u32> {
    bits(&tensor.unwrap().read().unwrap())
}

#[test]
fn every_device_drops_the_same_values() {
    for device in devices() {
        for (rows, columns) in [(1, 1), (3, 4), (70, 33), (1031, 6)] {
            let x = noise(1, rows * columns);
            let tensor = upload(&device, &[rows, columns], &x);
            let numbers: Vec<u32> = (0..rows as u32).collect();
            for probability in [0.25, 0.1, 0.999] {
                let dropout = Dropout { probability, ..NOISE };
                let want = bits(&expected(&x, columns, dropout, &numbers));
                assert_eq!(read(ops::dropout(&tensor, dropout, None)), want, "{rows} x {columns} {device:?}");
            }
            let keys: Vec<u32> = numbers.iter().map(|i| i.wrapping_mul(0x9e37_79b9) ^ 0x8000_0001).collect();
            let want = bits(&expected(&x, columns, NOISE, &keys));
            let keys = Ids::new(&device, &keys).unwrap();
            assert_eq!(read(ops::dropout(&tensor, NOISE, Some(&keys))), want, "keyed {device:?}");
        }
    }
}

#[test]
fn the_share_of_dropped_values_and_the_mean_are_right() {
    let device = cpu(2);
    let count = 400_000;
    let ones = upload(&device, &[count / 100, 100], &vec![1.0; count]);
    for probability in [0.1f32, 0.5, 0.9] {
        let got = ops::dropout(&ones, Dropout { probability, ..NOISE }, None).unwrap().read().unwrap();
        let dropped = got.iter().filter(|value| **value == 0.0).count() as f64 / count as f64;
        let deviation = (f64::from(probability * (1.0 - probability)) / count as f64).sqrt();
        assert!((dropped - f64::from(probability)).abs() < 4.0 * deviation, "{probability}: {dropped}");
        let mean = got.iter().map(|value| f64::from(*value)).sum::<f64>() / count as f64;
        assert!((mean - 1.0).abs() < 4.0 * deviation / f64::from(1.0 - probability), "{probability}: {mean}");
    }
}

#[test]
fn noise_depends_on_seed_stream_and_key_and_on_nothing_else() {
    for device in [Some(cpu(1)), gpu()].into_iter().flatten() {
        let ones = |rows: usize| upload(&device, &[rows, 50], &vec![1.0; rows * 50]);
        let drop = |rows: usize, dropout, keys: &[u32]| {
            read(ops::dropout(&ones(rows), dropout, Some(&Ids::new(&device, keys).unwrap())))
        };
        let base = drop(3, NOISE, &[7, 8, 9]);
        assert_eq!(base, drop(3, NOISE, &[7, 8, 9]));
        // The same rows in another batch.
        let other = drop(4, NOISE, &[1, 9, 2, 7]);
        assert_eq!((&base[..50], &base[100..]), (&other[150..], &other[50..100]));
        assert_ne!(base[..50], base[50..100]);
        for bit in [0, 31, 32, 63] {
            assert_ne!(base, drop(3, Dropout { seed: NOISE.seed ^ 1 << bit, ..NOISE }, &[7, 8, 9]));
            assert_ne!(base, drop(3, Dropout { stream: NOISE.stream ^ 1 << bit, ..NOISE }, &[7, 8, 9]));
        }
    }
}

#[test]
fn the_backward_pass_drops_the_same_values() {
    for device in devices() {
        let (rows, columns) = (37, 13);
        let keys = Ids::new(&device, &(100..137).collect::<Vec<_>>()).unwrap();
        for keys in [None, Some(&keys)] {
            let gradient = upload(&device, &[rows, columns], &noise(2, rows * columns));
            let tape = Tape::new();
            let x = tape.watch(&upload(&device, &[rows, columns], &noise(3, rows * columns)));
            let out = ops::dropout(&x, NOISE, keys).unwrap();
            let gradients = tape.gradients(&out, &gradient).unwrap();
            let want = read(ops::dropout(&gradient, NOISE, keys));
            assert_eq!(bits(&gradients.of(&x).unwrap().read().unwrap()), want, "{device:?}");
        }
    }
}

#[test]
fn edges() {
    let device = Device::cpu(1).unwrap();
    let x = upload(&device, &[2, 3], &[1.0, -2.0, f32::NAN, f32::INFINITY, 0.0, -0.0]);
    let same = ops::dropout(&x, Dropout { probability: 0.0, ..NOISE }, None);
    assert_eq!(read(same), bits(&x.read().unwrap()));
    for probability in [1.0, 1.5, -0.1, f32::NAN] {
        assert!(ops::dropout(&x, Dropout { probability, ..NOISE }, None).is_err(), "{probability}");
    }
    assert!(ops::dropout(&x, NOISE, Some(&Ids::new(&device, &[1]).unwrap())).is_err());
    assert!(ops::dropout(&x, NOISE, Some(&Ids::new(&Device::cpu(1).unwrap(), &[1, 2]).unwrap())).is_err());
    // Not a number stays, dropped or not.
    for device in devices() {
        let spoilt = upload(&device, &[4, 64], &[f32::NAN; 256]);
        assert!(
            ops::dropout(&spoilt, NOISE, None).unwrap().read().unwrap().iter().all(|value| value.is_nan())
        );
    }
}
