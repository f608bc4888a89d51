//! How long work will take: a rough figure by kind of adapter, corrected by what the adapter was seen to do. Used only to
//! cut work into dispatches and submissions that end soon, so it changes no bit of a result.

use std::time::{Duration, Instant};

use super::Cost;

/// Estimated seconds after which work is submitted, and the most that one dispatch may take.
pub(super) const SUBMISSION_SECONDS: f64 = 0.25;

/// Shorter work says little: what was measured may have been the compiler of the driver.
const TELLING_SECONDS: f64 = 0.02;

/// Estimates of one adapter.
pub(super) struct Pace {
    flops: f64,
    bytes: f64,
    /// Measured over estimated seconds.
    correction: f64,
    /// When the last submission that was waited for had ended.
    idle_since: Option<Instant>,
}

impl Pace {
    pub(super) fn new(kind: wgpu::DeviceType) -> Pace {
        let (flops, bytes) = match kind {
            wgpu::DeviceType::Cpu => (3e9, 1e9),
            wgpu::DeviceType::DiscreteGpu => (1e12, 1e11),
            _ => (1e11, 1e10),
        };
        // Cautious until something was measured.
        Pace { flops, bytes, correction: 2.0, idle_since: None }
    }

    /// Seconds that the work will probably take.
    pub(super) fn seconds(&self, cost: Cost) -> f64 {
        self.correction * (cost.flops / self.flops + cost.bytes / self.bytes)
    }

    /// A submission of estimated `seconds`, sent at `sent`, has ended. `waited` is how long somebody waited for it: only
    /// then is its end known.
    pub(super) fn ended(&mut self, seconds: f64, sent: Instant, waited: Duration) {
        let now = Instant::now();
        // Submissions run one after another.
        let began = self.idle_since.map_or(sent, |idle| idle.max(sent));
        self.idle_since = Some(now);
        if seconds < TELLING_SECONDS || waited < Duration::from_millis(1) {
            return;
        }
        let ratio = (now - began).as_secs_f64() / seconds;
        self.correction = (self.correction * (1.0 + ratio.clamp(0.0, 15.0)) / 2.0).clamp(1e-3, 1e3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn estimates_follow_a_slow_adapter_within_a_few_submissions() {
        let mut pace = Pace::new(wgpu::DeviceType::Cpu);
        let cost = Cost { flops: 1e9, bytes: 0.0 };
        // An adapter that needs 8 s for this work, whatever is estimated.
        for _ in 0..20 {
            let sent = Instant::now().checked_sub(Duration::from_secs(8)).unwrap();
            pace.idle_since = None;
            pace.ended(pace.seconds(cost), sent, Duration::from_secs(8));
        }
        assert!((7.0..9.0).contains(&pace.seconds(cost)), "{}", pace.seconds(cost));
        let before = pace.seconds(cost);
        pace.ended(1e-4, Instant::now(), Duration::from_secs(1));
        assert_eq!(pace.seconds(cost), before, "tiny work says nothing");
    }
}
