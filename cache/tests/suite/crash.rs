//! `kill -9` at any instant leaves a store that works, with nothing half-written and nothing to unlock.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crate::common::{Fixture, action, files_below, is_hit, key, lookup, meta, publish, role, start, write};
use celldag_cache::{Durability, Options, PublishState, Store};
use rand::{RngExt, SeedableRng};

const JOBS: usize = 40;

fn content(i: usize, part: usize) -> Vec<u8> {
    // Several sizes, some of them in many writes.
    (0..(i * 7919 + part * 31) % 60_000).map(|b| (b * (i + 1) % 253) as u8).collect()
}

/// Publishes a file and a folder for each job of a round. The bytes are the same in all rounds, the keys are not.
fn publish_all(store: &Store, round: &str) {
    for i in 0..JOBS {
        let name = format!("{round} {i}");
        let Some(_lock) = store.lock(&key(&name), &mut || {}, &|| false).unwrap() else { continue };
        if is_hit(store, &name) {
            continue;
        }
        let sandbox = store.sandbox().unwrap();
        let at = |name: &str| sandbox.path().join(name);
        write(&at("file"), &content(i, 0));
        (1..4).for_each(|part| write(&at(&format!("folder/{part}/data")), &content(i, part)));
        let outputs = BTreeMap::from([("file".into(), at("file")), ("folder".into(), at("folder"))]);
        let published = store.publish(&key(&name), &action(&name), &outputs, meta(1.0)).unwrap();
        assert!(matches!(published.state, PublishState::First | PublishState::Same));
    }
}

/// Copies one result to a user's path over and over.
fn deliver(store: &Store) {
    let artifact = lookup(store, "big").hit().unwrap().outputs["out"];
    let dest = store.root().parent().unwrap().join("results/out.bin");
    for i in 0.. {
        store.materialize(&artifact, &dest).unwrap();
        if i % 2 == 0 { fs_err::remove_file(&dest).unwrap() } else { fs_err::write(&dest, "old").unwrap() }
    }
}

#[test]
fn child() {
    let Some((role, dir)) = role() else { return };
    // Full durability, so that a kill also hits between the fsyncs.
    let store = Store::open(&dir, Options { durability: Durability::Full }).unwrap();
    match role.as_str() {
        // Until it is killed, so that each kill hits work.
        "publish" => {
            for i in 0..u32::MAX {
                publish_all(&store, &format!("{}-{i}", std::process::id()));
            }
        }
        "deliver" => deliver(&store),
        other => panic!("role {other}"),
    }
}

fn run_and_kill(role: &str, root: &std::path::Path, after: Duration) {
    let mut process = start("crash", role, root).stdout(Stdio::null()).spawn().unwrap();
    std::thread::sleep(after);
    assert!(process.try_wait().unwrap().is_none(), "ended by itself");
    process.kill().unwrap();
    process.wait().unwrap();
}

#[test]
fn killed_while_publishing() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(9);
    let mut complete = 0;
    for round in 0..14 {
        // From the first milliseconds (while the store is being made) on.
        let after = if round < 5 { 1 + round * 2 } else { random.random_range(20..400) };
        run_and_kill("publish", &root, Duration::from_millis(after));

        let store = crate::common::open(&root);
        let report = store.verify(&mut |_| {}).unwrap();
        assert!(report.is_clean() && report.foreign.is_empty(), "round {round}: {report:?}");
        assert_eq!(report.partial, 0, "a record came before its bytes");
        assert!(report.complete >= complete, "a result got lost");
        complete = report.complete;
    }
    assert!(complete >= 5, "the processes were killed before they did anything");

    let store = crate::common::open(&root);
    // Opening swept the dead. One that was killed before its first lock may just be being born: it holds nothing but the
    // file that becomes its lock, and goes later.
    let mut left = files_below(&root.join("tmp"));
    left.retain(|path| path.file_name().is_none_or(|name| name != ".alive-new"));
    assert_eq!(left, [] as [PathBuf; 0]);
    publish_all(&store, "last");
    let undisturbed = Fixture::new();
    publish_all(&undisturbed.store, "last");
    let names = |store: &Store| {
        let files = files_below(&store.root().join("cas"));
        files.iter().map(|p| p.file_name().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&store), names(&undisturbed.store));
    for i in 0..JOBS {
        let name = format!("last {i}");
        let record = lookup(&store, &name).hit().unwrap();
        assert_eq!(record.outputs, lookup(&undisturbed.store, &name).hit().unwrap().outputs);
        for artifact in record.outputs.values() {
            store.fetch(artifact).unwrap();
        }
    }
}

#[test]
fn killed_while_delivering() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("store");
    let store = crate::common::open(&root);
    let bytes = vec![3_u8; 3 << 20];
    let artifact = publish(&store, "big", &bytes).record.outputs["out"];
    let dest = dir.path().join("results/out.bin");
    for round in 0..8 {
        run_and_kill("deliver", &root, Duration::from_millis(25 + round * 11));
        if let Ok(found) = fs_err::read(&dest) {
            assert!(found == bytes || found == b"old" || found.is_empty(), "{} bytes", found.len());
        }
    }
    crate::common::open(&root).materialize(&artifact, &dest).unwrap();
    assert!(fs_err::read(&dest).unwrap() == bytes);
    // What the killed processes left beside the result is gone.
    assert_eq!(files_below(dest.parent().unwrap()), [dest]);
}
