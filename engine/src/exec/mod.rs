//! `uses: exec`: any external program as a node, with everything that may change its result in the key.
//!
//! Each such node is a kind of its own, made from what the node says ([`node`]): its ports are those under `in:` and `out:`,
//! its parameters those under `with:` together with `run:`, `env:` and `version:`, and the files of the program stand on the
//! input port `code`. So they are hashed, compared and explained like everything else.

mod arguments;
pub(crate) mod code;
pub(crate) mod environment;
pub(crate) mod failure;
pub(crate) mod gpus;
pub(crate) mod node;
pub(crate) mod printed;
pub(crate) mod program;
pub(crate) mod schema;
pub(crate) mod template;
#[cfg(test)]
mod tests;
mod usage;
mod version;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::kind::{Kind, KindSpec};
use crate::param::Params;
use crate::process::{Captured, Log, Program, run};
use crate::spec::exec::CODE;
use crate::step::{LOG_FILE, NodeError, Step};
use arguments::Places;
use environment::{Folders, secret_values};
use version::Versions;

/// A node with `uses: exec`.
pub(crate) struct ExecKind {
    spec: KindSpec,
    /// Names of variables that are passed on and are in no key and no log.
    secrets: Vec<String>,
    versions: Versions,
}

impl Kind for ExecKind {
    fn spec(&self) -> KindSpec {
        self.spec.clone()
    }

    fn secrets(&self) -> &[String] {
        &self.secrets
    }

    /// What the version probe says.
    fn program(&self, params: &Params) -> Result<BTreeMap<String, String>, NodeError> {
        let argv = texts(params.get("version"));
        if argv.is_empty() {
            return Ok(BTreeMap::new());
        }
        let said = self.versions.ask(&argv, &environment::declared(params))?;
        Ok([("version".to_owned(), said)].into())
    }

    fn input_files(
        &self,
        port: &str,
        path: &Path,
        _params: &Params,
    ) -> Result<Option<Vec<PathBuf>>, NodeError> {
        if port == CODE && path.is_dir() { code::files(path).map(Some) } else { Ok(None) }
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        let io = |e: std::io::Error| NodeError::failed(format!("cannot prepare the program's folders: {e}"));
        let folders = Folders::create(step.scratch).map_err(io)?;
        let code = folders.code.as_path();
        for file in step.gathered(CODE) {
            code::copy(&file.path, &code.join(code::place(&file.label)?)).map_err(io)?;
        }
        let places = Places { step, code, lists: &folders.lists };
        let mut argv = Vec::new();
        for argument in texts(step.params.get("run")) {
            places.expand(&argument, &mut argv)?;
        }
        let secrets = secret_values(&self.secrets)?;
        let mut env = environment::base(&folders);
        env.extend(gpus::variables(step.gpus));
        for (name, value) in environment::declared(step.params) {
            env.insert(name, places.one(&value)?);
        }
        env.extend(secrets.clone());
        let name = texts(step.params.get("run")).first().cloned().unwrap_or_default();
        let masked: Vec<String> =
            secrets.values().map(|value| value.to_string_lossy().into_owned()).collect();
        let file = step.scratch.join(LOG_FILE);
        let log = Captured::new(Log::create(&file, &name, &masked).map_err(io)?);
        let outputs = environment::outputs_folder(step);
        let program = Program { argv, env, folder: folders.work, outputs };
        let ended = run(&program, (&log, None), &|| step.cancel.is_cancelled());
        failure::check(&name, ended, &log)?;
        printed::keep(step, &file);
        failure::check_outputs(&name, step, &log)
    }
}

/// A parameter that is a list of texts.
fn texts(value: Option<&Value>) -> Vec<String> {
    let items = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
