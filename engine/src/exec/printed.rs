//! What a program printed, as part of its result: a hit can show it again.

use std::path::Path;

use serde_json::{Value, json};

use crate::step::{Step, Summary};

/// Longer logs are cut in the middle: results are small files that are read often. The run folder has the whole.
const HEAD: usize = 4 * 1024;
const TAIL: usize = 12 * 1024;
/// Its name among the facts of an execution.
const LOG: &str = "log";

/// Puts the log into the facts of the execution.
pub(crate) fn keep(step: &Step<'_>, log: &Path) {
    let Ok(bytes) = fs_err::read(log) else { return };
    let text = String::from_utf8_lossy(&bytes);
    if !text.trim().is_empty() {
        step.execution(LOG, json!({"bytes": bytes.len(), "text": shortened(&text)}));
    }
}

/// Shows the log of a result that was not computed again to those who want to see what programs say.
pub(crate) fn replay(job: &str, summary: &Summary) {
    let text = summary.execution.get(LOG).and_then(|log| log.get("text")).and_then(Value::as_str);
    for line in text.into_iter().flat_map(str::lines) {
        tracing::info!("{job} (cached): {line}");
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= HEAD + TAIL {
        return text.to_owned();
    }
    let (mut head, mut tail) = (HEAD, text.len() - TAIL);
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{}\n[{} bytes left out]\n{}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_logs_keep_both_ends() {
        assert_eq!(shortened("short"), "short");
        let long = format!("first{}last", "ä".repeat(20_000));
        let cut = shortened(&long);
        assert!(cut.starts_with("first") && cut.ends_with("last") && cut.len() < HEAD + TAIL + 100);
        assert!(cut.contains(" bytes left out]"));
    }
}
