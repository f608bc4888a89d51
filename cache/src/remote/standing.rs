//! What the server has under the name of a record: a record, a sign that one was taken back, or something that is neither.
//!
//! The sign stands where the record stood, `{"celldag_purged":"<digest of the record's bytes>"}`. Without it, a machine that
//! has the record still could send it again: an upload that was under way, or `celldag cache push --all`. A sign stops that
//! record only; whoever computes the work again puts a new one in its place.

use std::io::Read as _;

use serde::{Deserialize, Serialize};

use super::pull::broke_off;
use crate::digest::{Digest, Key};
use crate::record::Record;
use crate::remote::{Link, Object};

/// No record is larger; an action with ten thousand inputs has some two million bytes.
const LARGEST_RECORD: u64 = 256 << 20;

/// Something that the server has under the name of a record.
pub(super) struct Theirs {
    pub(super) bytes: Vec<u8>,
    /// The server's name for this version of it, if it can be used in conditions.
    pub(super) tag: Option<String>,
}

/// What it is.
pub(super) enum Standing {
    Record(Box<Record>),
    /// The record whose bytes have this digest was taken back.
    Purged(Digest),
    /// Neither; with the reason.
    Damaged(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sign {
    celldag_purged: Digest,
}

impl Theirs {
    /// What it is to somebody who asks for this action.
    pub(super) fn standing(&self, key: &Key, action: &[u8]) -> Standing {
        if let Ok(sign) = serde_json::from_slice::<Sign>(&self.bytes) {
            return Standing::Purged(sign.celldag_purged);
        }
        match Record::decode(&self.bytes) {
            Ok(record) if record.key == *key && record.action.get().as_bytes() == action => {
                Standing::Record(Box::new(record))
            }
            Ok(_) => Standing::Damaged("it belongs to another action".into()),
            Err(why) => Standing::Damaged(why),
        }
    }
}

/// The sign that the record with these bytes was taken back.
pub(super) fn sign_for(record: &[u8]) -> Vec<u8> {
    // Of a struct with one text no serialisation fails.
    serde_json::to_vec(&Sign { celldag_purged: Digest::of_bytes(record) }).unwrap_or_default()
}

/// Asks for what the server has under the name of a record; `None` inside when there is nothing.
pub(super) fn ask_record(link: &Link, key: &Key) -> Option<Option<Theirs>> {
    link.ask(|remote| {
        let Some(answer) = remote.get(Object::Record(*key))? else { return Ok(None) };
        let mut bytes = Vec::new();
        answer.reader.take(LARGEST_RECORD + 1).read_to_end(&mut bytes).map_err(|e| broke_off(&e))?;
        Ok(Some(Theirs { bytes, tag: answer.tag }))
    })
}
