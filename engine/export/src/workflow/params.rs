//! Parameters of a job as `--with NAME=TEXT`: only those that a step would not find out by itself.

use celldag_engine::action::normalise;
use celldag_engine::{Job, Param, ParamType, Params, with_value};
use serde_json::{Map, Value};

use crate::error::ExportError;

/// Parameter → text, in the order of the kind's reference, for all parameters that must be given so that a step has those of
/// the job.
///
/// # Errors
/// [`ExportError::Param`] when a value has no text that is read as it.
pub(crate) fn given(job: &Job) -> Result<Vec<(String, String)>, ExportError> {
    let wanted = &job.params.0;
    let mut needed = Vec::new();
    for param in &job.kind.spec.params {
        let value = wanted.get(param.name).unwrap_or(&Value::Null);
        if !is_default(param, value) {
            needed.push((param, value));
        }
    }
    // What the kind fills in itself need not be said, if saying nothing gives the same parameters.
    let spoken = |filled: &[&str]| {
        let mut map = Map::new();
        for param in &job.kind.spec.params {
            let own =
                needed.iter().find(|(other, _)| other.name == param.name && !filled.contains(&param.name));
            let value = own.map_or(param.default.as_ref(), |(_, value)| Some(*value));
            map.insert(param.name.to_owned(), value.cloned().unwrap_or(Value::Null));
        }
        let mut params = Params(map);
        job.kind.kind.resolve(&mut params);
        params
    };
    let optional =
        needed.iter().filter(|(param, _)| param.default == Some(Value::Null)).map(|(param, _)| param.name);
    let optional: Vec<&str> = optional.collect();
    let silent = spoken(&optional);
    let filled: Vec<&str> =
        optional.into_iter().filter(|name| silent.get(name) == wanted.get(*name)).collect();
    let same = job.kind.spec.params.iter().all(|param| {
        let value = |params: &Map<String, Value>| {
            normalise(params.get(param.name).unwrap_or(&Value::Null), &param.ty)
        };
        value(&spoken(&filled).0) == value(wanted)
    });
    needed.retain(|(param, _)| !(same && filled.contains(&param.name)));
    needed.into_iter().map(|(param, value)| Ok((param.name.to_owned(), text(job, param, value)?))).collect()
}

fn is_default(param: &Param, value: &Value) -> bool {
    param.default.as_ref().is_some_and(|default| normalise(default, &param.ty) == normalise(value, &param.ty))
}

/// The text that `--with` reads as this value.
///
/// # Errors
/// [`ExportError::Param`] when there is none.
pub(super) fn text(job: &Job, param: &Param, value: &Value) -> Result<String, ExportError> {
    let text = match (&param.ty, value) {
        (_, Value::String(text)) => text.clone(),
        (ParamType::Float { .. }, Value::Number(number)) => short(number),
        _ => value.to_string(),
    };
    let back = with_value(param, &text).ok();
    if back.is_some_and(|back| normalise(&back, &param.ty) == normalise(value, &param.ty)) {
        return Ok(text);
    }
    Err(ExportError::Param { job: job.id.clone(), param: param.name.to_owned(), value: value.to_string() })
}

/// `10000` rather than `10000.0`.
fn short(number: &serde_json::Number) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map_or_else(|| text.clone(), str::to_owned)
}
