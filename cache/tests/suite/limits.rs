//! Stores that cannot be written to, and disks that are full: said clearly, nothing half-written.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::{
    Fixture, files_below, in_shell, is_hit, key, lookup, publish, publish_folder, role, start, try_publish,
};
use celldag_cache::{Durability, Options, Store, StoreError};

const LARGE: usize = 3 << 20;

#[test]
fn child() {
    let Some((role, dir)) = role() else { return };
    match role.as_str() {
        "full" => full(&dir),
        "read-only" => read_only(&dir),
        other => panic!("role {other}"),
    }
}

/// In a process or on a disk with room for a few hundred kilobytes.
fn full(dir: &Path) {
    let store = Store::open(dir, Options::default()).unwrap();
    publish(&store, "small", b"small");
    // The output fits nowhere: not even the step can write it.
    let sandbox = store.sandbox().unwrap();
    assert!(fs_err::write(sandbox.path().join("out"), vec![1; LARGE]).is_err());
    drop(sandbox);
    // The output exists elsewhere, and copying it into the store hits the limit.
    let big = std::env::var_os("CELLDAG_CACHE_TEST_BIG").unwrap();
    let outputs = [("out".to_owned(), big.into())].into();
    let error = store
        .publish(&key("big"), &crate::common::action("big"), &outputs, crate::common::meta(1.0))
        .unwrap_err();
    assert!(error.is_out_of_space() && !error.is_not_writable(), "{error:?}");
    assert!(error.to_string().contains("cache gc"), "{error}");

    assert!(!is_hit(&store, "big") && is_hit(&store, "small"));
    let report = store.verify(&mut |_| {}).unwrap();
    assert!(report.is_clean() && report.blobs == 1 && report.complete == 1, "{report:?}");
    // It goes on working as far as there is room, with nothing left over from the failure.
    publish(&store, "another", b"another");
    let left: Vec<_> = files_below(&dir.join("tmp"));
    assert!(left.iter().all(|p| p.ends_with(".alive")), "{left:?}");
    println!("full disk handled");
}

fn big_file(f: &Fixture) -> std::path::PathBuf {
    let path = f.path("big");
    fs_err::write(&path, vec![1; LARGE]).unwrap();
    path
}

fn assert_handled(output: &Output, what: &str) {
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains(what), "{text}\n{errors}");
}

#[cfg(unix)]
#[test]
fn a_file_size_limit_is_out_of_space() {
    let f = Fixture::new();
    let command = start("limits", "full", &f.path("limited"));
    // Ignoring the signal turns it into an error of the write.
    let mut shell = in_shell("trap '' XFSZ; ulimit -f 1000; exec \"$@\"", &command);
    let output = shell.env("CELLDAG_CACHE_TEST_BIG", big_file(&f)).output().unwrap();
    assert_handled(&output, "full disk handled");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_out_of_space() {
    let f = Fixture::new();
    let mount = f.path("disk");
    fs_err::create_dir(&mount).unwrap();
    let namespace = |script: &str, command: &Command| {
        let inner = in_shell(script, command);
        let mut outer = Command::new("unshare");
        outer.args(["--mount", "--map-root-user"]).arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            outer.env(name, value.unwrap_or_default());
        }
        outer.env("DISK", &mount);
        outer
    };
    let mount_it = "mount -t tmpfs -o size=1m tmpfs \"$DISK\"";
    if !namespace(mount_it, &Command::new("true")).status().is_ok_and(|s| s.success()) {
        println!("SKIP: this system lets nobody mount a small disk");
        return;
    }
    let command = start("limits", "full", &mount.join("store"));
    let mut outer = namespace(&format!("{mount_it} && exec \"$@\""), &command);
    let output = outer.env("CELLDAG_CACHE_TEST_BIG", big_file(&f)).output().unwrap();
    assert_handled(&output, "full disk handled");
}

/// With a store that somebody else filled and that this process may only read.
fn read_only(dir: &Path) {
    let store = Store::open(dir, Options { durability: Durability::Full }).unwrap();
    let _in_use = store.use_shared().unwrap();
    let record = lookup(&store, "file").hit().unwrap();
    let path = store.fetch(&record.outputs["out"]).unwrap();
    assert_eq!(fs_err::read(path).unwrap(), b"hello");
    let tree = lookup(&store, "folder").hit().unwrap().outputs["out"];
    assert_eq!(fs_err::read(store.fetch(&tree).unwrap().join("x")).unwrap(), b"1");
    // The digest of a file is known, even if it cannot be remembered.
    assert_eq!(
        store.digest_path(&dir.join("FORMAT"), None).unwrap().0,
        celldag_cache::digest_file(&dir.join("FORMAT")).unwrap().0
    );
    assert!(store.failure(&key("file")).unwrap().is_none());
    store.stats().unwrap();

    for error in [
        store.sandbox().map(|_| ()).unwrap_err(),
        try_publish(&store, "new", b"new").map(|_| ()).unwrap_err(),
        store.pin("p", &[]).unwrap_err(),
        store.lock(&key("new"), &mut || {}, &|| false).map(|_| ()).unwrap_err(),
    ] {
        assert!(error.is_not_writable() && !error.is_out_of_space(), "{error:?}");
        assert!(error.to_string().contains(&*dir.display().to_string()), "{error}");
    }
    println!("read-only store handled");
}

#[cfg(unix)]
#[test]
fn a_store_without_write_permission_serves_hits_and_says_why_it_cannot_store() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    let f = Fixture::new();
    publish(&f.store, "file", b"hello");
    let tree = publish_folder(&f.store, "folder", &[("x", b"1")]);
    f.store.fetch(&tree).unwrap();
    let root = f.store.root().to_path_buf();
    let set_mode =
        |path: &Path, mode| fs_err::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let set_all = |folder_mode, file_mode| {
        let mut stack = vec![root.clone()];
        while let Some(folder) = stack.pop() {
            set_mode(&folder, 0o755);
            for entry in fs_err::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { stack.push(path) } else { set_mode(&path, file_mode) }
            }
            set_mode(&folder, folder_mode);
        }
    };
    set_mode(f.dir.path(), 0o755);
    set_all(0o555, 0o444);

    // Permissions bind root no more than the law binds the king: as root, the test becomes nobody.
    let mut probe = Command::new("true");
    let is_root = probe.uid(65534).status().is_ok();
    let mut command = start("limits", "read-only", &root);
    let copy = f.path("program");
    if is_root {
        // A copy, since nobody may not be able to reach the folder of this program.
        fs_err::copy(std::env::current_exe().unwrap(), &copy).unwrap();
        set_mode(&copy, 0o755);
        let mut copied = Command::new(&copy);
        copied.args(command.get_args()).current_dir(f.dir.path());
        for (name, value) in command.get_envs() {
            copied.env(name, value.unwrap_or_default());
        }
        copied.uid(65534).gid(65534);
        command = copied;
    }
    let output = command.output().unwrap();
    set_all(0o755, 0o644);
    assert_handled(&output, "read-only store handled");
}

#[test]
fn folders_that_are_not_stores_are_refused_and_left_alone() {
    let f = Fixture::new();
    let open = |path: &Path| Store::open(path, Options::default());
    crate::common::write(&f.path("home/thesis.tex"), b"x");
    let error = open(&f.path("home")).unwrap_err();
    assert!(error.to_string().contains("thesis.tex"), "{error}");
    assert_eq!(files_below(&f.path("home")).len(), 1);
    assert!(open(&f.path("home/thesis.tex")).is_err());

    let format = f.store.root().join("FORMAT");
    let good = fs_err::read_to_string(&format).unwrap();
    fs_err::write(&format, good.replace(":1", ":2")).unwrap();
    assert!(matches!(open(f.store.root()), Err(StoreError::Format { found: 2, .. })));
    fs_err::write(&format, "torn").unwrap();
    assert!(matches!(open(f.store.root()), Err(StoreError::NotAStore { .. })));
    fs_err::write(&format, good).unwrap();
    assert_eq!(open(f.store.root()).unwrap().id(), f.store.id());
}
