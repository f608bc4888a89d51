//! What identifies a vocabulary: tokens and weights must have been made with the same one.

use std::collections::BTreeMap;

/// BLAKE3 of the sorted lines `name<TAB>id<LF>`, hex.
pub(crate) fn digest(tokens: &BTreeMap<String, u32>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, id) in tokens {
        hasher.update(format!("{name}\t{id}\n").as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}
