//! A shared store behind TLS, with a certificate of an institute's own authority.

use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::http_store::Server;
use crate::remote::{NODES, Runner, warnings};
use crate::sandbox::Sandbox;

fn key() -> KeyPair {
    KeyPair::generate().expect("a key")
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    CertificateParams::new(names).expect("names")
}

/// A server that shows this certificate.
fn showing(certificate: &Certificate, key: &KeyPair) -> Server {
    let secret = PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret.into())
        .expect("a certificate and its key");
    let config = Arc::new(config);
    let speak = move |stream: TcpStream| {
        StreamOwned::new(ServerConnection::new(Arc::clone(&config)).expect("a connection"), stream)
    };
    Server::speaking("https", speak)
}

/// A server whose certificate an authority of this name has signed, and the certificate of the authority.
fn server(sandbox: &Sandbox, name: &str) -> (Server, PathBuf) {
    let mut authority = params(&[]);
    authority.distinguished_name.push(DnType::CommonName, name);
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_key = key();
    let root = authority.self_signed(&authority_key).expect("a certificate");
    let server_key = key();
    let issuer = Issuer::new(authority, authority_key);
    let own = params(&["127.0.0.1"]).signed_by(&server_key, &issuer).expect("a certificate");
    (showing(&own, &server_key), sandbox.write("authority.pem", &root.pem()))
}

#[test]
fn the_authority_of_an_institute_is_trusted_where_the_system_says_so() {
    let sandbox = Sandbox::new();
    let (server, authority) = server(&sandbox, "institute");
    let runner = || {
        let mut runner = Runner::new(&server.address);
        runner.env.push(("SSL_CERT_FILE", authority.clone()));
        runner
    };
    let first = runner();
    let (computed, stderr) = first.run();
    assert_eq!((computed.as_slice(), warnings(&stderr)), (NODES.map(str::to_owned).as_slice(), vec![]));
    let second = runner();
    let (computed, stderr) = second.run();
    assert!(computed.is_empty(), "{computed:?}\n{stderr}");
    assert_eq!(second.results(), first.results());
    assert!(!server.seen().is_empty());
}

/// Runs with an authority that is not the server's, whatever this system trusts; what is told must be one warning.
fn refused(server: &Server, authority: PathBuf) -> String {
    let mut runner = Runner::new(&server.address);
    runner.env.push(("SSL_CERT_FILE", authority));
    let (computed, stderr) = runner.run();
    assert_eq!(computed, NODES);
    assert!(!stderr.contains("ERROR"), "{stderr}");
    assert!(stderr.contains("4 results wait to be sent"), "{stderr}");
    assert!(server.seen().is_empty(), "no request got through: {:?}", server.seen());
    let quiet = runner.celldag(&["cache", "push", "--cache", ".celldag", "-q"]);
    assert_eq!((quiet.code, quiet.stderr.as_str()), (1, ""));
    warnings(&stderr).join("\n")
}

#[test]
fn who_does_not_know_the_authority_sends_nothing_and_is_told() {
    let (ours, theirs) = (Sandbox::new(), Sandbox::new());
    let ((server, _), (_, other)) = (server(&ours, "institute"), server(&theirs, "university"));
    insta::assert_snapshot!(refused(&server, other), @"WARN shared store SERVER: nobody whom this system trusts has signed the server's certificate (an authority of your own belongs to those of the system, or into the file that SSL_CERT_FILE names; the file replaces those of the system: put them in too); going on with the local store");
}

#[test]
fn an_authority_is_no_server() {
    let sandbox = Sandbox::new();
    let (key, mut authority) = (key(), params(&["127.0.0.1"]));
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let own = authority.self_signed(&key).expect("a certificate");
    let known = sandbox.write("authority.pem", &own.pem());
    insta::assert_snapshot!(refused(&showing(&own, &key), known), @"WARN shared store SERVER: the server shows the authority's own certificate; have it sign one for the server; going on with the local store");
}
