//! Random numbers of the sampling: numpy's legacy generator, so that the authors' runs can be repeated, and a stream for
//! each cell that depends on nothing but the seed and the cell's name.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What sampling needs.
pub(super) trait Draws {
    /// 32 random bits.
    fn word(&mut self) -> u32;

    /// A number of 53 random bits, at least 0 and below 1 (`random_sample` of numpy).
    fn uniform(&mut self) -> f64 {
        let (high, low) = (self.word() >> 5, self.word() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }

    /// Brings values into random order (`shuffle` of numpy).
    fn shuffle(&mut self, values: &mut [u32]) {
        for last in (1..values.len()).rev() {
            values.swap(last, self.below_or_at(last));
        }
    }

    /// A whole number of 0 to `largest`: numbers of as many bits as `largest` has, until one is small enough.
    fn below_or_at(&mut self, largest: usize) -> usize {
        let mask =
            u32::try_from(largest).map_or(u32::MAX, |n| u32::MAX.checked_shr(n.leading_zeros()).unwrap_or(0));
        loop {
            let drawn = (self.word() & mask) as usize;
            if drawn <= largest {
                return drawn;
            }
        }
    }
}

const STATE: usize = 624;
const MIDDLE: usize = 397;

/// The Mersenne Twister MT19937 (Matsumoto and Nishimura 1998, 10.1145/272991.272995) as `numpy.random.seed` starts it.
#[derive(Clone, Debug)]
pub struct Mt19937 {
    state: [u32; STATE],
    next: usize,
}

impl Mt19937 {
    /// As `numpy.random.seed(seed)`.
    #[must_use]
    pub fn new(seed: u32) -> Self {
        let mut state = [seed; STATE];
        let mut before = seed;
        for (at, slot) in (0_u32..).zip(&mut state).skip(1) {
            before = 1_812_433_253_u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(at);
            *slot = before;
        }
        Self { state, next: STATE }
    }

    /// The next uniform number, as `numpy.random.random_sample` gives it.
    pub fn next_uniform(&mut self) -> f64 {
        self.uniform()
    }

    fn refill(&mut self) {
        for at in 0..STATE {
            let joined = (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % STATE] & 0x7fff_ffff);
            let twisted = if joined & 1 == 1 { (joined >> 1) ^ 0x9908_b0df } else { joined >> 1 };
            self.state[at] = self.state[(at + MIDDLE) % STATE] ^ twisted;
        }
        self.next = 0;
    }
}

impl Draws for Mt19937 {
    fn word(&mut self) -> u32 {
        if self.next == STATE {
            self.refill();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }
}

/// The stream of one cell.
pub(super) struct CellDraws(ChaCha8Rng);

impl CellDraws {
    /// The stream of the cell `name` under `seed`: the same whatever other cells there are and in whichever order.
    pub(super) fn new(seed: u64, name: &str) -> Self {
        let mut hash = blake3::Hasher::new_derive_key("celldag uce sampling 1");
        hash.update(&seed.to_le_bytes());
        hash.update(name.as_bytes());
        Self(ChaCha8Rng::from_seed(*hash.finalize().as_bytes()))
    }
}

impl Draws for CellDraws {
    fn word(&mut self) -> u32 {
        self.0.next_u32()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twister_is_that_of_the_authors_of_the_algorithm() {
        // The 10,000th output after the seed 5489 is fixed by the C++ standard (26.6.6.3).
        let mut twister = Mt19937::new(5489);
        let last = (0..10_000).map(|_| twister.word()).last();
        assert_eq!(last, Some(4_123_659_995));
    }

    #[test]
    fn shuffles_keep_all_values_and_cells_have_streams_of_their_own() {
        let shuffled = |seed, name| {
            let mut values: Vec<u32> = (0..30).collect();
            CellDraws::new(seed, name).shuffle(&mut values);
            values
        };
        let one = shuffled(0, "a");
        assert!(one == shuffled(0, "a") && one != shuffled(0, "b") && one != shuffled(1, "a"));
        let mut sorted = one;
        sorted.sort_unstable();
        assert!(sorted.into_iter().eq(0..30));
    }

    #[test]
    fn bounds_are_reached() {
        let mut draws = CellDraws::new(0, "");
        for largest in [1, 2, 3, 7, 8] {
            let mut seen = vec![false; largest + 1];
            (0..500).for_each(|_| seen[draws.below_or_at(largest)] = true);
            assert!(seen.into_iter().all(|seen| seen), "{largest}");
        }
    }
}
