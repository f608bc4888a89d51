//! Pooling of ragged segments.

use celldag_shaders::ops::{self, Pool};
use celldag_shaders::{Segments, Tape};

use crate::common::gradient::{check, operand};
use crate::common::{assert_close, cpu, gpu, noise, upload};

#[test]
fn pooling() {
    for kind in [
        Pool::Mean { skip_first: 0, skip_last: 0 },
        Pool::Mean { skip_first: 1, skip_last: 2 },
        Pool::First,
        Pool::Max { skip_first: 0, skip_last: 0 },
        Pool::Max { skip_first: 1, skip_last: 1 },
    ] {
        check(&format!("{kind:?}"), &[operand(10, &[13, 3])], 2e-3, |device, operands| {
            ops::pool(&operands[0], &Segments::new(device, &[4, 5, 4]).unwrap(), kind)
        });
    }
}

#[test]
fn both_backends_agree_on_long_segments() {
    let Some(device) = gpu() else { return };
    let (lengths, columns) = ([333, 0, 1, 64, 65, 2], 37);
    let rows: usize = lengths.iter().sum();
    let (x, slope) = (noise(11, rows * columns), noise(12, lengths.len() * columns));
    for kind in
        [Pool::Mean { skip_first: 1, skip_last: 0 }, Pool::First, Pool::Max { skip_first: 0, skip_last: 1 }]
    {
        let on = |device: &celldag_shaders::Device| {
            let tape = Tape::new();
            let watched = tape.watch(&upload(device, &[rows, columns], &x));
            let out = ops::pool(&watched, &Segments::new(device, &lengths).unwrap(), kind).unwrap();
            let seed = upload(device, out.shape(), &slope);
            tape.gradients(&out, &seed).unwrap().of(&watched).unwrap().read().unwrap()
        };
        let want: Vec<f64> = on(&cpu(2)).iter().map(|&value| f64::from(value)).collect();
        assert_close(&format!("{kind:?}"), &on(&device), &want, 1e-7);
    }
}
