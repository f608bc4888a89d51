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

/// The host part of a `<host>-<pid>-<start>-<n>` name; `None` for a name that nobody here has given.
pub(crate) fn host_of(name: &str) -> Option<&str> {
    let mut parts = name.rsplitn(4, '-');
    let mut is_number = |base| {
        parts.next().is_some_and(|part| !part.is_empty() && part.chars().all(|c: char| c.is_digit(base)))
    };
    let numbers = is_number(10) && is_number(16) && is_number(10);
    parts.next().filter(|host| numbers && !host.is_empty())
}

#[cfg(test)]
mod tests {
    #[test]
    fn host_is_found_in_a_name() {
        let name = format!("{}-0", super::process_name());
        assert_eq!(super::host_of(&name), Some(super::host()));
        assert_eq!(super::host_of("a-b-1-2-3"), Some("a-b"));
        assert_eq!(super::host_of("a-1-1f-3"), Some("a"));
        for other in
            ["nonsense", "a-1-1g-3", "a-x-1-3", "a-1-1-", "-1-1-3", "1-1-3", "a-1-1-3.txt", "a-1-1-b"]
        {
            assert_eq!(super::host_of(other), None, "{other}");
        }
    }
}
