//! What the server has is never believed: damage is a miss, and is repaired by whoever computes again.

use std::path::Path;

use celldag_cache::{Lookup, MissReason, StoreError};

use super::http_server::{Behaviour, Server};
use super::{machine, push};
use crate::common::{Fixture, files_below, in_shell, is_hit, lookup, publish, publish_folder, start};

#[test]
fn damaged_bytes_are_refused_and_replaced() {
    let changes: [fn(&mut Vec<u8>); 4] = [|b| b[0] ^= 1, |b| b.truncate(3), |b| b.push(0), Vec::clear];
    for (i, change) in changes.into_iter().enumerate() {
        let (f, server) = (Fixture::new(), Server::start());
        let a = machine(&f.path("a"), &server.address);
        let artifact = publish(&a, "x", b"hello").record.outputs["out"];
        push(&a);
        server.tamper("v1/cas", change);

        let b = machine(&f.path("b"), &server.address);
        // The size of what is there is seen by the lookup, its content by the fetch.
        assert_eq!(is_hit(&b, "x"), i == 0, "change {i}");
        let error = b.fetch(&artifact).unwrap_err();
        assert!(matches!(error, StoreError::Missing { .. }), "change {i}: {error}");
        assert!(matches!(lookup(&b, "x"), Lookup::Partial { .. }), "change {i}");
        assert!(files_below(&b.root().join("cas")).is_empty(), "nothing damaged gets in");
        assert!(files_below(&b.root().join("tmp")).iter().all(|p| p.ends_with(".alive")));

        publish(&b, "x", b"hello");
        push(&b);
        let c = machine(&f.path("c"), &server.address);
        assert_eq!(fs_err::read(c.fetch(&artifact).unwrap()).unwrap(), b"hello", "change {i} was repaired");
    }
}

#[test]
fn a_check_finds_damage_here_that_the_server_could_heal() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    let artifact = publish(&a, "x", b"hello").record.outputs["out"];
    push(&a);
    crate::common::tamper(&crate::common::blob_path(&a, &artifact), |bytes| bytes[0] = b'j');
    let report = a.verify(&mut |_| {}).unwrap();
    assert!(!report.is_clean() && report.damaged_blobs.len() == 1 && report.blobs == 0, "{report:?}");
    assert_eq!(server.count("GET", "v1/cas"), 0, "a check fetches nothing");
    assert_eq!(fs_err::read(a.fetch(&artifact).unwrap()).unwrap(), b"hello", "who needs it gets it");
}

#[test]
fn a_damaged_folder_is_refused() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    let tree = publish_folder(&a, "t", &[("x", b"1"), ("y", b"22")]);
    push(&a);
    server.tamper(&format!("v1/cas/{}", tree.digest), |bytes| bytes[30] ^= 1);
    let b = machine(&f.path("b"), &server.address);
    assert!(is_hit(&b, "t"), "not looked into yet");
    assert!(matches!(b.fetch(&tree), Err(StoreError::Missing { .. })));
    assert!(matches!(lookup(&b, "t"), Lookup::Partial { .. }));
}

#[test]
fn damaged_records_are_misses_and_are_replaced() {
    let other = {
        let (f, server) = (Fixture::new(), Server::start());
        let store = machine(&f.path("a"), &server.address);
        publish(&store, "other", b"hello");
        fs_err::read(crate::common::record_path(&store, "other")).unwrap()
    };
    type Change = Box<dyn Fn(&mut Vec<u8>)>;
    let changes: Vec<Change> = vec![
        Box::new(Vec::clear),
        Box::new(|b| b.truncate(b.len() / 2)),
        Box::new(|b| {
            let middle = b.len() - 20;
            b[middle] ^= 4;
        }),
        Box::new(|b| *b = b"<html>sign in</html>".to_vec()),
        // Good in itself, but another action's.
        Box::new(move |b| b.clone_from(&other)),
    ];
    for (i, change) in changes.into_iter().enumerate() {
        let (f, server) = (Fixture::new(), Server::start());
        let a = machine(&f.path("a"), &server.address);
        publish(&a, "x", b"hello");
        push(&a);
        server.tamper("v1/ac", change);
        let b = machine(&f.path("b"), &server.address);
        assert!(matches!(lookup(&b, "x"), Lookup::Miss(MissReason::Unknown)), "change {i}");
        if i % 2 == 0 {
            publish(&b, "x", b"hello");
            push(&b);
        } else {
            // A machine that did not ask before finds out when its own record is refused.
            let c = machine(&f.path("c"), &server.address);
            publish(&c, "x", b"hello");
            push(&c);
        }
        assert!(is_hit(&machine(&f.path("d"), &server.address), "x"), "change {i} was repaired");
    }
}

#[test]
fn an_answer_that_breaks_off_is_no_result() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    let artifact = publish(&a, "x", &[7; 10_000]).record.outputs["out"];
    push(&a);
    server.behave(|seen| if seen.method == "GET" { Behaviour::Break } else { Behaviour::Serve });
    let b = machine(&f.path("b"), &server.address);
    assert!(matches!(lookup(&b, "x"), Lookup::Miss(_)));
    assert!(b.fetch(&artifact).unwrap_err().needs_recompute());
    server.behave(|_| Behaviour::Serve);
    let c = machine(&f.path("c"), &server.address);
    assert!(is_hit(&c, "x"));
    assert_eq!(fs_err::read(c.fetch(&artifact).unwrap()).unwrap(), [7; 10_000]);
}

#[test]
fn bytes_that_the_server_has_but_does_not_give_are_computed_again() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    let artifacts = ["x", "y"].map(|name| publish(&a, name, name.as_bytes()).record.outputs["out"]);
    push(&a);
    server.behave(|seen| {
        let is_read = seen.method == "GET" && seen.name.contains("v1/cas");
        if is_read { Behaviour::Status(500) } else { Behaviour::Serve }
    });
    let b = machine(&f.path("b"), &server.address);
    assert!(is_hit(&b, "x") && is_hit(&b, "y"), "the server says that it has them");
    // The first gets no answer, the second is not even asked for: the server is left alone.
    for (name, artifact) in ["x", "y"].into_iter().zip(&artifacts) {
        assert!(b.fetch(artifact).unwrap_err().needs_recompute());
        assert!(matches!(lookup(&b, name), Lookup::Partial { .. }), "{name} is not promised again");
    }
}

#[cfg(unix)]
#[test]
fn bytes_that_do_not_fit_on_the_disk_are_an_error_and_nothing_is_half_there() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    publish(&a, "big", &[1; 3 << 20]);
    publish(&a, "small", b"small");
    push(&a);
    // Ignoring the signal turns the limit into an error of the write.
    let mut shell =
        in_shell("trap '' XFSZ; ulimit -f 1000; exec \"$@\"", &start("remote", "full", &f.path("b")));
    let output = shell.env("ADDRESS", &server.address).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// In a process that may write small files only.
pub(crate) fn full(dir: &Path) {
    let store = machine(dir, &std::env::var("ADDRESS").unwrap());
    let big = lookup(&store, "big").hit().unwrap().outputs["out"];
    let error = store.fetch(&big).unwrap_err();
    assert!(error.is_out_of_space() && error.to_string().contains("cache gc"), "{error}");
    assert!(files_below(&dir.join("cas")).is_empty());
    assert!(files_below(&dir.join("tmp")).iter().all(|p| p.ends_with(".alive")));
    let small = lookup(&store, "small").hit().unwrap().outputs["out"];
    assert_eq!(fs_err::read(store.fetch(&small).unwrap()).unwrap(), b"small");
}

#[test]
fn a_local_store_that_cannot_be_written_to_gives_no_false_success() {
    let (f, server) = (Fixture::new(), Server::start());
    let a = machine(&f.path("a"), &server.address);
    let artifact = publish(&a, "x", b"hello").record.outputs["out"];
    push(&a);
    let b = machine(&f.path("b"), &server.address);
    fs_err::remove_dir_all(b.root().join("tmp")).unwrap();
    fs_err::write(b.root().join("tmp"), "in the way").unwrap();
    assert!(is_hit(&b, "x"), "the record is good, kept or not");
    assert!(b.fetch(&artifact).unwrap_err().needs_recompute());
}
