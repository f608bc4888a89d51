//! Which written values fit which types. The table of the traps of YAML: `no`, `007`, `1e4`, quotes.

use serde_json::{Value, json};

use super::{describe, normal, typed};
use crate::param::ParamType;
use crate::spec::parse::parse;

/// The value of `x: WRITTEN` for a type.
fn value(written: &str, ty: &ParamType) -> Result<Value, String> {
    let mut findings = Vec::new();
    let text = format!("x: {written}");
    let tree = parse(&text, &mut findings).unwrap();
    assert!(findings.is_empty(), "{written}");
    let crate::spec::Data::Map(entries) = &tree.data else { panic!("not a mapping") };
    typed(&entries[0].1, ty).map_err(|misfit| misfit.help.unwrap_or(misfit.message))
}

const INT: ParamType = ParamType::Int { min: -10, max: 100_000 };
const FLOAT: ParamType = ParamType::Float { min: -1e6, max: 1e6 };

#[test]
fn text_is_what_was_written() {
    let words = [
        "no",
        "007",
        "1e4",
        "1_000",
        "0x1F",
        "true",
        "1.50",
        "2024-01-02",
        "'null'",
        "\"a b\"",
        "é",
        "${x",
        "''",
        "12:30:45",
        "+5",
    ];
    for written in words {
        let expected = written.trim_matches(['\'', '"']);
        assert_eq!(value(written, &ParamType::Text), Ok(json!(expected)), "{written}");
    }
    assert_eq!(value("|\n  two\n  lines\n", &ParamType::Text), Ok(json!("two\nlines\n")));
    for nothing in ["", "~", "null"] {
        assert!(value(nothing, &ParamType::Text).is_err(), "{nothing:?}");
    }
}

#[test]
fn numbers() {
    for (written, expected) in [
        ("7", 7),
        ("007", 7),
        ("-3", -3),
        ("+5", 5),
        ("1e4", 10_000),
        ("1E2", 100),
        ("0x1f", 31),
        ("0o17", 15),
    ] {
        assert_eq!(value(written, &INT), Ok(json!(expected)), "{written}");
        assert_eq!(value(written, &FLOAT), Ok(json!(f64::from(expected))), "{written}");
    }
    for wrong in
        ["no", "1.5", "1e-1", "\"7\"", "1_000", "ten", "1e30", "100001", "-11", ".inf", "[1]", "{a: 1}", "~"]
    {
        assert!(value(wrong, &INT).is_err(), "{wrong}");
    }
    for (written, expected) in
        [("0.5", 0.5), (".5", 0.5), ("1e-3", 1e-3), ("-2", -2.0), ("-0.0", 0.0), ("1.", 1.0)]
    {
        assert_eq!(value(written, &FLOAT), Ok(json!(expected)), "{written}");
    }
    for wrong in ["nan", ".nan", "inf", "infinity", "-.inf", "1e400", "1,5", "'0.5'", "2e6", "yes", "~"] {
        assert!(value(wrong, &FLOAT).is_err(), "{wrong}");
    }
    assert_eq!(value("'7'", &INT), Err("write 7 without quotes".to_owned()));
    assert_eq!(value("-0.0", &FLOAT).unwrap().to_string(), "0.0");
}

#[test]
fn booleans_are_not_those_of_yaml_1_1() {
    assert_eq!(value("true", &ParamType::Bool), Ok(json!(true)));
    assert_eq!(value("False", &ParamType::Bool), Ok(json!(false)));
    assert_eq!(value("yes", &ParamType::Bool), Err("write true".to_owned()));
    assert_eq!(value("off", &ParamType::Bool), Err("write false".to_owned()));
    assert_eq!(value("'true'", &ParamType::Bool), Err("write true without quotes".to_owned()));
    assert!(value("1", &ParamType::Bool).is_err());
}

#[test]
fn choices_lists_and_maps() {
    let choice = ParamType::Choice(vec!["off", "mean", "3"]);
    assert_eq!(value("off", &choice), Ok(json!("off")));
    assert_eq!(value("3", &choice), Ok(json!("3")));
    assert_eq!(value("men", &choice), Err("did you mean `mean`?".to_owned()));
    let list = ParamType::List(Box::new(INT));
    assert_eq!(value("[512, 0512, 1e2]", &list), Ok(json!([512, 512, 100])));
    assert_eq!(value("[]", &list), Ok(json!([])));
    assert_eq!(value("512", &list), Err("write [512] for a list of one".to_owned()));
    assert_eq!(value("8,8", &list), Err("write [8, 8]".to_owned()));
    assert!(value("[1, x]", &list).is_err());
    let map = ParamType::Map(Box::new(ParamType::Text));
    assert_eq!(value("{a: 1, b: no}", &map), Ok(json!({"a": "1", "b": "no"})));
    assert!(value("[a]", &map).is_err());
}

#[test]
fn a_default_has_the_form_of_a_written_value() {
    assert_eq!(normal(&json!(1), &FLOAT).to_string(), "1.0");
    assert_eq!(normal(&json!([1, 2]), &ParamType::List(Box::new(FLOAT))).to_string(), "[1.0,2.0]");
    assert_eq!(normal(&json!({"a": 1}), &ParamType::Map(Box::new(FLOAT))).to_string(), r#"{"a":1.0}"#);
    assert_eq!(normal(&json!(1), &INT), json!(1));
    assert_eq!(normal(&Value::Null, &FLOAT), Value::Null);
}

#[test]
fn types_in_words() {
    assert_eq!(describe(&ParamType::Int { min: 0, max: i64::MAX }), "a whole number, 0 or more");
    assert_eq!(describe(&ParamType::Float { min: 0.0, max: 1.0 }), "a number from 0 to 1");
    assert_eq!(describe(&ParamType::Float { min: 0.0, max: f64::INFINITY }), "a number, 0 or more");
    assert_eq!(describe(&ParamType::Float { min: f64::MIN, max: f64::MAX }), "a number");
    assert_eq!(describe(&ParamType::Float { min: -1e300, max: 1.0 }), "a number, 1 or less");
    assert_eq!(describe(&ParamType::Choice(vec!["a", "b"])), "one of a, b");
}
