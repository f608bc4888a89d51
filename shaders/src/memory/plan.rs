//! A plan of the memory of a batch: which tensor lives in which of a few shared buffers.
//!
//! Every tensor of a rehearsal has a size and a life; tensors whose lives do not overlap may share a buffer. The cheapest
//! assignment is a hard problem; two greedy orders, the largest tensor first and the fullest moment first, come close to
//! the lower bound on networks (Pisarchyk and Lee 2020, "Efficient memory management for deep neural net inference",
//! arXiv 2001.03288, section 4, "shared objects"), and the better of the two is taken. The same paper's offsets inside of
//! one large buffer would need a little less, but WebGPU forbids a dispatch that reads one part of a buffer and writes
//! another.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::books::{Account, Rehearsal};
use super::trace::Life;

/// The memory of a batch, worked out by [`Device::plan`](crate::Device::plan) before it runs: a few buffers that its
/// tensors share. A plan fits every batch that makes the same tensors in the same order, however often.
pub struct Plan {
    home: Arc<Account>,
    pub(super) tensors: Arc<[Place]>,
    buffers: Vec<u64>,
    peak: u64,
}

/// Where a tensor lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Bytes of the tensor.
    pub(super) bytes: u64,
    /// Number of the buffer.
    pub(super) buffer: usize,
}

impl Plan {
    /// The plan for what `found` went through on the device of `home`. Where a memory limit leaves room for the tensors
    /// but not for buffers that are not full all the time, the plan has no buffers, and its run uses the pool.
    pub(crate) fn new(home: &Arc<Account>, found: &Rehearsal) -> Plan {
        let (places, buffers) = assign(&found.lives);
        let peak = found.before + buffers.iter().sum::<u64>();
        let over = |peak: u64| home.limit().is_some_and(|limit| peak > limit);
        if over(peak) && !over(found.peak) {
            return Plan {
                home: Arc::clone(home),
                tensors: [].into(),
                buffers: Vec::new(),
                peak: found.peak,
            };
        }
        let lives = found.lives.iter().zip(places);
        let tensors = lives.map(|(life, buffer)| Place { bytes: life.bytes, buffer }).collect();
        Plan { home: Arc::clone(home), tensors, buffers, peak }
    }

    /// The most bytes that will be live at once when the batch runs: what was live when the plan was made, and the buffers.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// Bytes of the buffers alone.
    pub fn bytes(&self) -> u64 {
        self.buffers.iter().sum()
    }

    /// Bytes of each buffer. None if the memory limit leaves no room for a plan: then the batch uses the pool.
    pub fn buffers(&self) -> &[u64] {
        &self.buffers
    }

    /// Number of tensors that the batch makes, unless it uses the pool.
    pub fn tensors(&self) -> usize {
        self.tensors.len()
    }

    /// Whether it was made for the device of `account`, and has buffers.
    pub(crate) fn serves(&self, account: &Arc<Account>) -> bool {
        Arc::ptr_eq(&self.home, account) && !self.buffers.is_empty()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("peak", &self.peak)
            .field("tensors", &self.tensors())
            .field("buffers", &self.buffers)
            .finish_non_exhaustive()
    }
}

/// A buffer, and the lives of its tensors: birth → death.
struct Buffer {
    bytes: u64,
    lives: BTreeMap<usize, usize>,
}

impl Buffer {
    /// How long the buffer is unused before `life`; none if a tensor of it lives at the same time.
    fn idle(&self, life: &Life) -> Option<usize> {
        match self.lives.range(..life.dies).next_back() {
            Some((_, dies)) => life.born.checked_sub(*dies),
            None => Some(life.born),
        }
    }
}

/// A buffer for every tensor, and the bytes of the buffers.
fn assign(lives: &[Life]) -> (Vec<usize>, Vec<u64>) {
    let mut by_size: Vec<usize> = (0..lives.len()).collect();
    by_size.sort_by_key(|&at| (Reverse(lives[at].bytes), lives[at].born));
    let first = in_order(lives, &by_size);
    let second = in_order(lives, &by_breadth(lives, &by_size));
    let total = |(_, buffers): &(Vec<usize>, Vec<u64>)| buffers.iter().sum::<u64>();
    if total(&second) < total(&first) { second } else { first }
}

/// Tensors of the moments when most is live first, those of one moment by size.
fn by_breadth(lives: &[Life], by_size: &[usize]) -> Vec<usize> {
    // The most that is live while a tensor lives, found at the births: only they add.
    let mut events: BTreeMap<usize, i128> = BTreeMap::new();
    for life in lives {
        *events.entry(life.born).or_default() += i128::from(life.bytes);
        *events.entry(life.dies).or_default() -= i128::from(life.bytes);
    }
    let mut live = 0;
    for value in events.values_mut() {
        live += *value;
        *value = live;
    }
    let breadth = |life: &Life| events.range(life.born..life.dies).map(|(_, live)| *live).max();
    let keys: Vec<_> = lives.iter().map(|life| Reverse(breadth(life))).collect();
    let mut order = by_size.to_vec();
    order.sort_by_key(|&at| keys[at]);
    order
}

/// Gives each tensor in turn the smallest free buffer that is large enough, of those the one that was in use last; else the
/// largest free one, which grows; else a new one.
fn in_order(lives: &[Life], order: &[usize]) -> (Vec<usize>, Vec<u64>) {
    let mut places = vec![0; lives.len()];
    let mut buffers: Vec<Buffer> = Vec::new();
    for &at in order {
        let life = &lives[at];
        let free = buffers.iter().enumerate().filter_map(|(number, b)| Some((number, b, b.idle(life)?)));
        let best = free.min_by_key(|(_, buffer, idle)| match buffer.bytes.checked_sub(life.bytes) {
            Some(waste) => (0, waste, *idle),
            None => (1, life.bytes - buffer.bytes, *idle),
        });
        let number = best.map_or(buffers.len(), |(number, ..)| number);
        if number == buffers.len() {
            buffers.push(Buffer { bytes: 0, lives: BTreeMap::new() });
        }
        let buffer = &mut buffers[number];
        buffer.bytes = buffer.bytes.max(life.bytes);
        buffer.lives.insert(life.born, life.dies);
        places[at] = number;
    }
    (places, buffers.into_iter().map(|buffer| buffer.bytes).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn life(bytes: u64, born: usize, dies: usize) -> Life {
        Life { bytes, born, dies }
    }

    #[test]
    fn a_chain_needs_two_buffers() {
        // Each tensor is made of the one before, which is dropped then.
        let chain: Vec<Life> = (0..10).map(|i| life(100 + i, 2 * i as usize, 2 * i as usize + 3)).collect();
        assert_eq!(assign(&chain).1.len(), 2);
        assert_eq!(assign(&chain).1.iter().sum::<u64>(), 109 + 108);
    }

    #[test]
    fn a_buffer_that_serves_large_and_small_is_better_than_one_of_each() {
        // The pool of size classes keeps both.
        let (_, buffers) = assign(&[life(1000, 0, 1), life(10, 2, 3), life(900, 4, 5)]);
        assert_eq!(buffers, [1000]);
    }

    fn lives() -> impl Strategy<Value = Vec<Life>> {
        let one = (1_u64..50, 0_usize..60, 1_usize..30, prop::bool::weighted(0.1));
        prop::collection::vec(one, 0..60).prop_map(|ones| {
            // All events at times of their own.
            let n = ones.len();
            let at = |time: usize, number: usize| time * 2 * n + number;
            let mut lives: Vec<Life> = (ones.into_iter().enumerate())
                .map(|(i, (bytes, born, length, stays))| {
                    let dies = if stays { usize::MAX } else { at(born + length, n + i) };
                    life(bytes, at(born, i), dies)
                })
                .collect();
            lives.sort_by_key(|life| life.born);
            lives
        })
    }

    proptest! {
        #[test]
        fn tensors_that_live_together_have_buffers_of_their_own(lives in lives()) {
            let (places, buffers) = assign(&lives);
            for (i, a) in lives.iter().enumerate() {
                prop_assert!(buffers[places[i]] >= a.bytes);
                for (j, b) in lives.iter().enumerate().skip(i + 1) {
                    let together = a.born < b.dies && b.born < a.dies;
                    prop_assert!(!together || places[i] != places[j], "{a:?} {b:?}");
                }
            }
            // Not less than what is live at once, not more than a buffer for each.
            let live = |time| lives.iter().filter(|l| l.born <= time && time < l.dies).map(|l| l.bytes).sum::<u64>();
            let least = lives.iter().map(|l| live(l.born)).max().unwrap_or(0);
            let total: u64 = buffers.iter().sum();
            prop_assert!(least <= total && total <= lives.iter().map(|l| l.bytes).sum());
        }
    }
}
