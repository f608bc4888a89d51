//! What a user may choose about a model: self-describing options, so that one list serves the reference, the checks of a
//! pipeline before anything runs, the defaults written out into keys, and the model itself.

use celldag_data::checkpoint::Weights;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::error::ModelError;
use crate::model::{CellModel, Purpose};

/// The shape of an option's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OptionType {
    /// `true` or `false`.
    Bool,
    /// A whole number within inclusive bounds.
    Int(i64, i64),
    /// A finite number within inclusive bounds.
    Float(f64, f64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// Any text.
    Text,
}

impl OptionType {
    /// Whether a value is one of the accepted ones.
    #[must_use]
    pub fn accepts(&self, value: &Value) -> bool {
        match *self {
            Self::Bool => value.is_boolean(),
            Self::Text => value.is_string(),
            Self::Int(min, max) => value.as_i64().is_some_and(|number| (min..=max).contains(&number)),
            Self::Float(min, max) => value.as_f64().is_some_and(|number| (min..=max).contains(&number)),
            Self::Choice(words) => value.as_str().is_some_and(|word| words.contains(&word)),
        }
    }
}

impl std::fmt::Display for OptionType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bool => f.write_str("true or false"),
            Self::Text => f.write_str("text"),
            Self::Int(min, max) => write!(f, "a whole number from {min} to {max}"),
            Self::Float(min, max) => write!(f, "a number from {min} to {max}"),
            Self::Choice(words) => write!(f, "one of {}", words.join(", ")),
        }
    }
}

/// The value of an option when nobody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionDefault {
    /// This one, as users would write it.
    Value(&'static str),
    /// The checkpoint or another option decides, in the way that the text says.
    Decided(&'static str),
}

impl std::fmt::Display for OptionDefault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(text) | Self::Decided(text) => f.write_str(text),
        }
    }
}

/// One option of a model. Two models that mean the same use the same name and type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ModelOption {
    /// Name as users write it.
    pub name: &'static str,
    /// Accepted values.
    pub ty: OptionType,
    /// The value when nobody says.
    pub default: OptionDefault,
    /// One line.
    pub about: &'static str,
}

impl ModelOption {
    /// The default as a value; `None` where only the checkpoint or another option decides.
    #[must_use]
    pub fn default_value(&self) -> Option<Value> {
        let OptionDefault::Value(text) = self.default else { return None };
        match self.ty {
            OptionType::Bool => text.parse::<bool>().ok().map(Value::from),
            OptionType::Int(..) => text.parse::<i64>().ok().map(Value::from),
            OptionType::Float(..) => text.parse::<f64>().ok().map(Value::from),
            OptionType::Choice(_) | OptionType::Text => Some(Value::from(text)),
        }
    }
}

/// What a user chose; options that are not given have their defaults.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    values: Map<String, Value>,
    allow_unused: Vec<String>,
}

impl Options {
    /// Options by name; `null` is the same as not given.
    #[must_use]
    pub fn new(values: Map<String, Value>) -> Self {
        let values = values.into_iter().filter(|(_, value)| !value.is_null()).collect();
        Self { values, allow_unused: Vec::new() }
    }

    /// With tensors that may be left over: names, prefixes that end in a dot, or patterns with `*` for any text.
    #[must_use]
    pub fn allowing_unused(self, patterns: Vec<String>) -> Self {
        Self { allow_unused: patterns, ..self }
    }

    /// Names of what was given.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// What was given for an option of text, empty if nothing was.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.values.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// Builds a model from its weights, all of which it must take but those that embeddings do not need (`ignored`) and
    /// those that the user allows to be left over.
    ///
    /// # Errors
    /// As [`Weights::load`], and when a pattern of the user means no tensor that is left over: it would be a misspelt one.
    pub fn load<T>(
        &self,
        weights: &Weights,
        ignored: &[&str],
        build: impl FnOnce(&Weights) -> Result<T, ModelError>,
    ) -> Result<T, ModelError> {
        let allowed: Vec<&str> = self.allow_unused.iter().map(String::as_str).collect();
        let built = weights.load(&[ignored, allowed.as_slice()].concat(), build)?;
        let idle: Vec<String> =
            weights.idle(&allowed).into_iter().map(|pattern| format!("`{pattern}`")).collect();
        if idle.is_empty() {
            return Ok(built);
        }
        Err(ModelError::Option(format!(
            "allow_unused: the model leaves over no tensor called {}; correct it or take it away (names as the message \
             about left-over tensors has them, prefixes that end in a dot, or patterns with `*` for any text)",
            idle.join(", ")
        )))
    }

    /// The options as a model's own struct, whose `Default` holds the defaults (`#[serde(default)]`).
    ///
    /// # Errors
    /// [`ModelError::Option`] when a value is of the wrong kind.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ModelError> {
        serde_json::from_value(Value::Object(self.values.clone()))
            .map_err(|e| ModelError::Option(e.to_string()))
    }

    /// The options that `model` does not have: each with what is wrong and what to do.
    #[must_use]
    pub fn unknown(&self, model: &dyn CellModel, purpose: Purpose) -> Vec<(String, String)> {
        self.unknown_among(model.name(), model.options(purpose))
    }

    /// The options that are not among `known`, those of `model`, or have a value that it does not take: each with what is
    /// wrong and what to do.
    #[must_use]
    pub fn unknown_among(&self, model: &str, known: &[ModelOption]) -> Vec<(String, String)> {
        let names: Vec<&str> = known.iter().map(|option| option.name).collect();
        let list = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let wrong = |name: &str, value: &Value| match known.iter().find(|option| option.name == name) {
            None => Some(format!("{model} has no option `{name}` here; it has {list}")),
            Some(option) if option.ty.accepts(value) => None,
            Some(option) => Some(format!("`{name}` of {model} is {}, not {value}", option.ty)),
        };
        self.values.iter().filter_map(|(name, value)| Some((name.clone(), wrong(name, value)?))).collect()
    }

    /// Refuses options that `model` does not have.
    ///
    /// # Errors
    /// [`ModelError::Option`] naming those that exist.
    pub fn expect_known(&self, model: &dyn CellModel, purpose: Purpose) -> Result<(), ModelError> {
        self.unknown(model, purpose).pop().map_or(Ok(()), |(_, message)| Err(ModelError::Option(message)))
    }
}

/// Options with their defaults written out, for the record of what was done. Anything but a struct gives an empty record.
#[must_use]
pub fn written_out(options: &impl Serialize) -> Map<String, Value> {
    match serde_json::to_value(options) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
