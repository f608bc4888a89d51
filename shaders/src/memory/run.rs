//! A batch that follows a plan: its tensors take their planned buffers, one after the other.
//!
//! What the batch does is not taken on trust. A tensor that is still held keeps its buffer, whatever the plan says; one
//! of another size than planned ends the plan. Both then take memory from the pool, as without a plan.

use std::any::Any;
use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::books::{Account, Booking};
use super::plan::{Place, Plan};

/// A batch that follows a plan with buffers of type `M`.
pub(crate) struct Run<M> {
    tensors: Arc<[Place]>,
    state: Mutex<State<M>>,
}

struct State<M> {
    /// Number of the tensor that is made next; none when the plan has ended.
    next: Option<usize>,
    buffers: Vec<Shared<M>>,
}

/// A buffer of the plan.
struct Shared<M> {
    /// None while a tensor holds it.
    memory: Option<M>,
    /// None when the plan has ended and nothing holds the buffer.
    booking: Option<Booking>,
}

/// Where the next tensor of a run gets its memory.
pub(crate) enum Next<M> {
    /// From the plan: the buffer and its number.
    Planned(M, usize),
    /// From the pool, which gets these buffers that the plan needs no more.
    Pool(Vec<M>),
}

impl<M> Run<M> {
    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Memory for the next tensor, of `bytes`.
    pub(crate) fn next(&self, bytes: u64) -> Next<M> {
        let mut state = self.lock();
        let Some(at) = state.next else { return Next::Pool(Vec::new()) };
        match self.tensors.get(at) {
            Some(place) if place.bytes == bytes => {
                state.next = Some(at + 1);
                match state.buffers[place.buffer].memory.take() {
                    Some(memory) => Next::Planned(memory, place.buffer),
                    None => {
                        tracing::debug!(at, "a tensor lives longer than planned");
                        Next::Pool(Vec::new())
                    }
                }
            }
            planned => {
                let planned = planned.map(|place| place.bytes);
                tracing::debug!(at, bytes, planned, "not the planned tensor; going on without the plan");
                Next::Pool(state.end())
            }
        }
    }

    /// Takes buffer `number` back from a tensor. Gives it on, off the books, if the plan has ended.
    pub(crate) fn give_back(&self, number: usize, memory: M) -> Option<M> {
        let mut state = self.lock();
        let ended = state.next.is_none();
        let buffer = &mut state.buffers[number];
        if ended {
            buffer.booking = None;
            return Some(memory);
        }
        buffer.memory = Some(memory);
        None
    }
}

impl<M> State<M> {
    /// Ends the plan. The buffers that no tensor holds, off the books.
    fn end(&mut self) -> Vec<M> {
        self.next = None;
        let free = self.buffers.iter_mut().filter_map(|buffer| {
            let memory = buffer.memory.take()?;
            buffer.booking = None;
            Some(memory)
        });
        free.collect()
    }
}

impl<M: Send + 'static> Run<M> {
    /// The run that follows a plan on this thread and the device of `account`.
    pub(crate) fn current(account: &Arc<Account>) -> Option<Arc<Run<M>>> {
        RUNS.with_borrow(|runs| {
            let (_, run) = runs.iter().find(|(home, _)| Arc::ptr_eq(home, account))?;
            Arc::clone(run).downcast().ok()
        })
    }

    /// Does `work` with `buffers`, which are those of `plan`, on the books already; gives them to `pool` afterwards. Those
    /// that results still hold follow when these are dropped.
    pub(crate) fn follow<T>(
        account: &Arc<Account>,
        plan: &Plan,
        buffers: Vec<(M, Booking)>,
        pool: impl FnMut(M),
        work: impl FnOnce() -> T,
    ) -> T {
        let shared = |(memory, booking)| Shared { memory: Some(memory), booking: Some(booking) };
        let state = State { next: Some(0), buffers: buffers.into_iter().map(shared).collect() };
        let run = Arc::new(Run { tensors: Arc::clone(&plan.tensors), state: Mutex::new(state) });
        let entry: Entry = (Arc::clone(account), Arc::clone(&run) as _);
        RUNS.with_borrow_mut(|runs| runs.push(entry));
        let _end = End { run, account: Arc::clone(account), pool };
        work()
    }
}

/// The account of a device, and a [`Run`] with the buffers of its backend.
type Entry = (Arc<Account>, Arc<dyn Any + Send + Sync>);

thread_local! {
    /// Runs of this thread, at most one a device.
    static RUNS: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// Ends a run, also when its work panics.
struct End<M, F: FnMut(M)> {
    run: Arc<Run<M>>,
    account: Arc<Account>,
    pool: F,
}

impl<M, F: FnMut(M)> Drop for End<M, F> {
    fn drop(&mut self) {
        RUNS.with_borrow_mut(|runs| runs.retain(|(home, _)| !Arc::ptr_eq(home, &self.account)));
        let free = self.run.lock().end();
        free.into_iter().for_each(&mut self.pool);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a run makes and drops, planned or not, no buffer is in two places and none is lost.
        #[test]
        fn a_buffer_is_in_one_place(
            planned in prop::collection::vec((1_u64..5, any::<prop::sample::Index>()), 1..30),
            made in prop::collection::vec((1_u64..5, any::<prop::sample::Index>()), 1..40),
            faithful in any::<bool>(),
        ) {
            let account = Account::new(None);
            let ((), found) = account.rehearse(|| {
                let mut live = Vec::new();
                for (bytes, drop) in &planned {
                    live.push(account.rehearsed(*bytes));
                    if *bytes > 1 {
                        live.swap_remove(drop.index(live.len()));
                    }
                }
            });
            let plan = Plan::new(&account, &found);
            let numbered = plan.buffers().iter().zip(0..);
            let buffers: Vec<_> =
                numbered.map(|(bytes, number)| (number, account.book(*bytes, 0).unwrap())).collect();
            let all: BTreeSet<usize> = (0..buffers.len()).collect();
            let (mut pool, mut spare) = (Vec::new(), Vec::new());
            let mut live: Vec<(usize, usize)> = Vec::new();
            let run = Run::follow(&account, &plan, buffers, |buffer| pool.push(buffer), || {
                let run = Run::<usize>::current(&account).unwrap();
                for (bytes, drop) in if faithful { &planned } else { &made } {
                    match run.next(*bytes) {
                        Next::Planned(buffer, number) => {
                            assert!(plan.buffers()[number] >= *bytes);
                            live.push((buffer, number));
                        }
                        Next::Pool(unplanned) => {
                            assert!(!faithful);
                            spare.extend(unplanned);
                            continue;
                        }
                    }
                    let held: BTreeSet<usize> = live.iter().map(|(buffer, _)| *buffer).collect();
                    assert_eq!(held.len(), live.len());
                    if *bytes > 1 && !live.is_empty() {
                        let (buffer, number) = live.swap_remove(drop.index(live.len()));
                        spare.extend(run.give_back(number, buffer));
                    }
                }
                run
            });
            prop_assert!(Run::<usize>::current(&account).is_none());
            prop_assert!(matches!(run.next(1), Next::Pool(spare) if spare.is_empty()));
            pool.extend(spare);
            pool.extend(live.into_iter().filter_map(|(buffer, number)| run.give_back(number, buffer)));
            prop_assert_eq!(account.report(0).live, 0);
            prop_assert_eq!(pool.iter().copied().collect::<BTreeSet<_>>(), all);
            prop_assert_eq!(pool.len(), plan.buffers().len());
        }
    }
}
