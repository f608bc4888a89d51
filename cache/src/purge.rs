//! Taking back results that must not be used any more: a host computed nonsense, a version had a mistake.

use serde::Serialize;

use crate::digest::Key;
use crate::error::Result;
use crate::files;
use crate::record::Record;
use crate::store::Store;

/// What [`Store::purge`] did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PurgeReport {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Results that went, pinned ones too. Their bytes go with the next garbage collection.
    pub purged: Vec<Key>,
    /// How many of them the shared store held as well, and lost.
    pub shared: u64,
    /// How many of them the shared store may still hold, because it could not be asked or may not be written to.
    pub kept_in_shared: u64,
}

impl Store {
    /// Deletes the records that `condemned` names, here and in the shared store: their work is done again when it is
    /// needed. In the shared store only what this one knows of is looked at, and another machine's record stays unless
    /// it is condemned too. A sign there keeps the same record from being sent again; the local stores of other machines keep
    /// what they have.
    ///
    /// # Errors
    /// [`crate::StoreError::InUse`] while a run uses the store; when it cannot be read or written to.
    pub fn purge(&self, condemned: &dyn Fn(&Record) -> bool, dry_run: bool) -> Result<PurgeReport> {
        let _alone = self.use_alone()?;
        let mut report = PurgeReport { dry_run, ..PurgeReport::default() };
        for key in self.keys()? {
            let Ok(record) = self.read_record(&key)? else { continue };
            if !condemned(&record) {
                continue;
            }
            report.purged.push(key);
            if dry_run {
                continue;
            }
            // There first: a record that only went here would come back with the next lookup.
            match self.purge_shared(&record, condemned) {
                Some(true) => report.shared += 1,
                Some(false) => {}
                None => report.kept_in_shared += 1,
            }
            self.unqueue(&key)?;
            files::remove_file(&self.record_path(&key))?;
        }
        Ok(report)
    }
}
