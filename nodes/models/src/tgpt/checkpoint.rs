//! Finds the files of a published tGPT.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::{CheckpointError, find_weights, weight_files};

use super::config::Config;
use super::vocabulary::Vocabulary;
use crate::error::ModelError;
use crate::model::Purpose;

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";

/// The files of one tGPT, its configuration and its vocabulary.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The configuration.
    pub config: Config,
    /// The vocabulary.
    pub vocabulary: Vocabulary,
    config_file: PathBuf,
    tokenizer_file: PathBuf,
    pub(super) weights_file: PathBuf,
}

impl Checkpoint {
    /// Opens the model in the folder `path`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or they do not belong together.
    pub fn find(path: &Path) -> Result<Self, ModelError> {
        let folder = fs_err::canonicalize(path).map_err(CheckpointError::from)?;
        let layout = |what: String| ModelError::Layout {
            path: folder.clone(),
            what,
            help: format!(
                "Give the folder of a downloaded transcriptome-gpt with {CONFIG}, {TOKENIZER} and pytorch_model.bin"
            ),
        };
        let file = |name: &str| {
            let file = folder.join(name);
            if file.is_file() { Ok(file) } else { Err(layout(format!("there is no {name}"))) }
        };
        let config_file = file(CONFIG)?;
        let tokenizer_file = file(TOKENIZER)?;
        let weights_file = find_weights(&folder)
            .ok_or_else(|| layout("there is no pytorch_model.bin or model.safetensors".to_owned()))?;
        let config = Config::read(&config_file)?;
        let vocabulary = Vocabulary::read(&tokenizer_file, config.vocab_size)?;
        Ok(Self { config, vocabulary, config_file, tokenizer_file, weights_file })
    }

    /// Exactly the files that are read for a purpose, sorted.
    ///
    /// # Errors
    /// When the list of a weight file's parts cannot be read.
    pub fn files(&self, purpose: Purpose) -> Result<Vec<PathBuf>, ModelError> {
        let mut files = vec![self.config_file.clone(), self.tokenizer_file.clone()];
        if purpose == Purpose::Embed {
            files.extend(weight_files(&self.weights_file)?);
        }
        files.sort();
        Ok(files)
    }
}
