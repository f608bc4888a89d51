//! A store that is only looked at: opened without making, sweeping, moving or writing anything in it.

use std::path::Path;

use crate::error::Result;
use crate::store::{Options, Store, read_format};

impl Store {
    /// Opens the store in `dir` to look at; `None` when there is none. Nothing in the folder is changed, now or later:
    /// damaged bytes stay where they are (and are an error all the same), no use and no digest is noted, and small outputs
    /// are written out among the temporary files of the system. What only a shared store has is not fetched.
    ///
    /// # Errors
    /// When `dir` holds something else, a newer format, or cannot be read.
    pub fn look(dir: &Path) -> Result<Option<Self>> {
        let Some(format) = read_format(dir)? else { return Ok(None) };
        Self::with_format(dir, format, Options::default(), true).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;
    use crate::error::StoreError;
    use crate::record::Artifact;
    use crate::store::Blob;

    fn everything(dir: &Path) -> Vec<(std::path::PathBuf, Option<Vec<u8>>)> {
        let mut found = Vec::new();
        for entry in fs_err::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(everything(&path));
                found.push((path, None));
            } else {
                let bytes = fs_err::read(&path).unwrap();
                found.push((path, Some(bytes)));
            }
        }
        found.sort();
        found
    }

    #[test]
    fn looking_makes_no_store() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Store::look(dir.path()).unwrap().is_none());
        assert!(Store::look(&dir.path().join("absent")).unwrap().is_none());
        assert_eq!(fs_err::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn looking_changes_nothing_and_damage_stays_where_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let blob = Blob::file(Digest::of_bytes(b"as it was"));
        let path = store.blob_path(blob);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, b"otherwise").unwrap();
        // What a dead process left: opening the store to work with it would sweep it.
        fs_err::create_dir_all(dir.path().join("tmp/left-over")).unwrap();
        drop(store);
        let before = everything(dir.path());
        let store = Store::look(dir.path()).unwrap().unwrap();
        let artifact = Artifact { digest: blob.digest, size: 9, tree: false };
        let error = store.fetch(&artifact).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { quarantined: None, .. }), "{error}");
        assert_eq!(everything(dir.path()), before);
        fs_err::write(&path, b"as it was").unwrap();
        assert_eq!(fs_err::read(store.fetch(&artifact).unwrap()).unwrap(), b"as it was");
    }

    #[test]
    fn looking_results_up_and_hashing_files_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), Options::default()).unwrap();
        let (action, sandbox) = (b"{}", store.sandbox().unwrap());
        let (key, out) = (crate::Key::of_action(action), sandbox.path().join("out"));
        fs_err::write(&out, "a result").unwrap();
        store.publish(&key, action, &[("out".to_owned(), out)].into(), crate::RecordMeta::default()).unwrap();
        let record = fs_err::File::open(store.record_path(&key)).unwrap();
        record
            .file()
            .set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600))
            .unwrap();
        drop((store, sandbox));
        let state = || {
            let all = everything(dir.path());
            let time = |path: &Path| fs_err::metadata(path).unwrap().modified().unwrap();
            all.into_iter().map(|(path, bytes)| (time(&path), path, bytes)).collect::<Vec<_>>()
        };
        // Not written in the last seconds, so that its digest could be remembered.
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
        let used = |store: Store| {
            let _in_use = store.use_shared().unwrap();
            assert!(store.lookup(&key, action).unwrap().hit().is_some());
            store.digest_path(&file, None).unwrap();
        };
        let before = state();
        used(Store::look(dir.path()).unwrap().unwrap());
        assert_eq!(state(), before);
        used(Store::open(dir.path(), Options::default()).unwrap());
        assert_ne!(state(), before, "who works with the store notes it");
    }
}
