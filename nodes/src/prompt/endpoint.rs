//! The one place that talks to the network: a POST to the endpoint that the user named, with the key from the environment.

use std::time::{Duration, SystemTime};

use celldag_engine::NodeError;
use serde_json::Value;

/// Most bytes of a response; an answer has a few kilobytes.
const MOST: u64 = 16 << 20;

/// Fewest characters of a key. A shorter one may stand in any text by chance: it could not be told from other words of a
/// response, and so not be kept out of results and messages.
const SHORTEST_KEY: usize = 8;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Received {
    pub(super) status: u16,
    /// How long the server asks to wait.
    pub(super) retry_after: Option<Duration>,
    pub(super) body: String,
    /// The body as JSON, if it is.
    pub(super) json: Option<Value>,
}

/// An endpoint with its key. The key leaves this struct only in the header of a request.
pub(super) struct Endpoint {
    agent: ureq::Agent,
    url: String,
    key: Option<String>,
}

impl Endpoint {
    /// `base` is the address before `/chat/completions`; the key is read from the environment variable `key_name`.
    ///
    /// # Errors
    /// When the variable is not set or holds what no header can.
    pub(super) fn new(base: &str, key_name: Option<&str>, timeout: Duration) -> Result<Self, NodeError> {
        use_ring();
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            // The key and the genes go to the address that was named and to no other.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("celldag/", env!("CARGO_PKG_VERSION")))
            .tls_config(
                ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier).build(),
            )
            .build();
        let key = key_name.map(read_key).transpose()?;
        Ok(Self {
            agent: config.into(),
            url: format!("{}/chat/completions", base.trim_end_matches('/')),
            key,
        })
    }

    /// Whether a key would travel in the open: over plain HTTP to another machine.
    pub(super) fn shows_key(&self) -> bool {
        self.key.is_some() && self.url.starts_with("http://") && !is_local(&self.url)
    }

    /// Sends a body of JSON and waits for the response. Everything that the server says is free of the key.
    ///
    /// # Errors
    /// What happened to the connection, in words.
    pub(super) fn post(&self, body: &str) -> Result<Received, String> {
        let mut request = self.agent.post(&self.url).header("content-type", "application/json");
        if let Some(key) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let mut response = request.send(body).map_err(|e| self.clean(&e.to_string()))?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let milliseconds = header("retry-after-ms").and_then(|text| text.trim().parse().ok());
        let retry_after = milliseconds
            .map(Duration::from_millis)
            .or_else(|| header("retry-after").and_then(|text| retry_after(text, SystemTime::now())));
        let bytes = response
            .body_mut()
            .with_config()
            .limit(MOST)
            .read_to_vec()
            .map_err(|e| format!("the response broke off: {}", self.clean(&e.to_string())))?;
        // JSON can write a character in several ways: the key is looked for in what the text means, too.
        let mut json = serde_json::from_slice(&bytes).ok();
        if let Some(json) = &mut json {
            self.clean_json(json);
        }
        let body =
            json.as_ref().map_or_else(|| self.clean(&String::from_utf8_lossy(&bytes)), Value::to_string);
        Ok(Received { status, retry_after, body, json })
    }

    /// A text without the key.
    pub(super) fn clean(&self, text: &str) -> String {
        match &self.key {
            Some(key) => text.replace(key.as_str(), "[key]"),
            None => text.to_owned(),
        }
    }

    fn clean_json(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.clean(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.clean_json(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.clean_json(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Of the cryptography libraries that rustls can use, the one that needs nothing but a C compiler. A second call changes
/// nothing: the first one set the process's default.
fn use_ring() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn read_key(name: &str) -> Result<String, NodeError> {
    let key = std::env::var(name).unwrap_or_default();
    let key = key.trim();
    if key.is_empty() {
        return Err(NodeError::parameter(format!(
            "`api_key_env` is `{name}`, but there is no such environment variable, or it is empty"
        ))
        .help(format!(
            "set {name} to the key before the run; leave `api_key_env` out for a server without keys"
        )));
    }
    if key.len() < SHORTEST_KEY {
        return Err(NodeError::parameter(format!(
            "the key in the environment variable `{name}` has fewer than {SHORTEST_KEY} characters: if the server quoted it, \
             it could not be found and kept out of the results"
        ))
        .help("leave `api_key_env` out for a server that takes any key; give a server of your own a longer one"));
    }
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(NodeError::parameter(format!(
            "the environment variable `{name}` holds characters that no key has"
        ))
        .help("set it to the key alone, without quotes, spaces or line breaks"));
    }
    Ok(key.to_owned())
}

/// Why an address cannot be used as `endpoint`.
pub(super) fn fault(base: &str) -> Option<&'static str> {
    let Some(rest) = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://")) else {
        return Some("must begin with https:// or http://, such as http://localhost:11434/v1");
    };
    let host = rest.split('/').next().unwrap_or_default();
    if host.contains('@') {
        return Some("must not hold a user name or key: name the environment variable with `api_key_env`");
    }
    if rest.contains(['?', '#']) {
        return Some("must be an address without `?` or `#`; a key comes from `api_key_env`");
    }
    if host.is_empty() || rest.contains(char::is_whitespace) || rest.contains(char::is_control) {
        return Some("is no address; it looks like https://api.example.org/v1");
    }
    rest.trim_end_matches('/')
        .ends_with("/chat/completions")
        .then_some("must end before `/chat/completions`, which is added")
}

/// Whether an address is on this machine.
fn is_local(url: &str) -> bool {
    let rest = url.split("://").nth(1).unwrap_or_default();
    let host = rest.split('/').next().unwrap_or_default();
    let name =
        if host.starts_with('[') { host.split(']').next().map(|h| &h[1..]) } else { host.split(':').next() };
    let name = name.unwrap_or_default();
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Seconds, or a date of HTTP.
fn retry_after(text: &str, now: SystemTime) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<f64>() {
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let then = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp();
    Some(SystemTime::from(then).duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["https://api.example.org/v1", "http://localhost:11434/v1/", "http://[::1]:8080"] {
            assert_eq!(fault(good), None, "{good}");
        }
        for bad in [
            "api.example.org/v1",
            "ftp://example.org",
            "https://user:key@example.org/v1",
            "https://example.org/v1?api-key=1",
            "https://",
            "https://example.org/v1/chat/completions",
            "https://exa mple.org",
        ] {
            assert!(fault(bad).is_some(), "{bad}");
        }
        assert!(
            is_local("http://localhost:1/v1")
                && is_local("http://127.0.0.1:9")
                && is_local("http://[::1]:9/")
        );
        assert!(!is_local("http://example.org/v1") && !is_local("http://localhost.example.org"));
    }

    #[test]
    fn waiting_times() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("0.5", now), Some(Duration::from_millis(500)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:47 GMT", now), Some(Duration::from_secs(10)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
        assert_eq!(retry_after("-1", now), None);
    }
}
