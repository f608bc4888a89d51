//! Where a shared store is: what `--remote` and `CELLDAG_REMOTE` say.

use url::Url;

use crate::error::{Result, StoreError};
use crate::remote::credentials::{Env, Profile};

/// What this side may do with the shared store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Results are taken from it and given to it.
    #[default]
    Write,
    /// Results are taken from it only.
    Read,
}

impl std::str::FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "write" => Ok(Self::Write),
            "read" => Ok(Self::Read),
            other => Err(format!("`{other}` is no role; it is `read` or `write`")),
        }
    }
}

/// A shared store, as [`crate::Store::connect`] takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteOptions {
    /// `s3://bucket/prefix?endpoint=URL&region=NAME&role=read` or `https://host/path?role=read`.
    pub address: String,
    /// Overrides the role that the address states.
    pub role: Option<Role>,
    /// Ask it nothing and send it nothing; what would be sent waits in the queue.
    pub offline: bool,
}

/// An address taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) place: Place,
    pub(crate) role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Http {
        /// With a slash at the end.
        base: Url,
    },
    S3 {
        bucket: String,
        /// Empty, or with a slash at the end.
        prefix: String,
        endpoint: Url,
        /// Whether the bucket is the first part of the path rather than of the host's name.
        path_style: bool,
        region: String,
        /// Requests are not signed.
        anonymous: bool,
    },
}

impl Address {
    /// Reads an address. What it leaves open comes from the environment and the user's profile, as other S3 programs
    /// take it from there.
    pub(crate) fn parse(text: &str, env: Env<'_>) -> Result<Self> {
        let bad = |why: String| StoreError::RemoteAddress { address: without_secrets(text), why };
        let url = Url::parse(text).map_err(|e| bad(e.to_string()))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad(
                "it must not hold a user name or a password; they come from the environment".into()
            ));
        }
        if url.fragment().is_some() {
            return Err(bad("it must not hold a `#`".into()));
        }
        let is_s3 = match url.scheme() {
            "s3" => true,
            "http" | "https" => false,
            other => return Err(bad(format!("`{other}://` is not known; use s3://, https:// or http://"))),
        };
        let mut query = Query::default();
        for (name, value) in url.query_pairs() {
            let value = value.into_owned();
            match &*name {
                "role" => query.role = Some(value.parse().map_err(bad)?),
                "endpoint" if is_s3 => query.endpoint = Some(value),
                "region" if is_s3 => query.region = Some(value),
                "anonymous" if is_s3 => {
                    query.anonymous =
                        value.parse().map_err(|_| bad("`anonymous` is true or false".into()))?;
                }
                other => {
                    let known = if is_s3 { "endpoint, region, anonymous and role" } else { "role" };
                    return Err(bad(format!("`{other}` is not known here; {known} can follow the `?`")));
                }
            }
        }
        let place = if is_s3 { s3(&url, &query, env, &bad)? } else { http(url) };
        Ok(Self { place, role: query.role.unwrap_or_default() })
    }
}

#[derive(Default)]
struct Query {
    role: Option<Role>,
    endpoint: Option<String>,
    region: Option<String>,
    anonymous: bool,
}

fn http(mut base: Url) -> Place {
    base.set_query(None);
    if !base.path().ends_with('/') {
        let path = format!("{}/", base.path());
        base.set_path(&path);
    }
    Place::Http { base }
}

fn s3(url: &Url, query: &Query, env: Env<'_>, bad: &dyn Fn(String) -> StoreError) -> Result<Place> {
    let bucket = url.host_str().unwrap_or_default().to_owned();
    if bucket.is_empty() {
        return Err(bad("it names no bucket; it looks like s3://bucket/prefix".into()));
    }
    let profile = Profile::read(env);
    let first = |names: &[&str]| names.iter().find_map(|name| env(name).filter(|value| !value.is_empty()));
    let region = query
        .region
        .clone()
        .or_else(|| first(&["AWS_REGION", "AWS_DEFAULT_REGION"]))
        .or(profile.region)
        .unwrap_or_else(|| "us-east-1".to_owned());
    let named = query
        .endpoint
        .clone()
        .or_else(|| first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]))
        .or(profile.endpoint);
    // Own servers seldom have a host name for each bucket, and a certificate does not cover a dot in one.
    let path_style = named.is_some() || bucket.contains('.');
    let endpoint = named.unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com"));
    let endpoint = Url::parse(&endpoint)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host_str().is_some())
        .filter(|url| url.username().is_empty() && url.password().is_none())
        .ok_or_else(|| bad("its endpoint is no address such as https://s3.example.org".into()))?;
    let path = url.path().trim_matches('/');
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    Ok(Place::S3 { bucket, prefix, endpoint, path_style, region, anonymous: query.anonymous })
}

/// An address as it may be shown: no user, no password, no parameters (somebody may have put a signature there).
pub(crate) fn without_secrets(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else {
        // Not an address; whatever stands before an `@` may be a password.
        return text.rsplit('@').next().unwrap_or_default().split('?').next().unwrap_or_default().to_owned();
    };
    // Both fail only for addresses that cannot have them.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, env: &[(&str, &str)]) -> Result<Address> {
        let lookup = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
        Address::parse(text, &lookup)
    }

    #[test]
    fn s3_takes_what_is_open_from_the_environment() {
        let Place::S3 { bucket, prefix, endpoint, path_style, region, .. } =
            parse("s3://lab/cells/a?role=read", &[("AWS_REGION", "eu-central-1")]).unwrap().place
        else {
            panic!("not S3");
        };
        assert_eq!((bucket.as_str(), prefix.as_str(), region.as_str()), ("lab", "cells/a/", "eu-central-1"));
        assert_eq!(endpoint.as_str(), "https://s3.eu-central-1.amazonaws.com/");
        assert!(!path_style);

        let env = [("AWS_ENDPOINT_URL", "http://localhost:9000"), ("AWS_REGION", "other")];
        let Place::S3 { endpoint, path_style, region, prefix, .. } =
            parse("s3://lab?region=here", &env).unwrap().place
        else {
            panic!("not S3");
        };
        assert_eq!((endpoint.as_str(), region.as_str()), ("http://localhost:9000/", "here"));
        assert!(path_style && prefix.is_empty());
    }

    #[test]
    fn http_ends_in_a_slash_and_knows_its_role() {
        let address = parse("https://cache.example.org/team?role=read", &[]).unwrap();
        assert_eq!(address.role, Role::Read);
        let Place::Http { base } = address.place else { panic!("not HTTP") };
        assert_eq!(base.as_str(), "https://cache.example.org/team/");
    }

    #[test]
    fn mistakes_are_named_and_secrets_are_not_repeated() {
        for (text, expected) in [
            ("cache.example.org", "relative URL"),
            ("ftp://example.org", "ftp"),
            ("https://me:hunter2@example.org/", "password"),
            ("s3://bucket?role=admin", "admin"),
            ("https://example.org?token=hunter2", "`token`"),
            ("s3://bucket?endpoint=nowhere", "endpoint"),
            ("s3:///x", "bucket"),
        ] {
            let error = parse(text, &[]).unwrap_err().to_string();
            assert!(error.contains(expected) && !error.contains("hunter2"), "{text}: {error}");
        }
    }
}
