use proptest::prelude::*;

use super::*;

fn write(root: &Path, name: &str, content: &[u8]) {
    let path = root.join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, content).unwrap();
}

#[test]
fn manifest_has_one_spelling() {
    let mut manifest = TreeManifest::default();
    let file = TreeFile { digest: Digest::of_bytes(b"x"), size: 1 };
    manifest.files.insert("b/ü \"q\".txt".into(), file);
    manifest.files.insert("a".into(), file);
    let bytes = manifest.to_bytes();
    assert_eq!(TreeManifest::from_bytes(&bytes).as_ref(), Some(&manifest));
    assert_ne!(manifest.digest(), Digest::of_bytes(&bytes));
    let spaced = String::from_utf8(bytes).unwrap().replace(':', ": ");
    assert_eq!(TreeManifest::from_bytes(spaced.as_bytes()), None);
    for evil in ["../a", "/etc/x", "a//b", "a/./b", "", "a\\b", "a/.."] {
        let evil = TreeManifest { files: [(evil.to_owned(), file)].into() };
        assert_eq!(TreeManifest::from_bytes(&evil.to_bytes()), None);
    }
}

#[test]
fn hidden_files_empty_folders_and_place_do_not_count() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for root in [a.path(), b.path()] {
        write(root, "config.json", b"{}");
        write(root, "weights/w.bin", b"1234");
    }
    write(b.path(), ".DS_Store", b"x");
    write(b.path(), ".git/config", b"x");
    fs_err::create_dir_all(b.path().join("empty/empty")).unwrap();
    let (digest, size) = digest_tree(a.path(), None).unwrap();
    assert_eq!(size, 6);
    assert_eq!(digest_tree(b.path(), None).unwrap().0, digest);
    write(b.path(), "weights/w.bin", b"1235");
    assert_ne!(digest_tree(b.path(), None).unwrap().0, digest);
}

#[test]
fn moving_bytes_between_names_changes_the_digest() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a", b"1");
    write(root.path(), "b", b"2");
    let before = digest_tree(root.path(), None).unwrap().0;
    write(root.path(), "a", b"2");
    write(root.path(), "b", b"1");
    assert_ne!(digest_tree(root.path(), None).unwrap().0, before);
}

#[test]
fn lists_may_repeat_and_name_files_beside_the_folder() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), "a/x", b"1");
    write(root.path(), "b", b"2");
    write(root.path(), "unused", b"3");
    let one = [PathBuf::from("b"), PathBuf::from("a/x")];
    let two = [PathBuf::from("./a/x"), PathBuf::from("b"), PathBuf::from("a/x")];
    let digest = digest_tree(root.path(), Some(&one)).unwrap();
    assert_eq!(digest_tree(root.path(), Some(&two)).unwrap(), digest);
    assert_ne!(digest_tree(root.path(), None).unwrap(), digest);
    let beside = [PathBuf::from("b"), PathBuf::from("../unused")];
    let (from_within, _) =
        digest_tree(&root.path().join("a"), Some(&[PathBuf::from("x"), PathBuf::from("../b")])).unwrap();
    assert_ne!(from_within, digest.0, "names are part of the digest");
    assert!(
        digest_tree(root.path(), Some(&beside)).unwrap_err().is_not_found(),
        "there is no such file beside"
    );
    for bad in ["a/../b", "/etc/passwd", ""] {
        let error = digest_tree(root.path(), Some(&[PathBuf::from(bad)])).unwrap_err();
        assert!(matches!(error, StoreError::Unsupported { .. }), "{error}");
    }
    assert!(digest_tree(root.path(), Some(&[PathBuf::from("gone")])).unwrap_err().is_not_found());
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_circles_are_refused() {
    let (root, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(root.path(), "real/x", b"1");
    std::os::unix::fs::symlink(other.path(), root.path().join("linked")).unwrap();
    write(other.path(), "y", b"2");
    let flat = tempfile::tempdir().unwrap();
    write(flat.path(), "real/x", b"1");
    write(flat.path(), "linked/y", b"2");
    assert_eq!(digest_tree(root.path(), None).unwrap(), digest_tree(flat.path(), None).unwrap());

    std::os::unix::fs::symlink(root.path(), root.path().join("real/up")).unwrap();
    let error = digest_tree(root.path(), None).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn order_of_creation_and_listing_does_not_matter(
        files in proptest::collection::btree_map("[a-c]/[a-d]{1,3}", proptest::collection::vec(any::<u8>(), 0..50), 1..8),
        seed in any::<u64>(),
    ) {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut names: Vec<_> = files.keys().cloned().collect();
        for name in &names {
            write(a.path(), name, &files[name]);
        }
        names.sort_by_key(|name| Digest::of_bytes(format!("{seed}{name}").as_bytes()));
        for name in &names {
            write(b.path(), name, &files[name]);
        }
        let list: Vec<_> = names.iter().map(PathBuf::from).collect();
        let expected = digest_tree(a.path(), None).unwrap();
        prop_assert_eq!(digest_tree(b.path(), None).unwrap(), expected);
        prop_assert_eq!(digest_tree(b.path(), Some(&list)).unwrap(), expected);

        // Any change of a name or a byte shows.
        let name = &names[0];
        let mut content = files[name].clone();
        content.push(0);
        write(b.path(), name, &content);
        prop_assert_ne!(digest_tree(b.path(), None).unwrap().0, expected.0);
        fs_err::remove_file(b.path().join(name)).unwrap();
        write(b.path(), &format!("{name}_"), &files[name]);
        prop_assert_ne!(digest_tree(b.path(), None).unwrap().0, expected.0);
    }

    #[test]
    fn any_text_that_reads_as_a_manifest_is_its_spelling(text in "\\PC{0,80}") {
        prop_assert!(TreeManifest::from_bytes(text.as_bytes()).is_none_or(|m| m.to_bytes() == text.as_bytes()));
    }

    #[test]
    fn manifests_come_back(names in proptest::collection::btree_set("[^/\\\\\\x00]{1,8}(/[^/\\\\\\x00]{1,8}){0,2}", 0..6)) {
        let file = TreeFile { digest: Digest::of_bytes(b"x"), size: 1 };
        let manifest = TreeManifest { files: names.into_iter().filter(|n| is_plain_relative(n)).map(|n| (n, file)).collect() };
        prop_assert_eq!(TreeManifest::from_bytes(&manifest.to_bytes()), Some(manifest));
    }
}
