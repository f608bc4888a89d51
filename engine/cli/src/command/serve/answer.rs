//! A request becomes an answer: guard, route, headers.

use std::io;

use celldag_report::served;
use oxhttp::model::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use oxhttp::model::{Body, HeaderValue, Method, Request, Response, StatusCode};

use super::guard::{Hosts, Refusal};
use super::route::route;
use super::site::Site;
use super::turn::{InTurn, Turn};

/// What is sent.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Media type.
    pub(super) kind: &'static str,
    /// A result of a node instead of a page of ours: nobody knows what it would do if it were let.
    pub(super) foreign: bool,
    /// File name under which a browser saves it instead of showing it.
    pub(super) save_as: Option<String>,
    pub(super) bytes: Vec<u8>,
    /// Held until the bytes are sent.
    pub(super) turn: Option<Turn>,
}

pub(super) const HTML: &str = "text/html; charset=utf-8";
pub(super) const JSON: &str = "application/json";

impl Answer {
    pub(super) fn ok(kind: &'static str, bytes: impl Into<Vec<u8>>) -> Self {
        Self { status: StatusCode::OK, kind, foreign: false, save_as: None, bytes: bytes.into(), turn: None }
    }

    /// A page that says why there is nothing else.
    pub(super) fn message(status: StatusCode, title: &str, message: &str, help: &str) -> Self {
        Self { status, ..Self::ok(HTML, served::message_page(title, message, help)) }
    }
}

/// Scripts come from here, styles stand in the page, nothing comes from anywhere else; no other page may frame it.
const OURS: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; img-src data:; \
                    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// A result of a node is shown without scripts and without an origin.
const FOREIGN: &str =
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'";

/// Answers a request, and has the connection closed after it. One that stays open would be answered with an error when
/// nothing more is asked for in a while, and a body that nobody wants would be read to its end, however slowly it comes.
pub(super) fn answer(site: &Site, hosts: &Hosts, request: &mut Request<Body>) -> Response<Body> {
    *request.body_mut() = Body::empty();
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let answer = match hosts.check(request) {
        Ok(()) => route(site, request.uri().path(), request.uri().query().unwrap_or_default()),
        Err(Refusal::Host) => Answer::message(
            StatusCode::FORBIDDEN,
            "Not this address",
            "This server answers to 127.0.0.1 and localhost with its own port only.",
            "Through a tunnel, use the same port on both sides: `ssh -L PORT:127.0.0.1:PORT HOST`.",
        ),
        Err(Refusal::Method) => Answer::message(
            StatusCode::METHOD_NOT_ALLOWED,
            "Only to be looked at",
            "This server answers GET and HEAD only: nothing can be changed here.",
            "",
        ),
    };
    respond(answer, *request.method() == Method::HEAD)
}

fn respond(answer: Answer, head: bool) -> Response<Body> {
    let mut body = match answer.turn {
        Some(turn) if !head => Body::from_read(InTurn::new(answer.bytes, turn)),
        _ => Body::from(answer.bytes),
    };
    if head {
        // The length of a body is told, its bytes are read away: an answer to HEAD.
        let _ = io::copy(&mut body, &mut io::sink());
    }
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    let mut set = |name: HeaderName, value: &'static str| {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    };
    set(CONTENT_TYPE, answer.kind);
    set(CONTENT_SECURITY_POLICY, if answer.foreign { FOREIGN } else { OURS });
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    // The next request may find more.
    set(CACHE_CONTROL, "no-store");
    if answer.status == StatusCode::METHOD_NOT_ALLOWED {
        set(ALLOW, "GET, HEAD");
    }
    if let Some(name) = &answer.save_as
        && let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""))
    {
        response.headers_mut().insert(CONTENT_DISPOSITION, value);
    }
    response
}
