//! Names of things in an export: unique, stable, and good as parts of a URI.

/// Text as one part of a URI: everything but letters, digits and a few marks is escaped.
pub(super) fn part(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

/// A relative path as a URI.
pub(super) fn path(text: &str) -> String {
    text.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// The action of a job.
pub(super) fn job(id: &str) -> String {
    format!("#job/{}", part(id))
}
