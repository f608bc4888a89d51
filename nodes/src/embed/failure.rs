//! Errors of data and models as failures of a node, with the cause that decides the exit code.

use celldag_data::DataError;
use celldag_engine::NodeError;
use celldag_models::ModelError;

use super::drug::DrugTableError;
use super::tokens_file::TokensError;

/// Why `tokenize`, `embed` or `embed-drug` stopped. Collects what the crates below report.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Data(#[from] DataError),
    #[error(transparent)]
    Model(#[from] ModelError),
    #[error(transparent)]
    Tokens(#[from] TokensError),
    #[error(transparent)]
    Drugs(#[from] DrugTableError),
    #[error(transparent)]
    Node(#[from] NodeError),
}

impl From<Failure> for NodeError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Node(error) => error,
            Failure::Data(error) => crate::failure::data(error),
            Failure::Tokens(error) => Self::data(error.to_string()),
            Failure::Drugs(error) => Self::data(error.to_string()).help(error.help()),
            Failure::Model(error) => model(&error),
        }
    }
}

/// A model's error as a failure of a node.
pub(crate) fn model(error: &ModelError) -> NodeError {
    match error {
        ModelError::Option(_) => NodeError::parameter(error.to_string()),
        ModelError::Device(_) if error.is_lost() => NodeError::lost(error.to_string()),
        ModelError::Device(_) if error.is_out_of_memory() => NodeError::memory(error.to_string())
            .help("one cell, or the cells that the model looks at together, does not fit: allow more (`--memory-limit`, of a step `--memory`) if you \
             set a limit, use a smaller `neighbourhood` where the model has one, or a device with more memory"),
        ModelError::Device(_) => NodeError::device(error.to_string()),
        _ => NodeError::data(error.to_string()),
    }
}
