//! What one machine computes, the others need not compute.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};

use celldag_cache::{Lookup, MissReason, PublishState, StoreError};

use super::http_server::{Behaviour, Server};
use super::{machine, push};
use crate::common::{
    Fixture, files_below, is_hit, key, lookup, publish, publish_folder, record_path, try_publish,
};

#[test]
fn a_second_machine_has_hits_only_and_fetches_bytes_when_it_reads_them() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    publish(&a, "file", b"hello");
    publish_folder(&a, "folder", &[("x", b"1"), ("y/z", b"22")]);
    push(&a);
    assert!(a.queued().unwrap().is_empty());

    let b = machine(&f.path("b"), &server.address);
    let file = lookup(&b, "file").hit().unwrap().outputs["out"];
    let folder = lookup(&b, "folder").hit().unwrap().outputs["out"];
    assert_eq!(server.count("GET", "v1/cas"), 0, "bytes are fetched when they are read");
    assert!(!b.root().join("cas").join(&file.digest.to_string()[..2]).exists());

    assert_eq!(fs_err::read(b.fetch(&file).unwrap()).unwrap(), b"hello");
    assert_eq!(fs_err::read(b.fetch(&folder).unwrap().join("y/z")).unwrap(), b"22");
    b.materialize(&folder, &f.path("copy")).unwrap();
    assert_eq!(fs_err::read(f.path("copy/x")).unwrap(), b"1");
    assert_eq!(server.count("GET", "v1/cas"), 4, "each once: two files, a manifest, and the first file");
    assert_eq!(server.count("PUT", ""), 6, "the second machine sends nothing back");
    assert!(b.verify(&mut |_| {}).unwrap().is_clean());

    // Without the server, what was fetched is still there.
    let alone = crate::common::open(b.root());
    assert!(is_hit(&alone, "file") && is_hit(&alone, "folder"));
    assert!(files_below(&b.root().join("tmp")).iter().all(|p| p.ends_with(".alive")));
}

#[test]
fn what_the_server_does_not_have_is_asked_for_once() {
    let (f, server) = (Fixture::new(), Server::start());
    let store = machine(&f.path("a"), &server.address);
    for _ in 0..3 {
        assert!(matches!(lookup(&store, "x"), Lookup::Miss(MissReason::Unknown)));
    }
    assert_eq!(server.seen().len(), 1);
    publish(&store, "x", b"1");
    assert!(is_hit(&store, "x"));
}

#[test]
fn a_result_that_is_here_costs_no_request() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    publish(&a, "x", b"1");
    push(&a);
    let before = server.seen().len();
    assert!(is_hit(&machine(&f.path("a"), &server.address), "x"));
    assert_eq!(server.seen().len(), before);
}

#[test]
fn of_six_writers_one_wins_and_everybody_else_is_content() {
    let (f, server) = (Fixture::new(), Server::start());
    let barrier = Barrier::new(6);
    let reports: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..6)
            .map(|i| {
                let (f, server, barrier) = (&f, &server, &barrier);
                scope.spawn(move || {
                    let store = machine(&f.path(&format!("m{i}")), &server.address);
                    barrier.wait();
                    // Each has other bytes: a step that is not deterministic.
                    publish(&store, "x", format!("{i}").as_bytes());
                    push(&store);
                    store.queued().unwrap().len()
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(reports, [0; 6], "nothing waits");
    let records: Vec<_> = server.names().into_iter().filter(|name| name.contains("v1/ac")).collect();
    assert_eq!(records.len(), 1);
    // Whoever won: a further machine gets one consistent result.
    let late = machine(&f.path("late"), &server.address);
    let artifact = lookup(&late, "x").hit().unwrap().outputs["out"];
    assert_eq!(fs_err::read(late.fetch(&artifact).unwrap()).unwrap().len(), 1);
}

#[test]
fn a_record_without_its_bytes_still_serves_keys() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    let artifact = publish(&a, "temp", b"temporary").record.outputs["out"];
    push(&a);
    server.delete("v1/cas");
    let b = machine(&f.path("b"), &server.address);
    let Lookup::Partial { record, absent } = lookup(&b, "temp") else { panic!("not partial") };
    assert_eq!(record.outputs["out"], artifact);
    assert_eq!(absent.len(), 1);
    assert!(b.fetch(&artifact).unwrap_err().needs_recompute());
    // Computed again, it is complete for everybody.
    assert_eq!(try_publish(&b, "temp", b"temporary").unwrap().state, PublishState::Same);
    push(&b);
    assert!(is_hit(&machine(&f.path("c"), &server.address), "temp"));
}

#[test]
fn bytes_that_were_lost_here_come_back_from_the_server() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    let artifact = publish(&a, "x", b"hello").record.outputs["out"];
    push(&a);
    a.discard(&artifact).unwrap();
    let again = machine(&f.path("a"), &server.address);
    assert!(is_hit(&again, "x"), "the server has the bytes");
    assert_eq!(fs_err::read(again.fetch(&artifact).unwrap()).unwrap(), b"hello");
    // A damaged record here is replaced by the good one there.
    crate::common::tamper(&record_path(&a, "x"), |bytes| bytes.truncate(30));
    assert!(is_hit(&machine(&f.path("a"), &server.address), "x"));
    assert!(crate::common::open(&f.path("a")).record(&key("x")).unwrap().is_some());
}

#[test]
fn a_busy_server_is_asked_again() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    publish(&a, "x", b"hello");
    push(&a);
    let busy = AtomicUsize::new(2);
    server.behave(move |_| {
        let left = busy.load(Ordering::SeqCst);
        if left == 0 {
            return Behaviour::Serve;
        }
        busy.store(left - 1, Ordering::SeqCst);
        Behaviour::Status(503)
    });
    assert!(is_hit(&machine(&f.path("b"), &server.address), "x"));
}

#[test]
fn small_outputs_travel_in_their_record() {
    let (f, server) = (Fixture::new(), Server::start());
    let usual = |name: &str| {
        let store = machine(&f.path(name), &server.address);
        store.inline_below(4096);
        store
    };
    let a = usual("a");
    publish(&a, "x", b"hello");
    push(&a);
    assert_eq!(server.names().len(), 1);
    let b = usual("b");
    let artifact = lookup(&b, "x").hit().unwrap().outputs["out"];
    assert_eq!(fs_err::read(b.fetch(&artifact).unwrap()).unwrap(), b"hello");
    assert_eq!(server.seen().iter().filter(|seen| seen.method == "GET").count(), 1);
}

#[test]
fn who_stops_while_bytes_come_gets_none_and_may_have_them_later() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    let artifact = publish(&a, "file", &[7; 5 << 20]).record.outputs["out"];
    push(&a);
    let b = machine(&f.path("b"), &server.address);
    let asked = AtomicUsize::new(0);
    // Asked for every piece that comes.
    let stopped = b.until(move || asked.fetch_add(1, Ordering::Relaxed) >= 2).fetch(&artifact);
    assert!(matches!(stopped, Err(StoreError::Cancelled { .. })), "{stopped:?}");
    assert_eq!(server.count("GET", "v1/cas"), 1, "no further attempt");
    assert!(files_below(&b.root().join("cas")).is_empty());
    assert!(files_below(&b.root().join("tmp")).iter().all(|p| p.ends_with(".alive")));
    assert_eq!(fs_err::read(b.fetch(&artifact).unwrap()).unwrap(), [7; 5 << 20]);
}
