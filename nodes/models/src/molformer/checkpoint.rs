//! Finds the files of a MoLFormer: a folder of the hub, or the Lightning checkpoint and word list of the original project.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::{CheckpointError, Weights, find_weights, weight_files};
use celldag_data::vocabulary::{VocabularyError, read_integers, read_json, read_names};
use indexmap::IndexMap;
use serde::Deserialize;

use super::config::Config;
use super::names::plain;
use crate::drug::Vocabulary;
use crate::error::ModelError;

const CONFIG: &str = "config.json";
const VOCABULARY: &str = "vocab.json";
const TOKENIZER: &str = "tokenizer.json";
/// The word list of the original project, one token a line.
const WORDS: &str = "bert_vocab.txt";
/// The checkpoint that the project published; its folder may hold others.
const PUBLISHED: &str = "N-Step-Checkpoint_3_30000.ckpt";

/// The files of one MoLFormer, its sizes and its vocabulary.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Sizes and constants.
    pub config: Config,
    /// `hub` or `original`.
    pub variant: &'static str,
    pub(super) vocabulary: Vocabulary,
    pub(super) vocabulary_file: PathBuf,
    pub(super) weights_file: PathBuf,
    pub(super) files: Vec<PathBuf>,
}

/// The part of a `tokenizer.json` that stands in for `vocab.json`.
#[derive(Deserialize)]
struct TokenizerFile {
    model: TokenizerModel,
}

#[derive(Deserialize)]
struct TokenizerModel {
    vocab: IndexMap<String, i64>,
}

impl Checkpoint {
    /// Opens the model in the folder `path`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the vocabulary does not fit the weights.
    pub fn find(path: &Path) -> Result<Self, ModelError> {
        let folder = fs_err::canonicalize(path).map_err(CheckpointError::from)?;
        match original_weights(&folder)? {
            Some(weights) if !folder.join(CONFIG).is_file() => Self::original(&folder, weights),
            _ => Self::hub(&folder),
        }
    }

    fn hub(folder: &Path) -> Result<Self, ModelError> {
        let missing = |what: &str| ModelError::Layout {
            path: folder.to_path_buf(),
            what: format!("there is no {what}"),
            help: format!(
                "Give the folder of a downloaded MoLFormer with {CONFIG}, {VOCABULARY} and model.safetensors, or the folder \
                 of the original project with {PUBLISHED} and {WORDS}"
            ),
        };
        let file = |name: &str| Some(folder.join(name)).filter(|file| file.is_file());
        let config_file = file(CONFIG).ok_or_else(|| missing(CONFIG))?;
        let weights_file = find_weights(folder).ok_or_else(|| missing("model.safetensors"))?;
        let config = Config::read(&config_file)?;
        let (vocabulary_file, ids) = match (file(VOCABULARY), file(TOKENIZER)) {
            (Some(list), _) => (list.clone(), read_integers(&list)?),
            (None, Some(tokenizer)) => {
                let ids = read_json::<TokenizerFile>(&tokenizer)?.model.vocab;
                (tokenizer, ids)
            }
            (None, None) => return Err(missing(VOCABULARY)),
        };
        let vocabulary = Vocabulary::new(&ids, &vocabulary_file, config.vocabulary)?;
        let mut files = weight_files(&weights_file)?;
        files.extend([config_file, vocabulary_file.clone()]);
        files.sort();
        Ok(Self { config, variant: "hub", vocabulary, vocabulary_file, weights_file, files })
    }

    fn original(folder: &Path, weights_file: PathBuf) -> Result<Self, ModelError> {
        // The project keeps checkpoints in a folder below that of the word list.
        let around = [Some(folder), weights_file.parent(), folder.parent()];
        let lists = around.into_iter().flatten().map(|folder| folder.join(WORDS));
        let vocabulary_file =
            lists.into_iter().find(|file| file.is_file()).ok_or_else(|| ModelError::Layout {
                path: folder.to_path_buf(),
                what: format!("there is no {WORDS}"),
                help: format!("Copy {WORDS} of the MoLFormer project beside the checkpoint"),
            })?;
        let config = Config::of_shapes(&open(&weights_file)?, &weights_file)?;
        let mut ids = IndexMap::new();
        for (id, word) in (0..).zip(read_names(&vocabulary_file)?) {
            if ids.insert(word.clone(), id).is_some() {
                return Err(VocabularyError::Repeated { path: vocabulary_file, key: word }.into());
            }
        }
        let vocabulary = Vocabulary::new(&ids, &vocabulary_file, config.vocabulary)?;
        let mut files = vec![weights_file.clone(), vocabulary_file.clone()];
        files.sort();
        Ok(Self { config, variant: "original", vocabulary, vocabulary_file, weights_file, files })
    }

    /// The tensors, with the hub's names.
    pub(super) fn weights(&self) -> Result<Weights, CheckpointError> {
        open(&self.weights_file)
    }
}

fn open(file: &Path) -> Result<Weights, CheckpointError> {
    // Lightning keeps the model beside the states of its optimiser.
    Weights::open(&[file])?.state_dict()?.rename(|name| Some(plain(name)))
}

/// The Lightning checkpoint of a folder or of its folder `checkpoints`, if there is one.
fn original_weights(folder: &Path) -> Result<Option<PathBuf>, ModelError> {
    let mut found = Vec::new();
    for folder in [folder.to_path_buf(), folder.join("checkpoints")] {
        if !folder.is_dir() {
            continue;
        }
        for entry in fs_err::read_dir(&folder).map_err(CheckpointError::from)? {
            let file = entry.map_err(CheckpointError::from)?.path();
            if file.extension().is_some_and(|extension| extension == "ckpt") {
                found.push(file);
            }
        }
    }
    found.sort();
    if let Some(published) = found.iter().find(|file| file.file_name().is_some_and(|name| name == PUBLISHED))
    {
        return Ok(Some(published.clone()));
    }
    if found.len() > 1 {
        let names: Vec<String> = found.iter().map(|file| file.display().to_string()).collect();
        return Err(ModelError::Layout {
            path: folder.to_path_buf(),
            what: format!("there are {} checkpoints: {}", found.len(), names.join(", ")),
            help: format!("Keep one, or the published {PUBLISHED}, in a folder of its own with {WORDS}"),
        });
    }
    Ok(found.pop())
}
