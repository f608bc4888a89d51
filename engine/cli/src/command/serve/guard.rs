//! Who is answered. A page of another site can make the browser of this machine send requests here; it must not read an
//! answer, even if its name was made to point at 127.0.0.1 (DNS rebinding), so the name that was asked for has to be ours.

use oxhttp::model::header::HOST;
use oxhttp::model::{Body, Method, Request};

/// The names of this server.
pub(super) struct Hosts(Vec<String>);

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Another name than those of this machine, or another port.
    Host,
    /// Neither GET nor HEAD.
    Method,
}

impl Hosts {
    /// Those of a server on this port.
    pub(super) fn of(port: u16) -> Self {
        let names = ["127.0.0.1", "localhost", "[::1]"];
        let mut hosts: Vec<String> = names.iter().map(|name| format!("{name}:{port}")).collect();
        if port == 80 {
            hosts.extend(names.map(str::to_owned));
        }
        Self(hosts)
    }

    fn has(&self, host: &str) -> bool {
        self.0.iter().any(|known| known.eq_ignore_ascii_case(host))
    }

    /// Whether the request may be answered.
    pub(super) fn check(&self, request: &Request<Body>) -> Result<(), Refusal> {
        // Of an absolute address (`GET http://name/`), the name is in the address, and both have to be ours.
        let address = request.uri().authority().is_some_and(|authority| self.has(authority.as_str()));
        let header = request.headers().get(HOST).and_then(|host| host.to_str().ok());
        if !address || !header.is_some_and(|host| self.has(host)) {
            return Err(Refusal::Host);
        }
        match *request.method() {
            Method::GET | Method::HEAD => Ok(()),
            _ => Err(Refusal::Method),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(method: &str, address: &str, host: &str) -> Result<(), Refusal> {
        let request =
            Request::builder().method(method).uri(address).header(HOST, host).body(Body::empty()).unwrap();
        Hosts::of(23550).check(&request)
    }

    #[test]
    fn only_names_of_this_machine_with_our_port_are_answered() {
        for host in ["127.0.0.1:23550", "localhost:23550", "LOCALHOST:23550", "[::1]:23550"] {
            assert_eq!(check("GET", &format!("http://{host}/"), host), Ok(()), "{host}");
        }
        for host in [
            "evil.example:23550",
            "127.0.0.1",
            "127.0.0.1:80",
            "localhost.evil.example:23550",
            "a@localhost:23550",
        ] {
            assert_eq!(check("GET", &format!("http://{host}/"), host), Err(Refusal::Host), "{host}");
        }
        assert_eq!(check("GET", "http://evil.example/", "127.0.0.1:23550"), Err(Refusal::Host));
        assert_eq!(check("GET", "http://127.0.0.1:23550/", "evil.example"), Err(Refusal::Host));
    }

    #[test]
    fn nothing_but_reading_is_answered() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"] {
            let told = check(method, "http://127.0.0.1:23550/", "127.0.0.1:23550");
            assert_eq!(told, Err(Refusal::Method), "{method}");
        }
        assert_eq!(check("HEAD", "http://127.0.0.1:23550/", "127.0.0.1:23550"), Ok(()));
    }
}
