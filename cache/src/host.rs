//! Who we are: the host, process and start time that make names of temporary files unique in a shared store.

use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

/// Host name as it is written into records.
pub(crate) fn host() -> &'static str {
    static HOST: OnceLock<String> = OnceLock::new();
    HOST.get_or_init(|| {
        let raw = gethostname::gethostname();
        let name: String = raw
            .to_string_lossy()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' })
            .take(64)
            .collect();
        let name = name.trim_start_matches('.');
        if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
    })
}

/// `<host>-<pid>-<start>`; the start time tells apart two processes that got the same process id.
pub(crate) fn process_name() -> &'static str {
    static NAME: OnceLock<String> = OnceLock::new();
    NAME.get_or_init(|| {
        let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos());
        format!("{}-{}-{start:x}", host(), std::process::id())
    })
}

/// The host part of a `<host>-<pid>-<start>-<n>` name.
pub(crate) fn host_of(name: &str) -> Option<&str> {
    name.rsplitn(4, '-').nth(3)
}

#[cfg(test)]
mod tests {
    #[test]
    fn host_is_found_in_a_name() {
        let name = format!("{}-0", super::process_name());
        assert_eq!(super::host_of(&name), Some(super::host()));
        assert_eq!(super::host_of("a-b-1-2-3"), Some("a-b"));
        assert_eq!(super::host_of("nonsense"), None);
    }
}
