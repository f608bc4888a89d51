//! `celldag serve`: a local web page over the runs of a store.
//!
//! ```text
//! request ──guard──▶ route ──pages──▶ answer
//!                      │
//!                Site (folder of the store, opened anew to look at for each request; runs that go on are followed)
//! ```
//!
//! Nothing of a store is kept between requests but how far the events of a few runs were counted, and a few numbers for each
//! killed run. Memory is bounded: so many connections at once, one large record in memory at a time and one being sent, and no
//! file above a size is sent. Each connection has one request: one that waits for more would hold a place.

mod answer;
mod follow;
mod guard;
mod pages;
mod results;
mod route;
mod site;
mod turn;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use celldag_engine::ExitClass;
use oxhttp::Server;
use serde_json::json;

use super::shared::no_store;
use super::store;
use crate::args::ServeArgs;
use crate::failure::Failure;
use crate::interrupt;
use crate::output::Output;
use guard::Hosts;
use site::Site;

/// Connections at once; others wait to be accepted.
const CONNECTIONS: usize = 16;

/// A client that neither sends nor takes anything for this long is hung up on.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a free port is looked for: another program may take it in between.
const ATTEMPTS: usize = 8;

pub(crate) fn run(args: &ServeArgs, output: &Output) -> Result<(), Failure> {
    let folder = std::path::absolute(store::folder_of(args.cache.as_deref(), std::path::Path::new("")))?;
    let site = Arc::new(Site::new(folder));
    if site.store()?.is_none() {
        return Err(no_store(site.folder()));
    }
    quiet_panics();
    let cancel = interrupt::cancel_on_signals(*output)?;
    let port = listen(&site, args.port)?;
    let address = format!("http://127.0.0.1:{port}/");
    if output.json {
        let told = json!({ "address": address, "port": port, "store": site.folder() });
        output.result(&told.to_string())?;
    } else {
        output.say(&format!("runs of {}; Ctrl-C ends it", site.folder().display()));
        output.result(&address)?;
    }
    while !cancel.is_cancelled() {
        std::thread::sleep(Duration::from_millis(50));
    }
    // What is being answered ends with the process: nothing is written that could be left half done.
    Err(Failure::Run(ExitClass::Interrupted))
}

/// oxhttp panics on requests for a tunnel (`CONNECT host:port`) while it reads them. Only their connection ends, and nobody
/// needs to be told of an internal error.
fn quiet_panics() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location().map(std::panic::Location::file).unwrap_or_default();
        if place.contains("/oxhttp-") {
            tracing::debug!("a request that cannot be read: {}", info.payload_as_str().unwrap_or_default());
        } else {
            told(info);
        }
    }));
}

/// Starts to answer on a port of this machine; 0 is any that is free. Returns the port.
fn listen(site: &Arc<Site>, wanted: u16) -> Result<u16, Failure> {
    let mut attempts = if wanted == 0 { ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        let port = if wanted == 0 { free_port()? } else { wanted };
        let (site, hosts) = (Arc::clone(site), Hosts::of(port));
        let server = Server::new(move |request| answer::answer(&site, &hosts, request))
            .bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
            .with_global_timeout(PATIENCE)
            .with_max_concurrent_connections(CONNECTIONS);
        match server.spawn() {
            Ok(_) => return Ok(port),
            Err(e) if e.kind() == ErrorKind::AddrInUse && attempts > 0 => {}
            Err(e) => return Err(no_port(port, &e)),
        }
    }
}

fn free_port() -> Result<u16, Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|e| no_port(0, &e))?;
    Ok(listener.local_addr()?.port())
}

fn no_port(port: u16, error: &std::io::Error) -> Failure {
    let (why, help) = match error.kind() {
        ErrorKind::AddrInUse => (
            "another program uses it".to_owned(),
            "choose another port with --port N (0 takes a free one)".to_owned(),
        ),
        ErrorKind::PermissionDenied => (
            "this user may not".to_owned(),
            "ports below 1024 belong to the system: choose another one with --port N (0 takes a free one)"
                .to_owned(),
        ),
        _ => (error.to_string(), "choose another port with --port N (0 takes a free one)".to_owned()),
    };
    Failure::Usage { message: format!("cannot listen on port {port} of 127.0.0.1: {why}"), help: Some(help) }
}
