//! Finding, pinning and taking back single results.

use crate::common::{Fixture, is_hit, key, publish, tamper};
use celldag_cache::{GcPolicy, StoreError};

#[test]
fn a_key_is_found_by_its_first_digits() {
    let f = Fixture::new();
    for i in 0..20 {
        publish(&f.store, &i.to_string(), b"x");
    }
    let keys = f.store.keys().unwrap();
    assert_eq!(keys.len(), 20);
    let seventh = key("7").to_string();
    assert_eq!(f.store.find_key(&seventh[..12]).unwrap(), key("7"));
    assert_eq!(f.store.find_key(&seventh).unwrap(), key("7"));
    for (wanted, says) in [("abc", "six digits"), ("000000000000", "cache ls"), ("zzzzzz", "cache ls")] {
        let error = f.store.find_key(wanted).unwrap_err();
        assert!(matches!(error, StoreError::NoSuchKey { .. }) && error.to_string().contains(says), "{error}");
    }
}

#[test]
fn purging_takes_the_records_that_are_named_and_gc_their_bytes() {
    let f = Fixture::new();
    for name in ["good", "bad", "worse"] {
        publish(&f.store, name, name.as_bytes());
    }
    // Another host's, in a store that several share.
    let path = crate::common::record_path(&f.store, "bad");
    let host = f.store.record(&key("bad")).unwrap().unwrap().host;
    assert!(!host.is_empty(), "records say where they come from");
    let seen = std::cell::RefCell::new(Vec::new());
    let condemned = |record: &celldag_cache::Record| {
        seen.borrow_mut().push(record.key);
        record.host == host && [key("bad"), key("worse")].contains(&record.key)
    };
    let report = f.store.purge(&condemned, true).unwrap();
    assert_eq!(report.purged.len(), 2);
    assert!(path.exists() && is_hit(&f.store, "bad"), "only said");
    assert_eq!(f.store.purge(&condemned, false).unwrap().purged.len(), 2);
    assert!(is_hit(&f.store, "good") && !is_hit(&f.store, "bad") && !is_hit(&f.store, "worse"));
    let policy = GcPolicy { grace: std::time::Duration::ZERO, ..GcPolicy::default() };
    assert_eq!(f.store.gc(&policy).unwrap().blobs, 2);
    // A record that cannot be read says nothing about itself: verify and gc deal with it.
    tamper(&crate::common::record_path(&f.store, "good"), |bytes| bytes.truncate(40));
    assert!(f.store.purge(&|_| true, false).unwrap().purged.is_empty());
}

#[test]
fn a_store_in_use_is_not_purged() {
    let f = Fixture::new();
    publish(&f.store, "x", b"x");
    let _in_use = f.store.use_shared().unwrap();
    assert!(matches!(f.reopen().purge(&|_| true, false), Err(StoreError::InUse { .. })));
    assert!(is_hit(&f.store, "x"));
}

#[test]
fn the_keys_of_a_run_are_those_that_it_noted() {
    let f = Fixture::new();
    let run = f.store.runs_dir().join("2026-01-01-abc");
    let list = serde_json::to_vec(&[key("a"), key("b")]).unwrap();
    crate::common::write(&run.join("used.json"), &list);
    assert_eq!(f.store.used_by_run("2026-01-01-abc").unwrap(), [key("a"), key("b")]);
    assert!(f.store.used_by_run("2026-01-02").is_err());
}
