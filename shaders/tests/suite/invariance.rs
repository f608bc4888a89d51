//! A row's result has the same bits whatever else is in the batch and however many threads work on it.

use crate::common::{bits, cpu, gpu, noise, upload};
use celldag_shaders::ops::{self, Activation, Pool};
use celldag_shaders::{Device, Ids, Segments, Tensor};
use proptest::prelude::*;

const WIDTH: usize = 48;
const HEADS: usize = 3;

/// Weights of a small transformer block and a head on it.
struct Block {
    table: Tensor,
    weights: Vec<Tensor>,
    norm: [Tensor; 2],
    up: Tensor,
    down: Tensor,
    head: Tensor,
}

impl Block {
    fn new(device: &Device) -> Block {
        let matrix = |seed, rows: usize, columns: usize| {
            upload(device, &[rows, columns], &noise(seed, rows * columns))
        };
        Block {
            table: matrix(1, 97, WIDTH),
            weights: (2..6).map(|seed| matrix(seed, WIDTH, WIDTH)).collect(),
            norm: [6, 7].map(|seed| upload(device, &[WIDTH], &noise(seed, WIDTH))),
            // More than one chain of the tuned product, and columns that fill no tile.
            up: matrix(8, 530, WIDTH),
            down: matrix(9, WIDTH, 530),
            head: matrix(10, 2, WIDTH),
        }
    }

    /// Row values and one pooled row for each cell.
    fn run(&self, cells: &[Vec<u32>], causal: bool) -> (Vec<f32>, Vec<f32>) {
        let device = self.table.device();
        let ids = Ids::new(device, &cells.concat()).unwrap();
        let segments = Segments::new(device, &cells.iter().map(Vec::len).collect::<Vec<_>>()).unwrap();
        let x = ops::embed(&self.table, &ids).unwrap();
        let project = |i: usize| ops::linear(&x, &self.weights[i], None, Activation::None).unwrap();
        let mixed = ops::attention(&project(0), &project(1), &project(2), &segments, HEADS, causal).unwrap();
        let mixed = ops::linear(&mixed, &self.weights[3], None, Activation::None).unwrap();
        let x = ops::layer_norm(&mixed, Some(&x), &self.norm[0], &self.norm[1], 1e-12).unwrap();
        let hidden = ops::linear(&x, &self.up, None, Activation::Gelu).unwrap();
        let rows = ops::linear(&hidden, &self.down, None, Activation::None).unwrap();
        let pooled = ops::pool(&rows, &segments, Pool::Mean { skip_first: 0, skip_last: 0 }).unwrap();
        let scores = ops::linear(&pooled, &self.head, None, Activation::Sigmoid).unwrap();
        (rows.read().unwrap(), scores.read().unwrap())
    }
}

/// Reproducible token ids of a cell.
fn cell(seed: u64, length: usize) -> Vec<u32> {
    noise(seed, length).iter().map(|v| ((v + 1.0) * 48.0) as u32).collect()
}

/// Runs all cells together and each alone, and compares bits.
fn assert_alone_as_together(block: &Block, cells: &[Vec<u32>], causal: bool) {
    let (rows, scores) = block.run(cells, causal);
    let mut start = 0;
    for (i, tokens) in cells.iter().enumerate() {
        let (alone_rows, alone_scores) = block.run(std::slice::from_ref(tokens), causal);
        let end = start + tokens.len() * WIDTH;
        assert_eq!(bits(&alone_rows), bits(&rows[start..end]), "rows of cell {i} of {}", tokens.len());
        if !tokens.is_empty() {
            assert_eq!(bits(&alone_scores), bits(&scores[2 * i..2 * i + 2]), "scores of cell {i}");
        }
        start = end;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn cells_do_not_see_their_batch(lengths in prop::collection::vec(0usize..200, 1..9), seed in 1u64.., causal: bool) {
        let cells: Vec<_> = lengths.iter().enumerate().map(|(i, &n)| cell(seed.wrapping_add(i as u64), n)).collect();
        assert_alone_as_together(&Block::new(&cpu(2)), &cells, causal);
    }
}

#[test]
fn long_cells_do_not_see_their_batch() {
    let cells = [cell(1, 1031), cell(2, 3), cell(3, 640)];
    assert_alone_as_together(&Block::new(&cpu(3)), &cells, false);
}

#[test]
fn cells_do_not_see_their_batch_on_a_gpu() {
    let Some(device) = gpu() else { return };
    let block = Block::new(&device);
    assert_alone_as_together(&block, &[cell(1, 70), cell(2, 1), vec![], cell(3, 131), cell(4, 33)], false);
    assert_alone_as_together(&block, &[cell(5, 5), cell(6, 65)], true);
}

#[test]
fn threads_do_not_change_bits() {
    let cells = [cell(1, 700), cell(2, 31), cell(3, 64), cell(4, 301)];
    let want = Block::new(&cpu(1)).run(&cells, false);
    for threads in [2, 3, 5] {
        let got = Block::new(&cpu(threads)).run(&cells, false);
        assert_eq!(bits(&got.0), bits(&want.0), "{threads} threads");
        assert_eq!(bits(&got.1), bits(&want.1), "{threads} threads");
    }
}

#[test]
fn repeated_runs_give_the_same_bits() {
    for device in [Some(cpu(2)), gpu()].into_iter().flatten() {
        let block = Block::new(&device);
        let cells = [cell(1, 90), cell(2, 17)];
        let first = block.run(&cells, false);
        for _ in 0..3 {
            assert_eq!(bits(&block.run(&cells, false).0), bits(&first.0), "{device:?}");
        }
    }
}
