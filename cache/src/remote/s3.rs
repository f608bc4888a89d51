//! A shared store in a bucket of S3 or of a server that speaks its language. `rusty-s3` signs addresses, `ureq` sends.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use fs_err::File;
use rusty_s3::actions::{CreateMultipartUpload, S3Action as _};
use rusty_s3::{Bucket, Credentials, UrlStyle};
use ureq::http::Method;
use url::Url;

use crate::error::{Result, StoreError};
use crate::remote::address::without_secrets;
use crate::remote::credentials::S3Keys;
use crate::remote::transport::{Client, answer, stated_size, unexpected};
use crate::remote::{Answer, Content, Existing, Object, Put, Remote, RemoteError};

/// How long a signed address may be used.
const VALID: Duration = Duration::from_secs(3600);

/// Larger files go in parts: S3 takes at most 5 GiB at once, and a part that fails costs less to send again.
const PART: u64 = 16 << 20;

/// S3 takes no more parts than this.
const MOST_PARTS: u64 = 10_000;

/// Attempts at one part.
const PART_ATTEMPTS: u32 = 3;

pub(crate) struct S3Remote {
    client: Client,
    bucket: Bucket,
    /// `None`: requests are not signed.
    keys: Option<Credentials>,
    /// Empty, or with a slash at the end.
    prefix: String,
    /// Size of a part in bytes.
    part: u64,
}

impl S3Remote {
    pub(crate) fn new(
        (bucket, prefix): (String, String),
        (endpoint, path_style): (Url, bool),
        region: String,
        keys: Option<S3Keys>,
    ) -> Result<Self> {
        let style = if path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let address = without_secrets(endpoint.as_str());
        let bucket = Bucket::new(endpoint, style, bucket, region)
            .map_err(|e| StoreError::RemoteAddress { address, why: e.to_string() })?;
        let keys = keys.map(|keys| match keys.token {
            Some(token) => Credentials::new_with_token(keys.id, keys.secret, token),
            None => Credentials::new(keys.id, keys.secret),
        });
        Ok(Self { client: Client::new(), bucket, keys, prefix, part: PART })
    }

    fn name(&self, object: Object) -> String {
        format!("{}{object}", self.prefix)
    }

    /// Sends a large file in parts.
    fn put_parts(&self, name: &str, path: &Path, size: u64) -> Result<(), RemoteError> {
        let keys = self.keys.as_ref();
        let url = self.bucket.create_multipart_upload(keys, name).sign(VALID);
        let mut response = self.client.send(Method::POST, url.as_str(), &[], Some(Content::Bytes(b"")))?;
        if response.status().as_u16() != 200 {
            return Err(unexpected(response));
        }
        let strange = |_| RemoteError::Rejected("the server does not answer as S3 does".into());
        let text = response.body_mut().with_config().limit(64 << 10).read_to_string().map_err(strange)?;
        let upload = CreateMultipartUpload::parse_response(&text)
            .map_err(|_| RemoteError::Rejected("the server does not answer as S3 does".into()))?;
        let id = upload.upload_id();
        let done = self.send_parts(name, path, size, id);
        if done.is_err() {
            // What was sent would be kept, and paid for. If this fails too, the bucket's own rules have to clean up.
            let url = self.bucket.abort_multipart_upload(keys, name, id).sign(VALID);
            let _ = self.client.send(Method::DELETE, url.as_str(), &[], None);
        }
        done
    }

    fn send_parts(&self, name: &str, path: &Path, size: u64, id: &str) -> Result<(), RemoteError> {
        let keys = self.keys.as_ref();
        let broken = |e: std::io::Error| RemoteError::Rejected(e.to_string());
        let mut file = File::open(path).map_err(broken)?;
        let length = self.part.max(size.div_ceil(MOST_PARTS));
        let mut tags = Vec::new();
        let mut left = size;
        while left > 0 {
            let number = u16::try_from(tags.len() + 1).unwrap_or(u16::MAX);
            let mut bytes = Vec::new();
            Read::by_ref(&mut file).take(length.min(left)).read_to_end(&mut bytes).map_err(broken)?;
            if bytes.is_empty() {
                return Err(RemoteError::Rejected("the file became shorter while it was sent".into()));
            }
            left -= bytes.len() as u64;
            let url = self.bucket.upload_part(keys, name, number, id).sign(VALID);
            tags.push(self.send_part(&url, &bytes)?);
        }
        let action = self.bucket.complete_multipart_upload(keys, name, id, tags.iter().map(String::as_str));
        let url = action.sign(VALID);
        let body = action.body();
        let mut response =
            self.client.send(Method::POST, url.as_str(), &[], Some(Content::Bytes(body.as_bytes())))?;
        let unread = |_| RemoteError::Unavailable("the answer about the parts of a file broke off".into());
        let text = response.body_mut().with_config().limit(64 << 10).read_to_string().map_err(unread)?;
        if response.status().as_u16() != 200 || !are_put_together(&text) {
            return Err(RemoteError::Unavailable("the server could not put the parts together".into()));
        }
        Ok(())
    }

    fn send_part(&self, url: &Url, bytes: &[u8]) -> Result<String, RemoteError> {
        let mut attempt = 1;
        loop {
            match self.client.send(Method::PUT, url.as_str(), &[], Some(Content::Bytes(bytes))) {
                Ok(response) if response.status().as_u16() == 200 => {
                    let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
                    return tag
                        .map(str::to_owned)
                        .ok_or_else(|| RemoteError::Rejected("the server does not name the parts".into()));
                }
                Ok(response) => return Err(unexpected(response)),
                Err(RemoteError::Unavailable(_)) if attempt < PART_ATTEMPTS => attempt += 1,
                Err(e) => return Err(e),
            }
        }
    }
}

/// Whether an answer to the completion of a multipart upload says that the object is there. S3 says 200 before it knows,
/// so only the body tells.
fn are_put_together(body: &str) -> bool {
    body.contains("CompleteMultipartUploadResult") && !body.contains("<Error>")
}

impl Remote for S3Remote {
    fn get(&self, object: Object) -> Result<Option<Answer>, RemoteError> {
        let url = self.bucket.get_object(self.keys.as_ref(), &self.name(object)).sign(VALID);
        let response = self.client.send(Method::GET, url.as_str(), &[], None)?;
        match response.status().as_u16() {
            200 => Ok(Some(answer(response))),
            404 => Ok(None),
            _ => Err(unexpected(response)),
        }
    }

    fn head(&self, object: Object) -> Result<Option<u64>, RemoteError> {
        let url = self.bucket.head_object(self.keys.as_ref(), &self.name(object)).sign(VALID);
        let response = self.client.send(Method::HEAD, url.as_str(), &[], None)?;
        match response.status().as_u16() {
            200 => stated_size(&response).map(Some),
            404 => Ok(None),
            _ => Err(unexpected(response)),
        }
    }

    fn put(&self, object: Object, content: Content<'_>, existing: Existing<'_>) -> Result<Put, RemoteError> {
        let name = self.name(object);
        // Only bytes are large, and they are the same whoever sends them: no condition is needed.
        if let (Content::File(path, size), Existing::Replace) = (content, existing)
            && size > self.part
        {
            return self.put_parts(&name, path, size).map(|()| Put::Stored);
        }
        let url = self.bucket.put_object(self.keys.as_ref(), &name).sign(VALID);
        let condition = existing.condition();
        let response = self.client.send(Method::PUT, url.as_str(), condition.as_slice(), Some(content))?;
        match response.status().as_u16() {
            200..=299 => Ok(Put::Stored),
            412 => Ok(Put::Conflict),
            _ => Err(unexpected(response)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_result_says_that_the_parts_are_an_object() {
        let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
        let done = "<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>";
        assert!(are_put_together(&format!("{head}{done}")));
        let failed = "<Error><Code>InternalError</Code></Error>";
        for body in ["", head, "   ", &format!("{head}{failed}"), "<html>sign in</html>"] {
            assert!(!are_put_together(body), "{body}");
        }
    }
}
