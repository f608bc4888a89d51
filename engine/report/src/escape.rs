//! Text into HTML, and numbers into text.

use serde_json::Value;

/// Escapes text for element content and double-quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(c),
        }
    }
    out
}

/// Escapes a sentence; what stands between backticks is set as code.
pub(crate) fn prose(text: &str) -> String {
    let parts: Vec<&str> = text.split('`').collect();
    // An odd number of backticks is no markup.
    if parts.len().is_multiple_of(2) {
        return escape(text);
    }
    let set = |(i, part): (usize, &&str)| {
        if i % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) }
    };
    parts.iter().enumerate().map(set).collect()
}

/// A number as people read it: whole numbers plainly, others with about four significant digits.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    if value == value.trunc() && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let magnitude = value.abs();
    if (0.001..1.0).contains(&magnitude) {
        format!("{value:.3}")
    } else if (1.0..1e6).contains(&magnitude) {
        let decimals = if magnitude < 10.0 {
            3
        } else if magnitude < 1000.0 {
            2
        } else {
            1
        };
        format!("{value:.decimals$}")
    } else {
        format!("{value:.3e}")
    }
}

/// A table cell: text, number, or a dash that says undefined.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "<span class=\"undefined\" title=\"undefined\">–</span>".to_owned(),
        Value::Number(n) if n.is_f64() => match n.as_f64().unwrap_or(f64::NAN) {
            // Mostly metrics: as wide as their neighbours.
            value if value == 0.0 || value == 1.0 => format!("{value:.3}"),
            value => number(value),
        },
        Value::Number(n) => n.to_string(),
        Value::String(text) => escape(text),
        Value::Bool(yes) => yes.to_string(),
        Value::Array(list) => list.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(map) => {
            map.iter().map(|(k, v)| format!("{} {}", escape(k), cell(v))).collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_break_out() {
        assert_eq!(escape("<b a=\"1\">'&"), "&lt;b a=&quot;1&quot;&gt;&#39;&amp;");
    }

    #[test]
    fn code_is_marked_up_and_still_escaped() {
        assert_eq!(prose("use `a<b` & go"), "use <code>a&lt;b</code> &amp; go");
        assert_eq!(prose("one ` only"), "one ` only");
    }

    #[test]
    fn numbers_are_readable() {
        for (value, text) in [
            (0.0, "0"),
            (12.0, "12"),
            (0.91234, "0.912"),
            (2.34567, "2.346"),
            (1e-7, "1.000e-7"),
            (2.5e9, "2500000000"),
        ] {
            assert_eq!(number(value), text);
        }
        assert_eq!(number(f64::NAN), "NaN");
    }
}
