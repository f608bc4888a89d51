//! What there is, what must stay, and which results go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use crate::digest::{Digest, Key};
use crate::error::Result;
use crate::files;
use crate::gc::{Evicted, EvictionReason, GcPolicy, GcReport};
use crate::pin::read_keys;
use crate::record::Record;
use crate::stamp::age;
use crate::store::{Blob, Store};

/// A result in the store.
pub(crate) struct Entry {
    key: Key,
    pub(crate) path: PathBuf,
    /// Since it was last looked up.
    age: Duration,
    seconds: f64,
    /// Blobs it refers to.
    blobs: BTreeSet<Blob>,
    bytes: u64,
    damaged: bool,
    protected: bool,
    pub(crate) evicted: bool,
}

/// All results, and who refers to which blob.
pub(crate) struct Catalog {
    pub(crate) entries: Vec<Entry>,
    /// Sizes of blobs that are on disk and that a result refers to.
    sizes: BTreeMap<Blob, u64>,
    /// How many results that stay refer to a blob.
    references: BTreeMap<Blob, usize>,
    /// Temporary bytes of dead runs: they go, and the results that refer to them stay.
    given_up: BTreeSet<Blob>,
}

/// Blob → the results that refer to it.
pub(crate) type Holders = BTreeMap<Blob, Vec<usize>>;

/// Who has a blob that was temporary as the result of certain keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// No result refers to it.
    Nobody,
    /// The result of another key refers to it.
    Foreign,
    /// Only their results do, and one of them has to stay.
    Protected,
    /// Only their results do, and none has to stay.
    Free,
}

impl Catalog {
    pub(crate) fn read(store: &Store) -> Result<Self> {
        let mut catalog = Self {
            entries: Vec::new(),
            sizes: BTreeMap::new(),
            references: BTreeMap::new(),
            given_up: BTreeSet::new(),
        };
        for path in files::list_sharded(&store.dir("ac"))? {
            let Some(key) = files::name_of(&path).strip_suffix(".json").and_then(|k| k.parse::<Key>().ok())
            else {
                continue;
            };
            let Ok(meta) = fs_err::metadata(&path) else { continue };
            let record = store.read_record(&key)?.ok();
            let blobs = record.as_ref().map(|r| blobs_of(store, r)).transpose()?.unwrap_or_default();
            let mut bytes = 0;
            for blob in &blobs {
                *catalog.references.entry(*blob).or_default() += 1;
                if let Ok(meta) = fs_err::metadata(store.blob_path(*blob)) {
                    catalog.sizes.insert(*blob, meta.len());
                    bytes += meta.len();
                }
            }
            catalog.entries.push(Entry {
                key,
                path,
                age: age(&meta),
                seconds: record.as_ref().map_or(0.0, |r| r.seconds),
                blobs,
                bytes,
                damaged: record.is_none(),
                protected: false,
                evicted: false,
            });
        }
        Ok(catalog)
    }

    /// Marks what must stay.
    pub(crate) fn protect(&mut self, store: &Store, policy: &GcPolicy) -> Result<()> {
        let mut roots = store.pinned()?;
        roots.extend(used_by_last_runs(store, policy.keep_runs)?);
        for entry in &mut self.entries {
            entry.protected = !entry.damaged && (entry.age < policy.grace || roots.contains(&entry.key));
        }
        Ok(())
    }

    /// Chooses the results that go.
    pub(crate) fn evict(&mut self, policy: &GcPolicy, report: &mut GcReport) {
        for i in 0..self.entries.len() {
            let entry = &self.entries[i];
            if entry.damaged {
                self.drop_entry(i, EvictionReason::Damaged, report);
            } else if !entry.protected && policy.max_age.is_some_and(|limit| entry.age > limit) {
                self.drop_entry(i, EvictionReason::Age, report);
            }
        }
        if let Some(limit) = policy.max_bytes {
            let mut order: Vec<usize> = (0..self.entries.len())
                .filter(|&i| !self.entries[i].protected && !self.entries[i].evicted)
                .collect();
            // Cheap to have back for what it takes goes first; of equals the one not used for longest.
            order.sort_by(|&a, &b| {
                let (a, b) = (&self.entries[a], &self.entries[b]);
                b.bytes_per_second().total_cmp(&a.bytes_per_second()).then(b.age.cmp(&a.age))
            });
            self.shrink(&order, limit, false, report);
            self.shrink(&order, limit, true, report);
        }
        report.kept_records = self.entries.iter().filter(|entry| !entry.evicted).count() as u64;
    }

    /// Drops results in this order until the bytes fit. First those whose going frees bytes at once; if that is not
    /// enough, also those that share their bytes with others that may go.
    fn shrink(&mut self, order: &[usize], limit: u64, shared: bool, report: &mut GcReport) {
        let held: BTreeSet<Blob> =
            self.entries.iter().filter(|e| e.protected).flat_map(|e| e.blobs.iter().copied()).collect();
        let mut total = self.live_bytes();
        for &i in order {
            if total <= limit {
                return;
            }
            let may_free = shared
                && self.entries[i].blobs.iter().any(|b| self.sizes.contains_key(b) && !held.contains(b));
            let freed = self.freed_by(i);
            if !self.entries[i].evicted && (freed > 0 || may_free) {
                total -= freed;
                self.drop_entry(i, EvictionReason::Size, report);
            }
        }
    }

    /// Whether a result that stays refers to the blob.
    pub(crate) fn is_live(&self, blob: Blob) -> bool {
        self.references.get(&blob).is_some_and(|&n| n > 0)
    }

    pub(crate) fn is_live_tree(&self, digest: Digest) -> bool {
        self.is_live(Blob::tree(digest)) && !self.is_given_up(Blob::tree(digest))
    }

    /// These bytes go, whatever refers to them.
    pub(crate) fn give_up(&mut self, blobs: BTreeSet<Blob>) {
        for blob in &blobs {
            if let Some(size) = self.sizes.remove(blob) {
                let holders = self.entries.iter_mut().filter(|entry| entry.blobs.contains(blob));
                holders.for_each(|entry| entry.bytes = entry.bytes.saturating_sub(size));
            }
        }
        self.given_up.extend(blobs);
    }

    pub(crate) fn is_given_up(&self, blob: Blob) -> bool {
        self.given_up.contains(&blob)
    }

    /// The results that refer to each blob, as indices into `entries`.
    pub(crate) fn holders(&self) -> Holders {
        let mut holders = Holders::new();
        for (index, entry) in self.entries.iter().enumerate() {
            entry.blobs.iter().for_each(|blob| holders.entry(*blob).or_default().push(index));
        }
        holders
    }

    /// Who has a blob that was temporary as the result of these keys.
    pub(crate) fn claim(&self, holders: &Holders, blob: Blob, keys: &BTreeSet<Key>) -> Claim {
        let mut entries =
            holders.get(&blob).into_iter().flatten().map(|&index| &self.entries[index]).peekable();
        if entries.peek().is_none() {
            return Claim::Nobody;
        }
        let mut claim = Claim::Free;
        for entry in entries {
            if !keys.contains(&entry.key) {
                return Claim::Foreign;
            }
            if entry.protected {
                claim = Claim::Protected;
            }
        }
        claim
    }

    fn live_bytes(&self) -> u64 {
        self.sizes.iter().filter(|(blob, _)| self.is_live(**blob)).map(|(_, size)| size).sum()
    }

    fn freed_by(&self, i: usize) -> u64 {
        let last = |blob: &&Blob| self.references.get(*blob) == Some(&1);
        self.entries[i].blobs.iter().filter(last).filter_map(|blob| self.sizes.get(blob)).sum()
    }

    fn drop_entry(&mut self, i: usize, reason: EvictionReason, report: &mut GcReport) {
        let entry = &mut self.entries[i];
        entry.evicted = true;
        for blob in &entry.blobs {
            if let Some(count) = self.references.get_mut(blob) {
                *count = count.saturating_sub(1);
            }
        }
        let Entry { key, bytes, seconds, .. } = *entry;
        report.evicted.push(Evicted { key, bytes, seconds, reason });
    }
}

impl Entry {
    fn bytes_per_second(&self) -> f64 {
        // Nothing is quicker than a millisecond to have back.
        self.bytes as f64 / self.seconds.max(1e-3)
    }
}

fn blobs_of(store: &Store, record: &Record) -> Result<BTreeSet<Blob>> {
    let mut blobs = BTreeSet::new();
    for artifact in record.outputs.values().filter(|a| !record.inline.contains_key(&a.digest)) {
        blobs.insert(Blob { digest: artifact.digest, tree: artifact.tree });
        if artifact.tree
            && let Some(manifest) = store.read_manifest(&artifact.digest)?
        {
            blobs.extend(manifest.files.values().map(|file| Blob::file(file.digest)));
        }
    }
    Ok(blobs)
}

/// Keys in `used.json` of the last runs that have one; run folders sort by time.
fn used_by_last_runs(store: &Store, runs: usize) -> Result<BTreeSet<Key>> {
    let mut keys = BTreeSet::new();
    let with_list = files::list(&store.runs_dir())?.into_iter().rev().map(|run| run.join("used.json"));
    for path in with_list.filter(|path| path.is_file()).take(runs) {
        match read_keys(&path) {
            Ok(used) => keys.extend(used),
            // A run that was killed while it wrote the list; refusing to collect for ever would help nobody.
            Err(e) => tracing::warn!(error = %e, "results of this run are not protected"),
        }
    }
    Ok(keys)
}
