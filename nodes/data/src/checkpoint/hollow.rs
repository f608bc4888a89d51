//! Checkpoints whose weights are zeros: names, shapes and everything that is not a weight are real, and no weight is read.
//! A model can so be put together to see whether everything is there, in the time that it takes to read the names.

use std::cell::Cell;

thread_local! {
    static HOLLOW: Cell<bool> = const { Cell::new(false) };
}

/// Runs `work`; every real-valued tensor that it takes on this thread is zero.
pub fn hollow<T>(work: impl FnOnce() -> T) -> T {
    let _end = End(HOLLOW.replace(true));
    work()
}

/// Whether weights are not to be read.
pub(super) fn is_hollow() -> bool {
    HOLLOW.get()
}

/// Puts back what was before, also when the work panics.
struct End(bool);

impl Drop for End {
    fn drop(&mut self) {
        HOLLOW.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_with_the_work() {
        hollow(|| {
            hollow(|| assert!(is_hollow()));
            assert!(is_hollow(), "the outer one goes on");
        });
        assert!(!is_hollow());
        let panicked = std::panic::catch_unwind(|| hollow(|| panic!("work")));
        assert!(panicked.is_err() && !is_hollow());
    }
}
