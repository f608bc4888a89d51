//! Accounting of the memory of tensors, the same on both backends: size classes, what is in use, the highest use, and
//! the user's limit.
//!
//! A batch can be rehearsed ([`crate::Device::rehearse`]): the same code runs on the same device, but on this thread new
//! tensors are only counted, in an account of its own, and no work is done. Both backends round sizes to the same
//! classes and count a tensor from its making to its last drop, so the peak of a rehearsal is the peak of the run.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Smallest class in bytes. All classes are multiples of 16, so a kernel may bind any buffer as `array<vec4<f32>>`.
const SMALLEST: u64 = 256;

/// Bytes of unused buffers above which the pools give memory back.
pub(crate) const POOL_BYTES: u64 = 1 << 30;

/// Memory of the tensors of a device, in bytes, rounded up to what is allocated for each. Scratch memory inside of an
/// operation of the CPU backend and staging buffers of the GPU backend are not counted; they are small.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemoryReport {
    /// Bytes of tensors that somebody holds.
    pub live: u64,
    /// Bytes of unused buffers that wait for reuse; given back before an allocation fails.
    pub pooled: u64,
    /// The most bytes that were live at once, since the device was opened or
    /// [`reset_peak`](crate::Device::reset_peak).
    pub peak: u64,
    /// The most bytes that may be live and pooled together.
    pub limit: Option<u64>,
}

/// Rounds bytes up to an eighth of a power of two: at most 12.5 % waste, few classes.
pub(crate) fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(SMALLEST);
    let step = (1 << bytes.ilog2()) / 8;
    bytes.div_ceil(step) * step
}

/// The books of one device, or of one rehearsal.
pub(crate) struct Account {
    books: Mutex<Use>,
    limit: Option<u64>,
}

#[derive(Clone, Copy, Default)]
struct Use {
    live: u64,
    peak: u64,
}

/// Bytes on the books of an account; taken off when dropped.
pub(crate) struct Booking {
    account: Arc<Account>,
    bytes: u64,
}

impl Drop for Booking {
    fn drop(&mut self) {
        self.account.lock().live -= self.bytes;
    }
}

impl Account {
    pub(crate) fn new(limit: Option<u64>) -> Arc<Account> {
        Arc::new(Account { books: Mutex::default(), limit })
    }

    fn lock(&self) -> MutexGuard<'_, Use> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of the books, beside `pooled` unused bytes.
    pub(crate) fn report(&self, pooled: u64) -> MemoryReport {
        let Use { live, peak } = *self.lock();
        MemoryReport { live, pooled, peak, limit: self.limit }
    }

    pub(crate) fn reset_peak(&self) {
        let mut use_ = self.lock();
        use_.peak = use_.live;
    }

    /// Books `bytes` of a tensor while `pooled` unused bytes are kept; none if that is more than the limit.
    pub(crate) fn book(self: &Arc<Self>, bytes: u64, pooled: u64) -> Option<Booking> {
        let mut use_ = self.lock();
        let live = use_.live + bytes;
        if self.limit.is_some_and(|limit| live + pooled > limit) {
            return None;
        }
        *use_ = Use { live, peak: use_.peak.max(live) };
        Some(Booking { account: Arc::clone(self), bytes })
    }

    /// Books `bytes` on the rehearsal of this thread; none if it does not rehearse on this account's device.
    pub(crate) fn rehearsed(self: &Arc<Self>, bytes: u64) -> Option<Booking> {
        let rehearsal = STAGE.with_borrow(|stage| {
            let on_this = stage.iter().rev().find(|(home, _)| Arc::ptr_eq(home, self));
            on_this.map(|(_, rehearsal)| Arc::clone(rehearsal))
        })?;
        rehearsal.book(bytes, 0)
    }

    /// Whether this thread rehearses on this account's device.
    pub(crate) fn rehearsing(self: &Arc<Self>) -> bool {
        STAGE.with_borrow(|stage| stage.iter().any(|(home, _)| Arc::ptr_eq(home, self)))
    }

    /// Runs `work` as a rehearsal on this thread; its result and the peak of what was live, what is live now included.
    pub(crate) fn rehearse<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> (T, u64) {
        let rehearsal = Account::new(None);
        let live = self.lock().live;
        *rehearsal.lock() = Use { live, peak: live };
        STAGE.with_borrow_mut(|stage| stage.push((Arc::clone(self), Arc::clone(&rehearsal))));
        let _end = End;
        let result = work();
        let peak = rehearsal.lock().peak;
        (result, peak)
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
    fn classes_fit_waste_little_and_can_be_bound_as_vectors() {
        for bytes in (0..5000).chain([1 << 20, (1 << 20) + 1, 128 << 20, u64::from(u32::MAX)]) {
            let class = size_class(bytes);
            assert!(class >= bytes && class.is_multiple_of(16), "{bytes} -> {class}");
            assert!(bytes < SMALLEST || class as f64 <= bytes as f64 * 1.126, "{bytes} -> {class}");
            assert_eq!(size_class(class), class);
        }
    }

    #[test]
    fn the_books_know_the_peak_and_the_limit() {
        let account = Account::new(Some(100));
        let first = account.book(60, 0).unwrap();
        assert!(account.book(30, 20).is_none(), "the pool counts");
        let second = account.book(40, 0).unwrap();
        drop(first);
        let report = account.report(7);
        assert_eq!(report, MemoryReport { live: 40, pooled: 7, peak: 100, limit: Some(100) });
        account.reset_peak();
        drop(second);
        assert_eq!(account.report(0).peak, 40);
    }

    #[test]
    fn a_rehearsal_counts_beside_the_device() {
        let (account, other) = (Account::new(Some(100)), Account::new(None));
        let _kept = account.book(50, 0).unwrap();
        assert!(account.rehearsed(1).is_none());
        let ((), peak) = account.rehearse(|| {
            let _much = account.rehearsed(1000).unwrap();
            assert!(other.rehearsed(1).is_none() && !other.rehearsing());
        });
        assert_eq!((peak, account.report(0).peak), (1050, 50));
        assert!(!account.rehearsing());
    }
}
