//! Small outputs are kept in the record, and behave as if they were not.

use crate::common::{Fixture, action, files_below, key, lookup, open, publish, record_path, tamper};
use celldag_cache::{GcPolicy, Lookup, MissReason, Options, Store};

/// A store as the program opens it.
fn usual(f: &Fixture) -> Store {
    let store = Store::open(f.store.root(), Options::default()).unwrap();
    store.inline_below(4096);
    store
}

#[test]
fn a_tiny_result_is_one_file() {
    let f = Fixture::new();
    let store = usual(&f);
    for i in 0..10 {
        publish(&store, &i.to_string(), format!("{{\"auroc\": 0.{i}}}\n").as_bytes());
    }
    assert_eq!(files_below(&store.root().join("ac")).len(), 10);
    assert!(files_below(&store.root().join("cas")).is_empty());
    let left =
        files_below(&store.root().join("locks")).len() + files_below(&store.root().join("upload")).len();
    assert_eq!(left, 1, "the lock of the store as a whole");

    let later = usual(&f);
    let artifact = lookup(&later, "7").hit().unwrap().outputs["out"];
    let path = later.fetch(&artifact).unwrap();
    assert_eq!(fs_err::read_to_string(&path).unwrap(), "{\"auroc\": 0.7}\n");
    assert!(fs_err::metadata(&path).unwrap().permissions().readonly());
    assert_eq!(later.fetch(&artifact).unwrap(), path, "written out once");
    assert!(later.materialize(&artifact, &f.path("seven.json")).unwrap().written);
    assert_eq!(celldag_cache::digest_file(&f.path("seven.json")).unwrap().0, artifact.digest);
    let report = later.verify(&mut |_| {}).unwrap();
    assert!(report.is_clean() && report.complete == 10 && report.blobs == 0, "{report:?}");
}

#[test]
fn what_is_not_text_or_not_small_is_a_blob() {
    let f = Fixture::new();
    let store = usual(&f);
    for (name, content) in [("binary", vec![0xff, 0xfe]), ("large", vec![b'x'; 4096])] {
        let artifact = publish(&store, name, &content).record.outputs["out"];
        assert!(crate::common::blob_path(&store, &artifact).is_file(), "{name}");
    }
    let artifact = publish(&store, "small", &[b'x'; 4095]).record.outputs["out"];
    assert!(!crate::common::blob_path(&store, &artifact).exists());
}

#[test]
fn damage_to_the_record_is_a_miss_and_to_the_written_file_is_repaired() {
    let f = Fixture::new();
    let store = usual(&f);
    let artifact = publish(&store, "x", b"hello").record.outputs["out"];
    let path = store.fetch(&artifact).unwrap();
    tamper(&path, |bytes| bytes[0] = b'j');
    assert_eq!(fs_err::read(store.fetch(&artifact).unwrap()).unwrap(), b"hello");
    let text = fs_err::read_to_string(record_path(&store, "x")).unwrap();
    assert!(text.contains("hello"));
    tamper(&record_path(&store, "x"), |bytes| *bytes = text.replace("hello", "jello").into_bytes());
    assert!(matches!(lookup(&usual(&f), "x"), Lookup::Miss(MissReason::DamagedRecord(_))));
}

#[test]
fn records_without_inline_outputs_and_with_them_are_the_same_result() {
    let f = Fixture::new();
    // As an older version wrote it: the bytes in a blob.
    let old = publish(&f.store, "x", b"hello").record;
    let store = usual(&f);
    assert_eq!(lookup(&store, "x").hit().unwrap().outputs, old.outputs);
    assert_eq!(publish(&store, "x", b"hello").state, celldag_cache::PublishState::Same);
    // Another result with the same bytes, and the blob of the first gone: both are there.
    publish(&store, "y", b"hello");
    let now = usual(&f);
    assert!(lookup(&now, "y").hit().is_some());
    assert_eq!(fs_err::read(now.fetch(&old.outputs["out"]).unwrap()).unwrap(), b"hello");
}

#[test]
fn a_lost_blob_is_healed_by_computing_again() {
    let f = Fixture::new();
    let old = publish(&f.store, "x", b"hello").record.outputs["out"];
    f.store.discard(&old).unwrap();
    let store = usual(&f);
    assert!(matches!(lookup(&store, "x"), Lookup::Partial { .. }));
    publish(&store, "x", b"hello");
    let later = usual(&f);
    let artifact = lookup(&later, "x").hit().expect("complete again").outputs["out"];
    assert_eq!(fs_err::read(later.fetch(&artifact).unwrap()).unwrap(), b"hello");
}

#[test]
fn a_store_that_cannot_be_written_to_gives_them_too() {
    let f = Fixture::new();
    publish(&usual(&f), "x", b"hello");
    let tmp = f.store.root().join("tmp");
    let store = open(f.store.root());
    fs_err::remove_dir_all(&tmp).unwrap();
    fs_err::write(&tmp, "in the way").unwrap();
    let artifact = lookup(&store, "x").hit().unwrap().outputs["out"];
    let path = store.fetch(&artifact).unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), b"hello");
    assert!(!path.starts_with(store.root()));
    drop(store);
    assert!(!path.exists(), "nothing is left over");
}

#[test]
fn garbage_collection_takes_them_with_their_record() {
    let f = Fixture::new();
    let store = usual(&f);
    publish(&store, "x", b"hello");
    let policy = GcPolicy {
        max_age: Some(std::time::Duration::ZERO),
        keep_runs: 0,
        grace: std::time::Duration::ZERO,
        ..GcPolicy::default()
    };
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(store.gc(&policy).unwrap().evicted.len(), 1);
    assert!(matches!(usual(&f).lookup(&key("x"), &action("x")).unwrap(), Lookup::Miss(MissReason::Unknown)));
}
