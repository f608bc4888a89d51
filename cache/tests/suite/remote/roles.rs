//! Who may write, who may only read, and who is not to ask at all.

use std::path::Path;

use celldag_cache::{RemoteOptions, Role};

use super::http_server::{Behaviour, Server};
use super::{machine, machine_with, push};
use crate::common::{Fixture, is_hit, publish, start};

#[test]
fn a_reader_sends_nothing() {
    let (f, server) = (Fixture::new(), Server::start());
    let reader = machine(&f.path("a"), &format!("{}?role=read", server.address));
    publish(&reader, "x", b"1");
    assert!(!reader.may_push() && !crate::common::open(&f.path("a")).may_push());
    push(&reader);
    assert!(server.names().is_empty() && reader.queued().unwrap().is_empty());
    // What the command line says counts more than the address.
    let writer =
        machine_with(&f.path("b"), &format!("{}?role=read", server.address), Some(Role::Write), false);
    assert!(writer.may_push());
    publish(&writer, "x", b"1");
    push(&writer);
    assert_eq!(server.names().len(), 2);
    let reader = machine_with(&f.path("c"), &server.address, Some(Role::Read), false);
    assert!(is_hit(&reader, "x"));
}

#[test]
fn who_is_not_let_in_becomes_a_reader() {
    let (f, server) = (Fixture::new(), Server::start());
    let writer = machine(&f.path("a"), &server.address);
    publish(&writer, "x", b"1");
    push(&writer);
    server.behave(|seen| if seen.method == "PUT" { Behaviour::Status(403) } else { Behaviour::Serve });
    let refused = machine(&f.path("b"), &server.address);
    for name in ["1", "2", "3"] {
        publish(&refused, name, name.as_bytes());
        push(&refused);
    }
    let puts = server.seen().iter().filter(|seen| seen.method == "PUT").count();
    assert_eq!(puts, 3, "two of the writer, and one that was refused");
    assert!(is_hit(&refused, "1") && is_hit(&refused, "x"), "results are here, and reading goes on");
    // Nothing is lost: with the right to write it is sent.
    server.behave(|_| Behaviour::Serve);
    let allowed = machine(&f.path("b"), &server.address);
    let waiting = allowed.queued().unwrap().len();
    assert_eq!(waiting, 3);
    assert_eq!(push(&allowed).uploaded, 3);
}

#[test]
fn reading_that_is_refused_is_a_miss() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    publish(&a, "x", b"1");
    push(&a);
    server.behave(|_| Behaviour::Status(403));
    let b = machine(&f.path("b"), &server.address);
    assert!(!is_hit(&b, "x"));
}

#[test]
fn offline_asks_nothing_and_keeps_what_is_to_be_sent() {
    let (f, server) = (Fixture::new(), Server::start());
    let offline = machine_with(&f.path("a"), &server.address, None, true);
    assert!(!is_hit(&offline, "x"));
    publish(&offline, "x", b"1");
    assert_eq!(push(&offline).waiting, 1);
    assert!(server.seen().is_empty());
    assert_eq!(push(&machine(&f.path("a"), &server.address)).uploaded, 1);
}

#[test]
fn a_token_comes_from_the_environment_and_goes_only_into_the_header() {
    let (f, server) = (Fixture::new(), Server::start());
    let mut command = start("remote", "token", &f.path("a"));
    let output = command
        .env("CELLDAG_REMOTE_TOKEN", "t0ken-of-the-lab")
        .env("ADDRESS", &server.address)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let seen = server.seen();
    assert!(
        seen.len() >= 3 && seen.iter().all(|s| s.head.contains("authorization: bearer t0ken-of-the-lab"))
    );
    let found = crate::common::files_below(&f.path("a"))
        .into_iter()
        .any(|path| String::from_utf8_lossy(&fs_err::read(path).unwrap()).contains("t0ken"));
    assert!(!found, "the token is nowhere in the store");
}

pub(crate) fn token(dir: &Path) {
    let store = machine(dir, &std::env::var("ADDRESS").unwrap());
    assert!(!is_hit(&store, "x"));
    publish(&store, "x", b"1");
    push(&store);
}

#[test]
fn addresses_that_cannot_be_used_are_named() {
    let f = Fixture::new();
    let connect = |address: &str| {
        let options = RemoteOptions { address: address.to_owned(), role: None, offline: false };
        f.store.connect(&options).unwrap_err().to_string()
    };
    let error = connect("https://me:hunter2@cache.example.org/team");
    assert!(error.contains("https://cache.example.org/team") && !error.contains("hunter2"), "{error}");
    assert!(connect("gs://bucket").contains("s3://"));
}

#[test]
fn purging_takes_back_what_is_shared_but_not_what_another_machine_made() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    for name in ["x", "y"] {
        publish(&a, name, name.as_bytes());
    }
    push(&a);
    // On the server `y` has been replaced by a record of another time.
    let other = machine_with(&f.path("b"), &server.address, None, true);
    let theirs = publish(&other, "y", b"y").record.created;
    let bytes = fs_err::read(crate::common::record_path(&other, "y")).unwrap();
    server.tamper(&format!("v1/ac/{}", crate::common::key("y")), |there| there.clone_from(&bytes));
    let report = a.purge(&|record| record.created != theirs, false).unwrap();
    assert_eq!((report.purged.len(), report.shared, report.kept_in_shared), (2, 1, 0));
    let fresh = machine(&f.path("a"), &server.address);
    assert!(!is_hit(&fresh, "x") && is_hit(&fresh, "y"));
    // Who may not write is told that it may come back.
    server.behave(|seen| if seen.method == "PUT" { Behaviour::Status(403) } else { Behaviour::Serve });
    assert_eq!(fresh.purge(&|_| true, false).unwrap().kept_in_shared, 1);
}
