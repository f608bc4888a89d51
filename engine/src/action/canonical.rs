//! One value, one text: JSON with sorted keys, no spaces, and numbers normalised by the parameter's type.

use std::fmt::Write;

use serde_json::{Map, Number, Value};

use crate::param::ParamType;

/// `value` in the one form that its type has: `1e4`, `10000` and `10000.0` of a float parameter are the same, and so
/// are `10` and `10.0` of a whole one. Values that do not fit the type stay as they are (the check reports them).
#[must_use]
pub fn normalise(value: &Value, ty: &ParamType) -> Value {
    match (ty, value) {
        (ParamType::Float { .. }, Value::Number(number)) => {
            // Adding 0.0 turns -0.0 into 0.0: no kind may tell them apart.
            number
                .as_f64()
                .and_then(|x| Number::from_f64(x + 0.0))
                .map_or_else(|| value.clone(), Value::Number)
        }
        (ParamType::Int { .. }, Value::Number(number)) => whole(number).unwrap_or_else(|| value.clone()),
        (ParamType::List(of), Value::Array(items)) => items.iter().map(|item| normalise(item, of)).collect(),
        (ParamType::Map(of), Value::Object(entries)) => {
            let entries = entries.iter().map(|(name, entry)| (name.clone(), normalise(entry, of)));
            Value::Object(entries.collect::<Map<_, _>>())
        }
        _ => value.clone(),
    }
}

fn whole(number: &Number) -> Option<Value> {
    if let Some(n) = number.as_i64() {
        return Some(n.into());
    }
    if let Some(n) = number.as_u64() {
        return Some(n.into());
    }
    let x = number.as_f64()?;
    // 2^53: beyond it a float does not name one whole number.
    (x.fract() == 0.0 && x.abs() <= 9_007_199_254_740_992.0).then(|| Value::from(x as i64))
}

/// JSON with sorted keys and no spaces. Independent of the map type that `serde_json` was built with.
#[must_use]
pub fn canonical_json(value: &Value) -> String {
    let mut text = String::with_capacity(512);
    write_value(&mut text, value);
    text
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Object(map) => {
            let mut names: Vec<&String> = map.keys().collect();
            names.sort_unstable();
            text.push('{');
            for (i, name) in names.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write_scalar(text, &Value::String(name.clone()));
                text.push(':');
                write_value(text, &map[name]);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write_value(text, item);
            }
            text.push(']');
        }
        scalar => write_scalar(text, scalar),
    }
}

fn write_scalar(text: &mut String, value: &Value) {
    // Writing into a String does not fail.
    let _ = write!(text, "{value}");
}
