//! Temporary bytes of runs that were killed: known as such, there for the run that goes on, and gone after garbage collection.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use celldag_cache::{Artifact, GcPolicy, Store, Temporary};

use crate::common::{Fixture, action, blob_path, files_below, key, meta, publish, role, start, write};

/// Publishes the content as the temporary result of the action `name`.
fn make(store: &Store, note: &Temporary, name: &str, content: &[u8]) -> Artifact {
    let sandbox = store.sandbox().unwrap();
    let path = sandbox.path().join("out");
    write(&path, content);
    let outputs = BTreeMap::from([("out".to_owned(), path)]);
    let published = store.publish_temporary(&key(name), &action(name), &outputs, meta(1.0), note).unwrap();
    published.record.outputs["out"]
}

/// Makes temporary bytes for two actions, says so, and lives until it is killed.
#[test]
fn child() {
    let Some((role, dir)) = role() else { return };
    let store = crate::common::open(&dir);
    if role == "leases" {
        store.use_leases();
    }
    let note = store.temporary();
    make(&store, &note, "one", b"first");
    make(&store, &note, "two", b"second");
    println!("\nmade");
    std::thread::sleep(Duration::from_secs(60));
}

/// A run in another process that has made its bytes.
fn running(store: &Store, role: &str) -> Child {
    let mut process = start("temporary", role, store.root()).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.map(Result::unwrap).any(|line| line == "made"));
    process
}

fn kill(mut process: Child) {
    process.kill().unwrap();
    process.wait().unwrap();
}

fn artifact(store: &Store, name: &str) -> Artifact {
    store.record(&key(name)).unwrap().unwrap().outputs["out"]
}

/// Which of the two contents are there.
fn there(store: &Store) -> [bool; 2] {
    ["one", "two"].map(|name| blob_path(store, &artifact(store, name)).exists())
}

fn notes(store: &Store) -> usize {
    let locks = files_below(&store.root().join("locks"));
    let named = |path: &&std::path::PathBuf| path.to_string_lossy().contains("temporary-");
    files_below(&store.root().join("temporary")).len() + locks.iter().filter(named).count()
}

/// Collects garbage, however young.
fn collect(store: &Store) -> celldag_cache::GcReport {
    store.gc(&GcPolicy { grace: Duration::ZERO, ..GcPolicy::default() }).unwrap()
}

#[test]
fn a_living_run_is_left_alone_and_a_dead_one_to_collection() {
    for role in ["run", "leases"] {
        let f = Fixture::new();
        let process = running(&f.store, role);
        collect(&f.store);
        assert_eq!(there(&f.store), [true, true], "it lives");
        kill(process);
        expire_leases(&f.store);
        f.store.temporary().finish().unwrap();
        assert_eq!(
            there(&f.store),
            [true, true],
            "another run does not know whether somebody goes on with it"
        );
        collect(&f.store);
        assert_eq!((there(&f.store), notes(&f.store)), ([false, false], 0), "{role}");
        assert!(files_below(&f.store.root().join("cas")).is_empty());
    }
}

#[test]
fn garbage_collection_drops_them_when_their_results_need_not_stay_and_says_so() {
    let f = Fixture::new();
    publish(&f.store, "kept", b"young");
    kill(running(&f.store, "run"));
    assert_eq!(f.store.gc(&GcPolicy::default()).unwrap().blobs, 0, "they are young");
    let run = f.store.runs_dir().join("run");
    write(&run.join("used.json"), serde_json::to_string(&[key("one"), key("two")]).unwrap().as_bytes());
    assert_eq!(collect(&f.store).blobs, 0, "one of the last runs has them");
    fs_err::remove_dir_all(run).unwrap();
    let policy = |dry_run| GcPolicy { dry_run, grace: Duration::ZERO, ..GcPolicy::default() };
    let would = f.store.gc(&policy(true)).unwrap();
    assert_eq!((would.blobs, would.blob_bytes, would.kept_bytes), (2, 11, 5));
    assert_eq!(there(&f.store), [true, true], "nothing was done");
    let did = f.store.gc(&policy(false)).unwrap();
    assert_eq!((did.blobs, did.blob_bytes, did.kept_bytes, did.kept_records), (2, 11, 5, 3));
    assert_eq!((there(&f.store), notes(&f.store)), ([false, false], 0));
}

#[test]
fn the_files_of_a_folder_go_with_it_unless_another_result_has_them() {
    let f = Fixture::new();
    publish(&f.store, "a result", b"shared");
    let sandbox = f.store.sandbox().unwrap();
    let folder = sandbox.path().join("out");
    write(&folder.join("own"), b"temporary");
    write(&folder.join("below/shared"), b"shared");
    let outputs = BTreeMap::from([("out".to_owned(), folder)]);
    let note = f.store.temporary();
    f.store.publish_temporary(&key("folder"), &action("folder"), &outputs, meta(1.0), &note).unwrap();
    // Without its end, as after a kill.
    drop(note);
    assert_eq!(files_below(&f.store.root().join("cas")).len(), 3);
    assert_eq!(collect(&f.store).blobs, 2);
    assert_eq!(
        files_below(&f.store.root().join("cas")),
        [blob_path(&f.store, &artifact(&f.store, "a result"))]
    );
    assert_eq!(notes(&f.store), 0);
}

#[test]
fn a_run_that_has_the_same_jobs_adopts_them() {
    let f = Fixture::new();
    kill(running(&f.store, "run"));
    let (one, two) = (artifact(&f.store, "one"), artifact(&f.store, "two"));
    let run = f.store.temporary();
    assert!(run.is_orphan(&one.digest));
    // Its own now, as long as a consumer needs them: not of interest to others.
    run.made(&key("one"), &one).unwrap();
    collect(&f.store);
    assert_eq!(there(&f.store), [true, false]);
    run.finish().unwrap();
    assert_eq!(there(&f.store), [true, false], "its consumer has not run");
    let next = f.store.temporary();
    assert!(next.is_orphan(&one.digest) && !next.is_orphan(&two.digest));
    next.made(&key("one"), &one).unwrap();
    f.store.discard(&one).unwrap();
    next.gone(&one.digest).unwrap();
    next.finish().unwrap();
    assert_eq!(notes(&f.store), 0);
}

#[test]
fn what_is_kept_pinned_or_the_result_of_another_stays() {
    let f = Fixture::new();
    kill(running(&f.store, "run"));
    publish(&f.store, "same bytes, kept", b"first");
    f.store.pin("paper", &[key("two")]).unwrap();
    collect(&f.store);
    assert_eq!((there(&f.store), notes(&f.store)), ([true, true], 1), "what is pinned may lose its pin");

    let f = Fixture::new();
    kill(running(&f.store, "run"));
    let keeps = f.store.temporary();
    keeps.kept(&artifact(&f.store, "one").digest).unwrap();
    collect(&f.store);
    assert_eq!(there(&f.store), [true, false], "a living run keeps the first");
    keeps.finish().unwrap();
    collect(&f.store);
    assert_eq!((there(&f.store), notes(&f.store)), ([true, false], 0), "it is no temporary result any more");
}

#[test]
fn a_note_is_held_by_a_lease_where_locks_do_not_work() {
    let f = Fixture::new();
    f.store.use_leases();
    kill(running(&f.store, "leases"));
    let note = f.store.temporary();
    assert!(!note.is_orphan(&artifact(&f.store, "one").digest), "nobody can know yet that it is dead");
    expire_leases(&f.store);
    assert!(f.store.temporary().is_orphan(&artifact(&f.store, "one").digest));
}

/// As if their holders had not been heard of for a minute.
fn expire_leases(store: &Store) {
    let old = std::time::SystemTime::now() - Duration::from_secs(61);
    for lease in files_below(&store.root().join("locks")).iter().filter(|path| is_lease(path)) {
        fs_err::OpenOptions::new().write(true).open(lease).unwrap().file().set_modified(old).unwrap();
    }
}

fn is_lease(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "lease")
}

#[test]
fn a_line_that_a_kill_cut_off_is_passed_over() {
    let f = Fixture::new();
    kill(running(&f.store, "run"));
    let note = files_below(&f.store.root().join("temporary")).remove(0);
    let text = fs_err::read_to_string(&note).unwrap();
    fs_err::write(&note, &text[..text.len() - 20]).unwrap();
    collect(&f.store);
    assert_eq!((there(&f.store), notes(&f.store)), ([false, true], 0));
}
