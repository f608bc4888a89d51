//! Texts in the languages of a workflow: Python, shell, YAML.

use serde_json::Value;

/// A text as a literal of Python (and of JSON).
pub(super) fn python(text: &str) -> String {
    Value::from(text).to_string()
}

/// A list of texts in Python.
pub(super) fn list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| python(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// A word of a shell command.
pub(super) fn shell(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// A text inside a `shell:` string, where braces name things of the rule.
pub(super) fn literal(text: &str) -> String {
    text.replace('{', "{{").replace('}', "}}")
}

/// Whether a text may stand in a raw, triple-quoted string of Python and in one line of shell.
pub(super) fn fits_a_line(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || c == '\\') && !text.contains("\"\"\"")
}

/// A value as YAML that says the same in all its versions: every text in quotes, except names of fields.
pub(super) fn yaml(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, entry) in map {
                out.push_str(&" ".repeat(indent));
                out.push_str(&key(name));
                out.push(':');
                if matches!(entry, Value::Object(inner) if !inner.is_empty()) {
                    out.push('\n');
                    yaml(entry, indent + 2, out);
                } else {
                    out.push_str(&format!(" {entry}\n"));
                }
            }
        }
        other => out.push_str(&format!("{}{other}\n", " ".repeat(indent))),
    }
}

/// Words that YAML 1.1 takes for truth values.
const TRUTHS: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "none"];

fn key(name: &str) -> String {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_alphabetic())
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    if plain && !TRUTHS.contains(&name.to_ascii_lowercase().as_str()) {
        return name.to_owned();
    }
    Value::from(name).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell() {
        assert_eq!(shell("fold=3"), "fold=3");
        assert_eq!(shell("a b's {c}"), r"'a b'\''s {c}'");
        assert_eq!(shell(""), "''");
        assert_eq!(literal("{a: 1}"), "{{a: 1}}");
        assert!(fits_a_line("a 'b' \"c\"") && !fits_a_line("a\nb") && !fits_a_line("\\"));
    }

    #[test]
    fn yaml_says_what_was_meant() {
        let value = serde_json::json!({"a": {"no": "no", "1": ["x", 2, null], "empty": {}}, "b": "c: d"});
        let mut text = String::new();
        yaml(&value, 0, &mut text);
        assert_eq!(text, "a:\n  \"1\": [\"x\",2,null]\n  empty: {}\n  \"no\": \"no\"\nb: \"c: d\"\n");
    }
}
