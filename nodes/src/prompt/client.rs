//! From a request to an answer, whatever happens on the way: kept answers, pace, budget, retries with back-off, and
//! optional fields that a server does not take.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use celldag_engine::{FailureCause, NodeError, Outlook, Step};

use super::answer::{Answer, Heard, hear};
use super::endpoint::Endpoint;
use super::kept::{Kept, Paid};
use super::limits::{Budget, Pace, sleep};
use super::request::{Dialect, Request};

/// Longest time that is waited between two tries of one request.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The model answered, usably or not.
    Answer(Answer),
    /// The request is larger than the model's context.
    TooLong,
    /// A filter of the server stopped the question.
    Filtered,
    /// The server does not allow so many tokens for the answer as a request with more room asks for.
    NoRoom,
}

/// Asks one server. Shared by all threads of a node.
pub(super) struct Client<'a> {
    pub(super) step: &'a Step<'a>,
    /// The address as the user wrote it, less slashes at its end.
    pub(super) address: &'a str,
    /// Absent where nothing may be sent.
    pub(super) endpoint: Option<Endpoint>,
    pub(super) kept: Kept<'a>,
    pub(super) pace: Pace,
    pub(super) budget: Budget,
    /// Tries of one request after the first.
    pub(super) retries: u32,
    /// Time before the second try; it doubles with each further one.
    pub(super) backoff: Duration,
    /// What the server takes, as far as it is known.
    pub(super) dialect: Mutex<Dialect>,
    /// Fields that were left out of requests that were answered, in this run or before.
    pub(super) left_out: Mutex<BTreeSet<String>>,
    /// Raised by the first failure, so that nobody pays for more.
    pub(super) stopped: AtomicBool,
    pub(super) retried: AtomicU64,
    pub(super) reused: AtomicU64,
}

impl Client<'_> {
    /// The outcome of a request, from the kept answers or from the server.
    ///
    /// # Errors
    /// When the server cannot be asked, or does not answer after all tries; when a limit is reached; when the user stops.
    pub(super) fn ask(&self, request: &Request<'_>, digest: &str) -> Result<Outcome, NodeError> {
        if let Some(paid) = self.kept.get(digest)? {
            self.reused.fetch_add(1, Ordering::Relaxed);
            self.note_left_out(&paid.left_out);
            return Ok(Outcome::Answer(paid.answer));
        }
        let Some(endpoint) = &self.endpoint else {
            return Err(NodeError::failed(format!(
                "`--offline` forbids to send the question to {}, and its answer is not among the kept ones",
                self.address
            ))
            .help("run without `--offline`, or give `keep_answers` the folder of an earlier run"));
        };
        self.send(endpoint, request, digest)
    }

    fn send(&self, endpoint: &Endpoint, request: &Request<'_>, digest: &str) -> Result<Outcome, NodeError> {
        let mut failed = 0;
        loop {
            self.check_stopped()?;
            self.pace.wait(self.step)?;
            self.budget.take().map_err(|why| self.used_up(&why))?;
            let dialect = self.dialect();
            let heard = match endpoint.post(&request.body(dialect)) {
                // An answer is put together from parts: the key must not be in the whole either.
                Ok(received) => hear(&received).map_texts(|text| endpoint.clean(text)),
                Err(why) => Heard::Again { why, wait: None },
            };
            let (why, wait) = match heard {
                Heard::Answer(answer) => {
                    self.budget.bill(answer.usage.unwrap_or_else(|| request.estimate(&answer)));
                    let left_out = dialect.left_out(request.format).into_iter().map(str::to_owned).collect();
                    let paid = Paid { answer, left_out };
                    self.kept.put(digest, &paid)?;
                    self.note_left_out(&paid.left_out);
                    return Ok(Outcome::Answer(paid.answer));
                }
                Heard::TooLong if request.grown => return Ok(Outcome::NoRoom),
                Heard::TooLong => return Ok(Outcome::TooLong),
                Heard::Filtered => return Ok(Outcome::Filtered),
                Heard::Stop { why, help } => return Err(self.failure(&why).help(help)),
                // The same question was answered with less room: nothing else can be wrong with it.
                Heard::Complaint(said) if request.grown && dialect.is_of_size(&said) => {
                    return Ok(Outcome::NoRoom);
                }
                Heard::Complaint(said) => {
                    if !self.leave_out(dialect, &said, request)? {
                        return Ok(Outcome::NoRoom);
                    }
                    continue;
                }
                Heard::Again { why, wait } => (why, wait),
            };
            failed += 1;
            if failed > self.retries {
                let why = format!("{why} (tried {failed} times)");
                let help = format!("try again later, or raise `retries`; {}", self.kept.after_failure());
                return Err(self.failure(&why).outlook(Outlook::Passing).help(help));
            }
            self.retried.fetch_add(1, Ordering::Relaxed);
            tracing::info!("{}: {why}; another try follows", self.address);
            match wait {
                Some(wait) if wait > LONGEST_WAIT => {
                    return Err(self
                        .failure(&format!("{why}; it asks to wait for {} s", wait.as_secs()))
                        .help(format!("try again later; {}", self.kept.after_failure())));
                }
                // The server speaks for all requests, not for this one alone.
                // One that asks for no pause gets ours all the same.
                Some(wait) => self.pace.hold(wait.max(backoff(self.backoff, failed, digest))),
                None => sleep(backoff(self.backoff, failed, digest), self.step)?,
            }
        }
    }

    /// Remembers that the server does not take a field. Returns whether there is one to leave out; a request with more
    /// room than one that was answered may have none.
    fn leave_out(&self, sent: Dialect, said: &str, request: &Request<'_>) -> Result<bool, NodeError> {
        let mut known = self.dialect.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have learned it meanwhile.
        if *known != sent {
            return Ok(true);
        }
        match sent.without(said, request.format) {
            Some(less) => *known = less,
            None if request.grown => return Ok(false),
            None => {
                return Err(self.failure(&format!("it refuses the request: {said}")).help(
                    "check `model`, `max_tokens` and the other parameters against the server's manual",
                ));
            }
        }
        Ok(true)
    }

    fn note_left_out(&self, fields: &[String]) {
        self.left_out.lock().unwrap_or_else(PoisonError::into_inner).extend(fields.iter().cloned());
    }

    /// What the server takes, as far as it is known.
    fn dialect(&self) -> Dialect {
        *self.dialect.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets everybody stop before the next request.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    fn check_stopped(&self) -> Result<(), NodeError> {
        self.step.check_cancelled()?;
        if self.stopped.load(Ordering::Relaxed) {
            return Err(NodeError::new(FailureCause::Cancelled, "stopped after another request failed"));
        }
        Ok(())
    }

    fn used_up(&self, limit: &str) -> NodeError {
        NodeError::failed(format!("the budget is used up: {limit}"))
            .help(format!("raise it and run again; {}", self.kept.after_failure()))
    }

    fn failure(&self, why: &str) -> NodeError {
        NodeError::failed(format!("{}: {why}", self.address))
    }
}

/// Time before the next try: doubled with each failure, and a part of it drawn from the request, so that requests that
/// failed together do not come back together.
fn backoff(first: Duration, failed: u32, digest: &str) -> Duration {
    let full = first.saturating_mul(1 << (failed - 1).min(16)).min(LONGEST_WAIT);
    let hash = blake3::hash(format!("{digest} {failed}").as_bytes());
    let jitter = f64::from(hash.as_bytes()[0]) / 255.0;
    full.mul_f64(0.5 + 0.5 * jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_doubles_and_differs_between_requests() {
        let first = Duration::from_secs(1);
        for failed in 1..12 {
            let full = Duration::from_secs(1 << (failed - 1)).min(LONGEST_WAIT);
            let time = backoff(first, failed, "a");
            assert!(time >= full / 2 && time <= full, "{failed}: {time:?}");
        }
        assert_ne!(backoff(first, 3, "a"), backoff(first, 3, "b"));
        assert!(backoff(first, u32::MAX, "a") <= LONGEST_WAIT);
    }
}
