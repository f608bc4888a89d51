//! Damaged or missing bytes are a miss or an error, never a success.

use crate::common::{Fixture, blob_path, is_hit, lookup, publish, publish_folder, record_path, tamper};
use celldag_cache::{Artifact, Digest, Lookup, MissReason, StoreError};
use rand::{RngExt, SeedableRng};

#[test]
fn a_flipped_bit_passes_the_lookup_but_not_the_fetch() {
    let f = Fixture::new();
    let artifact = publish(&f.store, "a", &[5; 5000]).record.outputs["out"];
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(1);
    for _ in 0..8 {
        let (byte, bit) = (random.random_range(0..5000_usize), random.random_range(0..8));
        tamper(&blob_path(&f.store, &artifact), |bytes| bytes[byte] ^= 1 << bit);
        let store = f.reopen();
        assert!(is_hit(&store, "a"), "size is right");
        let Err(StoreError::Damaged { digest, quarantined: Some(quarantined), .. }) = store.fetch(&artifact)
        else {
            panic!("damage in byte {byte} not found");
        };
        assert!(digest == artifact.digest && quarantined.is_file());
        assert!(matches!(store.fetch(&artifact), Err(StoreError::Missing { .. })));
        assert!(matches!(lookup(&store, "a"), Lookup::Partial { .. }));
        publish(&store, "a", &[5; 5000]);
        assert!(is_hit(&f.reopen(), "a"));
    }
}

#[test]
fn damage_in_the_process_that_already_checked_is_found_too() {
    let f = Fixture::new();
    let artifact = publish(&f.store, "a", b"hello").record.outputs["out"];
    let path = f.store.fetch(&artifact).unwrap();
    tamper(&path, |bytes| bytes[0] = b'j');
    assert!(matches!(f.store.fetch(&artifact), Err(StoreError::Damaged { .. })));
}

#[test]
fn a_wrong_size_is_found_by_the_lookup() {
    let f = Fixture::new();
    let artifact = publish(&f.store, "a", b"hello").record.outputs["out"];
    for change in [Vec::clear as fn(&mut Vec<u8>), |b| b.truncate(4), |b| b.push(0)] {
        tamper(&blob_path(&f.store, &artifact), change);
        let Lookup::Partial { absent, .. } = lookup(&f.store, "a") else { panic!("not found") };
        assert!(absent[0].wrong_size);
        assert!(matches!(f.store.fetch(&artifact), Err(StoreError::Damaged { .. })));
        publish(&f.store, "a", b"hello");
        f.store.fetch(&artifact).unwrap();
    }
}

#[test]
fn publishing_again_heals_a_silently_damaged_blob() {
    let f = Fixture::new();
    let artifact = publish(&f.store, "a", b"hello").record.outputs["out"];
    tamper(&blob_path(&f.store, &artifact), |bytes| bytes[0] = b'j');
    publish(&f.reopen(), "b", b"hello");
    f.reopen().fetch(&artifact).unwrap();
}

#[test]
fn damaged_records_are_misses_and_are_replaced() {
    type Change = Box<dyn FnOnce(&mut Vec<u8>)>;
    let f = Fixture::new();
    publish(&f.store, "a", b"hello");
    publish(&f.store, "b", b"other");
    let length = fs_err::read(record_path(&f.store, "a")).unwrap().len();
    let changes: Vec<Change> = vec![
        Box::new(Vec::clear),
        Box::new(|b| b.truncate(b.len() / 2)),
        Box::new(move |b| b[length - 20] ^= 4),
        Box::new(|b| *b = b"{}".to_vec()),
        Box::new(|b| b.fill(0)),
    ];
    for change in changes {
        tamper(&record_path(&f.store, "a"), change);
        let Lookup::Miss(MissReason::DamagedRecord(_)) = lookup(&f.store, "a") else { panic!("not found") };
        publish(&f.store, "a", b"hello");
        assert!(is_hit(&f.store, "a"));
    }
    // A good record in the wrong place.
    fs_err::copy(record_path(&f.store, "b"), record_path(&f.store, "a")).unwrap();
    assert!(matches!(lookup(&f.store, "a"), Lookup::Miss(MissReason::DamagedRecord(_))));
}

#[test]
fn damaged_folders_are_rebuilt_or_refused() {
    let f = Fixture::new();
    let tree = publish_folder(&f.store, "t", &[("a", b"11"), ("b/c", b"22")]);
    let dir = f.store.fetch(&tree).unwrap();
    let blob = Artifact { digest: Digest::of_bytes(b"22"), size: 2, tree: false };

    // Only the unpacked folder is damaged (tampering replaces the inode): rebuilt from blobs.
    tamper(&dir.join("b/c"), |bytes| bytes[0] = b'9');
    fs_err::write(dir.join("extra"), "x").unwrap();
    let dir = f.reopen().fetch(&tree).unwrap();
    assert_eq!(fs_err::read(dir.join("b/c")).unwrap(), b"22");
    assert!(!dir.join("extra").exists());

    // The blob alone is damaged: the folder that is there is good and serves.
    tamper(&blob_path(&f.store, &blob), |bytes| bytes[0] = b'9');
    assert_eq!(fs_err::read(f.reopen().fetch(&tree).unwrap().join("b/c")).unwrap(), b"22");

    // Both are: refused, and after that a lookup sees it.
    fs_err::remove_dir_all(&dir).unwrap();
    assert!(
        matches!(f.reopen().fetch(&tree), Err(StoreError::Damaged { digest, .. }) if digest == blob.digest)
    );
    assert!(matches!(lookup(&f.store, "t"), Lookup::Partial { .. }));
    publish_folder(&f.store, "t", &[("a", b"11"), ("b/c", b"22")]);
    assert!(is_hit(&f.store, "t"));

    tamper(&blob_path(&f.store, &tree), |bytes| bytes.truncate(10));
    assert!(matches!(lookup(&f.store, "t"), Lookup::Partial { .. }));
    assert!(matches!(f.reopen().fetch(&tree), Err(StoreError::Damaged { .. })));
}

#[test]
fn all_blobs_deleted_is_never_a_success() {
    let f = Fixture::new();
    let artifact = publish(&f.store, "a", b"hello").record.outputs["out"];
    fs_err::remove_dir_all(f.store.root().join("cas")).unwrap();
    assert!(matches!(lookup(&f.store, "a"), Lookup::Partial { .. }));
    assert!(matches!(f.store.fetch(&artifact), Err(StoreError::Missing { .. })));
    publish(&f.store, "a", b"hello");
    f.store.fetch(&artifact).unwrap();
}

#[test]
fn verify_finds_everything_and_says_what_it_costs() {
    let f = Fixture::new();
    let a = publish(&f.store, "a", b"hello").record.outputs["out"];
    publish(&f.store, "b", b"good");
    publish(&f.store, "c", b"record");
    let gone = publish(&f.store, "d", b"temporary").record.outputs["out"];
    f.store.discard(&gone).unwrap();
    tamper(&blob_path(&f.store, &a), |bytes| bytes[2] ^= 1);
    tamper(&record_path(&f.store, "c"), |bytes| bytes.truncate(100));
    fs_err::write(f.store.root().join("cas/README"), "x").unwrap();
    crate::common::write(&f.store.root().join("cas/00/junk"), b"x");

    let mut last = None;
    let report = f.store.verify(&mut |progress| last = Some(progress)).unwrap();
    let last = last.unwrap();
    assert_eq!(last.bytes, last.total_bytes);
    assert_eq!((report.complete, report.partial, report.blobs), (1, 1, 2));
    assert_eq!(report.invalidated, [crate::common::key("a")]);
    assert_eq!(report.damaged_blobs.len(), 1);
    assert_eq!(report.damaged_records.len(), 1);
    assert_eq!(report.foreign.len(), 1);
    assert!(!report.is_clean());

    let again = f.store.verify(&mut |_| {}).unwrap();
    assert!(again.is_clean() && again.invalidated.is_empty(), "{again:?}");
    assert_eq!(f.store.stats().unwrap().quarantined, 2);
}
