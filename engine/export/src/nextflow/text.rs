//! Texts inside of Bash inside of Groovy.

/// A word of Bash that means `text` and nothing else.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=./:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// A text inside of a Groovy string in double quotes, single or triple.
pub(super) fn inside(text: &str) -> String {
    text.replace('\\', "\\\\").replace('$', "\\$").replace('"', "\\\"")
}

/// A Groovy string without interpolation.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'").replace('\n', "\\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_is_quoted() {
        assert_eq!(word("a=[1, 2]"), "'a=[1, 2]'");
        assert_eq!(word("hidden=64"), "hidden=64");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(inside(&word("it's $5")), r"'it'\\''s \$5'");
        assert_eq!(literal("it's"), r"'it\'s'");
    }
}
