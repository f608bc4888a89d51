//! A store that several machines share: two local stores, one server, and everything that can go wrong between them.

mod conflict;
mod damage;
#[path = "../../../../tests/support/http_store.rs"]
mod http_server;
mod queue;
mod roles;
mod s3;
mod s3_server;
mod sharing;

use std::path::Path;

use celldag_cache::{RemoteOptions, Role, Store};

/// What runs in processes that the tests start.
#[test]
fn child() {
    let Some((role, dir)) = crate::common::role() else { return };
    match role.as_str() {
        "push" => queue::push(&dir),
        "publish" => s3::publish(&dir),
        "read" => s3::read(&dir),
        "denied" => s3::denied(&dir),
        "other_bytes" => s3::other_bytes(&dir),
        "full" => damage::full(&dir),
        "token" => roles::token(&dir),
        other => panic!("role {other}"),
    }
}

/// A machine with a store of its own behind which is the server.
fn machine(dir: &Path, address: &str) -> Store {
    machine_with(dir, address, None, false)
}

fn machine_with(dir: &Path, address: &str, role: Option<Role>, offline: bool) -> Store {
    let store = crate::common::open(dir);
    store.connect(&RemoteOptions { address: address.to_owned(), role, offline }).unwrap();
    store
}

/// Sends everything.
fn push(store: &Store) -> celldag_cache::PushReport {
    store.push(&|| false).unwrap()
}
