//! One HTTP request at a time: time limits, no redirects, and failures sorted by what to do about them.

use std::io::Read;
use std::time::Duration;

use fs_err::File;
use ureq::http::Method;
use ureq::{Body, SendBody, http};

use crate::remote::{Answer, Content, RemoteError};

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(5);

/// For each read from and write to the connection: long transfers are fine as long as something moves.
const STALL: Duration = Duration::from_secs(30);

/// Makes requests; clones share connections.
#[derive(Clone)]
pub(crate) struct Client(ureq::Agent);

impl Client {
    pub(crate) fn new() -> Self {
        // Of the cryptography libraries that rustls can use, the one that needs nothing but a C compiler. A second call
        // changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(STALL))
            .timeout_per_write(Some(STALL))
            .timeout_recv_response(Some(STALL))
            .http_status_as_error(false)
            // Credentials go to the address that was named and to no other.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("celldag/", env!("CARGO_PKG_VERSION")))
            .tls_config(
                ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build(),
            )
            .build();
        Self(config.into())
    }

    /// Sends a request. The response may have any status but those that make a [`RemoteError`] by themselves.
    pub(crate) fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        content: Option<Content<'_>>,
    ) -> Result<http::Response<Body>, RemoteError> {
        let mut builder = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let response = match content {
            None => self.run(builder, SendBody::none()),
            Some(Content::Bytes(bytes)) => {
                let mut reader = bytes;
                let builder = builder.header("content-length", bytes.len().to_string());
                self.run(builder, SendBody::from_reader(&mut reader))
            }
            Some(Content::File(path, size)) => {
                let mut file = File::open(path).map_err(|e| RemoteError::Rejected(e.to_string()))?.take(size);
                self.run(builder.header("content-length", size.to_string()), SendBody::from_reader(&mut file))
            }
        }?;
        refuse(response)
    }

    fn run(
        &self,
        builder: http::request::Builder,
        body: SendBody<'_>,
    ) -> Result<http::Response<Body>, RemoteError> {
        let request = builder
            .body(body)
            .map_err(|_| RemoteError::Rejected("the address or a header cannot be sent".into()))?;
        self.0.run(request).map_err(|e| in_words(&e))
    }
}

/// Statuses that say no.
fn refuse(mut response: http::Response<Body>) -> Result<http::Response<Body>, RemoteError> {
    let status = response.status().as_u16();
    match status {
        401 | 403 => Err(RemoteError::Denied(format!("status {status}{}", code(&mut response)))),
        // 409: S3 says so when two writers of one name meet.
        408 | 409 | 425 | 429 | 500 | 502..=599 => Err(RemoteError::Unavailable(format!(
            "the server answered with status {status}{}",
            code(&mut response)
        ))),
        501 => {
            Err(RemoteError::Rejected(format!("the server cannot do what was asked{}", code(&mut response))))
        }
        300..=399 if status != 304 => Err(RemoteError::Rejected(format!(
            "the server answered with status {status}: it wants to be asked elsewhere (for S3, check region and endpoint)"
        ))),
        _ => Ok(response),
    }
}

/// The code of an error of S3, such as `NoSuchBucket`. The rest of the answer may quote the request and its signature.
fn code(response: &mut http::Response<Body>) -> String {
    let text = response.body_mut().with_config().limit(64 << 10).read_to_string().unwrap_or_default();
    let code =
        text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>")).map(|(code, _)| code);
    match code {
        Some(code) if code.len() < 64 && code.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            format!(", {code}")
        }
        _ => String::new(),
    }
}

/// A status that nobody expected here, in words.
pub(crate) fn unexpected(mut response: http::Response<Body>) -> RemoteError {
    let status = response.status().as_u16();
    RemoteError::Rejected(format!("the server answered with status {status}{}", code(&mut response)))
}

/// What happened to the connection. Built from the parts that cannot hold an address: a signed one is a credential.
fn in_words(error: &ureq::Error) -> RemoteError {
    let text = match error {
        ureq::Error::Io(e) if let Some(why) = tls(e) => return insecure(why),
        ureq::Error::Io(e) => format!("the connection failed: {}", e.kind()),
        ureq::Error::Timeout(_) => "the server did not answer in time".to_owned(),
        ureq::Error::HostNotFound => "the server's name is not known".to_owned(),
        ureq::Error::ConnectionFailed => "no connection to the server".to_owned(),
        ureq::Error::Tls(why) => return RemoteError::Rejected(format!("no secure connection: {why}")),
        ureq::Error::Rustls(why) => return insecure(why),
        ureq::Error::BadUri(_) => return RemoteError::Rejected("the address cannot be used".into()),
        ureq::Error::Protocol(_) => "the server does not speak HTTP as expected".to_owned(),
        _ => "the request failed".to_owned(),
    };
    RemoteError::Unavailable(text)
}

/// What TLS said, where a connection failed for it.
fn tls(error: &std::io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

fn insecure(error: &rustls::Error) -> RemoteError {
    use rustls::{CertificateError, Error};
    RemoteError::Untrusted(match error {
        Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "nobody whom this system trusts has signed the server's certificate (an authority of your own belongs to those of \
             the system, or into the file that SSL_CERT_FILE names; the file replaces those of the system: put them in too)"
                .to_owned()
        }
        // The library that says so is not ours to name; its error is known by its text alone.
        Error::InvalidCertificate(CertificateError::Other(why))
            if why.to_string().contains("CaUsedAsEndEntity") =>
        {
            "the server shows the authority's own certificate; have it sign one for the server".to_owned()
        }
        // `General`: there are no authorities on this system.
        Error::InvalidCertificate(_) | Error::General(_) => format!("no secure connection: {error}"),
        // Such as a handshake that broke off.
        other => return RemoteError::Unavailable(format!("no secure connection: {other}")),
    })
}

/// The size that a response states.
pub(crate) fn stated_size(response: &http::Response<Body>) -> Result<u64, RemoteError> {
    let text = response.headers().get("content-length").and_then(|value| value.to_str().ok());
    text.and_then(|text| text.trim().parse().ok())
        .ok_or_else(|| RemoteError::Rejected("the server does not state the size of an object".into()))
}

/// An object as it comes in. A weak tag means that two versions are about the same, which no condition accepts.
pub(crate) fn answer(response: http::Response<Body>) -> Answer {
    let tag = response.headers().get("etag").and_then(|value| value.to_str().ok());
    let tag = tag.filter(|tag| tag.starts_with('"')).map(str::to_owned);
    Answer { reader: Box::new(response.into_body().into_reader()), tag }
}
