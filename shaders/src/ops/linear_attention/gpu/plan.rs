//! How the work is cut for a GPU: groups of segments whose sums over the keys fit into one buffer, and in each group slabs
//! of rows whose features do. Blocks of rows are those of one segment and begin at its start, so cuts change no bit.

use std::ops::Range;

use crate::device::{Backend, Device};
use crate::error::Result;
use crate::gpu::WINDOW_ROWS;
use crate::ops::Rule;
use crate::ops::linear_attention::rule::BLOCK_ROWS;
use crate::segments::{Ids, Segments};

/// Rows of a tile of the products.
const TILE: usize = 64;
/// The most bytes of the features of a slab, and of the sums of a group; less where less can be bound.
const FEATURE_BYTES: usize = 32 << 20;
const SUM_BYTES: usize = 64 << 20;

/// Consecutive rows that are worked on together.
pub(super) struct Slab {
    /// Rows of the batch.
    pub(super) rows: Range<usize>,
    /// (first row in the slab, rows, segment in the group, 0) of tiles of rows of one segment.
    pub(super) tiles: Ids,
    /// (first row in the slab, rows, segment in the group, number in the slab) of blocks of rows of one segment.
    pub(super) blocks: Ids,
    /// Number of the first block in the batch.
    pub(super) first_block: usize,
    /// Tiles of the pairs of a row and a head, without regard to segments.
    pub(super) pairs: Ids,
    /// What to join, see `linear_attention_join.wgsl`.
    pub(super) joins: Ids,
}

/// Consecutive segments whose sums are one buffer.
pub(super) struct Group {
    pub(super) segments: Range<usize>,
    pub(super) slabs: Vec<Slab>,
}

/// The cut of a batch.
pub(super) struct Plan {
    pub(super) groups: Vec<Group>,
    /// Number of blocks.
    pub(super) blocks: usize,
    /// First block of each segment, and the number of blocks.
    pub(super) offsets: Ids,
    /// 0 and the number of blocks.
    pub(super) all: Ids,
}

/// A block of rows of the batch.
struct Block {
    segment: usize,
    rows: Range<usize>,
    number: usize,
}

impl Plan {
    pub(super) fn new(device: &Device, segments: &Segments, rule: &Rule) -> Result<Plan> {
        let mut blocks = Vec::new();
        let mut offsets = vec![0];
        for (segment, range) in segments.ranges().enumerate() {
            for start in range.clone().step_by(BLOCK_ROWS) {
                let rows = start..range.end.min(start + BLOCK_ROWS);
                blocks.push(Block { segment, rows, number: blocks.len() });
            }
            offsets.push(blocks.len() as u32);
        }
        // Buffers are a little larger than what is asked for, and are bound as they are.
        let limit = match device.backend() {
            Backend::Cpu(_) => usize::MAX,
            Backend::Gpu(gpu) => gpu.largest_binding() as usize / 8 * 7,
        };
        let (feature_bytes, sum_bytes) = (FEATURE_BYTES.min(limit), SUM_BYTES.min(limit));
        let sums = rule.heads * (rule.features + 1) * (rule.head_width + 1) * 4;
        let most = (sum_bytes / sums).max(1);
        let mut groups = Vec::new();
        for first in (0..segments.len()).step_by(most) {
            let range = first..segments.len().min(first + most);
            let blocks = &blocks[offsets[range.start] as usize..offsets[range.end] as usize];
            let mut slabs = Vec::new();
            let mut rest = blocks;
            while !rest.is_empty() {
                // Features, vectors, or what lists and statistics take.
                let row_bytes = rule.heads * rule.features.max(rule.head_width + 1).max(5) * 4;
                let start = rest[0].rows.start / WINDOW_ROWS * WINDOW_ROWS;
                let fits = |block: &Block| (block.rows.end - start) * row_bytes <= feature_bytes;
                let count = rest.iter().take(most).take_while(|block| fits(block)).count().max(1);
                let (these, later) = rest.split_at(count);
                slabs.push(slab(device, these, &range, &offsets, rule)?);
                rest = later;
            }
            groups.push(Group { segments: range, slabs });
        }
        let all = Ids::new(device, &[0, blocks.len() as u32])?;
        Ok(Plan { groups, blocks: blocks.len(), offsets: Ids::new(device, &offsets)?, all })
    }
}

fn slab(
    device: &Device,
    blocks: &[Block],
    group: &Range<usize>,
    offsets: &[u32],
    rule: &Rule,
) -> Result<Slab> {
    let rows = blocks[0].rows.start..blocks[blocks.len() - 1].rows.end;
    let (mut tiles, mut items, mut joins) = (Vec::new(), Vec::new(), Vec::new());
    for (number, block) in blocks.iter().enumerate() {
        let segment = (block.segment - group.start) as u32;
        let first = (block.rows.start - rows.start) as u32;
        items.extend([first, block.rows.len() as u32, segment, number as u32]);
        for start in block.rows.clone().step_by(TILE) {
            let count = TILE.min(block.rows.end - start);
            tiles.extend([(start - rows.start) as u32, count as u32, segment, 0]);
        }
    }
    for same in blocks.chunk_by(|a, b| a.segment == b.segment) {
        let first = same[0].number as u32;
        let segment = (same[0].segment - group.start) as u32;
        let end = first + same.len() as u32;
        joins.extend([segment, offsets[same[0].segment], first, end, blocks[0].number as u32]);
    }
    let count = rows.len() * rule.heads;
    let pairs =
        (0..count).step_by(TILE).flat_map(|first| [first as u32, TILE.min(count - first) as u32, 0, 0]);
    Ok(Slab {
        first_block: blocks[0].number,
        tiles: Ids::new(device, &tiles)?,
        blocks: Ids::new(device, &items)?,
        pairs: Ids::new(device, &pairs.collect::<Vec<_>>())?,
        joins: Ids::new(device, &joins)?,
        rows,
    })
}

impl Slab {
    /// Pairs of a row and a head.
    pub(super) fn pairs(&self, rule: &Rule) -> usize {
        self.rows.len() * rule.heads
    }

    /// Number of blocks.
    pub(super) fn count(&self) -> usize {
        self.blocks.len() / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::linear_attention::rule::FeatureMap;
    use crate::ops::linear_attention::{Denominator, KeyMaximum};

    #[test]
    fn cuts_cover_every_row_once() {
        let device = Device::cpu(1).unwrap();
        let maximum = KeyMaximum::PerSegment;
        let map = FeatureMap::Exponential { eps: 1e-4, maximum };
        let large = Rule { heads: 10, head_width: 64, features: 266, map };
        let small = Rule {
            heads: 2,
            head_width: 3,
            features: 1,
            map: FeatureMap::Relu(Some(Denominator::Plus(0.0))),
        };
        for rule in [large, small] {
            let lengths = [700, 0, 1, 17_000, 64, 0, 65];
            let segments = Segments::new(&device, &lengths).unwrap();
            let plan = Plan::new(&device, &segments, &rule).unwrap();
            let (mut row, mut block) = (0, 0);
            for slab in plan.groups.iter().flat_map(|group| &group.slabs) {
                assert_eq!(slab.rows.start, row);
                assert_eq!(slab.first_block, block);
                row = slab.rows.end;
                block += slab.count();
                for list in [&slab.tiles, &slab.blocks] {
                    let mut inside = 0;
                    for item in list.values().chunks(4) {
                        assert_eq!(item[0], inside);
                        inside += item[1];
                    }
                    assert_eq!(inside as usize, slab.rows.len());
                }
            }
            assert_eq!((row, block), (segments.rows(), plan.blocks));
        }
    }
}
