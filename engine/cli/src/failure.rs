//! How a command fails, what the user sees of it, and with which exit code.

use celldag_cache::StoreError;
use celldag_engine::{AboveError, Diagnostics, EngineError, ExitClass};
use celldag_export::ExportError;

use crate::output::Output;

/// Why a command did not succeed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The pipeline is wrong; every finding has a place.
    Pipeline(Diagnostics),
    /// The engine could not do it.
    Engine(EngineError),
    /// The store could not do it.
    Store(StoreError),
    /// The arguments do not fit together.
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// What is above a step cannot be told.
    Above(AboveError),
    /// Nodes failed; the run has said so already.
    Run(ExitClass),
    /// A device could not be used.
    Device(String),
    /// Input data are missing or bad.
    Data(String),
    /// A file of the command line cannot be read.
    Unread {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// Reading or writing a file.
    Io(std::io::Error),
    /// Everything else.
    Other(String),
}

impl Failure {
    /// Wrong arguments.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), help: None }
    }

    /// The exit code's class.
    pub(crate) fn exit_class(&self) -> ExitClass {
        match self {
            // A pipeline whose only fault is a file that is not there is a matter of data.
            Self::Pipeline(diagnostics) if diagnostics.only_missing_files() => ExitClass::Data,
            Self::Pipeline(_) | Self::Usage { .. } => ExitClass::Usage,
            Self::Engine(error) => error.exit_class(),
            Self::Run(class) => *class,
            Self::Device(_) => ExitClass::Device,
            Self::Data(_) | Self::Unread { .. } | Self::Above(_) => ExitClass::Data,
            // What was typed after --cache, or as a key or the name of a pin.
            Self::Store(
                StoreError::NotAStore { .. } | StoreError::NoSuchKey { .. } | StoreError::BadName { .. },
            ) => ExitClass::Usage,
            Self::Io(error) if error.kind() == std::io::ErrorKind::NotFound => ExitClass::Data,
            Self::Store(_) | Self::Io(_) | Self::Other(_) => ExitClass::Failed,
        }
    }

    /// Tells the user.
    pub(crate) fn show(&self, output: &Output) {
        if output.json {
            // Machines read stdout; people still get the text on stderr. A failed run has told its events already.
            let told = match self {
                Self::Run(_) => None,
                Self::Pipeline(diagnostics) => Some(serde_json::json!({ "errors": diagnostics.to_json() })),
                other => {
                    let (message, help) = other.text();
                    Some(serde_json::json!({ "errors": [{ "message": message, "help": help }] }))
                }
            };
            if let Some(told) = told {
                let _ = output.result(&told.to_string());
            }
        }
        match self {
            Self::Run(_) => {}
            Self::Pipeline(diagnostics) => show_diagnostics(diagnostics, output),
            other => {
                let (message, help) = other.text();
                show_message(output, &message, help.as_deref());
            }
        }
    }

    /// What happened and what to do.
    fn text(&self) -> (String, Option<String>) {
        match self {
            Self::Run(_) => (String::new(), None),
            Self::Pipeline(diagnostics) => (diagnostics.to_string(), None),
            Self::Engine(EngineError::Io(error)) | Self::Io(error) => {
                (error.to_string(), io_help(error.kind()))
            }
            Self::Engine(error) => (error.to_string(), error.help()),
            Self::Store(error) => (error.to_string(), None),
            Self::Above(error) => (error.to_string(), Some(error.help().to_owned())),
            Self::Usage { message, help } | Self::Unread { message, help } => (message.clone(), help.clone()),
            Self::Device(message) | Self::Data(message) | Self::Other(message) => (message.clone(), None),
        }
    }
}

/// What to do where the system says no more than that a path cannot be used.
pub(crate) fn io_help(kind: std::io::ErrorKind) -> Option<String> {
    use std::io::ErrorKind;
    let help = match kind {
        ErrorKind::NotFound => "check the path",
        ErrorKind::NotADirectory => "a part of the path is a file: name another one",
        ErrorKind::AlreadyExists => "something else has this name: name another path, or move it away",
        ErrorKind::IsADirectory => "this is a folder: name a file",
        ErrorKind::PermissionDenied => "ask its owner for access, or name another path",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "free some space, or name a path on another disk"
        }
        _ => return None,
    };
    Some(help.to_owned())
}

/// Every finding with its excerpt.
pub(crate) fn show_diagnostics(diagnostics: &Diagnostics, output: &Output) {
    let theme = if output.colour_on_stderr() {
        miette::GraphicalTheme::unicode()
    } else {
        miette::GraphicalTheme::unicode_nocolor()
    };
    let handler = miette::GraphicalReportHandler::new_themed(theme).with_links(false);
    for item in &diagnostics.items {
        let mut text = String::new();
        match handler.render_report(&mut text, item) {
            Ok(()) => output.complain(text.trim_end()),
            Err(_) => output.complain(&item.one_line()),
        }
    }
    output.complain(&format!("{diagnostics}"));
}

fn show_message(output: &Output, message: &str, help: Option<&str>) {
    let red = if output.colour_on_stderr() { ("\u{1b}[1;31m", "\u{1b}[0m") } else { ("", "") };
    output.complain(&format!("{}error{}: {message}", red.0, red.1));
    if let Some(help) = help {
        output.complain(&format!("hint: {help}"));
    }
}

impl From<Diagnostics> for Failure {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Pipeline(diagnostics)
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Store(error) => Self::Store(error),
            error => Self::Engine(error),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<AboveError> for Failure {
    fn from(error: AboveError) -> Self {
        Self::Above(error)
    }
}

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::Io { source, .. } => Self::Io(source),
            error => Self::usage(error.to_string()),
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}
