//! Keys and digests as people read them.

/// Hex digits that tell contents apart on a screen; `--json` and the record of a run have all.
const SHORT: usize = 12;

/// The first digits of a key or digest; all of a text that is shorter.
#[must_use]
pub fn short(hex: &str) -> &str {
    hex.get(..SHORT).unwrap_or(hex)
}
