//! Names of tensors: what a bare tensor is called, and patterns over names.

/// The name of a tensor that is a file of its own (a `.npy`, or a `torch.save` of one tensor).
pub const BARE_TENSOR: &str = "tensor";

/// Whether a name is meant by a pattern: a full name, a prefix that ends in a dot, or a pattern with `*` for any text.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    if pattern.ends_with('.') && name.starts_with(pattern) {
        return true;
    }
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
