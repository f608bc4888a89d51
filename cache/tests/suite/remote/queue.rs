//! What waits to be sent survives everything: no server, a kill in the middle, torn entries.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use celldag_cache::Key;

use super::http_server::{Behaviour, Server};
use super::{machine, push as send};
use crate::common::{Fixture, is_hit, key, lookup, open, publish, start};

#[test]
fn without_a_server_work_goes_on_and_results_wait() {
    let f = Fixture::new();
    // Nobody listens there any more.
    let nowhere = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}/", listener.local_addr().unwrap())
    };
    let started = Instant::now();
    let store = machine(&f.path("a"), &nowhere);
    for name in ["1", "2", "3", "4"] {
        assert!(!is_hit(&store, name));
        publish(&store, name, name.as_bytes());
    }
    assert_eq!(send(&store).waiting, 4);
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "a dead server is left alone: {:?}",
        started.elapsed()
    );

    let server = Server::start();
    let later = machine(&f.path("a"), &server.address);
    assert_eq!(send(&later).uploaded, 4);
    assert!(later.queued().unwrap().is_empty());
    assert!(is_hit(&machine(&f.path("b"), &server.address), "3"));
}

#[test]
fn an_upload_that_is_killed_goes_on_later() {
    let (f, server) = (Fixture::new(), Server::start());
    let store = open(&f.path("a"));
    publish(&store, "x", &[1; 10_000]);
    assert_eq!(store.queue_all().unwrap(), 1);

    // The bytes arrive; the record does not: the server holds it back until the process is dead.
    let (held, hold) = std::sync::mpsc::channel();
    let held = std::sync::Mutex::new(held);
    server.behave(move |seen| {
        if seen.method == "PUT" && seen.name.contains("v1/ac") {
            let _ = held.lock().unwrap().send(());
            std::thread::sleep(Duration::from_secs(2));
            return Behaviour::Status(500);
        }
        Behaviour::Serve
    });
    let mut child = start("remote", "push", &f.path("a")).env("ADDRESS", &server.address).spawn().unwrap();
    hold.recv_timeout(Duration::from_secs(20)).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();

    assert_eq!(server.names().len(), 1, "the bytes, and no record that promises them");
    let b = machine(&f.path("b"), &server.address);
    assert!(!is_hit(&b, "x"));
    server.behave(|_| Behaviour::Serve);
    let again = machine(&f.path("a"), &server.address);
    assert_eq!(again.queued().unwrap(), [key("x")]);
    assert_eq!(send(&again).uploaded, 1);
    assert_eq!(server.count("PUT", "v1/cas"), 1, "what had arrived is not sent again");
    assert!(is_hit(&machine(&f.path("c"), &server.address), "x"));
}

pub(crate) fn push(dir: &Path) {
    send(&machine(dir, &std::env::var("ADDRESS").unwrap()));
}

#[test]
fn entries_that_stand_for_nothing_do_no_harm() {
    let (f, server) = (Fixture::new(), Server::start());
    let store = machine(&f.path("a"), &server.address);
    let folder = store.root().join("upload");
    // Torn by a crash: a name that is no key, an entry that is not empty, and entries whose record was never written.
    fs_err::write(folder.join("abc"), b"").unwrap();
    publish(&store, "x", b"1");
    send(&store);
    fs_err::write(folder.join(key("x").to_string()), b"\0\0\0").unwrap();
    let (young, old): (Key, Key) = (key("young"), key("old"));
    for entry in [young, old] {
        fs_err::write(folder.join(entry.to_string()), b"").unwrap();
    }
    let past = SystemTime::now() - Duration::from_secs(7200);
    fs_err::File::options()
        .write(true)
        .open(folder.join(old.to_string()))
        .unwrap()
        .file()
        .set_modified(past)
        .unwrap();
    let report = send(&store);
    assert_eq!((report.uploaded, report.known, report.dropped, report.waiting), (0, 1, 1, 1), "{report:?}");
    assert_eq!(store.queued().unwrap(), [young], "another process may be about to write its record");
}

#[test]
fn results_from_before_there_was_a_server_can_be_sent() {
    let (f, server) = (Fixture::new(), Server::start());
    let alone = open(&f.path("a"));
    for name in ["1", "2"] {
        publish(&alone, name, b"same");
    }
    assert!(alone.queued().unwrap().is_empty());
    let store = machine(&f.path("a"), &server.address);
    assert_eq!(store.queue_all().unwrap(), 2);
    assert_eq!(send(&store).uploaded, 2);
    assert_eq!(server.names().len(), 3, "two records, one blob");
    assert!(lookup(&machine(&f.path("b"), &server.address), "2").hit().is_some());
}
