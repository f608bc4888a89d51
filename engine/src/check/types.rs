//! A written value and a parameter's type: the one place that decides what `007`, `no` or `1e4` means.

use serde_json::{Map, Number, Value};

use super::suggest::hint;
use crate::param::ParamType;
use crate::spec::{Data, Scalar, Span, Tree};

/// Why a value does not fit.
#[derive(Clone, Debug)]
pub(crate) struct Misfit {
    /// Which part of the value.
    pub(crate) span: Span,
    /// What it should be, in words.
    pub(crate) wanted: String,
    /// `expected ..., not ...`
    pub(crate) message: String,
    /// What to write instead.
    pub(crate) help: Option<String>,
}

/// Words that YAML 1.1 read as booleans; worth a hint of their own.
const OLD_BOOLEANS: [&str; 8] = ["yes", "no", "on", "off", "y", "n", "t", "f"];

/// Bounds beyond this only say that a number has to be finite: three hundred digits help nobody.
const UNBOUNDED: f64 = 1e300;

/// The value of a parameter of type `ty`.
pub(crate) fn typed(tree: &Tree, ty: &ParamType) -> Result<Value, Misfit> {
    match (ty, &tree.data) {
        (ParamType::List(of), Data::List(items)) => {
            items.iter().map(|item| typed(item, of)).collect::<Result<Vec<_>, _>>().map(Value::Array)
        }
        (ParamType::Map(of), Data::Map(entries)) => {
            let mut map = Map::new();
            for (key, value) in entries {
                map.insert(key.name.clone(), typed(value, of)?);
            }
            Ok(Value::Object(map))
        }
        (ParamType::List(of), Data::Scalar(s)) if !tree.is_null() => {
            let help = if s.text.contains(',') && !s.quoted {
                let items: Vec<&str> =
                    s.text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
                format!("write [{}]", items.join(", "))
            } else {
                format!("write [{}] for a list of one", shown(s, of))
            };
            Err(misfit(tree, ty, Some(help)))
        }
        (ParamType::List(_) | ParamType::Map(_), _) | (_, Data::List(_) | Data::Map(_)) => {
            Err(misfit(tree, ty, None))
        }
        (_, Data::Scalar(_)) if tree.is_null() => {
            let quoted = tree.scalar().map(|s| s.text.clone()).filter(|text| !text.is_empty());
            Err(misfit(tree, ty, quoted.map(|text| format!("write \"{text}\" if you mean the word"))))
        }
        (ParamType::Bool, Data::Scalar(s)) => boolean(tree, s, ty),
        (ParamType::Int { min, max }, Data::Scalar(s)) => integer(tree, s, ty, *min, *max),
        (ParamType::Float { min, max }, Data::Scalar(s)) => float(tree, s, ty, *min, *max),
        (ParamType::Text, Data::Scalar(s)) => Ok(Value::String(s.text.clone())),
        (ParamType::Choice(words), Data::Scalar(s)) => {
            if words.contains(&s.text.as_str()) {
                return Ok(Value::String(s.text.clone()));
            }
            Err(misfit(tree, ty, hint(&s.text, "choices", words.iter().copied())))
        }
    }
}

/// A default in the same form as a value that a user writes, so that writing the default out changes no key.
pub(crate) fn normal(value: &Value, ty: &ParamType) -> Value {
    match (ty, value) {
        (ParamType::Float { .. }, Value::Number(n)) => {
            n.as_f64().and_then(Number::from_f64).map_or_else(|| value.clone(), Value::Number)
        }
        (ParamType::List(of), Value::Array(items)) => items.iter().map(|item| normal(item, of)).collect(),
        (ParamType::Map(of), Value::Object(map)) => {
            Value::Object(map.iter().map(|(key, item)| (key.clone(), normal(item, of))).collect())
        }
        _ => value.clone(),
    }
}

/// The type in words: `a whole number from 1 to 10`.
pub(crate) fn describe(ty: &ParamType) -> String {
    match ty {
        ParamType::Bool => "true or false".to_owned(),
        ParamType::Int { min: i64::MIN, max: i64::MAX } => "a whole number".to_owned(),
        ParamType::Int { min, max: i64::MAX } => format!("a whole number, {min} or more"),
        ParamType::Int { min: i64::MIN, max } => format!("a whole number, {max} or less"),
        ParamType::Int { min, max } => format!("a whole number from {min} to {max}"),
        ParamType::Float { min, max } => match (*min > -UNBOUNDED, *max < UNBOUNDED) {
            (false, false) => "a number".to_owned(),
            (true, false) => format!("a number, {min} or more"),
            (false, true) => format!("a number, {max} or less"),
            (true, true) => format!("a number from {min} to {max}"),
        },
        ParamType::Text => "a text".to_owned(),
        ParamType::Choice(words) => format!("one of {}", words.join(", ")),
        ParamType::List(of) => format!("a list, each item {}", describe(of)),
        ParamType::Map(of) => format!("a mapping from names, each value {}", describe(of)),
    }
}

fn misfit(tree: &Tree, ty: &ParamType, help: Option<String>) -> Misfit {
    Misfit {
        span: tree.span.clone(),
        wanted: describe(ty),
        message: format!("expected {}, not {}", describe(ty), tree.describe()),
        help,
    }
}

fn shown(scalar: &Scalar, of: &ParamType) -> String {
    match of {
        ParamType::Text | ParamType::Choice(_) if scalar.quoted => format!("{:?}", scalar.text),
        _ => scalar.text.clone(),
    }
}

fn unquote(scalar: &Scalar) -> Option<String> {
    scalar.quoted.then(|| format!("write {} without quotes", scalar.text))
}

fn boolean(tree: &Tree, scalar: &Scalar, ty: &ParamType) -> Result<Value, Misfit> {
    let word = scalar.text.as_str();
    match word {
        "true" | "True" | "TRUE" if !scalar.quoted => Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" if !scalar.quoted => Ok(Value::Bool(false)),
        "true" | "false" => Err(misfit(tree, ty, unquote(scalar))),
        _ if OLD_BOOLEANS.contains(&word.to_lowercase().as_str()) => {
            let meant = matches!(word.to_lowercase().as_str(), "yes" | "on" | "y" | "t");
            Err(misfit(tree, ty, Some(format!("write {meant}"))))
        }
        _ => Err(misfit(tree, ty, None)),
    }
}

fn integer(tree: &Tree, scalar: &Scalar, ty: &ParamType, min: i64, max: i64) -> Result<Value, Misfit> {
    let Some(number) = parse_integer(&scalar.text) else {
        let rounded = scalar.text.parse::<f64>().ok().filter(|x| x.is_finite() && x.abs() < 9e15);
        return Err(misfit(tree, ty, rounded.map(|x| format!("write {:.0}", x.round()))));
    };
    if scalar.quoted {
        return Err(misfit(tree, ty, unquote(scalar)));
    }
    if !(min..=max).contains(&number) {
        return Err(misfit(tree, ty, None));
    }
    Ok(Value::from(number))
}

/// `12`, `007`, `0x1f`, `0o17`, and `1e4`, which people write for 10000.
fn parse_integer(text: &str) -> Option<i64> {
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok();
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return i64::from_str_radix(octal, 8).ok();
    }
    if let Ok(number) = text.parse::<i64>() {
        return Some(number);
    }
    if !text.contains(['e', 'E']) || !numeric_look(text) {
        return None;
    }
    let number = text.parse::<f64>().ok()?;
    // Beyond 2^53 a float no longer says which whole number is meant.
    (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
}

/// Rust also reads `inf`, `nan` and `infinity` as numbers; pipelines do not.
fn numeric_look(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-' | '+' | 'e' | 'E'))
}

fn float(tree: &Tree, scalar: &Scalar, ty: &ParamType, min: f64, max: f64) -> Result<Value, Misfit> {
    let text = scalar.text.as_str();
    let parsed =
        if numeric_look(text) { text.parse::<f64>().ok() } else { parse_integer(text).map(|n| n as f64) };
    let Some(number) = parsed.filter(|x| x.is_finite()) else {
        let infinite = text.trim_start_matches(['+', '-', '.']).to_lowercase();
        let help =
            matches!(infinite.as_str(), "inf" | "infinity" | "nan").then(|| "only finite numbers".to_owned());
        let comma = text.contains(',').then(|| "the decimal sign is a point".to_owned());
        return Err(misfit(tree, ty, help.or(comma)));
    };
    if scalar.quoted {
        return Err(misfit(tree, ty, unquote(scalar)));
    }
    if !(min..=max).contains(&number) {
        return Err(misfit(tree, ty, None));
    }
    // -0.0 and 0.0 are one value and must be one key.
    let number = if number == 0.0 { 0.0 } else { number };
    Number::from_f64(number).map(Value::Number).ok_or_else(|| misfit(tree, ty, None))
}

#[cfg(test)]
mod tests;
