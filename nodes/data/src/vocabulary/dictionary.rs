//! Dictionaries from text to one type of value, in the order of the file, whichever of the two formats it has.

use std::path::Path;

use indexmap::IndexMap;

use super::error::VocabularyError;
use crate::checkpoint::CheckpointError;
use crate::checkpoint::json::{self, Unique};
use crate::checkpoint::pickle::{Limits, Pickle, Value};

/// The most bytes of a dictionary or table; the largest published one (a table of chromosomes) has 9 million.
pub(super) const MAX_BYTES: u64 = 256 << 20;

/// Name → whole number (token ids).
///
/// # Errors
/// When the file cannot be read, its pickle asks for anything but data, a name repeats, or an entry is no whole number.
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method is tied to one lifetime")]
pub fn read_integers(path: &Path) -> Result<IndexMap<String, i64>, VocabularyError> {
    read(path, "whole numbers", |v| v.as_i64(), serde_json::Value::as_i64)
}

/// Name → number (medians).
///
/// # Errors
/// As [`read_integers`].
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method is tied to one lifetime")]
pub fn read_numbers(path: &Path) -> Result<IndexMap<String, f64>, VocabularyError> {
    read(path, "numbers", |v| v.as_f64(), serde_json::Value::as_f64)
}

/// Name → name (symbols and gene ids).
///
/// # Errors
/// As [`read_integers`].
pub fn read_texts(path: &Path) -> Result<IndexMap<String, String>, VocabularyError> {
    read(path, "text", |v| v.as_str().map(str::to_owned), |v| v.as_str().map(str::to_owned))
}

/// JSON of any form (configurations).
///
/// # Errors
/// When the file cannot be read or has another form.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, VocabularyError> {
    let bytes = bytes(path)?;
    serde_json::from_slice(&bytes)
        .map_err(|source| VocabularyError::Json { path: path.to_path_buf(), source })
}

pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, VocabularyError> {
    Ok(json::read_file(path, MAX_BYTES).map_err(CheckpointError::from)?)
}

pub(super) fn pickle(path: &Path, bytes: &[u8]) -> Result<Pickle, VocabularyError> {
    let limits = Limits { bytes: usize::try_from(MAX_BYTES).unwrap_or(usize::MAX), ..Limits::default() };
    Ok(Pickle::read_within(bytes, limits)
        .map_err(|source| CheckpointError::Pickle { path: path.to_path_buf(), source })?)
}

fn read<T>(
    path: &Path,
    wanted: &'static str,
    from_pickle: impl Fn(Value<'_>) -> Option<T>,
    from_json: impl Fn(&serde_json::Value) -> Option<T>,
) -> Result<IndexMap<String, T>, VocabularyError> {
    let bytes = bytes(path)?;
    let wrong_entry =
        |key: String, found| VocabularyError::WrongEntry { path: path.to_path_buf(), key, found, wanted };
    let mut out = IndexMap::new();
    if looks_like_json(&bytes) {
        let Unique(json): Unique<serde_json::Value> = serde_json::from_slice(&bytes)
            .map_err(|source| VocabularyError::Json { path: path.to_path_buf(), source })?;
        for (key, value) in json {
            let value =
                from_json(&value).ok_or_else(|| wrong_entry(format!("`{key}`"), json_type(&value)))?;
            out.insert(key, value);
        }
        return Ok(out);
    }
    let pickle = pickle(path, &bytes)?;
    let root = pickle.root();
    let no_dictionary =
        || VocabularyError::NoDictionary { path: path.to_path_buf(), found: root.type_name(), wanted };
    for (key, value) in root.entries().ok_or_else(no_dictionary)? {
        let Some(name) = key.as_str() else {
            return Err(wrong_entry(format!("a {} key", key.type_name()), value.type_name()));
        };
        let value = from_pickle(value).ok_or_else(|| wrong_entry(format!("`{name}`"), value.type_name()))?;
        if out.insert(name.to_owned(), value).is_some() {
            return Err(VocabularyError::Repeated { path: path.to_path_buf(), key: name.to_owned() });
        }
    }
    Ok(out)
}

/// No pickle begins with a brace that opens or with white space.
pub(super) fn looks_like_json(bytes: &[u8]) -> bool {
    bytes.iter().find(|b| !b.is_ascii_whitespace()).is_some_and(|&b| matches!(b, b'{' | b'['))
}

fn json_type(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "bool",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(_) => "string",
        serde_json::Value::Array(_) => "list",
        serde_json::Value::Object(_) => "object",
    }
}
