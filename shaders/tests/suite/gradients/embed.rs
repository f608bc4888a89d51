//! Gradients of embedding tables.

use celldag_shaders::{Ids, Tape, ops};

use crate::common::gradient::{check, operand};
use crate::common::{assert_close, bits, cpu, devices, noise, small_bindings, upload};

#[test]
fn tables() {
    let operands = [operand(1, &[5, 3])];
    for ids in [vec![4, 0, 4, 1, 4, 4], vec![2], vec![0, 1, 2, 3, 4]] {
        check("embed", &operands, 1e-3, |device, operands| {
            ops::embed(&operands[0], &Ids::new(device, &ids).unwrap())
        });
    }
}

/// Rows that thousands of tokens share, rows of one token and rows of none; against sums in f64.
#[test]
fn long_lists() {
    let (entries, columns) = (40, 7);
    let mut ids: Vec<u32> = (0..3000).map(|i: u32| i.wrapping_mul(2_654_435_761) >> 27).collect();
    ids.extend([39; 1500]);
    ids.extend([37, 0]);
    let gradient = noise(2, ids.len() * columns);
    let mut want = vec![0.0; entries * columns];
    for (row, &id) in gradient.chunks(columns).zip(&ids) {
        for (column, value) in row.iter().enumerate() {
            want[id as usize * columns + column] += f64::from(*value);
        }
    }
    let mut all = Vec::new();
    for device in devices() {
        let tape = Tape::new();
        let table = tape.watch(&upload(&device, &[entries, columns], &noise(3, entries * columns)));
        let out = ops::embed(&table, &Ids::new(&device, &ids).unwrap()).unwrap();
        let gradients = tape.gradients(&out, &upload(&device, &[ids.len(), columns], &gradient)).unwrap();
        let got = gradients.of(&table).unwrap().read().unwrap();
        // Chains of 256 additions of values below 1.
        assert_close(&format!("{device:?}"), &got, &want, 3e-5);
        all.push(bits(&got));
    }
    // Only additions in one order: the same bits everywhere.
    assert!(all.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn no_ids_give_zeros() {
    for device in devices() {
        let tape = Tape::new();
        let table = tape.watch(&upload(&device, &[3, 2], &noise(4, 6)));
        let out = ops::embed(&table, &Ids::new(&device, &[]).unwrap()).unwrap();
        let gradients = tape.gradients(&out, &upload(&device, &[0, 2], &[])).unwrap();
        assert_eq!(gradients.of(&table).unwrap().read().unwrap(), [0.0; 6]);
    }
}

/// Gradient rows and table rows in several windows each, with a limit that stands for the adapter's.
#[test]
fn gradients_beyond_the_binding_limit() {
    let Some(device) = small_bindings() else { return };
    let (entries, columns, tokens) = (3000, 21, 4000);
    let ids: Vec<u32> = (0..tokens as u32)
        .map(|i| if i % 3 == 0 { 2999 } else { i.wrapping_mul(2_654_435_761) % entries as u32 })
        .collect();
    let run = |device| {
        let tape = Tape::new();
        let table = tape.watch(&upload(device, &[entries, columns], &noise(5, entries * columns)));
        let out = ops::embed(&table, &Ids::new(device, &ids).unwrap()).unwrap();
        let seed = upload(device, out.shape(), &noise(6, tokens * columns));
        bits(&tape.gradients(&out, &seed).unwrap().of(&table).unwrap().read().unwrap())
    };
    assert!(run(&device) == run(&cpu(2)));
}
