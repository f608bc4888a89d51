//! How the learning rate changes over a run.

/// The factor of the learning rate by optimiser step, as the schedulers of Hugging Face transformers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Schedule {
    /// Always 1.
    #[default]
    Constant,
    /// From 0 to 1 over the warm-up, then straight down to 0 at the end.
    Linear {
        /// Share of all steps that warm up.
        warmup: f64,
    },
    /// From 0 to 1 over the warm-up, then half a cosine down to 0 at the end.
    Cosine {
        /// Share of all steps that warm up.
        warmup: f64,
    },
    /// From 0 to 1 over the warm-up, then 1.
    WarmUp {
        /// Share of all steps that warm up.
        warmup: f64,
    },
}

impl Schedule {
    /// The factor of step `step` (from 0) of `steps`.
    #[must_use]
    pub fn factor(self, step: usize, steps: usize) -> f64 {
        let (Self::Linear { warmup } | Self::Cosine { warmup } | Self::WarmUp { warmup }) = self else {
            return 1.0;
        };
        let rising = (warmup.clamp(0.0, 1.0) * steps as f64).ceil();
        let at = step as f64;
        if at < rising {
            return at / rising.max(1.0);
        }
        let done = ((at - rising) / (steps as f64 - rising).max(1.0)).min(1.0);
        match self {
            Self::Linear { .. } => 1.0 - done,
            Self::Cosine { .. } => 0.5 * (1.0 + (std::f64::consts::PI * done).cos()),
            Self::WarmUp { .. } | Self::Constant => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `get_linear_schedule_with_warmup(optimizer, 2, 10)` and the like of transformers 4.
    #[test]
    fn factors_are_those_of_transformers() {
        let factors = |schedule: Schedule| (0..10).map(|step| schedule.factor(step, 10)).collect::<Vec<_>>();
        let linear = factors(Schedule::Linear { warmup: 0.2 });
        assert_eq!(linear, [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]);
        let cosine = factors(Schedule::Cosine { warmup: 0.2 });
        let want = [
            0.0,
            0.5,
            1.0,
            0.961_939_766,
            0.853_553_391,
            0.691_341_716,
            0.5,
            0.308_658_284,
            0.146_446_609,
            0.038_060_234,
        ];
        for (got, want) in cosine.iter().zip(want) {
            assert!((got - want).abs() < 1e-9, "{cosine:?}");
        }
        assert_eq!(factors(Schedule::WarmUp { warmup: 0.15 })[..4], [0.0, 0.5, 1.0, 1.0]);
        assert_eq!(factors(Schedule::Constant), [1.0; 10]);
        assert_eq!(Schedule::Linear { warmup: 0.0 }.factor(0, 1), 1.0, "one step is a whole run");
    }
}
