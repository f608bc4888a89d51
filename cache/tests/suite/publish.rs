//! Publishing and looking up: what is stored is what was written, and an earlier result wins.

use std::collections::BTreeMap;

use crate::common::{Fixture, action, blob_path, is_hit, key, lookup, meta, publish, publish_folder, write};
use celldag_cache::{Digest, Key, Lookup, MissReason, PublishState, StoreError, digest_file, digest_tree};

#[test]
fn a_published_file_is_a_hit_with_its_record_and_read_only_bytes() {
    let f = Fixture::new();
    assert!(matches!(lookup(&f.store, "a"), Lookup::Miss(MissReason::Unknown)));
    let published = publish(&f.store, "a", b"hello");
    assert_eq!(published.state, PublishState::First);

    let store = f.reopen();
    let record = lookup(&store, "a").hit().unwrap();
    assert_eq!(record.action.get().as_bytes(), action("a"));
    assert_eq!((record.seconds, record.version.as_str(), record.size()), (1.0, "test", 5));
    let artifact = record.outputs["out"];
    assert_eq!(artifact.digest, Digest::of_bytes(b"hello"));
    let path = store.fetch(&artifact).unwrap();
    assert_eq!(fs_err::read(&path).unwrap(), b"hello");
    assert!(fs_err::metadata(&path).unwrap().permissions().readonly());
    // Another action cannot be told this result, even if somebody gets the key wrong.
    let other = store.lookup(&key("a"), &action("b")).unwrap();
    assert!(matches!(other, Lookup::Miss(MissReason::OtherAction)));
}

#[test]
fn the_first_complete_result_wins_and_a_different_one_is_told() {
    let f = Fixture::new();
    let first = publish(&f.store, "a", b"one").record;
    let same = publish(&f.reopen(), "a", b"one");
    assert_eq!(same.state, PublishState::Same);
    assert_eq!(same.record.created, first.created);
    let other = publish(&f.reopen(), "a", b"two");
    assert_eq!(other.state, PublishState::KeptOther(vec!["out".into()]));
    assert_eq!(other.record.outputs, first.outputs);
    assert_eq!(lookup(&f.store, "a").hit().unwrap().outputs, first.outputs);
}

#[test]
fn a_result_whose_bytes_are_gone_is_partial_and_healed_or_replaced() {
    let f = Fixture::new();
    let artifact = publish(&f.store, "a", b"one").record.outputs["out"];
    assert_eq!(f.store.discard(&artifact).unwrap(), 3);
    assert_eq!(f.store.discard(&artifact).unwrap(), 0);
    let Lookup::Partial { record, absent } = lookup(&f.store, "a") else { panic!("not partial") };
    assert_eq!((record.outputs["out"], absent.len(), absent[0].wrong_size), (artifact, 1, false));
    assert!(matches!(f.store.fetch(&artifact), Err(StoreError::Missing { .. })));

    assert_eq!(publish(&f.store, "a", b"one").state, PublishState::Same);
    assert!(is_hit(&f.store, "a"));
    f.store.discard(&artifact).unwrap();
    let replaced = publish(&f.store, "a", b"two");
    assert_eq!(replaced.state, PublishState::Replaced(vec!["out".into()]));
    assert_eq!(lookup(&f.store, "a").hit().unwrap().outputs["out"].digest, Digest::of_bytes(b"two"));
}

#[test]
fn folders_come_back_with_hidden_files_and_have_the_digest_of_the_folder() {
    let f = Fixture::new();
    let files: [(&str, &[u8]); 3] = [("a/x.bin", b"1"), ("config.json", b"{}"), ("z/same.bin", b"1")];
    let artifact = publish_folder(&f.store, "plain", &files);
    assert!(artifact.tree);
    let user = f.path("user");
    files.iter().for_each(|(name, content)| write(&user.join(name), content));
    assert_eq!(digest_tree(&user, None).unwrap(), (artifact.digest, artifact.size));
    assert_eq!(f.store.digest_path(&user, None).unwrap(), (artifact.digest, artifact.size));

    let zarr = publish_folder(&f.store, "zarr", &[(".zarray", b"{}"), ("0.0", b"123")]);
    let store = f.reopen();
    let dir = store.fetch(&zarr).unwrap();
    assert_eq!(fs_err::read(dir.join(".zarray")).unwrap(), b"{}");
    assert_eq!(fs_err::read(dir.join("0.0")).unwrap(), b"123");
    assert!(fs_err::metadata(dir.join("0.0")).unwrap().permissions().readonly());
    assert_eq!(store.fetch(&zarr).unwrap(), dir);
    let report = store.verify(&mut |_| {}).unwrap();
    assert!(report.is_clean() && report.complete == 2 && report.foreign.is_empty(), "{report:?}");
}

#[test]
fn an_empty_folder_is_a_result() {
    let f = Fixture::new();
    let sandbox = f.store.sandbox().unwrap();
    let outputs = BTreeMap::from([("out".into(), sandbox.path().to_path_buf())]);
    let record = f.store.publish(&key("e"), &action("e"), &outputs, meta(1.0)).unwrap().record;
    assert!(f.reopen().fetch(&record.outputs["out"]).unwrap().is_dir());
    assert!(is_hit(&f.store, "e"));
}

#[test]
fn files_of_users_are_copied_and_stay_theirs() {
    let f = Fixture::new();
    let user = f.path("mine.txt");
    write(&user, b"mine");
    let outputs = BTreeMap::from([("out".into(), user.clone())]);
    let record = f.store.publish(&key("a"), &action("a"), &outputs, meta(1.0)).unwrap().record;
    fs_err::write(&user, "changed").unwrap();
    assert_eq!(
        digest_file(&f.reopen().fetch(&record.outputs["out"]).unwrap()).unwrap().0,
        Digest::of_bytes(b"mine")
    );
}

#[cfg(unix)]
#[test]
fn links_in_outputs_never_lead_out_of_or_into_the_store() {
    let f = Fixture::new();
    let user = f.path("user/data.txt");
    write(&user, b"data");
    let sandbox = f.store.sandbox().unwrap();
    let at = |name: &str| sandbox.path().join(name);
    std::os::unix::fs::symlink(&user, at("symlink")).unwrap();
    std::os::unix::fs::symlink(user.parent().unwrap(), at("folder")).unwrap();
    fs_err::hard_link(&user, at("hard")).unwrap();
    write(&at("plain"), b"plain");
    std::os::unix::fs::symlink(at("plain"), at("to-plain")).unwrap();
    let outputs = ["symlink", "folder", "hard", "plain", "to-plain"].map(|name| (name.to_owned(), at(name)));
    let record = f.store.publish(&key("l"), &action("l"), &outputs.into(), meta(1.0)).unwrap().record;
    assert_eq!(record.outputs["hard"].digest, Digest::of_bytes(b"data"));
    assert_eq!(record.outputs["to-plain"].digest, Digest::of_bytes(b"plain"));

    assert!(!fs_err::metadata(&user).unwrap().permissions().readonly());
    fs_err::write(&user, "other").unwrap();
    let store = f.reopen();
    for port in ["symlink", "folder", "hard", "plain", "to-plain"] {
        store.fetch(&record.outputs[port]).unwrap();
    }
}

#[test]
fn mistakes_of_the_caller_are_errors_and_leave_no_record() {
    let f = Fixture::new();
    let outputs = BTreeMap::from([("out".into(), f.path("nothing-here"))]);
    let missing = f.store.publish(&key("a"), &action("a"), &outputs, meta(1.0)).unwrap_err();
    assert!(matches!(&missing, StoreError::OutputMissing { port, .. } if port == "out"), "{missing}");
    let none = BTreeMap::new();
    for (key, action) in [
        (key("a"), b"{}".to_vec()),
        (Key::of_action(b"not json"), b"not json".to_vec()),
        (Key::of_action(b"{} "), b"{} ".to_vec()),
    ] {
        let error = f.store.publish(&key, &action, &none, meta(1.0)).unwrap_err();
        assert!(matches!(error, StoreError::BadAction { .. }), "{error}");
    }
    assert_eq!(f.store.stats().unwrap().records, 0);
}

#[test]
fn equal_bytes_are_stored_once_and_counted() {
    let f = Fixture::new();
    let a = publish(&f.store, "a", b"same").record.outputs["out"];
    let b = publish(&f.reopen(), "b", b"same").record.outputs["out"];
    assert_eq!(blob_path(&f.store, &a), blob_path(&f.store, &b));
    let stats = f.store.stats().unwrap();
    assert_eq!((stats.records, stats.blobs, stats.blob_bytes, stats.referenced_bytes), (2, 1, 4, 8));
    assert_eq!(stats.seconds, 2.0);
}

#[test]
fn sandboxes_are_empty_distinct_and_deleted() {
    let f = Fixture::new();
    let (a, b) = (f.store.sandbox().unwrap(), f.store.sandbox().unwrap());
    assert_ne!(a.path(), b.path());
    let path = a.path().to_path_buf();
    write(&path.join("deep/er/file"), b"x");
    drop(a);
    assert!(!path.exists() && b.path().exists());
    let workspace = b.path().parent().unwrap().to_path_buf();
    let Fixture { dir, store } = f;
    drop((b, store));
    assert!(!workspace.exists());
    drop(dir);
}

#[test]
fn failures_are_remembered_until_cleared() {
    let f = Fixture::new();
    assert_eq!(f.store.failure(&key("a")).unwrap(), None);
    let failure = celldag_cache::Failure::now("data", "no cells left", Some("lower min_genes".into()));
    f.store.remember_failure(&key("a"), &failure).unwrap();
    assert_eq!(f.reopen().failure(&key("a")).unwrap(), Some(failure));
    f.store.clear_failure(&key("a")).unwrap();
    f.store.clear_failure(&key("a")).unwrap();
    assert_eq!(f.store.failure(&key("a")).unwrap(), None);
}
