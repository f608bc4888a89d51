//! How a long step goes on after a kill: it saves now and then how far it is, and the next attempt at the same action
//! finds what it saved.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use celldag_cache::{Partial, StoreError};

/// At most this much work is lost, and what saving takes.
pub(crate) const INTERVAL: Duration = Duration::from_secs(30);

/// Where one attempt at a step keeps its state ([`crate::Step::resume`]). It may be used from any thread.
///
/// The states belong to the action: another parameter, another input or another epoch of the kind is another action and
/// finds nothing. They outlive a kill, an interrupt, a timeout, a lost device and failures of cause
/// [`crate::FailureCause::Failed`]; they go when the result is published, when the step is forced to start anew, and when
/// it fails for good (causes `Data` and `Parameter`, a panic)
/// after it came to them.
///
/// What a kind owes for it: **its outputs, facts and warnings are those of a step that nobody disturbed**, byte for byte,
/// wherever the other one was stopped. So a state holds numbers as bits and not as decimals, the position in every order
/// that is drawn, and the warnings and facts said so far, which the new attempt says again. A state that does not fit is
/// no error: the step starts anew.
pub struct Resume<'a> {
    partial: &'a Partial<'a>,
    interval: Duration,
    /// Whether what the step reads is still what the key says.
    unchanged: &'a (dyn Fn() -> bool + Sync),
    /// Takes what the user should know.
    tell: &'a (dyn Fn(String) + Sync),
    clock: Mutex<Clock>,
}

struct Clock {
    begun: Instant,
    saved: Instant,
    /// Seconds of work before this attempt.
    earlier: f64,
    /// A state was looked for or saved.
    used: bool,
    /// The user knows that nothing can be saved.
    told: bool,
}

impl<'a> Resume<'a> {
    pub(crate) fn new(
        partial: &'a Partial<'a>,
        interval: Duration,
        unchanged: &'a (dyn Fn() -> bool + Sync),
        tell: &'a (dyn Fn(String) + Sync),
    ) -> Self {
        let now = Instant::now();
        let clock = Mutex::new(Clock { begun: now, saved: now, earlier: 0.0, used: false, told: false });
        Self { partial, interval, unchanged, tell, clock }
    }

    /// The bytes last saved as `name` on the same `machine`. `None` when there are none, when they are damaged, and when
    /// another machine or another version of the program saved them.
    #[must_use]
    pub fn load(&self, name: &str, machine: &str) -> Option<Vec<u8>> {
        let loaded = self.partial.load(name, &origin(machine));
        let mut clock = self.clock();
        clock.used = true;
        match loaded {
            Ok(saved) => {
                let saved = saved?;
                clock.earlier = clock.earlier.max(saved.seconds);
                Some(saved.bytes)
            }
            Err(e) => {
                tracing::warn!("a saved state is left alone: {e}");
                None
            }
        }
    }

    /// Saves the state `name` (lower-case letters, digits, `.`, `_`, `-`; at most 100), replacing the one before: whole,
    /// or not at all. States of two names are two states, each of which must make sense alone. `machine` is what the bytes
    /// depend on besides the action: backend, adapter and driver of a step that computes on a device, nothing for others.
    ///
    /// A state that cannot be saved does not fail the step; the user is told once.
    pub fn save(&self, name: &str, machine: &str, bytes: &[u8]) {
        // What was computed from another content must not be found under the key of this one.
        if !(self.unchanged)() {
            tracing::debug!("an input changed while it was read: nothing is saved");
            self.clock().saved = Instant::now();
            return;
        }
        let seconds = self.seconds();
        let saved = self.partial.save(name, &origin(machine), seconds, bytes);
        let mut clock = self.clock();
        (clock.saved, clock.used) = (Instant::now(), true);
        if let Err(e) = saved
            && !std::mem::replace(&mut clock.told, true)
        {
            (self.tell)(lost(&e));
        }
    }

    /// Whether it is time to save again: half a minute after the start or the last save. Cheap enough for every batch.
    #[must_use]
    pub fn due(&self) -> bool {
        self.clock().saved.elapsed() >= self.interval
    }

    /// Seconds of work in what this attempt has now, those of earlier attempts that it went on from included.
    pub(crate) fn seconds(&self) -> f64 {
        let clock = self.clock();
        clock.earlier + clock.begun.elapsed().as_secs_f64()
    }

    /// Deletes what was saved when the step failed for good. An attempt that failed before it came to its states says
    /// nothing about them.
    pub(crate) fn give_up(&self) {
        if self.clock().used {
            forget(Some(self.partial));
        }
    }

    /// A panic of another thread leaves the clock usable.
    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kinds may change how they write their states from version to version, without a new epoch.
fn origin(machine: &str) -> String {
    format!("celldag {} {machine}", env!("CARGO_PKG_VERSION"))
}

fn lost(error: &StoreError) -> String {
    format!("how far this is cannot be saved, so a stopped run would start it anew: {error}")
}

/// Deletes what was saved; what stays is garbage that is collected later.
pub(crate) fn forget(partial: Option<&Partial<'_>>) {
    if let Some(Err(e)) = partial.map(Partial::clear) {
        tracing::debug!("saved states stay: {e}");
    }
}
