//! Row-wise operations over random shapes: what they give for a row, forward and backward, has the same bits for any
//! number of threads and whatever else is in the batch, and both backends agree.

use celldag_shaders::ops::{self, Activation, Dropout, Rotary};
use celldag_shaders::{Device, Ids, Result, Tape, Tensor};
use proptest::prelude::*;

use crate::common::{assert_close, bits, cpu, gpu, noise, upload};

/// An operation on a batch of rows, which may use a second batch and a row of weights.
type Operation = fn(&[Tensor; 3]) -> Result<Tensor>;

/// The tolerance is that between backends; 0 where the bits must be the same.
const OPERATIONS: [(&str, f64, Operation); 15] = [
    ("add", 0.0, |[x, other, _]| ops::add(x, other)),
    ("add_row", 0.0, |[x, _, row]| ops::add_row(x, row)),
    ("scale", 0.0, |[x, ..]| ops::scale(x, 0.3)),
    ("mul", 0.0, |[x, other, _]| ops::mul(x, other)),
    ("mul_row", 0.0, |[x, _, row]| ops::mul_row(x, row)),
    ("mul_column", 1e-5, |[x, other, _]| ops::mul_column(x, &ops::row_dot(x, other)?)),
    ("mask", 0.0, |[x, other, _]| ops::mask(x, other, 0.5)),
    ("activate", 2e-6, |[x, ..]| ops::activate(x, Activation::Gelu)),
    ("swiglu", 2e-6, |[x, other, _]| ops::swiglu(x, other)),
    ("layer_norm", 2e-4, |[x, other, row]| ops::layer_norm(x, Some(other), row, row, 1e-3)),
    ("group_norm", 2e-4, |[x, _, row]| ops::group_norm(x, x.shape()[1] / 2, row, row, 1e-1)),
    ("rms_norm", 2e-5, |[x, _, row]| ops::rms_norm(x, None, row, 1e-3)),
    ("softmax", 2e-6, |[x, ..]| ops::softmax(x)),
    ("dropout", 0.0, |[x, ..]| ops::dropout(x, Dropout { probability: 0.3, seed: 1, stream: 2 }, None)),
    ("rotary", 1e-6, |[x, ..]| {
        let table = Rotary::new(x.device(), &Rotary::frequencies(10.0, x.shape()[1]), 7)?;
        let positions: Vec<u32> = (0..x.shape()[0] as u32).map(|row| row % 7).collect();
        ops::rotary(x, &table, &Ids::new(x.device(), &positions)?)
    }),
];

/// Result and gradient at the batch for its first `rows` rows.
fn run(device: &Device, operation: Operation, rows: usize, columns: usize, seed: u64) -> [Vec<f32>; 2] {
    let batch = |seed: u64| upload(device, &[rows, columns], &noise(seed, rows * columns));
    let tape = Tape::new();
    let x = tape.watch(&batch(seed));
    let row = upload(device, &[columns], &noise(seed ^ 1, columns));
    let out = operation(&[x.clone(), batch(seed ^ 2), row]).unwrap();
    let gradients = tape.gradients(&out, &batch(seed ^ 3)).unwrap();
    [out.read().unwrap(), gradients.of(&x).unwrap().read().unwrap()]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rows_do_not_see_their_batch(rows in 1usize..130, half in 1usize..70, share in 0.0f64..1.0, seed in 4u64..) {
        let (seed, columns) = (seed & !3, 2 * half);
        let few = (share * rows as f64) as usize;
        for (name, tolerance, operation) in OPERATIONS {
            let want = run(&cpu(1), operation, rows, columns, seed);
            for (device, tolerance) in [(Some(cpu(3)), 0.0), (gpu(), tolerance)] {
                let Some(device) = device else { continue };
                let label = format!("{name} {rows} x {columns} {device:?}");
                let got = run(&device, operation, rows, columns, seed);
                let alone = run(&device, operation, few, columns, seed);
                for ((got, want), alone) in got.iter().zip(&want).zip(&alone) {
                    prop_assert_eq!(bits(alone), bits(&got[..few * columns]), "{} alone", label);
                    if tolerance == 0.0 {
                        prop_assert_eq!(bits(got), bits(want), "{}", label);
                    } else {
                        let want: Vec<f64> = want.iter().map(|&value| f64::from(value)).collect();
                        assert_close(&label, got, &want, tolerance);
                    }
                }
            }
        }
    }
}

/// The software driver binds at most 128 MiB at once: larger tensors are cut into windows of rows.
#[test]
fn tensors_larger_than_a_binding() {
    let Some(device) = gpu() else { return };
    let columns = 256;
    let rows = 1000 + device.largest_unsplit_bytes() as usize / 4 / columns;
    if rows > 1 << 18 {
        eprintln!("SKIP: this adapter binds {} bytes at once", device.largest_unsplit_bytes());
        return;
    }
    let numbers: Vec<u32> = (0..rows as u32).map(|row| row * 37 % 64).collect();
    let x: Vec<f32> = (0..rows * columns).map(|i| (i * 40_503 % 65_536) as f32 * 1e-4).collect();
    let row = upload(&device, &[columns], &noise(2, columns));
    let table = Rotary::new(&device, &Rotary::frequencies(100.0, columns), 64).unwrap();
    let dropout = Dropout { probability: 0.3, seed: 1, stream: 2 };
    // The last rows of the results of all rows from `first` on.
    let tails = |first: usize| {
        let x = upload(&device, &[rows - first, columns], &x[first * columns..]);
        let numbers = &numbers[first..];
        let ids = Ids::new(&device, numbers).unwrap();
        let factors: Vec<f32> = numbers.iter().map(|&number| number as f32 * 0.1).collect();
        let factors = upload(&device, &[rows - first], &factors);
        let tail = |out: Result<Tensor>| {
            let out = out.unwrap().read().unwrap();
            bits(&out[out.len() - 300 * columns..])
        };
        [
            tail(ops::layer_norm(&x, Some(&x), &row, &row, 1e-5)),
            tail(ops::dropout(&x, dropout, Some(&ids))),
            tail(ops::rotary(&x, &table, &ids)),
            tail(ops::mul_column(&x, &factors)),
        ]
    };
    assert_eq!(tails(0), tails(rows - 300));
}
