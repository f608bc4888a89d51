//! One answer of unknown size at a time: who takes it has the turn until all of it is sent.

use std::io::{Cursor, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// Gives turns, one after the other.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<(Mutex<bool>, Condvar)>);

impl Turns {
    /// Waits until nobody has the turn, and takes it. A lock's guard would not do: it cannot go with an answer.
    pub(super) fn take(&self) -> Turn {
        let (taken, given) = &*self.0;
        let taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = given.wait_while(taken, |taken| *taken).unwrap_or_else(PoisonError::into_inner);
        *free = true;
        Turn(self.clone())
    }
}

/// The turn; given on when the value goes.
pub(super) struct Turn(Turns);

impl Drop for Turn {
    fn drop(&mut self) {
        let (taken, given) = &*self.0.0;
        *taken.lock().unwrap_or_else(PoisonError::into_inner) = false;
        given.notify_one();
    }
}

/// Bytes that are sent in a turn.
pub(super) struct InTurn {
    bytes: Cursor<Vec<u8>>,
    _turn: Turn,
}

impl InTurn {
    pub(super) fn new(bytes: Vec<u8>, turn: Turn) -> Self {
        Self { bytes: Cursor::new(bytes), _turn: turn }
    }
}

impl Read for InTurn {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.bytes.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_next_one_waits_until_all_is_sent() {
        let turns = Turns::default();
        let mut first = InTurn::new(b"whole".to_vec(), turns.take());
        let (tell, told) = channel();
        let others = turns.clone();
        let second = std::thread::spawn(move || {
            let _turn = others.take();
            tell.send(()).unwrap();
        });
        let mut text = String::new();
        first.read_to_string(&mut text).unwrap();
        assert_eq!(text, "whole");
        assert_eq!(told.recv_timeout(Duration::from_millis(50)), Err(RecvTimeoutError::Timeout));
        drop(first);
        assert_eq!(told.recv_timeout(Duration::from_secs(30)), Ok(()));
        second.join().unwrap();
    }
}
