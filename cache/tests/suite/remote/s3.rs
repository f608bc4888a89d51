//! The same over the language of S3. Credentials come from the environment, so each machine is a process.

use std::path::Path;
use std::process::Command;

use super::s3_server::{self, BUCKET, ID, SECRET};
use super::{machine, push};
use crate::common::{Fixture, files_below, is_hit, lookup, publish_folder, start};

/// Larger than one request may be: goes in two parts.
const LARGE: usize = (16 << 20) + 12_345;

fn run(mut command: Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

fn with_keys(role: &str, store: &Path, address: &str, secret: &str) -> Command {
    let mut command = start("remote", role, store);
    for name in ["AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"] {
        command.env_remove(name);
    }
    command.env("ADDRESS", address).env("AWS_ACCESS_KEY_ID", ID).env("AWS_SECRET_ACCESS_KEY", secret);
    command
}

#[test]
fn two_machines_share_a_bucket() {
    let f = Fixture::new();
    let endpoint = s3_server::start(&f.path("s3"));
    let address = format!("s3://{BUCKET}/cells/v?endpoint={endpoint}&region=eu-central-1");
    run(with_keys("publish", &f.path("a"), &address, SECRET));

    let objects = files_below(&f.path("s3").join(BUCKET).join("cells/v/v1"));
    assert_eq!(
        objects.iter().filter(|path| path.starts_with(f.path("s3").join("lab/cells/v/v1/ac"))).count(),
        2
    );
    run(with_keys("read", &f.path("b"), &address, SECRET));

    // Neither a wrong secret nor an unsigned request gets anything, and neither stops anybody.
    run(with_keys("denied", &f.path("c"), &address, "wrong"));
    run(with_keys("denied", &f.path("d"), &format!("{address}&anonymous=true"), SECRET));

    // A bit flipped in the bucket.
    for path in objects.iter().filter(|path| path.parent().unwrap().ends_with("cas")) {
        crate::common::tamper(path, |bytes| bytes[0] ^= 1);
    }
    run(with_keys("denied", &f.path("e"), &address, SECRET));
}

fn address() -> String {
    std::env::var("ADDRESS").unwrap()
}

pub(crate) fn publish(dir: &Path) {
    let store = machine(dir, &address());
    crate::common::publish(&store, "large", &vec![42; LARGE]);
    publish_folder(&store, "folder", &[("x", b"1"), ("y/ä ö", b"22")]);
    push(&store);
    assert!(store.queued().unwrap().is_empty(), "everything was sent");
    // Sent again, the records are known.
    assert_eq!(store.queue_all().unwrap(), 2);
    assert_eq!(push(&store).known, 2);
}

pub(crate) fn read(dir: &Path) {
    let store = machine(dir, &address());
    let large = lookup(&store, "large").hit().unwrap().outputs["out"];
    assert_eq!(fs_err::read(store.fetch(&large).unwrap()).unwrap(), vec![42; LARGE]);
    let folder = lookup(&store, "folder").hit().unwrap().outputs["out"];
    assert_eq!(fs_err::read(store.fetch(&folder).unwrap().join("y/ä ö")).unwrap(), b"22");
    assert!(!is_hit(&store, "unknown"));
}

/// Whether the keys are wrong or the bytes are: no result, and no obstacle.
pub(crate) fn denied(dir: &Path) {
    let store = machine(dir, &address());
    for name in ["large", "folder"] {
        if let celldag_cache::Lookup::Hit(record) = lookup(&store, name) {
            assert!(store.fetch(&record.outputs["out"]).unwrap_err().needs_recompute());
        }
    }
    crate::common::publish(&store, "own", b"mine");
    push(&store);
    assert!(is_hit(&store, "own"));
}

#[test]
fn other_bytes_take_the_place_of_those_that_the_bucket_lost() {
    let f = Fixture::new();
    let endpoint = s3_server::start(&f.path("s3"));
    let address = format!("s3://{BUCKET}/v?endpoint={endpoint}&region=eu-central-1");
    let machine = |name: &str, content: &str, expect: &str| {
        let mut command = with_keys("other_bytes", &f.path(name), &address, SECRET);
        command.env("CONTENT", content).env("EXPECT", expect);
        run(command);
    };
    machine("a", "one", "one");
    // A second machine that computed the same at the same time does not disturb the first.
    machine("b", "two", "one");
    for blob in files_below(&f.path("s3").join(BUCKET).join("v/v1/cas")) {
        fs_err::remove_file(blob).unwrap();
    }
    machine("c", "three", "three");
    // Once it is complete, it stays.
    machine("d", "four", "three");
}

/// Computes what is not deterministic without asking before, sends it, and looks what everybody gets.
pub(crate) fn other_bytes(dir: &Path) {
    let [content, expect] = ["CONTENT", "EXPECT"].map(|name| std::env::var(name).unwrap());
    let store = machine(dir, &address());
    crate::common::publish(&store, "odd", content.as_bytes());
    push(&store);
    assert!(store.queued().unwrap().is_empty(), "nothing waits");
    let fresh = machine(&dir.join("fresh"), &address());
    let artifact = lookup(&fresh, "odd").hit().expect("complete").outputs["out"];
    assert_eq!(fs_err::read_to_string(fresh.fetch(&artifact).unwrap()).unwrap(), expect);
}
