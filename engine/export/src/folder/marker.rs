//! What an export has written into its folder: by this the next one knows the folder for its own, and its files from those that
//! the user has changed since.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// File of this in the folder.
pub(crate) const NAME: &str = "celldag-export.json";
/// Version of the file.
const VERSION: u32 = 3;

/// Path in the folder → BLAKE3 of the text that the export has for it.
pub(super) type Digests = BTreeMap<PathBuf, String>;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Marker {
    celldag_export: u32,
    /// `snakemake` or `nextflow`.
    engine: String,
    /// The files of the last export that ended. A changed file that was left alone has its entry too: what was written beside it.
    pub(super) files: Digests,
    /// What exports that broke off, one after the other, were about to write: a file has one of these texts, or that of before.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) writing: BTreeMap<PathBuf, BTreeSet<String>>,
}

impl Marker {
    /// A folder in which nothing was written yet.
    pub(super) fn new(engine: &str) -> Self {
        Self {
            celldag_export: VERSION,
            engine: engine.to_owned(),
            files: Digests::new(),
            writing: BTreeMap::new(),
        }
    }

    /// What an export of this kind has written down; `None` for the file of another one.
    pub(super) fn read(text: &str, engine: &str) -> Option<Self> {
        let marker: serde_json::Value = serde_json::from_str(text).ok()?;
        let version = marker["celldag_export"].as_u64()?;
        if marker["engine"] != engine || version > u64::from(VERSION) {
            return None;
        }
        if version == u64::from(VERSION) {
            return serde_json::from_value(marker).ok();
        }
        // What an older one says of its files is not understood: any that differs now counts as changed.
        Some(Self::new(engine))
    }

    /// While these files are written.
    pub(super) fn about_to(&self, writing: Digests) -> Self {
        let mut after = self.clone();
        for (path, digest) in writing {
            after.writing.entry(path).or_default().insert(digest);
        }
        after
    }

    /// When they are.
    pub(super) fn done(self, files: Digests) -> Self {
        Self { files, writing: BTreeMap::new(), ..self }
    }

    pub(super) fn text(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| format!("{text}\n"))
    }

    /// Every file that an export has written, or was about to.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let more = self.writing.keys().filter(|path| !self.files.contains_key(*path));
        self.files.keys().chain(more)
    }

    /// Whether an export has written this at this place.
    pub(super) fn wrote(&self, path: &Path, content: &[u8]) -> bool {
        let own = digest(content);
        self.files.get(path) == Some(&own) || self.writing.get(path).is_some_and(|texts| texts.contains(&own))
    }

    /// Whether the last export had the same text for this file, and ended.
    pub(super) fn is_settled(&self, path: &Path, text: &str) -> bool {
        self.writing.is_empty() && self.files.get(path) == Some(&digest(text.as_bytes()))
    }
}

pub(super) fn digest(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}
