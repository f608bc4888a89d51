//! Bounds-checked reading of the bytes of a pickle.

use super::error::PickleError;

/// A position in the bytes of a pickle.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Length of the whole pickle.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Byte offset of what is read next.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    fn truncated(&self, what: &'static str) -> PickleError {
        PickleError::Truncated { position: self.bytes.len(), what }
    }

    /// The next `count` bytes, borrowed: a lying length allocates nothing.
    pub(super) fn take(&mut self, count: usize, what: &'static str) -> Result<&'a [u8], PickleError> {
        let end = self.position.checked_add(count).ok_or_else(|| self.truncated(what))?;
        let part = self.bytes.get(self.position..end).ok_or_else(|| self.truncated(what))?;
        self.position = end;
        Ok(part)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], PickleError> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N, what)?);
        Ok(out)
    }

    /// One byte.
    pub(super) fn byte(&mut self, what: &'static str) -> Result<u8, PickleError> {
        Ok(self.array::<1>(what)?[0])
    }

    /// A little-endian length of `N` bytes and as many bytes.
    pub(super) fn counted<const N: usize>(&mut self, what: &'static str) -> Result<&'a [u8], PickleError> {
        let count = self.length::<N>(what)?;
        self.take(count, what)
    }

    /// A little-endian length of `N` bytes.
    pub(super) fn length<const N: usize>(&mut self, what: &'static str) -> Result<usize, PickleError> {
        let mut wide = [0; 8];
        wide[..N].copy_from_slice(&self.array::<N>(what)?);
        usize::try_from(u64::from_le_bytes(wide)).map_err(|_| self.truncated(what))
    }

    /// Everything up to the next line feed, which is consumed and not part of the result.
    pub(super) fn line(&mut self, what: &'static str) -> Result<&'a [u8], PickleError> {
        let rest = &self.bytes[self.position..];
        let length = rest.iter().position(|&b| b == b'\n').ok_or_else(|| self.truncated(what))?;
        self.position += length + 1;
        Ok(&rest[..length])
    }

    /// How many bytes are left.
    pub(super) fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }
}
