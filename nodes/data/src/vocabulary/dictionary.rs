//! Dictionaries from text to one type of value, in the order of the file, whichever of the two formats it has.

use std::path::Path;

use indexmap::IndexMap;

use super::error::VocabularyError;
use crate::checkpoint::CheckpointError;
use crate::checkpoint::pickle::{Pickle, Value};

/// Name → whole number (token ids).
///
/// # Errors
/// When the file cannot be read, its pickle asks for anything but data, or an entry is no whole number.
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

fn read<T>(
    path: &Path,
    wanted: &'static str,
    from_pickle: impl Fn(Value<'_>) -> Option<T>,
    from_json: impl Fn(&serde_json::Value) -> Option<T>,
) -> Result<IndexMap<String, T>, VocabularyError> {
    let bytes = fs_err::read(path).map_err(CheckpointError::from)?;
    let wrong_entry =
        |key: String, found| VocabularyError::WrongEntry { path: path.to_path_buf(), key, found, wanted };
    let no_dictionary = |found| VocabularyError::NoDictionary { path: path.to_path_buf(), found, wanted };
    let mut out = IndexMap::new();
    if looks_like_json(&bytes) {
        let json: IndexMap<String, serde_json::Value> = serde_json::from_slice(&bytes)
            .map_err(|source| VocabularyError::Json { path: path.to_path_buf(), source })?;
        for (key, value) in json {
            let value =
                from_json(&value).ok_or_else(|| wrong_entry(format!("`{key}`"), json_type(&value)))?;
            out.insert(key, value);
        }
        return Ok(out);
    }
    let pickle = Pickle::read(&bytes)
        .map_err(|source| CheckpointError::Pickle { path: path.to_path_buf(), source })?;
    let root = pickle.root();
    for (key, value) in root.entries().ok_or_else(|| no_dictionary(root.type_name()))? {
        let Some(name) = key.as_str() else {
            return Err(wrong_entry(format!("a {} key", key.type_name()), value.type_name()));
        };
        let value = from_pickle(value).ok_or_else(|| wrong_entry(format!("`{name}`"), value.type_name()))?;
        out.insert(name.to_owned(), value);
    }
    Ok(out)
}

/// No pickle begins with a brace that opens or with white space.
fn looks_like_json(bytes: &[u8]) -> bool {
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
