//! The file of a part: whose it is, and what the kind put into it.
//!
//! A line `celldag-part 1 HEX` with the BLAKE3 of the next line; that line, JSON, with the action of the whole step, the shard, what
//! the kind says about it, and length and BLAKE3 of the rest; the rest, in a format of the kind.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs_err::File;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Shard;
use crate::action::{Action, canonical_json};
use crate::change::compare;
use crate::step::{NodeError, Outlook};

const MAGIC: &str = "celldag-part 1 ";
/// More than any head takes, whose longest entry is the action.
const MAX_HEAD: u64 = 1 << 24;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    action: Value,
    shard: u32,
    of: u32,
    state: Value,
    bytes: u64,
    digest: String,
}

/// Writes a part; `payload` is a file.
///
/// # Errors
/// When a file cannot be read or written.
pub(crate) fn write(
    path: &Path,
    (action, shard): (&Value, Shard),
    state: Value,
    payload: &Path,
) -> io::Result<()> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(payload)?)?;
    let head = Head {
        action: action.clone(),
        shard: shard.index(),
        of: shard.of(),
        state,
        bytes: hasher.count(),
        digest: hasher.finalize().to_hex().to_string(),
    };
    let head = canonical_json(&serde_json::to_value(head)?);
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "{MAGIC}{}", blake3::hash(head.as_bytes()).to_hex())?;
    writeln!(out, "{head}")?;
    io::copy(&mut File::open(payload)?, &mut out)?;
    out.flush()
}

/// A part, open for reading.
#[derive(Debug)]
pub struct PartFile {
    path: PathBuf,
    shard: Shard,
    head: Head,
    /// Where the content begins.
    start: u64,
}

impl PartFile {
    /// Opens a part and checks its head.
    ///
    /// # Errors
    /// When it cannot be read, is no part, or is damaged.
    pub(crate) fn open(path: &Path) -> Result<Self, NodeError> {
        let refuse = |why: &str| refusal(path, why);
        let read = || -> io::Result<(String, String)> {
            let mut file = BufReader::new(File::open(path)?).take(MAX_HEAD);
            let (mut first, mut second) = (Vec::new(), Vec::new());
            file.read_until(b'\n', &mut first)?;
            file.read_until(b'\n', &mut second)?;
            let text = |bytes| String::from_utf8(bytes).unwrap_or_default();
            Ok((text(first), text(second)))
        };
        let (first, second) = read().map_err(|e| passing(NodeError::data(e.to_string())))?;
        let Some(digest) = first.strip_prefix(MAGIC) else {
            return Err(refuse("is no part that `celldag step --shard` of this version wrote"));
        };
        let text = second.strip_suffix('\n').unwrap_or_default();
        let head: Option<Head> = serde_json::from_str(text).ok();
        let sound = digest.trim_end() == blake3::hash(text.as_bytes()).to_hex().as_str();
        let shard = head.as_ref().and_then(|head| Shard::new(head.shard, head.of));
        match (head, shard) {
            (Some(head), Some(shard)) if sound => {
                Ok(Self { path: path.to_path_buf(), shard, head, start: (first.len() + second.len()) as u64 })
            }
            _ => Err(refuse("is damaged")),
        }
    }

    /// Which one it is.
    #[must_use]
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// What the kind said about it in [`crate::Step::write_part`].
    ///
    /// # Errors
    /// When it is something else.
    pub fn state<T: DeserializeOwned>(&self) -> Result<T, NodeError> {
        serde_json::from_value(self.head.state.clone())
            .map_err(|e| self.wrong(&format!("does not say what a part of this kind says: {e}")))
    }

    /// Puts its content into a file.
    ///
    /// # Errors
    /// When it is damaged, or a file cannot be read or written.
    pub fn unpack(&self, to: &Path) -> Result<(), NodeError> {
        let copy = || -> io::Result<blake3::Hasher> {
            let mut from = File::open(&self.path)?;
            from.seek(SeekFrom::Start(self.start))?;
            let mut out = BufWriter::new(File::create(to)?);
            let mut hasher = blake3::Hasher::new();
            let mut piece = vec![0; 1 << 20];
            loop {
                let read = from.read(&mut piece)?;
                if read == 0 {
                    break;
                }
                hasher.update(&piece[..read]);
                out.write_all(&piece[..read])?;
            }
            out.flush()?;
            Ok(hasher)
        };
        let found = copy().map_err(|e| passing(NodeError::data(e.to_string())))?;
        if found.count() != self.head.bytes || found.finalize().to_hex().as_str() != self.head.digest {
            return Err(self.wrong("is damaged"));
        }
        Ok(())
    }

    /// A failure that this part is to blame for; `why` follows its path.
    #[must_use]
    pub fn wrong(&self, why: &str) -> NodeError {
        refusal(&self.path, why)
    }
}

/// Another file at the same path may be right: it must not be remembered as a failure of the action.
fn passing(error: NodeError) -> NodeError {
    error.outlook(Outlook::Unknown)
}

fn refusal(path: &Path, why: &str) -> NodeError {
    passing(NodeError::data(format!("{} {why}", path.display())))
        .help("make the part again: the same step with --shard I/N and --out part=FILE")
}

/// Opens the parts of `action`, which must be one of each shard; in the order of the shards.
///
/// # Errors
/// When one cannot be read or is of another action, and when one is missing or there twice.
pub(crate) fn open_all(paths: &[PathBuf], action: &Action) -> Result<Vec<PartFile>, NodeError> {
    let mut parts = paths.iter().map(|path| PartFile::open(path)).collect::<Result<Vec<_>, _>>()?;
    for part in &parts {
        check_action(part, action)?;
    }
    parts.sort_by_key(|part| part.shard);
    let Some(first) = parts.first() else { return Err(NodeError::parameter("there are no parts")) };
    let of = first.shard.of();
    if let Some(other) = parts.iter().find(|part| part.shard.of() != of) {
        let (path, shard) = (first.path.display(), first.shard);
        return Err(other.wrong(&format!("is shard {}, but {path} is shard {shard}", other.shard)));
    }
    if let Some([one, two]) = parts.array_windows().find(|[one, two]| one.shard == two.shard) {
        if one.path == two.path {
            let twice = NodeError::data(format!("{} is given twice", one.path.display()));
            return Err(passing(twice).help("give each part once with --part FILE"));
        }
        return Err(two.wrong(&format!("is shard {}, and so is {}", two.shard, one.path.display())));
    }
    let missing: Vec<String> = (0..of)
        .filter(|&i| !parts.iter().any(|part| part.shard.index() == i))
        .map(|i| i.to_string())
        .collect();
    if missing.is_empty() {
        return Ok(parts);
    }
    let shown = missing.iter().take(10).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = if missing.len() > 10 { ", ..." } else { "" };
    let message = match missing.len() {
        1 => format!("of {of} parts 1 is missing: that of shard {shown}"),
        many => format!("of {of} parts {many} are missing: those of shard {shown}{more}"),
    };
    Err(passing(NodeError::data(message)).help("give each of them with --part FILE"))
}

fn check_action(part: &PartFile, action: &Action) -> Result<(), NodeError> {
    if part.head.action == action.to_value() {
        return Ok(());
    }
    let changes: Vec<String> = match Action::from_value(&part.head.action) {
        Some(of_part) => compare(&of_part, action).iter().map(ToString::to_string).collect(),
        None => Vec::new(),
    };
    let changes = if changes.is_empty() { "it cannot be read".to_owned() } else { changes.join("; ") };
    Err(part.wrong(&format!("is a part of another step. From that to this one: {changes}")))
}
