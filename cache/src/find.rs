//! From content back to the results that have it: the question that keys cannot answer.

use crate::digest::Digest;
use crate::error::{IoContext, Result};
use crate::files;
use crate::record::Record;
use crate::store::Store;

impl Store {
    /// Results that have an artifact of this content on an output, newest first. Reads every record: seconds for a large
    /// store.
    ///
    /// # Errors
    /// When the records cannot be listed, or one exists and cannot be read.
    pub fn results_with(&self, digest: &Digest) -> Result<Vec<Record>> {
        let wanted = digest.to_string();
        let mut found = Vec::new();
        for path in files::list_sharded(&self.dir("ac"))? {
            let bytes = match fs_err::read(&path) {
                Ok(bytes) => bytes,
                // Garbage collection was faster.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e).at("read", &path),
            };
            // Most records are none of it, and a search is cheaper than a checksum.
            let mentioned = std::str::from_utf8(&bytes).is_ok_and(|text| text.contains(&wanted));
            if let Some(record) = mentioned.then(|| Record::decode(&bytes).ok()).flatten()
                && record.outputs.values().any(|artifact| artifact.digest == *digest)
            {
                found.push(record);
            }
        }
        found.sort_by_key(|record| std::cmp::Reverse(record.created));
        Ok(found)
    }
}
