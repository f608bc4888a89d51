//! The random forest among the baselines: 200 fully grown trees (Gini) on bootstrap samples, as many features at a split as
//! the square root of all.

use rafor::prelude::*;
use rafor::rf::Classifier;

use super::features::Features;

const TREES: usize = 200;

/// Share of the trees' leaves for each of `classes` classes, for each row of `test`. Classes that do not train have 0.
pub(super) fn forest(
    train: &Features,
    class: &[usize],
    classes: usize,
    test: &Features,
    seed: u64,
) -> Vec<Vec<f64>> {
    let single = |features: &Features| features.values.iter().map(|&v| v as f32).collect::<Vec<f32>>();
    let targets: Vec<i64> = class.iter().map(|&c| c as i64).collect();
    // One thread: folds run beside each other, and trees draw from their own seeds.
    let model = <Classifier>::trainer()
        .with_trees(TREES)
        .with_threads(1)
        .with_seed(seed)
        .train(&single(train), &targets);
    // The model knows the classes that it saw, in ascending order.
    let mut seen = class.to_vec();
    seen.sort_unstable();
    seen.dedup();
    model
        .proba(&single(test), 1)
        .chunks(seen.len())
        .map(|shares| {
            let mut row = vec![0.0; classes];
            seen.iter().zip(shares).for_each(|(&class, &share)| row[class] = f64::from(share));
            row
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_and_absent_classes_have_no_share() {
        let features = |n: usize, shift: usize| Features {
            dim: 3,
            values: (0..3 * n)
                .map(|i| ((i * 31 + shift) % 17) as f64 + if i % 3 == 0 { (i / 3 % 2) as f64 } else { 0.0 })
                .collect(),
        };
        let (train, test) = (features(60, 0), features(20, 5));
        let class: Vec<usize> = (0..60).map(|i| 2 * (i % 2)).collect();
        let scores = forest(&train, &class, 3, &test, 1);
        assert_eq!(scores.len(), 20);
        for row in &scores {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-5 && row[1] == 0.0, "{row:?}");
        }
        assert_eq!(scores, forest(&train, &class, 3, &test, 1));
        assert_ne!(scores, forest(&train, &class, 3, &test, 2));
    }
}
