//! What an executable says about itself, and whether it can be true.

use std::collections::BTreeSet;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::PROTOCOLS;
use crate::artifact::ArtifactType;
use crate::check::types::describe as in_words;
use crate::exec::template::clean;
use crate::intern::intern;
use crate::kind::{InPort, KindSpec, Multiplicity, OutPort};
use crate::param::{Param, ParamClass, ParamType};
use crate::spec::template::is_name;

/// A description that was believed.
pub(super) struct Description {
    pub(super) spec: KindSpec,
    /// Version of the protocol that it speaks.
    pub(super) protocol: u32,
    pub(super) code: Vec<String>,
    pub(super) secrets: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    celldag: u32,
    name: String,
    epoch: u32,
    about: String,
    #[serde(default)]
    inputs: Vec<ToldInput>,
    outputs: Vec<ToldOutput>,
    #[serde(default)]
    params: Vec<ToldParam>,
    #[serde(default)]
    uses_device: bool,
    #[serde(default)]
    code: Vec<String>,
    #[serde(default)]
    secrets: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldInput {
    name: String,
    #[serde(rename = "type")]
    ty: Option<String>,
    #[serde(default)]
    many: Many,
    #[serde(default)]
    about: String,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Many {
    #[default]
    One,
    Optional,
    #[serde(rename = "many")]
    Several,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldOutput {
    name: String,
    #[serde(rename = "type")]
    ty: Option<String>,
    file: String,
    #[serde(default)]
    about: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldParam {
    name: String,
    #[serde(rename = "type")]
    ty: Word,
    min: Option<f64>,
    max: Option<f64>,
    choices: Option<Vec<String>>,
    of: Option<Box<Shape>>,
    /// Absent: has to be given. `null`: may be left out.
    #[serde(default, deserialize_with = "present")]
    default: Option<Value>,
    #[serde(default)]
    unit: String,
    #[serde(default)]
    about: String,
    #[serde(default)]
    perf: bool,
}

/// The type of a value. Its fields stand in [`ToldParam`] too: with serde's `flatten`, errors would lose line and column, and one
/// struct for both would accept names and defaults inside of `of`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shape {
    #[serde(rename = "type")]
    ty: Word,
    min: Option<f64>,
    max: Option<f64>,
    choices: Option<Vec<String>>,
    of: Option<Box<Shape>>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Bool,
    Int,
    Float,
    Text,
    Choice,
    List,
    Map,
}

fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

/// Reads a description of the kind `wanted`.
pub(super) fn read(text: &str, wanted: &str) -> Result<Description, String> {
    // Asked first: another version may have other fields.
    #[derive(Deserialize)]
    struct Version {
        celldag: u32,
    }
    let not_told = |e: serde_json::Error| {
        let said = text.trim().lines().next().unwrap_or("nothing");
        format!(
            "its description is not what celldag expects: {e} (it said: {})",
            said.chars().take(80).collect::<String>()
        )
    };
    let version = serde_json::from_str::<Version>(text).map_err(not_told)?.celldag;
    if !PROTOCOLS.contains(&version) {
        return Err(format!(
            "it speaks version {version} of the protocol, and this celldag versions {} to {}",
            PROTOCOLS.start(),
            PROTOCOLS.end()
        ));
    }
    let told: Told = serde_json::from_str(text).map_err(not_told)?;
    debug_assert_eq!(told.celldag, version);
    if told.name != wanted {
        return Err(format!(
            "it calls itself `{}`, but its file is called `{wanted}`: the two must be the same",
            told.name
        ));
    }
    let spec = KindSpec {
        name: name(&told.name, "kind")?,
        epoch: told.epoch,
        about: intern(&told.about),
        inputs: told.inputs.iter().map(input).collect::<Result<_, _>>()?,
        outputs: told.outputs.iter().map(output).collect::<Result<_, _>>()?,
        params: told.params.into_iter().map(param).collect::<Result<_, _>>()?,
        uses_device: told.uses_device,
        wants_lineage: false,
    };
    if spec.outputs.is_empty() {
        return Err("it gives nothing: a kind has at least one output".to_owned());
    }
    once("input", spec.inputs.iter().map(|port| port.name))?;
    once("output", spec.outputs.iter().map(|port| port.name))?;
    once("file of an output", spec.outputs.iter().map(|port| port.file.trim_end_matches('/')))?;
    once("parameter", spec.params.iter().map(|param| param.name))?;
    let code: Vec<String> = told.code.iter().map(|path| clean(path)).collect();
    if let Some(path) = code.iter().find(|path| !is_below(path)) {
        return Err(format!("`{path}` under `code` is not below the folder of the executable"));
    }
    if let Some(secret) = told.secrets.iter().find(|secret| !is_name(secret) || secret.contains('-')) {
        return Err(format!("`{secret}` under `secrets` cannot name a variable"));
    }
    Ok(Description { spec, protocol: version, code, secrets: told.secrets })
}

fn name(text: &str, what: &str) -> Result<&'static str, String> {
    if is_name(text) { Ok(intern(text)) } else { Err(format!("`{text}` cannot name a {what}")) }
}

fn once<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("it has the {what} `{name}` twice"));
        }
    }
    Ok(())
}

fn is_below(path: &str) -> bool {
    !path.is_empty() && !path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn artifact(ty: Option<&String>) -> Result<ArtifactType, String> {
    match ty.map(String::as_str) {
        None => Ok(ArtifactType::FILE),
        Some(word) if word == ArtifactType::FILE.name => Ok(ArtifactType::FILE),
        Some(word) => Ok(ArtifactType { name: name(word, "type")?, about: "a type of another kind" }),
    }
}

fn input(told: &ToldInput) -> Result<InPort, String> {
    let many = match told.many {
        Many::One => Multiplicity::One,
        Many::Optional => Multiplicity::Optional,
        Many::Several => Multiplicity::Many,
    };
    Ok(InPort {
        name: name(&told.name, "input")?,
        ty: artifact(told.ty.as_ref())?,
        many,
        about: intern(&told.about),
    })
}

fn output(told: &ToldOutput) -> Result<OutPort, String> {
    if !is_below(told.file.trim_end_matches('/')) {
        return Err(format!("`{}` cannot be the file of the output `{}`", told.file, told.name));
    }
    Ok(OutPort {
        name: name(&told.name, "output")?,
        ty: artifact(told.ty.as_ref())?,
        file: intern(&told.file),
        about: intern(&told.about),
    })
}

fn param(told: ToldParam) -> Result<Param, String> {
    let shape = Shape { ty: told.ty, min: told.min, max: told.max, choices: told.choices, of: told.of };
    let ty = param_type(&shape, &told.name)?;
    if let Some(default) = told.default.as_ref().filter(|default| !default.is_null())
        && !fits(default, &ty)
    {
        return Err(format!(
            "the default {default} of the parameter `{}` is not {}",
            told.name,
            in_words(&ty)
        ));
    }
    Ok(Param {
        name: name(&told.name, "parameter")?,
        ty,
        default: told.default,
        unit: intern(&told.unit),
        about: told.about.into(),
        class: if told.perf { ParamClass::Perf } else { ParamClass::Result },
    })
}

fn param_type(told: &Shape, name: &str) -> Result<ParamType, String> {
    let of = || match &told.of {
        Some(of) => param_type(of, name).map(Box::new),
        None => Err(format!("the parameter `{name}` does not say what it is a collection of: add `of`")),
    };
    if let (Some(min), Some(max)) = (told.min, told.max)
        && min > max
    {
        return Err(format!("no number fits the parameter `{name}`: from {min} to {max}"));
    }
    Ok(match told.ty {
        Word::Bool => ParamType::Bool,
        Word::Text => ParamType::Text,
        // Casts of floats stop at the ends of the range.
        Word::Int => ParamType::Int {
            min: told.min.map_or(i64::MIN, |min| min as i64),
            max: told.max.map_or(i64::MAX, |max| max as i64),
        },
        Word::Float => {
            ParamType::Float { min: told.min.unwrap_or(f64::MIN), max: told.max.unwrap_or(f64::MAX) }
        }
        Word::Choice => match told.choices.as_deref() {
            None | Some([]) => return Err(format!("the parameter `{name}` has no `choices`")),
            Some(words) => ParamType::Choice(words.iter().map(|word| intern(word)).collect()),
        },
        Word::List => ParamType::List(of()?),
        Word::Map => ParamType::Map(of()?),
    })
}

fn fits(value: &Value, ty: &ParamType) -> bool {
    match (ty, value) {
        (ParamType::Bool, Value::Bool(_)) | (ParamType::Text, Value::String(_)) => true,
        (ParamType::Int { min, max }, value) => value.as_i64().is_some_and(|n| (*min..=*max).contains(&n)),
        (ParamType::Float { min, max }, value) => value.as_f64().is_some_and(|x| (*min..=*max).contains(&x)),
        (ParamType::Choice(words), Value::String(word)) => words.contains(&word.as_str()),
        (ParamType::List(of), Value::Array(items)) => items.iter().all(|item| fits(item, of)),
        (ParamType::Map(of), Value::Object(map)) => map.values().all(|item| fits(item, of)),
        _ => false,
    }
}
