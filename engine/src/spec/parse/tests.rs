//! Places and shapes of parsed values.

use super::parse;
use crate::spec::{Data, Tree};

fn slices<'t>(tree: &Tree, text: &'t str, found: &mut Vec<&'t str>) {
    found.push(&text[tree.span.clone()]);
    match &tree.data {
        Data::Scalar(_) => {}
        Data::List(items) => items.iter().for_each(|item| slices(item, text, found)),
        Data::Map(entries) => {
            for (key, value) in entries {
                found.push(&text[key.span.clone()]);
                slices(value, text, found);
            }
        }
    }
}

#[test]
fn every_value_knows_its_bytes() {
    let text = "# é\nname: 'x y'  # comment\nlist: [1, {a: no}]\nblock:\n  - |\n    text\n  - 7\n\nlast:\n";
    let mut findings = Vec::new();
    let tree = parse(text, &mut findings).unwrap();
    assert!(findings.is_empty());
    let mut found = Vec::new();
    slices(&tree, text, &mut found);
    assert_eq!(
        found[1..],
        [
            "name",
            "'x y'",
            "list",
            "[1, {a: no}]",
            "1",
            "{a: no}",
            "a",
            "no",
            "block",
            "- |\n    text\n  - 7",
            "text",
            "7",
            "last",
            ""
        ]
    );
}

#[test]
fn deep_nesting_is_an_error_and_not_a_crash() {
    for text in ["[".repeat(100_000), "- ".repeat(100_000), "{a: ".repeat(50_000), "? ".repeat(50_000)] {
        let mut findings = Vec::new();
        assert!(parse(&text, &mut findings).is_none());
        assert_eq!(findings.len(), 1);
    }
}

#[test]
fn windows_line_ends_and_a_byte_order_mark_are_fine() {
    let text = "\u{feff}a: 1\r\nb: x\r\n";
    let mut findings = Vec::new();
    let tree = parse(text, &mut findings).unwrap();
    let Data::Map(entries) = &tree.data else { panic!("not a mapping") };
    let texts: Vec<_> =
        entries.iter().map(|(k, v)| (k.name.as_str(), &v.scalar().unwrap().text[..])).collect();
    assert_eq!(texts, [("a", "1"), ("b", "x")]);
    assert_eq!(&text[entries[1].1.span.clone()], "x");
}
