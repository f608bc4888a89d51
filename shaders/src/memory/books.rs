//! The books of one device, or of one rehearsal: what is in use, the most that was, and the limit.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::MemoryReport;
use super::trace::{Life, Trace};

/// The books of one device, or of one rehearsal.
pub(crate) struct Account {
    books: Mutex<Books>,
    limit: Option<u64>,
}

#[derive(Default)]
struct Books {
    live: u64,
    peak: u64,
    /// In a rehearsal: when its tensors live.
    trace: Trace,
}

/// Bytes on the books of an account; taken off when dropped.
pub(crate) struct Booking {
    account: Arc<Account>,
    bytes: u64,
    /// Which tensor of a rehearsal this is.
    life: Option<usize>,
}

impl Drop for Booking {
    fn drop(&mut self) {
        let mut books = self.account.lock();
        books.live -= self.bytes;
        if let Some(life) = self.life {
            books.trace.ends(life);
        }
    }
}

/// What a rehearsal found out.
pub(crate) struct Rehearsal {
    /// Bytes that were live before.
    pub(crate) before: u64,
    /// The most bytes that would be live at once, those of before included.
    pub(crate) peak: u64,
    /// Its tensors in the order in which they were made.
    pub(crate) lives: Vec<Life>,
}

impl Account {
    pub(crate) fn new(limit: Option<u64>) -> Arc<Account> {
        Arc::new(Account { books: Mutex::default(), limit })
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// The state of the books, beside `pooled` unused bytes.
    pub(crate) fn report(&self, pooled: u64) -> MemoryReport {
        let Books { live, peak, .. } = *self.lock();
        MemoryReport { live, pooled, peak, limit: self.limit, ..MemoryReport::default() }
    }

    pub(crate) fn reset_peak(&self) {
        let mut books = self.lock();
        books.peak = books.live;
    }

    /// Books `bytes` while `pooled` unused bytes are kept; none if that is more than the limit.
    pub(crate) fn book(self: &Arc<Self>, bytes: u64, pooled: u64) -> Option<Booking> {
        let mut books = self.lock();
        let live = books.live + bytes;
        if self.limit.is_some_and(|limit| live + pooled > limit) {
            return None;
        }
        books.live = live;
        books.peak = books.peak.max(live);
        Some(Booking { account: Arc::clone(self), bytes, life: None })
    }

    /// Books `bytes` of a tensor on the rehearsal of this thread; none if it does not rehearse on this account's device.
    pub(crate) fn rehearsed(self: &Arc<Self>, bytes: u64) -> Option<Booking> {
        let rehearsal = STAGE.with_borrow(|stage| {
            let on_this = stage.iter().rev().find(|(home, _)| Arc::ptr_eq(home, self));
            on_this.map(|(_, rehearsal)| Arc::clone(rehearsal))
        })?;
        let mut booking = rehearsal.book(bytes, 0)?;
        booking.life = Some(rehearsal.lock().trace.begins(bytes));
        Some(booking)
    }

    /// Whether this thread rehearses on this account's device.
    pub(crate) fn rehearsing(self: &Arc<Self>) -> bool {
        STAGE.with_borrow(|stage| stage.iter().any(|(home, _)| Arc::ptr_eq(home, self)))
    }

    /// Runs `work` as a rehearsal on this thread.
    pub(crate) fn rehearse<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> (T, Rehearsal) {
        let rehearsal = Account::new(None);
        let before = self.lock().live;
        *rehearsal.lock() = Books { live: before, peak: before, trace: Trace::default() };
        STAGE.with_borrow_mut(|stage| stage.push((Arc::clone(self), Arc::clone(&rehearsal))));
        let _end = End;
        let result = work();
        let books = rehearsal.lock();
        let found = Rehearsal { before, peak: books.peak, lives: books.trace.lives().to_vec() };
        drop(books);
        (result, found)
    }
}

thread_local! {
    /// Rehearsals of this thread: the device's account and the rehearsal's.
    static STAGE: RefCell<Vec<(Arc<Account>, Arc<Account>)>> = const { RefCell::new(Vec::new()) };
}

/// Ends a rehearsal, also when it panics.
struct End;

impl Drop for End {
    fn drop(&mut self) {
        let ended = STAGE.with_borrow_mut(Vec::pop);
        drop(ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_books_know_the_peak_and_the_limit() {
        let account = Account::new(Some(100));
        let first = account.book(60, 0).unwrap();
        assert!(account.book(30, 20).is_none(), "the pool counts");
        let second = account.book(40, 0).unwrap();
        drop(first);
        let report = MemoryReport { live: 40, pooled: 7, peak: 100, limit: Some(100), ..Default::default() };
        assert_eq!(account.report(7), report);
        account.reset_peak();
        drop(second);
        assert_eq!(account.report(0).peak, 40);
    }

    #[test]
    fn a_rehearsal_counts_beside_the_device() {
        let (account, other) = (Account::new(Some(100)), Account::new(None));
        let _kept = account.book(50, 0).unwrap();
        assert!(account.rehearsed(1).is_none());
        let ((), found) = account.rehearse(|| {
            let first = account.rehearsed(1000).unwrap();
            let _second = account.rehearsed(10).unwrap();
            drop(first);
            assert!(other.rehearsed(1).is_none() && !other.rehearsing());
        });
        assert_eq!((found.before, found.peak, account.report(0).peak), (50, 1060, 50));
        let life = |bytes, born, dies| Life { bytes, born, dies };
        assert_eq!(found.lives, [life(1000, 0, 2), life(10, 1, 3)]);
        assert!(!account.rehearsing());
    }
}
