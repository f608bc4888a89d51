//! When the tensors of a rehearsal live: which are made in which order, and when each is dropped.

/// One tensor of a rehearsal. Times count the events of the rehearsal (a tensor is made, a tensor is dropped).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    /// Bytes that are allocated for it.
    pub(crate) bytes: u64,
    /// When it is made.
    pub(crate) born: usize,
    /// When it is dropped; the largest number if it stays.
    pub(crate) dies: usize,
}

/// The tensors of a rehearsal so far, in the order in which they were made.
#[derive(Default)]
pub(super) struct Trace {
    lives: Vec<Life>,
    now: usize,
}

impl Trace {
    /// A tensor of `bytes` is made; its number.
    pub(super) fn begins(&mut self, bytes: u64) -> usize {
        self.lives.push(Life { bytes, born: self.now, dies: usize::MAX });
        self.now += 1;
        self.lives.len() - 1
    }

    /// Tensor `number` is dropped.
    pub(super) fn ends(&mut self, number: usize) {
        if let Some(life) = self.lives.get_mut(number) {
            life.dies = self.now;
            self.now += 1;
        }
    }

    pub(super) fn lives(&self) -> &[Life] {
        &self.lives
    }
}
