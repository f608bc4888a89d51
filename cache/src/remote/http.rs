//! A shared store on a plain HTTP server: GET, HEAD and PUT below one address (nginx with WebDAV, Caddy, a registry's
//! generic packages, ...).

use ureq::http::Method;
use url::Url;

use crate::error::Result;
use crate::remote::credentials::{Env, authorization};
use crate::remote::transport::{Client, answer, stated_size, unexpected};
use crate::remote::{Answer, Content, Existing, Object, Put, Remote, RemoteError};

pub(crate) struct HttpRemote {
    client: Client,
    /// With a slash at the end.
    base: Url,
    /// Leaves this struct only in the header of a request.
    authorization: Option<String>,
}

impl HttpRemote {
    pub(crate) fn new(base: Url, env: Env<'_>) -> Result<Self> {
        let authorization = authorization(base.host_str().unwrap_or_default(), env)?;
        Ok(Self { client: Client::new(), base, authorization })
    }

    /// Whether a token or password would travel in the open.
    pub(crate) fn shows_credentials(&self) -> bool {
        let local = match self.base.host() {
            Some(url::Host::Domain(name)) => name == "localhost",
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        self.authorization.is_some() && self.base.scheme() == "http" && !local
    }

    fn send(
        &self,
        method: Method,
        object: Object,
        condition: Option<(&str, &str)>,
        content: Option<Content<'_>>,
    ) -> Result<ureq::http::Response<ureq::Body>, RemoteError> {
        let mut headers: Vec<(&str, &str)> = condition.into_iter().collect();
        if let Some(value) = &self.authorization {
            headers.push(("authorization", value));
        }
        self.client.send(method, &format!("{}{object}", self.base), &headers, content)
    }
}

impl Remote for HttpRemote {
    fn get(&self, object: Object) -> Result<Option<Answer>, RemoteError> {
        let response = self.send(Method::GET, object, None, None)?;
        match response.status().as_u16() {
            200 => Ok(Some(answer(response))),
            404 | 410 => Ok(None),
            _ => Err(unexpected(response)),
        }
    }

    fn head(&self, object: Object) -> Result<Option<u64>, RemoteError> {
        let response = self.send(Method::HEAD, object, None, None)?;
        match response.status().as_u16() {
            200 | 204 => stated_size(&response).map(Some),
            404 | 410 => Ok(None),
            _ => Err(unexpected(response)),
        }
    }

    fn put(&self, object: Object, content: Content<'_>, existing: Existing<'_>) -> Result<Put, RemoteError> {
        let response = self.send(Method::PUT, object, existing.condition(), Some(content))?;
        match response.status().as_u16() {
            200..=299 => Ok(Put::Stored),
            304 | 412 => Ok(Put::Conflict),
            _ => Err(unexpected(response)),
        }
    }
}
