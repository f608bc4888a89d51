//! Finds out what one file holds.

use std::path::Path;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::report::{Content, FileReport, TensorReport};
use crate::checkpoint::error::CheckpointError;
use crate::checkpoint::json::Unique;
use crate::checkpoint::open::{self, Opened};
use crate::checkpoint::pickle::{Pickle, Value};
use crate::checkpoint::source::Source;
use crate::checkpoint::{index, json};
use crate::vocabulary::read_table;

/// Files of text beyond this are not looked into.
const MAX_TEXT: u64 = 64 << 20;
/// A flat JSON object of so many entries is a dictionary and no configuration.
const DICTIONARY: usize = 32;
/// Entries and lines that are shown.
const SHOWN: usize = 5;
/// Files with these endings are weights, whatever their content looks like.
const WEIGHTS: [&str; 9] = ["safetensors", "bin", "pt", "pth", "ckpt", "torch", "npy", "npz", "tar"];

pub(super) fn look(file: &Path, shown: &Path) -> Result<FileReport, CheckpointError> {
    let bytes = fs_err::metadata(file)?.len();
    let content = content(file, bytes).unwrap_or_else(|problem| Content::Unreadable { problem });
    Ok(FileReport { path: shown.to_path_buf(), bytes, content })
}

fn content(file: &Path, bytes: u64) -> Result<Content, String> {
    let ending = file.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let source = Source::open(file).map_err(|e| e.to_string())?;
    let head = source.read_up_to(0, 64).map_err(|e| e.to_string())?;
    if index::is_index(file) || WEIGHTS.contains(&ending.as_str()) || open::is_weights(file, &head) {
        return open::open(file).map(weights).map_err(|e| e.to_string());
    }
    if bytes > MAX_TEXT {
        return Ok(Content::Other);
    }
    let read = || json::read_file(file, MAX_TEXT).map_err(|e| e.to_string());
    match ending.as_str() {
        "json" => json_content(&read()?).map_err(|e| format!("not readable JSON: {e}")),
        "pkl" | "pickle" => pickle_content(&Pickle::read(&read()?).map_err(|e| e.to_string())?),
        "csv" | "tsv" => {
            let table = read_table(file).map_err(|e| e.to_string())?;
            Ok(Content::Table { rows: table.rows(), columns: table.columns.into_keys().collect() })
        }
        "txt" => {
            let text = String::from_utf8(read()?).map_err(|_| "the text is no UTF-8".to_owned())?;
            let first = text.lines().take(SHOWN).map(str::to_owned).collect();
            Ok(Content::Lines { lines: text.lines().count(), first })
        }
        _ => Ok(Content::Other),
    }
}

fn weights(opened: Opened) -> Content {
    let count = |shape: &[usize]| shape.iter().fold(1_u64, |n, &extent| n.saturating_mul(extent as u64));
    let floats = opened.tensors.iter().filter(|(_, entry)| entry.dtype.is_float());
    let parameters = floats.fold(0_u64, |n, (_, entry)| n.saturating_add(count(entry.shape())));
    let tensors = opened.tensors.iter().map(|(name, entry)| TensorReport {
        name: name.clone(),
        dtype: entry.dtype.to_string(),
        shape: entry.shape().to_vec(),
    });
    let data = opened.object.and_then(|object| object.root().to_json().ok().flatten());
    Content::Weights { format: opened.format, tensors: tensors.collect(), parameters, data }
}

fn json_content(bytes: &[u8]) -> Result<Content, serde_json::Error> {
    let Ok(Unique(map)) = serde_json::from_slice::<Unique<Json>>(bytes) else {
        return Ok(Content::Data { value: serde_json::from_slice(bytes)? });
    };
    let flat = map.values().all(|value| !value.is_object() && !value.is_array());
    if map.len() < DICTIONARY || !flat {
        return Ok(Content::Data { value: Json::Object(map.into_iter().collect()) });
    }
    let values = map.first().map_or("nothing", |(_, value)| match value {
        Json::String(_) => "str",
        Json::Number(number) if number.is_f64() => "float",
        Json::Number(_) => "int",
        Json::Bool(_) => "bool",
        _ => "null",
    });
    Ok(dictionary(&map, values, ToString::to_string))
}

fn pickle_content(pickle: &Pickle) -> Result<Content, String> {
    let root = pickle.root();
    let entries: Option<IndexMap<&str, Value<'_>>> =
        root.entries().and_then(|entries| entries.map(|(key, value)| Some((key.as_str()?, value))).collect());
    if let Some(map) = entries
        && map.values().all(|value| value.entries().is_none() && value.items().is_none())
    {
        let values = map.first().map_or("nothing", |(_, value)| value.type_name());
        let show = |value: &Value<'_>| match value.to_json() {
            Ok(Some(json)) if value.as_array().is_none() => json.to_string(),
            _ => value.type_name().to_owned(),
        };
        return Ok(dictionary(&map, values, show));
    }
    let value = root.to_json().map_err(|e| e.to_string())?.unwrap_or_default();
    Ok(Content::Data { value })
}

fn dictionary<K: AsRef<str>, V>(map: &IndexMap<K, V>, values: &str, show: impl Fn(&V) -> String) -> Content {
    Content::Dictionary {
        entries: map.len(),
        values: values.to_owned(),
        ensembl: map.keys().filter(|name| is_ensembl(name.as_ref())).count(),
        first: map.iter().take(SHOWN).map(|(name, value)| (name.as_ref().to_owned(), show(value))).collect(),
    }
}

/// `ENSG00000000003`, `ENSMUSG00000000001`, with or without a version; `ENSGR...` of old releases.
fn is_ensembl(name: &str) -> bool {
    let bare = name.split('.').next().unwrap_or_default();
    let letters = bare.trim_end_matches(|c: char| c.is_ascii_digit());
    bare.len() - letters.len() >= 10
        && letters.strip_prefix("ENS").is_some_and(|rest| {
            rest.trim_end_matches('R').ends_with('G') && rest.chars().all(|c| c.is_ascii_uppercase())
        })
}

#[cfg(test)]
mod tests {
    use super::is_ensembl;

    #[test]
    fn ensembl_ids_are_told_from_symbols() {
        for id in ["ENSG00000000003", "ENSG00000000003.12", "ENSMUSG00000000001", "ENSGR0000182378"] {
            assert!(is_ensembl(id), "{id}");
        }
        for name in ["TP53", "ENSA", "ENST00000000003", "<pad>", "", "ENS", "1234567890123"] {
            assert!(!is_ensembl(name), "{name}");
        }
    }
}
