//! Parameters of node kinds: what a kind accepts ([`Param`]) and what a job got ([`Params`]).
//!
//! One description serves everything that touches a parameter: the check of a pipeline with positions, the defaults
//! that are written out into the key, `celldag nodes`, and the JSON Schema for editors.

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Whether a parameter may change the bytes of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamClass {
    /// Part of the key.
    Result,
    /// Speed or memory only (threads, batch size): left out of the key, and proven not to change bytes.
    Perf,
}

/// The shape of a parameter's value.
#[derive(Clone, Debug, PartialEq)]
pub enum ParamType {
    /// `true` or `false`.
    Bool,
    /// A whole number within inclusive bounds.
    Int {
        /// Smallest value accepted.
        min: i64,
        /// Largest value accepted.
        max: i64,
    },
    /// A finite number within inclusive bounds.
    Float {
        /// Smallest value accepted.
        min: f64,
        /// Largest value accepted.
        max: f64,
    },
    /// Any text.
    Text,
    /// One of these words.
    Choice(Vec<&'static str>),
    /// A list of values of one type.
    List(Box<ParamType>),
    /// A mapping from text to values of one type.
    Map(Box<ParamType>),
}

/// One parameter of a kind.
#[derive(Clone, Debug)]
pub struct Param {
    /// Name as written under `with:`.
    pub name: &'static str,
    /// Accepted values.
    pub ty: ParamType,
    /// Value when the pipeline gives none. `None` means that it must be given; `Some(Value::Null)` that it is optional
    /// and absent by default.
    pub default: Option<Value>,
    /// Unit of the value (`"genes"`, `"share of counts, 0 to 1"`), or empty.
    pub unit: &'static str,
    /// One line.
    pub about: Cow<'static, str>,
    /// Whether it belongs into the key.
    pub class: ParamClass,
}

impl Param {
    /// A parameter of any type.
    #[must_use]
    pub fn new(name: &'static str, ty: ParamType, about: impl Into<Cow<'static, str>>) -> Self {
        Self { name, ty, default: None, unit: "", about: about.into(), class: ParamClass::Result }
    }

    /// A whole number, zero or more, until [`Param::range`] says otherwise.
    #[must_use]
    pub fn int(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ParamType::Int { min: 0, max: i64::MAX }, about)
    }

    /// A finite number.
    #[must_use]
    pub fn float(name: &'static str, min: f64, max: f64, about: &'static str) -> Self {
        Self::new(name, ParamType::Float { min, max }, about)
    }

    /// `true` or `false`.
    #[must_use]
    pub fn bool(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ParamType::Bool, about)
    }

    /// Any text.
    #[must_use]
    pub fn text(name: &'static str, about: &'static str) -> Self {
        Self::new(name, ParamType::Text, about)
    }

    /// One of a few words.
    #[must_use]
    pub fn choice(name: &'static str, words: &[&'static str], about: &'static str) -> Self {
        Self::new(name, ParamType::Choice(words.to_vec()), about)
    }

    /// A list.
    #[must_use]
    pub fn list(name: &'static str, of: ParamType, about: &'static str) -> Self {
        Self::new(name, ParamType::List(Box::new(of)), about)
    }

    /// A mapping.
    #[must_use]
    pub fn map(name: &'static str, of: ParamType, about: &'static str) -> Self {
        Self::new(name, ParamType::Map(Box::new(of)), about)
    }

    /// Inclusive bounds of a whole number.
    #[must_use]
    pub fn range(mut self, min: i64, max: i64) -> Self {
        self.ty = ParamType::Int { min, max };
        self
    }

    /// The value used when a pipeline gives none.
    #[must_use]
    pub fn default(mut self, value: impl Into<Value>) -> Self {
        self.default = Some(value.into());
        self
    }

    /// May be left out; the kind then sees `null`.
    #[must_use]
    pub fn optional(self) -> Self {
        self.default(Value::Null)
    }

    /// Unit shown in the reference.
    #[must_use]
    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    /// Marks the parameter as one that changes speed or memory only.
    #[must_use]
    pub fn perf(mut self) -> Self {
        self.class = ParamClass::Perf;
        self
    }
}

/// The fully resolved parameters of one job: every parameter of the kind is present, defaults written out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params(pub Map<String, Value>);

impl Params {
    /// The parameters as the kind's own struct.
    ///
    /// # Errors
    /// When the struct and the kind's [`Param`] list disagree, which a test of the kind should have found.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_value(Value::Object(self.0.clone()))
    }

    /// The value of one parameter, if the kind has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }
}
