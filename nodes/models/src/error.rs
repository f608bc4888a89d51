//! Why a model cannot be loaded or run.

use std::path::PathBuf;

use celldag_data::checkpoint::CheckpointError;
use celldag_data::tokenizer::TokenizerError;
use celldag_data::vocabulary::VocabularyError;

/// A model that cannot be loaded from its checkpoint, or cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// Weights are missing, damaged, or of another model.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A gene dictionary is missing or damaged.
    #[error(transparent)]
    Vocabulary(#[from] VocabularyError),
    /// The tokenizer of a text model is missing or damaged, or cannot cut a text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The folder does not hold what the model needs.
    #[error("{}: {what}. {help}", path.display())]
    Layout {
        /// The folder that was given.
        path: PathBuf,
        /// What is missing or ambiguous.
        what: String,
        /// What to do.
        help: String,
    },
    /// The configuration of the checkpoint cannot be used.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Dictionary and weights do not belong together.
    #[error(
        "wrong dictionary for the weights: {} is a model of {vocab_size} tokens, but the token dictionaries found have \
         {found}; put the dictionary that was published with these weights beside them",
        config.display()
    )]
    WrongDictionary {
        /// The model's configuration.
        config: PathBuf,
        /// Tokens that the weights know.
        vocab_size: usize,
        /// Each dictionary with its number of entries.
        found: String,
    },
    /// None of the file's genes is in the vocabulary.
    #[error(
        "none of the {genes} genes is in the vocabulary of {model}: the file has {examples}, the vocabulary has names such \
         as {vocabulary}. {help}"
    )]
    NoGenes {
        /// Genes in the file.
        genes: usize,
        /// The model.
        model: String,
        /// A few names of the file.
        examples: String,
        /// A few names of the vocabulary.
        vocabulary: String,
        /// What to do.
        help: String,
    },
    /// The shapes of the weights are none that the model can have.
    #[error("the weights cannot be used: {0}; is this the checkpoint of another model?")]
    Shapes(String),
    /// An option does not exist or cannot have this value: a layer, a pooling.
    #[error("{0}")]
    Option(String),
    /// A low-rank adapter does not fit the model.
    #[error("the adapter does not fit the model: {0}")]
    Adapter(String),
    /// Tokens do not fit the model.
    #[error("the tokens do not fit the model: {0}; tokenize the cells again with this checkpoint")]
    Tokens(String),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] celldag_shaders::Error),
}

impl ModelError {
    /// Whether the device is gone: opened again, it may do the same work.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        use celldag_shaders::{DeviceError, Error};
        matches!(self, Self::Device(Error::Device(DeviceError::Lost { .. })))
    }

    /// Whether a smaller batch may succeed.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        use celldag_shaders::{DeviceError, Error};
        matches!(
            self,
            Self::Device(Error::Device(DeviceError::OutOfMemory { .. } | DeviceError::TooLarge { .. }))
        )
    }
}
