//! Comparing with files of reference numbers.

use serde_json::Value;

/// Equal within `tolerance` (relative above 1), structure and all. `null` is undefined, "inf" infinite.
pub(crate) fn assert_close(at: &str, found: &Value, expected: &Value, tolerance: f64) {
    match (found, expected) {
        (Value::Array(f), Value::Array(e)) => {
            assert_eq!(f.len(), e.len(), "{at}: length");
            for (i, (f, e)) in f.iter().zip(e).enumerate() {
                assert_close(&format!("{at}[{i}]"), f, e, tolerance);
            }
        }
        (Value::Object(f), Value::Object(e)) => {
            assert_eq!(f.keys().collect::<Vec<_>>(), e.keys().collect::<Vec<_>>(), "{at}: keys");
            for (key, e) in e {
                assert_close(&format!("{at}.{key}"), &f[key], e, tolerance);
            }
        }
        (Value::Number(f), Value::Number(e)) => {
            let (f, e) = (f.as_f64().expect("f64"), e.as_f64().expect("f64"));
            assert!((f - e).abs() <= tolerance * e.abs().max(1.0), "{at}: {f} instead of {e}");
        }
        _ => assert_eq!(found, expected, "{at}"),
    }
}

pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("array").iter().map(number).collect()
}

pub(crate) fn number(value: &Value) -> f64 {
    match value {
        Value::Null => f64::NAN,
        Value::String(s) if s == "inf" => f64::INFINITY,
        Value::String(s) if s == "-inf" => f64::NEG_INFINITY,
        _ => value.as_f64().expect("number"),
    }
}

pub(crate) fn cases<'a>(file: &'a Value, list: &str, at_least: usize) -> (&'a Vec<Value>, f64) {
    let cases = file[list].as_array().expect("cases");
    assert!(cases.len() >= at_least, "{list}: {} cases", cases.len());
    (cases, file["tolerance"].as_f64().expect("tolerance"))
}
