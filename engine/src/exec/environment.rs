//! What an external program sees of the world: folders of its own, and no variable but those that are declared.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::param::Params;
use crate::step::{NodeError, Outlook, Step};

/// Folders of one attempt, all below the node's scratch folder.
pub(crate) struct Folders {
    /// `HOME`.
    pub(crate) home: PathBuf,
    /// `TMPDIR`.
    pub(crate) tmp: PathBuf,
    /// Where the program starts.
    pub(crate) work: PathBuf,
    /// Copies of the files that the program consists of.
    pub(crate) code: PathBuf,
    /// Files that `{list:PORT}` names.
    pub(crate) lists: PathBuf,
}

impl Folders {
    /// Makes them.
    pub(crate) fn create(scratch: &Path) -> std::io::Result<Self> {
        let folder = |name: &str| {
            let path = scratch.join(name);
            fs_err::create_dir(&path).map(|()| path)
        };
        Ok(Self {
            home: folder("home")?,
            tmp: folder("tmp")?,
            work: folder("work")?,
            code: folder("code")?,
            lists: folder("lists")?,
        })
    }
}

/// The variables that every program gets. The search path is the only one that comes from the user's environment: programs
/// are found where the user finds them, and which one that is, the version probe says.
pub(crate) fn base(folders: &Folders) -> BTreeMap<String, OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    [
        ("PATH", path),
        ("LC_ALL", "C.UTF-8".into()),
        ("HOME", folders.home.clone().into()),
        ("TMPDIR", folders.tmp.clone().into()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}

/// `env:` of a node.
pub(crate) fn declared(params: &Params) -> BTreeMap<String, String> {
    let entries = params.get("env").and_then(Value::as_object);
    let texts = entries.into_iter().flatten();
    texts.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// Values of secrets, from the environment of celldag.
///
/// # Errors
/// When one is not set.
pub(crate) fn secret_values(names: &[String]) -> Result<BTreeMap<String, OsString>, NodeError> {
    let value = |name: &String| match std::env::var_os(name).filter(|value| !value.is_empty()) {
        Some(value) => Ok((name.clone(), value)),
        None => Err(NodeError::parameter(format!("the secret {name} is not set"))
            .outlook(Outlook::Unknown)
            .help(format!("set it in the environment of celldag: export {name}=..."))),
    };
    names.iter().map(value).collect()
}

/// The folder that all outputs of a step lie in, without links: that is how the system names open files.
pub(crate) fn outputs_folder(step: &Step<'_>) -> PathBuf {
    let sandbox = step.scratch.parent().unwrap_or(step.scratch);
    let folder = sandbox.join("out");
    fs_err::canonicalize(&folder).unwrap_or(folder)
}
