//! Whoever stops waits for no end of a large file, finds nothing half done, and can go on later.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use celldag_cache::{Artifact, Lookup, Result, Store, StoreError};

use crate::common::{
    Fixture, action, blob_path, files_below, key, lookup, meta, publish, publish_folder, write,
};

/// A hole: it takes no space, and many pieces to hash or to copy. Larger than what is published although somebody stops.
fn hole(path: &Path) {
    fs_err::File::create(path).unwrap().set_len(5 << 30).unwrap();
}

/// A handle that gives up when it is asked for the `n`th time, and how often it was asked.
fn until(store: &Store, n: usize) -> (Store, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    (store.until(move || counted.fetch_add(1, Ordering::Relaxed) + 1 >= n), asked)
}

/// It gave up, and at once.
fn gave_up<T: std::fmt::Debug>(result: &Result<T>, (asked, n): (&AtomicUsize, usize)) {
    assert!(matches!(result, Err(StoreError::Cancelled { .. })), "{result:?}");
    assert_eq!(asked.load(Ordering::Relaxed), n, "how often it was asked");
}

/// Nothing is there but what holds the workspaces.
fn only_locks(store: &Store) {
    assert!(files_below(&store.root().join("tmp")).iter().all(|path| path.ends_with(".alive")));
}

#[test]
fn publishing_a_large_output_that_is_moved_or_copied() {
    let f = Fixture::new();
    let (store, asked) = until(&f.store, 3);
    let sandbox = store.sandbox().unwrap();
    let inside = sandbox.path().join("out");
    hole(&inside);
    let outputs = BTreeMap::from([("out".to_owned(), inside)]);
    gave_up(&store.publish(&key("a"), &action("a"), &outputs, meta(1.0)), (&asked, 3));

    // What lies elsewhere is copied: asked before the copy, and within or after it.
    let (store, asked) = until(&f.store, 2);
    hole(&f.path("outside"));
    let outputs = BTreeMap::from([("out".to_owned(), f.path("outside"))]);
    gave_up(&store.publish(&key("a"), &action("a"), &outputs, meta(1.0)), (&asked, 2));

    drop(sandbox);
    only_locks(&f.store);
    assert!(matches!(lookup(&f.store, "a"), Lookup::Miss(_)));
    assert!(files_below(&f.store.root().join("cas")).is_empty());
}

#[test]
fn publishing_a_folder_of_many_small_files() {
    let f = Fixture::new();
    let (store, asked) = until(&f.store, 4);
    let sandbox = store.sandbox().unwrap();
    let out = sandbox.path().join("out");
    (0..50).for_each(|i| write(&out.join(i.to_string()), &[i]));
    hole(&out.join("last"));
    let outputs = BTreeMap::from([("out".to_owned(), out)]);
    gave_up(&store.publish(&key("a"), &action("a"), &outputs, meta(1.0)), (&asked, 4));
    assert!(matches!(lookup(&f.store, "a"), Lookup::Miss(_)));
    drop(sandbox);

    // The same work, done again by somebody who has time.
    let files: Vec<(String, [u8; 1])> = (0..50).map(|i| (i.to_string(), [i])).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    publish_folder(&f.store, "a", &files);
    assert!(matches!(lookup(&f.store, "a"), Lookup::Hit(_)));
    assert!(f.store.verify(&mut |_| {}).unwrap().is_clean());
}

/// They may have taken hours, and are stored in a moment.
#[test]
fn small_outputs_are_published_all_the_same() {
    let f = Fixture::new();
    let store = f.store.until(|| true);
    let file = publish(&store, "f", &[0xff; 1024]).record.outputs["out"];
    publish_folder(&store, "t", &[("a", b"1"), ("deep/b", &[0xff; 64])]);
    // What lies elsewhere is copied.
    write(&f.path("outside"), &[0xfe; 1024]);
    let outputs = BTreeMap::from([("out".to_owned(), f.path("outside"))]);
    store.publish(&key("o"), &action("o"), &outputs, meta(1.0)).unwrap();
    assert!(["f", "t", "o"].iter().all(|name| matches!(lookup(&f.store, name), Lookup::Hit(_))));
    assert!(f.store.verify(&mut |_| {}).unwrap().is_clean());
    let put = store.materialize(&file, &f.path("put"));
    assert!(matches!(put, Err(StoreError::Cancelled { .. })), "they can be put there later: {put:?}");
}

#[test]
fn checking_stored_bytes_at_their_first_use() {
    let f = Fixture::new();
    let artifact = publish(&f.store, "a", b"hello").record.outputs["out"];
    let blob = blob_path(&f.store, &artifact);
    fs_err::remove_file(&blob).unwrap();
    hole(&blob);
    let (store, asked) = until(&f.reopen(), 3);
    gave_up(&store.fetch(&artifact), (&asked, 3));
    assert!(blob.exists(), "nobody knows yet that it is damaged");
    fs_err::remove_file(&blob).unwrap();
    write(&blob, b"hello");
    assert!(store.fetch(&artifact).is_err(), "this handle has given up");
    assert_eq!(fs_err::read(f.reopen().fetch(&artifact).unwrap()).unwrap(), b"hello");
}

#[test]
fn rebuilding_and_checking_a_stored_folder() {
    let f = Fixture::new();
    let tree = publish_folder(&f.store, "t", &[("a", b"1"), ("b", b"2"), ("c", b"3")]);
    let (store, asked) = until(&f.reopen(), 2);
    gave_up(&store.fetch(&tree), (&asked, 2));
    only_locks(&store);
    assert!(files_below(&f.store.root().join("trees")).is_empty());
    let dir = f.store.fetch(&tree).unwrap();
    // Copies, which have to be hashed to be known.
    for name in ["a", "b", "c"] {
        let bytes = fs_err::read(dir.join(name)).unwrap();
        fs_err::remove_file(dir.join(name)).unwrap();
        write(&dir.join(name), &bytes);
    }
    let (store, asked) = until(&f.reopen(), 2);
    gave_up(&store.fetch(&tree), (&asked, 2));
    assert_eq!(f.reopen().fetch(&tree).unwrap(), dir);
}

#[test]
fn putting_results_at_paths_of_the_user() {
    let f = Fixture::new();
    let file = publish(&f.store, "f", b"hello").record.outputs["out"];
    let tree = publish_folder(&f.store, "t", &[("a", b"1"), ("b", b"2"), ("c", b"3")]);
    let other = publish_folder(&f.store, "o", &[("a", b"1"), ("b", b"3"), ("c", b"2")]);
    let put = |artifact: &Artifact, name: &str, n: usize| {
        // Their bytes are known to be good, so that only copies and what is there are asked about.
        let (store, asked) = until(&f.store, n);
        gave_up(&store.materialize(artifact, &f.path("results").join(name)), (&asked, n));
    };
    put(&file, "file", 1);
    put(&tree, "tree", 2);
    assert_eq!(fs_err::read_dir(f.path("results")).unwrap().count(), 0, "nothing is left");

    // Of the same size, so that it has to be read.
    write(&f.path("results/file"), b"HELLO");
    put(&file, "file", 1);
    assert_eq!(fs_err::read(f.path("results/file")).unwrap(), b"HELLO");
    f.store.materialize(&tree, &f.path("results/tree")).unwrap();
    put(&other, "tree", 2);
    let left = files_below(&f.path("results"));
    assert_eq!(left, ["file", "tree/a", "tree/b", "tree/c"].map(|name| f.path("results").join(name)));
    assert!(f.store.materialize(&other, &f.path("results/tree")).unwrap().written);
    assert_eq!(fs_err::read(f.path("results/tree/b")).unwrap(), b"3");
}
