//! Who we are for a shared store, from the places where other programs look too. Nothing here is ever printed.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::{Result, StoreError};

/// Reads an environment variable; tests give their own.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The environment of this process.
pub(crate) fn process_env(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Keys of S3. No `Debug`: they must not get into a log by accident.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct S3Keys {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// Of temporary keys.
    pub(crate) token: Option<String>,
}

/// What the user's profile in `~/.aws/credentials` and `~/.aws/config` says.
#[derive(Default)]
pub(crate) struct Profile {
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
    keys: Option<S3Keys>,
}

impl Profile {
    pub(crate) fn read(env: Env<'_>) -> Self {
        let name = profile_name(env);
        let read = |variable: &str, file: &str| {
            let path = env(variable).map(PathBuf::from).or_else(|| Some(home(env)?.join(".aws").join(file)));
            path.and_then(|path| fs_err::read_to_string(path).ok()).unwrap_or_default()
        };
        // In the configuration every profile but the default one has a word before its name.
        let long = if name == "default" { name.clone() } else { format!("profile {name}") };
        let mut fields = section(&read("AWS_CONFIG_FILE", "config"), &long);
        fields.extend(section(&read("AWS_SHARED_CREDENTIALS_FILE", "credentials"), &name));
        let mut take = |name: &str| fields.remove(name).filter(|value| !value.is_empty());
        let (id, secret) = (take("aws_access_key_id"), take("aws_secret_access_key"));
        let token = take("aws_session_token");
        Self {
            region: take("region"),
            endpoint: take("endpoint_url"),
            keys: id.zip(secret).map(|(id, secret)| S3Keys { id, secret, token }),
        }
    }
}

/// The keys for S3: the environment's, else those of the profile, else none (requests are not signed).
///
/// # Errors
/// When a profile is named and has no keys: going on without would only fail later and less clearly.
pub(crate) fn s3_keys(env: Env<'_>) -> Result<Option<S3Keys>> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    if let (Some(id), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        return Ok(Some(S3Keys { id, secret, token: set("AWS_SESSION_TOKEN") }));
    }
    let keys = Profile::read(env).keys;
    match set("AWS_PROFILE") {
        Some(profile) if keys.is_none() => Err(StoreError::RemoteCredentials {
            why: format!(
                "the profile `{profile}` (AWS_PROFILE) has no aws_access_key_id with aws_secret_access_key; for a profile \
                 that signs in or assumes a role, `aws configure export-credentials --format env` gives variables to set"
            ),
        }),
        _ => Ok(keys),
    }
}

/// What a plain HTTP server is told in `Authorization`.
///
/// # Errors
/// When the token holds what no header can.
pub(crate) fn authorization(host: &str, env: Env<'_>) -> Result<Option<String>> {
    if let Some(token) = env("CELLDAG_REMOTE_TOKEN").map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()) {
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let why =
                "CELLDAG_REMOTE_TOKEN holds characters that no token has; set it to the token alone".into();
            return Err(StoreError::RemoteCredentials { why });
        }
        return Ok(Some(format!("Bearer {token}")));
    }
    let path = env("NETRC").map(PathBuf::from).or_else(|| Some(home(env)?.join(".netrc")));
    let text = path.and_then(|path| fs_err::read_to_string(path).ok()).unwrap_or_default();
    Ok(netrc(&text, host).map(|(login, password)| {
        use base64::Engine as _;
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{login}:{password}")))
    }))
}

fn profile_name(env: Env<'_>) -> String {
    env("AWS_PROFILE").filter(|name| !name.is_empty()).unwrap_or_else(|| "default".to_owned())
}

fn home(env: Env<'_>) -> Option<PathBuf> {
    env("HOME").or_else(|| env("USERPROFILE")).filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// One section of an INI file as AWS writes them. Indented lines belong to a nested setting and do not count.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut inside = false;
    let mut fields = BTreeMap::new();
    for line in text.lines() {
        let bare = line.trim();
        if let Some(title) = bare.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            inside = title.split_whitespace().eq(name.split_whitespace());
        } else if inside
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((key, value)) = bare.split_once('=')
        {
            fields.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
    }
    fields
}

/// Login and password of a host in the text of a `.netrc`; `default` stands for all hosts after it.
fn netrc(text: &str, host: &str) -> Option<(String, String)> {
    let mut words =
        text.lines().filter(|line| !line.trim_start().starts_with('#')).flat_map(str::split_whitespace);
    let (mut ours, mut login, mut password) = (false, None, None);
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" => {
                if ours && password.is_some() {
                    break;
                }
                ours = word == "default" || words.next() == Some(host);
                (login, password) = (None, None);
            }
            "login" => login = words.next().map(str::to_owned),
            "password" => password = words.next().map(str::to_owned),
            _ => {}
        }
    }
    if ours { Some((login.unwrap_or_default(), password?)) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env<'a>(pairs: &'a [(&'a str, String)]) -> impl Fn(&str) -> Option<String> + 'a {
        move |name| pairs.iter().find(|(n, _)| *n == name).map(|(_, value)| value.clone())
    }

    #[test]
    fn keys_come_from_the_environment_then_from_the_profile() {
        let dir = tempfile::tempdir().unwrap();
        let (credentials, config) = (dir.path().join("credentials"), dir.path().join("config"));
        fs_err::write(
            &credentials,
            "[default]\naws_access_key_id = D\naws_secret_access_key=ds\n# x\n[lab]\naws_access_key_id=L\n\
             aws_secret_access_key = ls\naws_session_token = lt\n",
        )
        .unwrap();
        fs_err::write(
            &config,
            "[default]\nregion = r1\n[profile lab]\nregion = r2\ns3 =\n  region = nested\n",
        )
        .unwrap();
        let files = vec![
            ("AWS_SHARED_CREDENTIALS_FILE", credentials.display().to_string()),
            ("AWS_CONFIG_FILE", config.display().to_string()),
        ];
        let keys = s3_keys(&env(&files)).unwrap().unwrap();
        assert_eq!((keys.id.as_str(), keys.token), ("D", None));

        let mut lab = files.clone();
        lab.push(("AWS_PROFILE", "lab".into()));
        let keys = s3_keys(&env(&lab)).unwrap().unwrap();
        assert_eq!((keys.id.as_str(), keys.secret.as_str(), keys.token.as_deref()), ("L", "ls", Some("lt")));
        assert_eq!(Profile::read(&env(&lab)).region.as_deref(), Some("r2"));

        lab.extend([("AWS_ACCESS_KEY_ID", "E".into()), ("AWS_SECRET_ACCESS_KEY", "es".into())]);
        assert_eq!(s3_keys(&env(&lab)).unwrap().unwrap().id, "E");

        let mut none = files;
        none.push(("AWS_PROFILE", "absent".into()));
        let error = s3_keys(&env(&none)).err().unwrap().to_string();
        assert!(error.contains("`absent`") && error.contains("export-credentials"), "{error}");
        assert!(s3_keys(&env(&[])).unwrap().is_none(), "requests are then not signed");
    }

    #[test]
    fn http_takes_a_token_before_netrc() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("netrc");
        fs_err::write(
            &path,
            "machine other login a password b\nmachine host\n login me\n password pw\ndefault login d password e\n",
        )
        .unwrap();
        let mut pairs = vec![("NETRC", path.display().to_string())];
        assert_eq!(authorization("host", &env(&pairs)).unwrap().as_deref(), Some("Basic bWU6cHc="));
        assert_eq!(authorization("unknown", &env(&pairs)).unwrap().as_deref(), Some("Basic ZDpl"));
        pairs.push(("CELLDAG_REMOTE_TOKEN", " t0ken\n".into()));
        assert_eq!(authorization("host", &env(&pairs)).unwrap().as_deref(), Some("Bearer t0ken"));
        pairs[1].1 = "two words".into();
        let error = authorization("host", &env(&pairs)).unwrap_err().to_string();
        assert!(error.contains("CELLDAG_REMOTE_TOKEN") && !error.contains("words"), "{error}");
    }
}
