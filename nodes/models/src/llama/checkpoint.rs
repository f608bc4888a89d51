//! Finds the files of a Llama in the layout of the Hugging Face hub.

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;
use celldag_data::checkpoint::{CheckpointError, find_weights, weight_files};
use celldag_data::tokenizer::{TextTokenizer, TokenizerError};

use super::config::Config;
use crate::error::ModelError;
use crate::model::Purpose;
use crate::option::Options;
use crate::sentence::{SentenceDefaults, SentenceSettings, SentenceTokenizer, fitting};

const CONFIG: &str = "config.json";
/// The most expressed genes of a cell, as the studies that embed cells with this model take them.
const GENES: usize = 1024;
/// Tokens of a cell in the published script; 1,024 genes are some 3,200.
const TOKENS: usize = 4096;

/// The files of one Llama and its configuration.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The configuration.
    pub config: Config,
    pub(super) folder: PathBuf,
    pub(super) config_file: PathBuf,
    tokenizer_files: Vec<PathBuf>,
}

impl Checkpoint {
    /// Opens the model in the folder `path`.
    ///
    /// # Errors
    /// When configuration or tokenizer are missing or damaged, or of another model.
    pub fn find(path: &Path) -> Result<Self, ModelError> {
        let folder = fs_err::canonicalize(path).map_err(CheckpointError::from)?;
        let config_file = folder.join(CONFIG);
        if !config_file.is_file() {
            return Err(ModelError::Layout {
                path: folder,
                what: format!("there is no {CONFIG}"),
                help: "Give the folder that holds config.json, tokenizer.json and model*.safetensors; the weights in \
                       `original` are in another layout and cannot be read"
                    .to_owned(),
            });
        }
        let config = Config::read(&config_file)?;
        let tokenizer_files = TextTokenizer::files(&folder)
            .ok_or_else(|| TokenizerError::Missing { folder: folder.clone() })?;
        Ok(Self { config, folder, config_file, tokenizer_files })
    }

    /// Exactly the files that are read for a purpose, sorted.
    ///
    /// # Errors
    /// When the weights are needed and missing.
    pub fn files(&self, purpose: Purpose) -> Result<Vec<PathBuf>, ModelError> {
        let mut files = self.tokenizer_files.clone();
        files.push(self.config_file.clone());
        if purpose == Purpose::Embed {
            files.extend(weight_files(&self.weights_file()?)?);
        }
        files.sort();
        Ok(files)
    }

    /// The weights: one file, or the index of several.
    pub(super) fn weights_file(&self) -> Result<PathBuf, ModelError> {
        find_weights(&self.folder).ok_or_else(|| ModelError::Layout {
            path: self.folder.clone(),
            what: "there are no weights".to_owned(),
            help: "Download model.safetensors, or model.safetensors.index.json with all files that it names"
                .to_owned(),
        })
    }

    /// The tokenizer of the text.
    ///
    /// # Errors
    /// When it is damaged, or has more tokens than the weights or far fewer.
    pub fn text_tokenizer(&self) -> Result<TextTokenizer, ModelError> {
        fitting(&self.folder, (&self.config_file, self.config.vocab_size), &self.tokenizer_files[0])
    }

    /// The tokenizer of cells of a matrix whose columns are called `genes`.
    ///
    /// # Errors
    /// Also when no gene has a symbol, or an option cannot be used.
    pub fn tokenizer(&self, genes: &GeneIds, options: &Options) -> Result<SentenceTokenizer, ModelError> {
        let context = self.config.max_position_embeddings;
        let defaults = SentenceDefaults { max_genes: Some(GENES), max_length: TOKENS, context };
        let settings = SentenceSettings::new(options, defaults)?;
        SentenceTokenizer::new(self.text_tokenizer()?, genes, ("Llama", self.config.variant()), settings)
    }
}
