//! Sums over the rows of segments, in parallel inside of a segment: blocks of rows give partial sums that are joined in
//! the order of the rows. The blocks of a segment depend on its length alone, and so does the order of every sum.

use std::mem::take;
use std::ops::Range;

use crate::cpu::Cpu;
use crate::segments::Segments;

/// Projections of a block of rows stay in the second-level cache.
pub(crate) use crate::ops::BLOCK_ROWS as BLOCK;
/// Values of partial sums that wait to be joined.
const WAITING: usize = 1 << 24;

/// Some rows of one segment.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) segment: usize,
    /// Whether these are the first rows of the segment.
    pub(crate) first: bool,
    /// Rows of the batch.
    pub(crate) rows: Range<usize>,
}

/// The blocks of all segments, in order.
pub(crate) fn blocks(segments: &Segments) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (segment, range) in segments.ranges().enumerate() {
        for start in range.clone().step_by(BLOCK) {
            let rows = start..range.end.min(start + BLOCK);
            blocks.push(Block { segment, first: start == range.start, rows });
        }
    }
    blocks
}

/// Rows of `out` for every block.
pub(crate) fn rows_of<'a>(blocks: &[Block], mut out: &'a mut [f32], width: usize) -> Vec<&'a mut [f32]> {
    let mut parts = Vec::with_capacity(blocks.len());
    for block in blocks {
        let (part, rest) = out.split_at_mut(block.rows.len() * width);
        out = rest;
        parts.push(part);
    }
    parts
}

/// Sums over the rows of each segment: `len` values for each of `heads` heads. `task` makes those of one block from its
/// item, `join(total, partial)` adds those of a later block of the segment. `total` keeps what it holds for segments
/// without rows.
pub(crate) fn sum_blocks<T: Send>(
    cpu: &Cpu,
    items: Vec<(Block, T)>,
    [heads, len]: [usize; 2],
    row_work: usize,
    total: &mut [f32],
    task: impl Fn(&Block, T, &mut [f32]) + Sync,
    join: impl Fn(&mut [f32], &[f32]) + Sync,
) {
    let whole = heads * len;
    let most = (WAITING / whole.max(1)).max(1);
    let mut items = items.into_iter().peekable();
    while items.peek().is_some() {
        // One wave: as many blocks as there may be partial sums.
        let mut wave = Vec::new();
        while wave.len() < most {
            let Some(item) = items.next() else { break };
            wave.push(item);
        }
        let later: Vec<usize> =
            wave.iter().filter(|(block, _)| !block.first).map(|(block, _)| block.segment).collect();
        let work = wave.iter().map(|(block, _)| block.rows.len() * row_work).sum();
        let mut partial = cpu.buffer(later.len() * whole);
        let mut waiting = partial.values_mut().chunks_exact_mut(whole);
        let (mut rest, mut segment) = (&mut *total, 0);
        let mut tasks = Vec::with_capacity(wave.len());
        for (block, item) in wave {
            let target = if block.first {
                let (_, tail) = take(&mut rest).split_at_mut((block.segment - segment) * whole);
                let (target, tail) = tail.split_at_mut(whole);
                (rest, segment) = (tail, block.segment + 1);
                Some(target)
            } else {
                waiting.next()
            };
            tasks.extend(target.map(|target| (block, item, target)));
        }
        cpu.each(tasks, work, |(block, item, target)| task(&block, item, target));
        let partial = partial.values();
        let mut joins = Vec::new();
        let (mut rest, mut segment, mut at) = (&mut *total, 0, 0);
        for group in later.chunk_by(|a, b| a == b) {
            let (_, tail) = take(&mut rest).split_at_mut((group[0] - segment) * whole);
            let (target, tail) = tail.split_at_mut(whole);
            (rest, segment) = (tail, group[0] + 1);
            let parts = &partial[at * whole..][..group.len() * whole];
            at += group.len();
            joins.extend(
                target.chunks_exact_mut(len).enumerate().map(move |(head, total)| (head, total, parts)),
            );
        }
        cpu.each(joins, partial.len(), |(head, total, parts)| {
            for part in parts.chunks_exact(whole) {
                join(total, &part[head * len..][..len]);
            }
        });
    }
}
