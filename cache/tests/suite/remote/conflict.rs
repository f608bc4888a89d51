//! The server has a record of this key already: the first one wins, unless it cannot be used or was taken back.

use celldag_cache::{Lookup, PublishState};

use super::http_server::{Behaviour, Server};
use super::{machine, machine_with, push};
use crate::common::{Fixture, is_hit, lookup, open, publish, publish_folder, record_path, try_publish};

/// What a machine gets that has never seen the result.
fn seen_by_all(f: &Fixture, server: &Server) -> Option<Vec<u8>> {
    let store = machine(&f.path(&format!("fresh{}", server.seen().len())), &server.address);
    let artifact = lookup(&store, "x").hit()?.outputs["out"];
    Some(fs_err::read(store.fetch(&artifact).unwrap()).unwrap())
}

#[test]
fn bytes_that_the_server_lost_are_replaced_by_other_bytes_of_the_same_work() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    publish(&a, "x", b"one");
    push(&a);
    server.delete("v1/cas");
    // As in a run: the record is found, its bytes are needed, the work is done again and gives something else.
    let b = machine(&f.path("b"), &server.address);
    assert!(matches!(lookup(&b, "x"), Lookup::Partial { .. }));
    assert!(matches!(try_publish(&b, "x", b"two").unwrap().state, PublishState::Replaced(_)));
    push(&b);
    assert_eq!(seen_by_all(&f, &server).as_deref(), Some(&b"two"[..]));
    assert!(server.seen().iter().any(|seen| seen.method == "PUT" && seen.head.contains("if-match:")));
}

#[test]
fn who_has_the_lost_bytes_gives_them_back() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    publish(&a, "x", b"one");
    publish_folder(&a, "folder", &[("p", b"p"), ("q", b"q")]);
    push(&a);
    server.delete("v1/cas");
    // The same bytes from other work, from before there was a server.
    let alone = open(&f.path("b"));
    publish(&alone, "y", b"one");
    publish_folder(&alone, "other", &[("p", b"p"), ("q", b"q")]);
    drop(alone);
    let b = machine(&f.path("b"), &server.address);
    publish(&b, "x", b"two");
    publish_folder(&b, "folder", &[("p", b"p"), ("q", b"another")]);
    push(&b);
    assert_eq!(seen_by_all(&f, &server).as_deref(), Some(&b"one"[..]), "the first result stays");
    let fresh = machine(&f.path("c"), &server.address);
    let folder = lookup(&fresh, "folder").hit().unwrap().outputs["out"];
    assert_eq!(fs_err::read(fresh.fetch(&folder).unwrap().join("q")).unwrap(), b"q");
}

#[test]
fn who_has_no_bytes_either_takes_nobodys_place() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    publish(&a, "x", b"one");
    push(&a);
    server.delete("v1/cas");
    let b = machine_with(&f.path("b"), &server.address, None, true);
    let artifact = publish(&b, "x", b"two").record.outputs["out"];
    b.discard(&artifact).unwrap();
    assert_eq!(push(&machine(&f.path("b"), &server.address)).known, 1);
    let fresh = machine(&f.path("c"), &server.address);
    let Lookup::Partial { record, .. } = lookup(&fresh, "x") else { panic!("not partial") };
    assert_ne!(record.outputs["out"], artifact);
}

#[test]
fn of_two_that_replace_a_record_at_once_one_wins() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    publish(&a, "x", b"one");
    push(&a);
    server.delete("v1/cas");
    let other = machine_with(&f.path("other"), &server.address, None, true);
    publish(&other, "x", b"three");
    let faster = fs_err::read(record_path(&other, "x")).unwrap();
    let there = server.clone();
    let record = faster.clone();
    server.behave(move |seen| {
        if seen.method == "PUT" && seen.head.contains("if-match:") {
            there.tamper("v1/ac", |bytes| bytes.clone_from(&record));
        }
        Behaviour::Serve
    });
    let b = machine(&f.path("b"), &server.address);
    publish(&b, "x", b"two");
    push(&b);
    assert!(b.queued().unwrap().is_empty());
    server.tamper("v1/ac", |bytes| assert_eq!(*bytes, faster, "it stays"));
}

#[test]
fn what_was_taken_back_does_not_come_back_from_another_machine() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    publish(&a, "x", b"wrong");
    push(&a);
    let b = machine(&f.path("b"), &server.address);
    assert!(is_hit(&b, "x"));
    assert_eq!(b.purge(&|_| true, false).unwrap().shared, 1);
    assert!(!is_hit(&machine(&f.path("b"), &server.address), "x"));

    // The first machine still has it and sends all that it has.
    let again = machine(&f.path("a"), &server.address);
    assert_eq!(again.queue_all().unwrap(), 1);
    let report = push(&again);
    assert_eq!((report.purged, report.known, report.uploaded), (1, 0, 0), "{report:?}");
    assert!(again.queued().unwrap().is_empty());
    assert_eq!(seen_by_all(&f, &server), None);

    // Computed again, it is there for everybody; a sign that is no sign is damage as any other.
    publish(&b, "x", b"right");
    push(&b);
    assert_eq!(seen_by_all(&f, &server).as_deref(), Some(&b"right"[..]));
    let [record] = server
        .names()
        .into_iter()
        .filter(|name| name.contains("v1/ac"))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    server.tamper(&record, |bytes| *bytes = b"{\"celldag_purged\":\"\"}".to_vec());
    assert_eq!(seen_by_all(&f, &server), None);
}
