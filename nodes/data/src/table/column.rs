//! One typed column with missing values, as pandas and AnnData know them.

use std::borrow::Cow;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Values of one annotation, one per row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "values", rename_all = "kebab-case")]
pub enum Column {
    /// Free text.
    Text(Vec<Option<String>>),
    /// A fixed set of names; code −1 is a missing value.
    Categorical {
        /// Index into `categories` per row, or −1.
        codes: Vec<i32>,
        /// The names, in the file's order.
        categories: Vec<String>,
        /// Whether the order of the names means something.
        ordered: bool,
    },
    /// Real numbers; NaN is a missing value.
    Float(#[serde(with = "float_json")] Vec<f64>),
    /// Whole numbers.
    Int(Vec<Option<i64>>),
    /// Yes or no.
    Bool(Vec<Option<bool>>),
}

impl Column {
    /// A categorical column; names are numbered in alphabetical order as pandas does.
    #[must_use]
    pub fn categorical<S: AsRef<str>>(values: &[Option<S>]) -> Self {
        let mut categories: IndexMap<&str, ()> =
            values.iter().flatten().map(|value| (value.as_ref(), ())).collect();
        categories.sort_unstable_keys();
        let code = |value: &Option<S>| {
            value.as_ref().and_then(|v| categories.get_index_of(v.as_ref())).map_or(-1, |code| code as i32)
        };
        Self::Categorical {
            codes: values.iter().map(code).collect(),
            categories: categories.keys().map(|&name| name.to_owned()).collect(),
            ordered: false,
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Categorical { codes, .. } => codes.len(),
            Self::Float(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::Bool(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of row `i` as text: numbers in their shortest form (`1`, `0.5`), booleans as `true` and `false`;
    /// `None` where the value is missing.
    #[must_use]
    pub fn as_text(&self, i: usize) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(values) => values[i].as_deref().map(Cow::Borrowed),
            Self::Categorical { codes, categories, .. } => {
                let code = usize::try_from(codes[i]).ok()?;
                categories.get(code).map(|name| Cow::Borrowed(name.as_str()))
            }
            Self::Float(values) => (!values[i].is_nan()).then(|| Cow::Owned(values[i].to_string())),
            Self::Int(values) => values[i].map(|value| Cow::Owned(value.to_string())),
            Self::Bool(values) => values[i].map(|value| Cow::Borrowed(if value { "true" } else { "false" })),
        }
    }

    /// The value of row `i` as a number: numbers as they are, booleans as 0 and 1, text that reads as a number;
    /// `None` where it is missing or no number.
    #[must_use]
    pub fn as_number(&self, i: usize) -> Option<f64> {
        match self {
            Self::Float(values) => Some(values[i]).filter(|value| !value.is_nan()),
            Self::Int(values) => values[i].map(|value| value as f64),
            Self::Bool(values) => values[i].map(f64::from),
            Self::Text(_) | Self::Categorical { .. } => self.as_text(i)?.trim().parse().ok(),
        }
    }

    /// The rows `rows`, in that order; categories stay as they are.
    ///
    /// # Panics
    /// If a row is out of range.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        fn take<T: Clone>(values: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|&row| values[row].clone()).collect()
        }
        match self {
            Self::Text(values) => Self::Text(take(values, rows)),
            Self::Categorical { codes, categories, ordered } => Self::Categorical {
                codes: take(codes, rows),
                categories: categories.clone(),
                ordered: *ordered,
            },
            Self::Float(values) => Self::Float(take(values, rows)),
            Self::Int(values) => Self::Int(take(values, rows)),
            Self::Bool(values) => Self::Bool(take(values, rows)),
        }
    }

    /// What the column holds, in one word for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Categorical { .. } => "categorical",
            Self::Float(_) => "number",
            Self::Int(_) => "integer",
            Self::Bool(_) => "boolean",
        }
    }
}

/// JSON has no NaN and no infinity: NaN becomes null, infinities become the texts `inf` and `-inf`.
mod float_json {
    use serde::{Deserialize, Deserializer, Serializer, de::Error, ser::SerializeSeq};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Value {
        Number(f64),
        Text(String),
        Missing(()),
    }

    pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(values.len()))?;
        for &value in values {
            if value.is_nan() {
                seq.serialize_element(&())?;
            } else if value.is_infinite() {
                seq.serialize_element(if value > 0.0 { "inf" } else { "-inf" })?;
            } else {
                seq.serialize_element(&value)?;
            }
        }
        seq.end()
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Value>::deserialize(deserializer)?;
        values
            .into_iter()
            .map(|value| match value {
                Value::Number(number) => Ok(number),
                Value::Missing(()) => Ok(f64::NAN),
                Value::Text(text) => match text.as_str() {
                    "inf" => Ok(f64::INFINITY),
                    "-inf" => Ok(f64::NEG_INFINITY),
                    other => Err(D::Error::custom(format!("`{other}` is no number"))),
                },
            })
            .collect()
    }
}
