//! What killed processes leave beside files of the user goes with the next who writes there; what living ones have there stays.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime};

use celldag_cache::Beside;

use crate::common::{Fixture, files_below, open, publish, publish_folder, role, start, write};

#[test]
fn child() {
    let Some((_, dir)) = role() else { return };
    let beside = Beside::create(&dir).unwrap();
    write(&beside.fresh_path(), b"half");
    println!("at work");
    std::thread::sleep(Duration::from_secs(60));
}

/// A process that is in the middle of putting something into `folder`.
fn at_work(folder: &Path) -> Child {
    fs_err::create_dir_all(folder).unwrap();
    let mut process = start("beside", "hold", folder).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.is_ok_and(|line| line.ends_with("at work"))));
    process
}

fn kill(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

fn hidden(folder: &Path) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> =
        fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    all.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with(".celldag~"));
    all
}

#[test]
fn the_next_who_writes_there_deletes_what_the_dead_left_and_nothing_of_the_living() {
    let f = Fixture::new();
    let folder = f.path("results");
    let (killed, alive) = (at_work(&folder), at_work(&folder));
    kill(killed);
    assert_eq!(hidden(&folder).len(), 2);
    // A store that the dead one knew nothing of, as that of the next step without a cache.
    let artifact = publish(&f.store, "a", b"hello").record.outputs["out"];
    f.store.materialize(&artifact, &folder.join("a")).unwrap();
    let left = hidden(&folder);
    assert_eq!(left.len(), 1);
    assert_eq!(files_below(&left[0]).len(), 2, "its lock and its file");
    kill(alive);
    // Also if the result is there already.
    assert!(!f.reopen().materialize(&artifact, &folder.join("a")).unwrap().written);
    assert_eq!(files_below(&folder), [folder.join("a")]);
}

#[test]
fn inside_a_folder_that_is_a_result_too() {
    let f = Fixture::new();
    let folder = f.path("tree");
    let tree = publish_folder(&f.store, "t", &[("a", b"1"), ("deep/b", b"2")]);
    f.store.materialize(&tree, &folder).unwrap();
    let (killed, alive) = (at_work(&folder.join("deep")), at_work(&folder));
    kill(killed);
    let other = publish_folder(&f.store, "o", &[("a", b"2")]);
    assert!(f.reopen().materialize(&other, &folder).unwrap().written);
    let mut left = files_below(&folder);
    left.retain(|path| !path.starts_with(&hidden(&folder)[0]));
    assert_eq!(left, [folder.join("a")]);
    let digest = |path: &Path| celldag_cache::digest_tree(path, None).unwrap().0;
    assert_eq!(digest(&folder), other.digest, "what is on its way is no part of the folder");
    kill(alive);
}

/// Folders that are ours by their names, a week old, with a lock that nobody holds.
fn left(path: &Path) -> PathBuf {
    write(&path.join(".alive"), b"");
    write(&path.join("0"), b"half");
    aged(path);
    path.to_owned()
}

fn aged(path: &Path) {
    let then = SystemTime::now() - Duration::from_secs(8 * 24 * 3600);
    fs_err::File::open(path).unwrap().file().set_modified(then).unwrap();
}

/// A name as this process would give it.
fn name(number: u32) -> String {
    let f = Fixture::new();
    let beside = Beside::create(f.dir.path()).unwrap();
    let ours = hidden(f.dir.path())[0].file_name().unwrap().to_string_lossy().into_owned();
    drop(beside);
    format!("{}-{number}", ours.rsplit_once('-').unwrap().0)
}

#[test]
fn what_is_not_surely_dead_and_ours_stays() {
    let f = Fixture::new();
    let folder = f.path("results");
    let ours = |number: u32| folder.join(name(1000 + number));
    let dead = left(&ours(0));
    // Killed while they were born.
    let (empty, half) = (ours(1), ours(2));
    fs_err::create_dir(&empty).unwrap();
    write(&half.join(".alive-new"), b"");
    [&empty, &half].into_iter().for_each(|path| aged(path));

    // Another machine: its locks may not reach us.
    let mut stay = vec![left(&folder.join(".celldag~elsewhere-1-abc-0"))];
    // Of somebody else.
    stay.extend(
        ["notes", "notes-1-2", "a-1-2-3.old"].map(|name| left(&folder.join(format!(".celldag~{name}")))),
    );
    // Without a lock file, and perhaps just being born; not empty; one of a user.
    let (young, full) = (ours(3), ours(4));
    fs_err::create_dir(&young).unwrap();
    write(&full.join("0"), b"data");
    aged(&full);
    stay.extend([young, full]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        // Others may have put anything into it.
        let open = left(&ours(5));
        fs_err::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
        // Links that lead to what is not ours.
        let victim = left(&f.path("victim"));
        symlink(&victim, ours(6)).unwrap();
        let linked = ours(7);
        write(&linked.join("0"), b"data");
        symlink(victim.join(".alive"), linked.join(".alive")).unwrap();
        aged(&linked);
        stay.extend([open, victim, ours(6), linked]);
        let foreign = left(&ours(8));
        match std::os::unix::fs::chown(&foreign, Some(4711), None) {
            Ok(()) => stay.push(foreign),
            Err(e) => println!("SKIPPED: a folder of another user cannot be made here: {e}"),
        }
    }
    let before: Vec<_> = stay.iter().map(|path| files_below(path)).collect();
    drop(Beside::create(&folder).unwrap());
    for gone in [dead, empty, half] {
        assert!(!gone.exists(), "{}", gone.display());
    }
    for (path, before) in stay.iter().zip(before) {
        assert!(path.exists() && files_below(path) == before, "{}", path.display());
    }
}

/// A folder of a user with such a name is content like any other.
#[test]
fn only_names_that_we_give_are_left_out_of_a_folder() {
    let f = Fixture::new();
    write(&f.path("tree/a"), b"1");
    let digest = || f.store.digest_path(&f.path("tree"), Some(&["a".into()])).unwrap();
    let tree = publish_folder(&f.store, "t", &[("a", b"1"), (".celldag~notes/b", b"2")]);
    f.store.materialize(&tree, &f.path("placed")).unwrap();
    assert!(f.path("placed/.celldag~notes/b").exists());
    assert_ne!(tree.digest, digest().0);
    let hidden = format!("{}/b", name(0));
    let without = publish_folder(&f.store, "w", &[("a", b"1"), (&hidden, b"2")]);
    assert_eq!(without.digest, digest().0);
}

/// Paths of sockets may have 107 bytes, and host names are long.
#[test]
fn a_store_in_it_adds_little_to_paths() {
    let f = Fixture::new();
    let beside = Beside::create(f.dir.path()).unwrap();
    let sandbox = open(&beside.path().join("store")).sandbox().unwrap();
    let (outer, inner) = (beside.path().as_os_str().len(), sandbox.path().as_os_str().len());
    assert!(inner < outer + "/store/tmp/".len() + 10, "{}", sandbox.path().display());
}

#[cfg(unix)]
#[test]
fn nobody_else_may_look_into_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let f = Fixture::new();
    let folder = f.path("results");
    fs_err::create_dir(&folder).unwrap();
    let beside = Beside::create(&folder).unwrap();
    let mode = fs_err::metadata(&hidden(&folder)[0]).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    write(&beside.fresh_path(), b"half");
    drop(beside);
    assert_eq!(fs_err::read_dir(&folder).unwrap().count(), 0);
}

/// Folders of projects hand their group down; what is put there belongs to it.
#[cfg(unix)]
#[test]
fn results_have_the_group_of_the_folder() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    const GROUP: u32 = 4711;
    let f = Fixture::new();
    let folder = f.path("project");
    fs_err::create_dir(&folder).unwrap();
    if let Err(e) = std::os::unix::fs::chown(&folder, None, Some(GROUP)) {
        println!("SKIPPED: no folder of another group can be made here: {e}");
        return;
    }
    fs_err::set_permissions(&folder, std::fs::Permissions::from_mode(0o2775)).unwrap();
    let file = publish(&f.store, "f", b"hello").record.outputs["out"];
    let tree = publish_folder(&f.store, "t", &[("a", b"1"), ("deep/b", b"2")]);
    f.store.materialize(&file, &folder.join("file")).unwrap();
    f.store.materialize(&tree, &folder.join("tree")).unwrap();
    for name in ["file", "tree", "tree/a", "tree/deep", "tree/deep/b"] {
        let meta = fs_err::metadata(folder.join(name)).unwrap();
        assert_eq!(meta.gid(), GROUP, "{name}");
        assert!(!meta.is_dir() || meta.mode() & 0o2000 != 0, "{name} hands its group down");
    }
}
