//! What `celldag cache` says to scripts when something is wrong.

use std::path::PathBuf;

use crate::sandbox::{Sandbox, repository};

/// A store with one record that is no record; returns the file.
fn damaged_store(sandbox: &Sandbox) -> PathBuf {
    let pipeline = repository().join("pipelines/quickstart.yaml");
    sandbox.ok(&["plan", pipeline.to_str().expect("path"), "--cache", "store"]);
    let shard = sandbox.join("store/ac/00");
    fs_err::create_dir_all(&shard).expect("folder");
    let record = shard.join(format!("{}.json", "0".repeat(64)));
    fs_err::write(&record, "{}").expect("record");
    record
}

#[test]
fn damage_is_an_exit_code_in_both_formats() {
    for format in [&["--json"][..], &[]] {
        let sandbox = Sandbox::new();
        let record = damaged_store(&sandbox);
        let verify = sandbox.run(&[&["cache", "verify", "--cache", "store"], format].concat());
        assert_eq!(verify.code, 1, "{format:?}: {}{}", verify.stdout, verify.stderr);
        assert!(verify.stdout.contains("damaged") && !record.exists(), "{}", verify.stdout);
    }
}

#[test]
fn who_only_reads_a_shared_store_is_told_so_when_sending() {
    let sandbox = Sandbox::new();
    damaged_store(&sandbox);
    let push = ["cache", "push", "--all", "--cache", "store", "--remote"];
    for rest in [&["http://127.0.0.1:9/?role=read"][..], &["http://127.0.0.1:9/", "--remote-role", "read"]] {
        let refused = sandbox.run(&[&push[..], rest].concat());
        assert!(refused.code == 2 && refused.stderr.contains("reading only"), "{}", refused.stderr);
        let waiting = fs_err::read_dir(sandbox.join("store/upload")).expect("queue").count();
        assert_eq!(waiting, 0, "{rest:?}");
    }
}
