//! Results at paths of the user: independent copies, complete or not there, foreign files untouched.

use std::time::{Duration, SystemTime};

use crate::common::{Fixture, files_below, publish, publish_folder, write};
use celldag_cache::{Artifact, Digest, StoreError};

#[test]
fn a_copy_is_independent_writable_and_written_once() {
    let f = Fixture::new();
    let artifact = publish(&f.store, "a", b"hello").record.outputs["out"];
    let dest = f.path("results/deep/a.txt");
    assert!(f.store.materialize(&artifact, &dest).unwrap().written);
    assert!(!f.store.materialize(&artifact, &dest).unwrap().written);
    assert!(!f.reopen().materialize(&artifact, &dest).unwrap().written);
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let meta = fs_err::metadata(&dest).unwrap();
        assert_eq!((meta.mode() & 0o777, meta.nlink()), (0o644, 1));
    }
    let file = fs_err::OpenOptions::new().write(true).open(&dest).unwrap();
    file.file().set_modified(SystemTime::now() - Duration::from_secs(10)).unwrap();
    fs_err::write(&dest, "HELLO").unwrap();
    assert_eq!(fs_err::read(f.reopen().fetch(&artifact).unwrap()).unwrap(), b"hello");
    // Same size, other bytes: written again.
    assert!(f.store.materialize(&artifact, &dest).unwrap().written);
    assert_eq!(fs_err::read(&dest).unwrap(), b"hello");
    assert_eq!(files_below(&f.path("results")), [dest]);
}

#[cfg(unix)]
#[test]
fn a_link_in_the_place_of_the_result_is_replaced_and_its_target_stays() {
    let f = Fixture::new();
    let artifact = publish(&f.store, "a", b"hello").record.outputs["out"];
    let (dest, target) = (f.path("out"), f.path("precious"));
    write(&target, b"precious");
    std::os::unix::fs::symlink(&target, &dest).unwrap();
    assert!(f.store.materialize(&artifact, &dest).unwrap().written);
    assert!(!fs_err::symlink_metadata(&dest).unwrap().is_symlink());
    assert_eq!(fs_err::read(target).unwrap(), b"precious");
}

#[test]
fn folder_in_the_place_of_a_file_and_the_other_way_round_are_refused() {
    let f = Fixture::new();
    let file = publish(&f.store, "a", b"hello").record.outputs["out"];
    let tree = publish_folder(&f.store, "t", &[("x", b"1")]);
    write(&f.path("folder/keep"), b"keep");
    write(&f.path("file"), b"keep");
    let refused =
        |a: &Artifact, p| matches!(f.store.materialize(a, &f.path(p)), Err(StoreError::Occupied { .. }));
    assert!(refused(&file, "folder") && refused(&tree, "file"));
    assert_eq!(fs_err::read(f.path("folder/keep")).unwrap(), b"keep");
    assert_eq!(fs_err::read(f.path("file")).unwrap(), b"keep");
}

#[test]
fn a_folder_follows_its_result_and_leaves_files_of_others_alone() {
    let f = Fixture::new();
    let one =
        publish_folder(&f.store, "1", &[("a", b"1"), ("old", b"old"), ("edited", b"ours"), ("sub/x", b"x")]);
    let two = publish_folder(&f.store, "2", &[("a", b"2"), ("sub/x", b"x"), ("sub/y", b"y")]);
    let dest = f.path("out");
    assert!(f.store.materialize(&one, &dest).unwrap().written);
    assert!(!f.store.materialize(&one, &dest).unwrap().written);
    write(&dest.join("notes.txt"), b"mine");
    write(&dest.join("edited"), b"mine");
    assert!(f.reopen().materialize(&two, &dest).unwrap().written);
    let names: Vec<_> =
        files_below(&dest).iter().map(|p| p.strip_prefix(&dest).unwrap().to_owned()).collect();
    let expected = ["a", "edited", "notes.txt", "sub/x", "sub/y"];
    assert_eq!(names, expected.map(std::path::PathBuf::from));
    assert_eq!(fs_err::read(dest.join("a")).unwrap(), b"2");
    assert_eq!(fs_err::read(dest.join("edited")).unwrap(), b"mine");
    assert!(!f.store.materialize(&two, &dest).unwrap().written);
}

#[test]
fn damaged_bytes_reach_no_user() {
    let f = Fixture::new();
    let artifact = publish(&f.store, "a", b"hello").record.outputs["out"];
    crate::common::tamper(&crate::common::blob_path(&f.store, &artifact), |bytes| bytes[0] = b'j');
    let dest = f.path("out");
    write(&dest, b"before");
    assert!(f.reopen().materialize(&artifact, &dest).unwrap_err().needs_recompute());
    assert_eq!(fs_err::read(&dest).unwrap(), b"before");
    let never = Artifact { digest: Digest::of_bytes(b"never"), size: 5, tree: true };
    assert!(f.store.materialize(&never, &f.path("tree")).unwrap_err().needs_recompute());
    assert!(!f.path("tree").exists());
}
