//! The result record: what an action was, what it gave, what it cost, and a checksum over all of it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::digest::{Digest, Key};
use crate::host::host;

/// Version of the record's text.
pub(crate) const RECORD_FORMAT: u32 = 1;

/// The record file begins so; the digest that follows covers everything after it, so that the check needs no second
/// serialisation, which might differ in a digit.
const HEAD: &str = "{\"checksum\":\"";

/// A stored file or folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Artifact {
    /// Of the content.
    pub digest: Digest,
    /// Bytes; of a folder, of all its files.
    pub size: u64,
    /// Whether it is a folder.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub tree: bool,
}

/// What the caller of [`crate::Store::publish`] says about a result.
#[derive(Clone, Debug, Default)]
pub struct RecordMeta {
    /// Facts and warnings that depend on the action only.
    pub summary: Value,
    /// Facts about this execution: backend, adapter, driver.
    pub execution: Value,
    /// Wall time of the work: what a hit saves, and what eviction weighs.
    pub seconds: f64,
    /// Version of the program.
    pub version: String,
}

/// The result of a piece of work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// Version of the record's text.
    pub format: u32,
    /// Names the work.
    pub key: Key,
    /// The whole action, byte for byte as it was hashed.
    pub action: Box<RawValue>,
    /// Port → bytes.
    pub outputs: BTreeMap<String, Artifact>,
    /// Facts and warnings that depend on the action only.
    pub summary: Value,
    /// Facts about the execution.
    pub execution: Value,
    /// Wall time of the work.
    pub seconds: f64,
    /// When it was published.
    pub created: Timestamp,
    /// On which host.
    pub host: String,
    /// By which process.
    pub pid: u32,
    /// By which version of the program.
    pub version: String,
    /// Small outputs that are text, by digest; they have no file in `cas`. Older records have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) inline: BTreeMap<Digest, String>,
}

impl Record {
    pub(crate) fn new(
        key: Key,
        action: Box<RawValue>,
        outputs: BTreeMap<String, Artifact>,
        meta: RecordMeta,
    ) -> Self {
        // JSON has no infinities; a nonsensical time must not make the record unreadable.
        let seconds = if meta.seconds.is_finite() { meta.seconds.max(0.0) } else { 0.0 };
        Self {
            format: RECORD_FORMAT,
            key,
            action,
            outputs,
            summary: meta.summary,
            execution: meta.execution,
            seconds,
            created: Timestamp::now(),
            host: host().to_owned(),
            pid: std::process::id(),
            version: meta.version,
            inline: BTreeMap::new(),
        }
    }

    /// The action as a JSON value, for comparing two of them field by field.
    #[must_use]
    pub fn action_value(&self) -> Value {
        serde_json::from_str(self.action.get()).unwrap_or(Value::Null)
    }

    /// Bytes of all outputs.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.outputs.values().map(|artifact| artifact.size).sum()
    }

    /// The text of the record file.
    pub(crate) fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        let body = serde_json::to_string(self)?;
        let rest = format!(",{}\n", &body[1..]);
        Ok(format!("{HEAD}{}\"{rest}", Digest::of_bytes(rest.as_bytes())).into_bytes())
    }

    /// Reads a record file; says what is wrong with it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|e| format!("not text: {e}"))?;
        let after = text.strip_prefix(HEAD).ok_or("does not begin with a checksum")?;
        let (checksum, rest) = after.split_once('"').ok_or("is cut off")?;
        let checksum: Digest = checksum.parse().map_err(|e| format!("{e}"))?;
        if checksum != Digest::of_bytes(rest.as_bytes()) {
            return Err("its checksum does not fit".into());
        }
        let record: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if record.format != RECORD_FORMAT {
            return Err(format!("has format {}, this celldag reads {RECORD_FORMAT}", record.format));
        }
        // A checksum only says that the text is as somebody wrote it: what goes on as the bytes of a digest has to have it.
        for (digest, text) in &record.inline {
            let found = Digest::of_bytes(text.as_bytes());
            if found != *digest {
                return Err(format!("the output {digest} that it holds has digest {found}"));
            }
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Record {
        let action = r#"{"kind":"qc", "x": 0.1}"#;
        let raw = RawValue::from_string(action.to_owned()).unwrap();
        let artifact = Artifact { digest: Digest::of_bytes(b"x"), size: 1, tree: false };
        let meta = RecordMeta {
            seconds: f64::INFINITY,
            summary: serde_json::json!({"a": 0.1}),
            ..RecordMeta::default()
        };
        Record::new(Key::of_action(action.as_bytes()), raw, [("out".to_owned(), artifact)].into(), meta)
    }

    #[test]
    fn text_is_json_and_comes_back_with_the_action_byte_for_byte() {
        let record = sample();
        let bytes = record.encode().unwrap();
        let value: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(value["checksum"].as_str().unwrap().len(), 64);
        let back = Record::decode(&bytes).unwrap();
        assert_eq!(back.action.get(), r#"{"kind":"qc", "x": 0.1}"#);
        assert_eq!(back.encode().unwrap(), bytes);
    }

    #[test]
    fn an_output_inside_has_to_have_its_digest() {
        let mut record = sample();
        record.inline.insert(Digest::of_bytes(b"x"), "x".to_owned());
        assert!(Record::decode(&record.encode().unwrap()).is_ok());
        record.inline.insert(Digest::of_bytes(b"x"), "y".to_owned());
        let error = Record::decode(&record.encode().unwrap()).unwrap_err();
        assert!(error.contains(&Digest::of_bytes(b"y").to_string()), "{error}");
    }

    #[test]
    fn every_bit_flip_and_every_cut_is_found() {
        let bytes = sample().encode().unwrap();
        for i in 0..bytes.len() {
            assert!(Record::decode(&bytes[..i]).is_err(), "cut at {i}");
            for bit in [0, 3, 7] {
                let mut bad = bytes.clone();
                bad[i] ^= 1 << bit;
                assert!(Record::decode(&bad).is_err(), "bit {bit} of byte {i}");
            }
        }
    }
}
