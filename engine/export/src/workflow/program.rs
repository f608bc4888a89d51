//! What the steps of a rule run: a kind by its name, an executable by its path, or a program by its file.

use std::path::PathBuf;

use celldag_engine::registry::Registered;
use celldag_engine::{is_program, program_text};
use serde_json::{Map, Value};

use super::{Given, Setting};
use crate::error::ExportError;

/// What `celldag step` is told to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Runs {
    /// A kind of celldag.
    Kind(&'static str),
    /// A kind in an executable: its absolute path, which means the same whatever `CELLDAG_PLUGINS` says.
    Executable(String),
    /// A node with `uses: exec`.
    Program {
        /// Its file in the folder of the export.
        file: String,
        /// What stands in it.
        text: String,
    },
}

impl Runs {
    /// Word after `celldag step`.
    #[must_use]
    pub fn word(&self) -> &str {
        match self {
            Self::Kind(name) => name,
            Self::Executable(path) => path,
            Self::Program { .. } => "exec",
        }
    }

    /// The file of the program, if that is what is run.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        match self {
            Self::Program { file, .. } => Some(file),
            Self::Kind(_) | Self::Executable(_) => None,
        }
    }

    /// The same as an entry of an export.
    pub(crate) fn entry(&self) -> Option<(PathBuf, String)> {
        match self {
            Self::Program { file, text } => Some((file.into(), text.clone())),
            Self::Kind(_) | Self::Executable(_) => None,
        }
    }
}

/// What the steps of a rule run. What all jobs of a program agree on goes into its file, and out of `given`.
pub(super) fn runs(
    kind: &Registered,
    (node, ident): (&str, &str),
    shared: &Map<String, Value>,
    given: &mut Vec<Given>,
) -> Result<Runs, ExportError> {
    if is_program(kind) {
        given.retain(|(_, setting)| !matches!(setting, Setting::Same(Some(_))));
        let text = format!(
            "# The program of node `{node}`, for `celldag step exec --spec`: what is the same for all its jobs.\n{}",
            program_text(kind, shared)
        );
        return Ok(Runs::Program { file: format!("exec/{ident}.yaml"), text });
    }
    match kind.kind.executable() {
        None => Ok(Runs::Kind(kind.spec.name)),
        Some(path) => match path.to_str() {
            Some(text) => Ok(Runs::Executable(text.to_owned())),
            None => Err(ExportError::NotText { path: path.to_owned() }),
        },
    }
}
