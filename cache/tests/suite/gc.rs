//! Garbage collection keeps what is pinned, used and young, frees the rest, and changes nothing in a dry run.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::common::{
    Fixture, action, blob_path, files_below, is_hit, key, meta, publish, publish_folder, record_path,
};
use celldag_cache::{EvictionReason, GcPolicy, Store, StoreError};

const DAY: Duration = Duration::from_secs(86_400);

fn make_older(path: &Path, age: Duration) {
    let file = fs_err::File::open(path).unwrap();
    file.file().set_modified(SystemTime::now() - age).unwrap();
}

/// Makes a result and its bytes look `days` old.
fn aged(store: &Store, name: &str, content: &[u8], seconds: f64, days: u32) {
    let sandbox = store.sandbox().unwrap();
    let path = sandbox.path().join("out");
    fs_err::write(&path, content).unwrap();
    let outputs = BTreeMap::from([("out".into(), path)]);
    let record = store.publish(&key(name), &action(name), &outputs, meta(seconds)).unwrap().record;
    make_older(&blob_path(store, &record.outputs["out"]), DAY * days);
    make_older(&record_path(store, name), DAY * days);
}

fn names_of(report: &celldag_cache::GcReport) -> Vec<String> {
    report.evicted.iter().map(|e| e.key.to_string()).collect()
}

#[test]
fn the_default_takes_only_what_no_result_refers_to() {
    let f = Fixture::new();
    aged(&f.store, "old", b"old", 1.0, 100);
    aged(&f.store, "lost", b"lost!", 1.0, 100);
    fs_err::remove_file(record_path(&f.store, "lost")).unwrap();
    let report = f.store.gc(&GcPolicy::default()).unwrap();
    assert_eq!((report.blobs, report.blob_bytes, report.kept_records, report.kept_bytes), (1, 5, 1, 3));
    assert!(is_hit(&f.store, "old") && report.evicted.is_empty());
    // Bytes of a crashed publish that are young stay.
    let young = publish(&f.store, "young", b"young").record.outputs["out"];
    fs_err::remove_file(record_path(&f.store, "young")).unwrap();
    assert_eq!(f.store.gc(&GcPolicy::default()).unwrap().blobs, 0);
    assert!(blob_path(&f.store, &young).exists());
}

#[test]
fn age_spares_pinned_used_looked_up_and_young_results() {
    let f = Fixture::new();
    for name in ["pinned", "used", "used long ago", "looked up", "forgotten"] {
        aged(&f.store, name, name.as_bytes(), 1.0, 40);
    }
    publish(&f.store, "young", b"young");
    f.store.pin("paper", &[key("pinned")]).unwrap();
    assert_eq!(f.store.pins().unwrap(), ["paper"]);
    for (run, used) in [("2026-01", "used long ago"), ("2026-02", "used"), ("2026-03-no-list", "")] {
        let dir = f.store.runs_dir().join(run);
        fs_err::create_dir_all(&dir).unwrap();
        if !used.is_empty() {
            fs_err::write(dir.join("used.json"), serde_json::to_string(&[key(used)]).unwrap()).unwrap();
        }
    }
    assert!(is_hit(&f.store, "looked up"), "a lookup counts as a use");

    let policy = GcPolicy { max_age: Some(DAY * 30), keep_runs: 1, ..GcPolicy::default() };
    let before = snapshot(f.store.root());
    let planned = f.store.gc(&GcPolicy { dry_run: true, ..policy }).unwrap();
    assert_eq!(snapshot(f.store.root()), before, "a dry run changes nothing");
    let report = f.store.gc(&policy).unwrap();
    assert_eq!(names_of(&planned), names_of(&report));
    assert_eq!((planned.blobs, planned.freed_bytes()), (report.blobs, report.freed_bytes()));
    assert_eq!(report.evicted.len(), 2);
    for name in ["pinned", "used", "looked up", "young"] {
        assert!(is_hit(&f.store, name), "{name}");
    }
    for name in ["used long ago", "forgotten"] {
        assert!(!is_hit(&f.store, name) && !record_path(&f.store, name).exists(), "{name}");
    }
    assert!(f.store.verify(&mut |_| {}).unwrap().is_clean());

    assert!(f.store.unpin("paper").unwrap() && !f.store.unpin("paper").unwrap());
    make_older(&record_path(&f.store, "pinned"), DAY * 40);
    assert_eq!(names_of(&f.store.gc(&policy).unwrap()), [key("pinned").to_string()]);
}

fn snapshot(root: &Path) -> BTreeMap<String, (SystemTime, Vec<u8>)> {
    let read = |p: &Path| (fs_err::metadata(p).unwrap().modified().unwrap(), fs_err::read(p).unwrap());
    files_below(root).iter().map(|p| (p.display().to_string(), read(p))).collect()
}

#[test]
fn size_takes_bulky_and_cheap_results_first() {
    let f = Fixture::new();
    aged(&f.store, "bulky cheap", &[1; 1000], 1.0, 2);
    aged(&f.store, "bulky dear", &[2; 1000], 1000.0, 2);
    aged(&f.store, "small cheap", &[3; 10], 1.0, 2);
    aged(&f.store, "shared 1", &[4; 500], 0.001, 2);
    aged(&f.store, "shared 2", &[4; 500], 900.0, 2);
    let policy = GcPolicy { max_bytes: Some(1520), ..GcPolicy::default() };
    let report = f.store.gc(&policy).unwrap();
    // `shared 1` has the worst ratio, but its bytes stay for `shared 2`: taking it would free nothing.
    assert_eq!(names_of(&report), [key("bulky cheap").to_string()]);
    assert_eq!((report.blob_bytes, report.kept_bytes), (1000, 1510));
    assert_eq!(report.evicted[0].reason, EvictionReason::Size);
    let none = GcPolicy { max_bytes: Some(0), ..GcPolicy::default() };
    f.store.pin("p", &[key("small cheap")]).unwrap();
    let report = f.store.gc(&none).unwrap();
    assert_eq!((report.kept_records, report.kept_bytes), (1, 10), "{report:?}");
    assert!(is_hit(&f.store, "small cheap"));
}

#[test]
fn folders_live_and_die_with_all_their_files() {
    let f = Fixture::new();
    let tree = publish_folder(&f.store, "t", &[("a", b"1"), ("b", b"22")]);
    f.store.fetch(&tree).unwrap();
    let all = GcPolicy {
        max_age: Some(Duration::ZERO),
        grace: Duration::ZERO,
        keep_runs: 0,
        ..GcPolicy::default()
    };
    f.store.pin("p", &[key("t")]).unwrap();
    let report = f.store.gc(&all).unwrap();
    assert_eq!((report.blobs, report.trees), (0, 0));
    f.reopen().fetch(&tree).unwrap();
    f.store.unpin("p").unwrap();
    let report = f.store.gc(&all).unwrap();
    assert_eq!((report.blobs, report.trees, report.kept_bytes), (3, 1, 0));
    assert!(files_below(&f.store.root().join("cas")).is_empty());
    assert!(f.store.fetch(&tree).unwrap_err().needs_recompute());
}

#[test]
fn a_store_in_use_is_left_alone_and_a_broken_pin_stops_collection() {
    let f = Fixture::new();
    let in_use = f.store.use_shared().unwrap();
    let second = f.reopen().use_shared().unwrap();
    let error = f.reopen().gc(&GcPolicy::default()).unwrap_err();
    assert!(error.to_string().contains("a run is using this store"), "{error}");
    drop((in_use, second));
    f.store.gc(&GcPolicy::default()).unwrap();
    f.store.pin("p", &[]).unwrap();
    fs_err::write(f.store.root().join("pins/p.json"), "[\"zz\"]").unwrap();
    assert!(matches!(f.store.gc(&GcPolicy::default()), Err(StoreError::Unsupported { .. })));
    assert!(matches!(f.store.pin("../x", &[]), Err(StoreError::BadName { .. })));
}

#[test]
fn dead_temporary_folders_locks_and_damaged_records_go() {
    let f = Fixture::new();
    let root = f.store.root();
    let sandbox = f.store.sandbox().unwrap();
    let live = sandbox.path().parent().unwrap().file_name().unwrap().to_str().unwrap();
    let (prefix, _) = live.rsplit_once('-').unwrap();
    let dead = root.join("tmp").join(format!("{prefix}-99"));
    crate::common::write(&dead.join(".alive"), b"");
    crate::common::write(&dead.join("0/big"), &[0; 100]);
    let newborn = root.join("tmp").join(format!("{prefix}-98"));
    fs_err::create_dir_all(&newborn).unwrap();
    let elsewhere = root.join("tmp/other-host-1-2-3");
    crate::common::write(&elsewhere.join(".alive"), b"");
    fs_err::write(root.join("locks").join(key("stale").to_string()), "").unwrap();
    let _held = f.store.lock(&key("held"), &mut || {}, &|| false).unwrap().unwrap();
    publish(&f.store, "bad", b"bad");
    crate::common::tamper(&record_path(&f.store, "bad"), |bytes| bytes.truncate(50));

    let report = f.store.gc(&GcPolicy { dry_run: true, ..GcPolicy::default() }).unwrap();
    assert_eq!(
        (report.workspaces, report.workspace_bytes, report.locks, report.evicted.len()),
        (1, 100, 1, 1)
    );
    assert!(dead.exists());
    let again = f.store.gc(&GcPolicy::default()).unwrap();
    assert_eq!((again.workspaces, again.locks, again.evicted.len()), (1, 1, 1));
    assert_eq!(again.evicted[0].reason, EvictionReason::Damaged);
    assert!(!dead.exists() && newborn.exists() && elsewhere.exists() && sandbox.path().exists());
    assert!(root.join("locks").join(key("held").to_string()).exists());
}
