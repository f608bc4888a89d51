//! How fast and how much may be asked.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use celldag_engine::{NodeError, Step};

use super::answer::Usage;

/// Spaces requests out and lets all of them wait when the server asks for it.
pub(super) struct Pace {
    gap: Duration,
    next: Mutex<Instant>,
}

impl Pace {
    /// `per_minute` requests; 0 for as many as there are.
    pub(super) fn new(per_minute: f64) -> Self {
        let gap = if per_minute > 0.0 { Duration::from_secs_f64(60.0 / per_minute) } else { Duration::ZERO };
        Self { gap, next: Mutex::new(Instant::now()) }
    }

    /// Waits for the next place in the line.
    ///
    /// # Errors
    /// When the user stops the run.
    pub(super) fn wait(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let mine = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let mine = (*next).max(Instant::now());
            *next = mine + self.gap;
            mine
        };
        sleep(mine.saturating_duration_since(Instant::now()), step)
    }

    /// Nobody asks before so much time has passed.
    pub(super) fn hold(&self, time: Duration) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next = (*next).max(Instant::now() + time);
    }
}

/// Sleeps in short steps, so that the user need not wait for the end of it.
pub(super) fn sleep(mut time: Duration, step: &Step<'_>) -> Result<(), NodeError> {
    const STEP: Duration = Duration::from_millis(100);
    while !time.is_zero() {
        step.check_cancelled()?;
        let part = time.min(STEP);
        std::thread::sleep(part);
        time -= part;
    }
    step.check_cancelled()
}

/// Prices of a million tokens, in the user's currency.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Prices {
    pub(super) prompt: f64,
    pub(super) completion: f64,
}

impl Prices {
    /// What tokens cost.
    pub(super) fn of(self, usage: Usage) -> f64 {
        (usage.prompt_tokens as f64 * self.prompt + usage.completion_tokens as f64 * self.completion) / 1e6
    }
}

/// What has been sent and billed in this run; answers that were kept from earlier runs cost nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spent {
    /// Requests sent, failed ones too.
    pub(super) requests: u64,
    /// Tokens of those that were answered, estimated where the server does not say.
    pub(super) usage: Usage,
}

/// The most that may be spent.
pub(super) struct Budget {
    pub(super) requests: Option<u64>,
    pub(super) tokens: Option<u64>,
    pub(super) cost: Option<f64>,
    pub(super) prices: Prices,
    pub(super) spent: Mutex<Spent>,
}

impl Budget {
    /// Counts one more request.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(super) fn take(&self) -> Result<(), String> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = spent.usage.prompt_tokens + spent.usage.completion_tokens;
        let cost = self.prices.of(spent.usage);
        let reached = if self.requests.is_some_and(|most| spent.requests >= most) {
            format!("`max_requests`: {} requests have been sent", spent.requests)
        } else if self.tokens.is_some_and(|most| tokens >= most) {
            format!("`max_total_tokens`: {tokens} tokens have been used")
        } else if self.cost.is_some_and(|most| cost >= most) {
            format!("`max_cost`: {cost:.4} have been spent")
        } else {
            spent.requests += 1;
            return Ok(());
        };
        Err(reached)
    }

    /// Counts the tokens of an answer.
    pub(super) fn bill(&self, usage: Usage) {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.usage.prompt_tokens += usage.prompt_tokens;
        spent.usage.completion_tokens += usage.completion_tokens;
    }

    /// What has been spent so far.
    pub(super) fn spent(&self) -> Spent {
        *self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_stops_at_each_of_its_limits() {
        let budget = |requests, tokens, cost| Budget {
            requests,
            tokens,
            cost,
            prices: Prices { prompt: 1.0, completion: 10.0 },
            spent: Mutex::new(Spent::default()),
        };
        let usage = Usage { prompt_tokens: 600_000, completion_tokens: 100_000 };
        for (budget, name) in [
            (budget(Some(1), None, None), "max_requests"),
            (budget(None, Some(700_000), None), "max_total_tokens"),
            (budget(None, None, Some(1.6)), "max_cost"),
        ] {
            budget.take().expect("the first request");
            budget.bill(usage);
            let refused = budget.take().expect_err(name);
            assert!(refused.contains(name), "{refused}");
            assert_eq!(budget.spent().requests, 1, "a refused request is not counted");
        }
        let free = budget(None, None, None);
        free.bill(usage);
        free.take().expect("no limit");
    }
}
