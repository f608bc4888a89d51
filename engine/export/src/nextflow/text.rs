//! Texts inside of Bash inside of Groovy.

/// A word of Bash that means `text` and nothing else. It has no line end: Nextflow takes the indent off every line of a
/// script, also off those of a value.
pub(super) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-+=./:,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    if !text.contains(|c: char| c.is_ascii_control()) {
        return format!("'{}'", text.replace('\'', "'\\''"));
    }
    let escaped = |c: char| match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\\' | '\'' => format!("\\{c}"),
        c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
        c => c.to_string(),
    };
    format!("$'{}'", text.chars().map(escaped).collect::<String>())
}

/// A text inside of a Groovy string in double quotes, single or triple.
pub(super) fn inside(text: &str) -> String {
    lines(&text.replace('\\', "\\\\").replace('$', "\\$").replace('"', "\\\""))
}

/// A Groovy string without interpolation.
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", lines(&text.replace('\\', "\\\\").replace('\'', "\\'")))
}

fn lines(text: &str) -> String {
    text.replace('\n', "\\n").replace('\r', "\\r")
}

/// JSON in ASCII: Java may take any encoding for the usual one.
pub(super) fn json(value: &serde_json::Value) -> String {
    let mut out = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn bash_reads_what_was_meant(text in "([a-z '\"$\\\\\n\r\t`!{}]|\\PC|[\\x01-\\x7f]){0,9}") {
            let word = word(&text);
            prop_assert!(!word.contains(['\n', '\r']));
            let script = format!("printf %s {word}");
            let told = std::process::Command::new("bash").args(["-uec", &script]).output();
            prop_assert_eq!(String::from_utf8(told.unwrap().stdout).unwrap(), text);
        }
    }

    #[test]
    fn every_layer_is_quoted() {
        assert_eq!(word("a=[1, 2]"), "'a=[1, 2]'");
        assert_eq!(word("hidden=64"), "hidden=64");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word("it's\n\\\u{1b}"), r"$'it\'s\n\\\x1b'");
        assert_eq!(inside(&word("it's $5")), r"'it'\\''s \$5'");
        assert_eq!(literal("it's\n"), r"'it\'s\n'");
        assert_eq!(json(&serde_json::json!(["é\n\u{1f9ec}"])), r#"["\u00e9\n\ud83e\uddec"]"#);
    }
}
