//! Finds the three files of a published scGPT.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::CheckpointError;

use super::config::Config;
use super::vocabulary::Vocabulary;
use crate::error::ModelError;
use crate::model::Purpose;

const CONFIG: &str = "args.json";
const VOCABULARY: &str = "vocab.json";
/// In the order of preference: the published name, that of the authors' fine-tuning scripts, and converted files.
const WEIGHTS: [&str; 3] = ["best_model.pt", "model.pt", "model.safetensors"];

/// The files of one scGPT, its configuration and its vocabulary.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The configuration.
    pub config: Config,
    /// The vocabulary.
    pub vocabulary: Vocabulary,
    pub(super) config_file: PathBuf,
    pub(super) vocabulary_file: PathBuf,
    pub(super) weights_file: PathBuf,
}

impl Checkpoint {
    /// Opens the model in the folder `path`.
    ///
    /// # Errors
    /// When a file is missing or damaged.
    pub fn find(path: &Path) -> Result<Self, ModelError> {
        let folder = fs_err::canonicalize(path).map_err(CheckpointError::from)?;
        let file = |names: &[&str]| {
            let found = names.iter().map(|name| folder.join(name)).find(|file| file.is_file());
            found.ok_or_else(|| ModelError::Layout {
                path: folder.clone(),
                what: format!("there is no {}", names.join(" or ")),
                help: format!(
                    "Give the folder of one model of scGPT's model zoo, with {CONFIG}, {VOCABULARY} and {}",
                    WEIGHTS[0]
                ),
            })
        };
        let config_file = file(&[CONFIG])?;
        let vocabulary_file = file(&[VOCABULARY])?;
        let weights_file = file(&WEIGHTS)?;
        let config = Config::read(&config_file)?;
        let vocabulary = Vocabulary::read(&vocabulary_file, &config.pad_token)?;
        Ok(Self { config, vocabulary, config_file, vocabulary_file, weights_file })
    }

    /// Exactly the files that are read for a purpose, sorted.
    #[must_use]
    pub fn files(&self, purpose: Purpose) -> Vec<PathBuf> {
        let mut files = vec![self.config_file.clone(), self.vocabulary_file.clone()];
        if purpose == Purpose::Embed {
            files.push(self.weights_file.clone());
        }
        files.sort();
        files
    }
}
