//! Draws that are the same on every platform.

use rand::Rng;

/// A whole number below `count`, or 0 where `count` is 0: the high half of a product, which is uniform but for 2⁻⁶⁴ · `count`.
pub fn below(rng: &mut impl Rng, count: u64) -> u64 {
    ((u128::from(rng.next_u64()) * u128::from(count)) >> 64) as u64
}

/// A number from 0 to below 1, one of 2⁵³.
pub fn fraction(rng: &mut impl Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn every_number_below_the_count_is_drawn_as_often() {
        let mut rng = ChaCha8Rng::from_seed([4; 32]);
        let mut drawn = [0_u32; 3];
        for _ in 0..3000 {
            drawn[below(&mut rng, 3) as usize] += 1;
            assert!((0.0..1.0).contains(&fraction(&mut rng)));
        }
        // Five standard deviations are 129.
        assert!(drawn.iter().all(|&count| count.abs_diff(1000) < 129), "{drawn:?}");
        assert_eq!((below(&mut rng, 1), below(&mut rng, 0)), (0, 0));
    }
}
