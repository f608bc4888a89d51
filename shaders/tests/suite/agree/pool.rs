//! Pooling of ragged segments.

use celldag_shaders::ops::{self, Pool};
use celldag_shaders::{Segments, Tape};

use crate::common::{assert_close, bits, cpu, devices, gpu, noise, upload};

const KINDS: [Pool; 6] = [
    Pool::Mean { skip_first: 0, skip_last: 0 },
    Pool::Mean { skip_first: 1, skip_last: 1 },
    Pool::Mean { skip_first: 3, skip_last: 0 },
    Pool::First,
    Pool::Max { skip_first: 0, skip_last: 0 },
    Pool::Max { skip_first: 0, skip_last: 2 },
];

#[test]
fn pooling() {
    // Segments of one block, of several blocks, empty ones, and ones that are skipped entirely.
    for (lengths, columns) in
        [(vec![3, 0, 1, 100, 2], 5), (vec![0], 3), (vec![1000, 1], 1), (vec![64, 0, 65, 129, 0], 33)]
    {
        let rows: usize = lengths.iter().sum();
        let x = noise(19, rows * columns);
        for device in devices() {
            let tensor = upload(&device, &[rows, columns], &x);
            let segments = Segments::new(&device, &lengths).unwrap();
            for kind in KINDS {
                let mut want = Vec::new();
                for range in segments.ranges() {
                    for column in 0..columns {
                        let values: Vec<f64> =
                            range.clone().map(|row| f64::from(x[row * columns + column])).collect();
                        let kept = match kind {
                            Pool::Mean { skip_first, skip_last } | Pool::Max { skip_first, skip_last } => {
                                let end = values.len().saturating_sub(skip_last);
                                values.get(skip_first..end).unwrap_or(&[])
                            }
                            Pool::First => &values[..values.len().min(1)],
                        };
                        want.push(match kind {
                            _ if kept.is_empty() => f64::NAN,
                            Pool::Max { .. } => kept.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                            _ => kept.iter().sum::<f64>() / kept.len() as f64,
                        });
                    }
                }
                let got = ops::pool(&tensor, &segments, kind).unwrap().read().unwrap();
                assert_close(&format!("{kind:?} {device:?}"), &got, &want, 3e-7);
            }
        }
    }
}

#[test]
fn pooled_rows_do_not_see_their_batch() {
    // Alone, the long segment is cut into blocks that are pooled in parallel; the batch is busy without.
    let (columns, lengths) = (130, vec![700, 5, 0, 1300].into_iter().chain([1; 2500]).collect::<Vec<_>>());
    let rows: usize = lengths.iter().sum();
    let x = noise(20, rows * columns);
    let on = |device: &celldag_shaders::Device, rows: std::ops::Range<usize>, lengths: &[usize], kind| {
        let tensor = upload(device, &[rows.len(), columns], &x[rows.start * columns..rows.end * columns]);
        let tape = Tape::new();
        let watched = tape.watch(&tensor);
        let out = ops::pool(&watched, &Segments::new(device, lengths).unwrap(), kind).unwrap();
        let slope = upload(device, out.shape(), &noise(21, out.len()));
        let gradients = tape.gradients(&out, &slope).unwrap();
        (bits(&out.read().unwrap()), bits(&gradients.of(&watched).unwrap().read().unwrap()))
    };
    for kind in [Pool::Mean { skip_first: 1, skip_last: 0 }, Pool::Max { skip_first: 0, skip_last: 2 }] {
        let reference = on(&cpu(1), 0..rows, &lengths, kind);
        assert_eq!(on(&cpu(3), 0..rows, &lengths, kind), reference, "threads, {kind:?}");
        for device in [Some(cpu(3)), gpu()].into_iter().flatten() {
            let (all, slopes) = on(&device, 0..rows, &lengths, kind);
            let (alone, slope) = on(&device, 0..700, &[700], kind);
            assert_eq!(alone, all[..columns], "{kind:?} {device:?}");
            assert_eq!(slope, slopes[..700 * columns], "gradient of {kind:?} {device:?}");
        }
    }
}

#[test]
fn the_largest_value_is_not_a_number_if_one_is_not() {
    for device in devices() {
        let x = upload(&device, &[4, 2], &[1.0, f32::NAN, 5.0, 1.0, 5.0, f32::NAN, -1.0, 2.0]);
        let segments = Segments::new(&device, &[4]).unwrap();
        let tape = Tape::new();
        let watched = tape.watch(&x);
        let out = ops::pool(&watched, &segments, Pool::Max { skip_first: 0, skip_last: 0 }).unwrap();
        let values = out.read().unwrap();
        assert!(values[0] == 5.0 && values[1].is_nan(), "{device:?}");
        let gradients = tape.gradients(&out, &upload(&device, &[1, 2], &[7.0, 8.0])).unwrap();
        // The first of equal values; as torch, the first that is not a number.
        let want = [0.0, 8.0, 7.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(gradients.of(&watched).unwrap().read().unwrap(), want, "{device:?}");
    }
}
