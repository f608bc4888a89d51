//! Finds the files of a BERT text encoder: a folder of the sentence-transformers library, which says in small files how texts
//! become vectors, or the plain folder of a BERT.

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;
use celldag_data::checkpoint::{CheckpointError, find_weights, weight_files};
use celldag_data::tokenizer::{TextTokenizer, TokenizerError};
use celldag_data::vocabulary::read_json;
use serde::Deserialize;

use super::embed::{Pooling, Readout};
use crate::blocks::{BertConfig, Normalize};
use crate::error::ModelError;
use crate::model::Purpose;
use crate::option::Options;
use crate::sentence::{SentenceDefaults, SentenceSettings, SentenceTokenizer, fitting};

const CONFIG: &str = "config.json";
const MODULES: &str = "modules.json";
const LENGTH: &str = "sentence_bert_config.json";

/// One step of a sentence-transformers model.
#[derive(Deserialize)]
struct Module {
    path: String,
    r#type: String,
}

#[derive(Deserialize)]
struct Length {
    #[serde(default)]
    max_seq_length: Option<usize>,
    /// Whether texts are lower-cased before the tokenizer sees them, whatever it does itself.
    #[serde(default)]
    do_lower_case: bool,
}

/// `1_Pooling/config.json`.
#[derive(Deserialize, Default)]
#[serde(default)]
struct PoolingModes {
    pooling_mode_cls_token: bool,
    pooling_mode_max_tokens: bool,
    pooling_mode_mean_tokens: bool,
    pooling_mode_mean_sqrt_len_tokens: bool,
    pooling_mode_weightedmean_tokens: bool,
    pooling_mode_lasttoken: bool,
}

/// The files of one text encoder, and what they say about reading it.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The configuration.
    pub config: BertConfig,
    /// How its authors read it, if they say so.
    pub readout: Readout,
    folder: PathBuf,
    tokenizer_files: Vec<PathBuf>,
    /// Most tokens of a text.
    max_length: usize,
    /// Whether texts are lower-cased.
    lower_case: bool,
    /// Files that were read for the fields above.
    read: Vec<PathBuf>,
}

impl Checkpoint {
    /// Opens the model in the folder `path`.
    ///
    /// # Errors
    /// When configuration or tokenizer are missing or damaged, of another model, or hold a step that is not known.
    pub fn find(path: &Path) -> Result<Self, ModelError> {
        let root = fs_err::canonicalize(path).map_err(CheckpointError::from)?;
        let mut read = Vec::new();
        let (folder, readout) = modules(&root, &mut read)?;
        let config_file = folder.join(CONFIG);
        if !config_file.is_file() {
            return Err(ModelError::Layout {
                path: folder,
                what: format!("there is no {CONFIG}"),
                help: "Give the folder of a BERT text encoder, with config.json, tokenizer.json and model.safetensors"
                    .to_owned(),
            });
        }
        let config = BertConfig::read(&config_file, "BERT text encoder", "bert")?;
        read.push(config_file);
        let tokenizer_files = TextTokenizer::files(&folder)
            .ok_or_else(|| TokenizerError::Missing { folder: folder.clone() })?;
        let (mut max_length, mut lower_case) = (config.max_position_embeddings, false);
        let length_file = folder.join(LENGTH);
        if length_file.is_file() {
            let length: Length = read_json(&length_file)?;
            max_length = length.max_seq_length.unwrap_or(max_length).min(max_length);
            lower_case = length.do_lower_case;
            read.push(length_file);
        }
        Ok(Self { config, readout, folder, tokenizer_files, max_length, lower_case, read })
    }

    /// Exactly the files that are read for a purpose, sorted.
    ///
    /// # Errors
    /// When the weights are needed and missing.
    pub fn files(&self, purpose: Purpose) -> Result<Vec<PathBuf>, ModelError> {
        let mut files = [self.tokenizer_files.as_slice(), &self.read].concat();
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
            help: "Download model.safetensors or pytorch_model.bin beside config.json".to_owned(),
        })
    }

    /// The tokenizer of the text.
    ///
    /// # Errors
    /// When it is damaged, or has more tokens than the weights or far fewer.
    pub fn text_tokenizer(&self) -> Result<TextTokenizer, ModelError> {
        fitting(&self.folder, (&self.folder.join(CONFIG), self.config.vocab_size), &self.tokenizer_files[0])
    }

    /// Most tokens of a text where nobody says, those around it included.
    #[must_use]
    pub fn max_length(&self) -> usize {
        self.max_length
    }

    /// The tokenizer of cells of a matrix whose columns are called `genes`.
    ///
    /// # Errors
    /// Also when no gene has a symbol, or an option cannot be used.
    pub fn tokenizer(&self, genes: &GeneIds, options: &Options) -> Result<SentenceTokenizer, ModelError> {
        let context = self.config.max_position_embeddings;
        let defaults = SentenceDefaults { max_genes: None, max_length: self.max_length, context };
        let settings = SentenceSettings::new(options, defaults)?;
        let mut genes = genes.clone();
        if self.lower_case {
            for name in genes.symbols.iter_mut().chain(&mut genes.ensembl).flatten() {
                *name = name.to_lowercase();
            }
        }
        SentenceTokenizer::new(self.text_tokenizer()?, &genes, ("bert-text", self.config.variant()), settings)
    }
}

/// The folder of the encoder itself and how it is read, as `modules.json` says; without that file, as the
/// sentence-transformers library reads a plain BERT: the mean of all tokens.
fn modules(root: &Path, read: &mut Vec<PathBuf>) -> Result<(PathBuf, Readout), ModelError> {
    let file = root.join(MODULES);
    let mut readout = Readout { layer: -1, pooling: Pooling::Mean, normalize: Normalize::None };
    if !file.is_file() {
        return Ok((root.to_path_buf(), readout));
    }
    let modules: Vec<Module> = read_json(&file)?;
    let refuse = |reason: String| ModelError::Config { path: file.clone(), reason };
    let mut folder = root.to_path_buf();
    for module in modules {
        let plain =
            Path::new(&module.path).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        if !plain {
            return Err(refuse(format!("the path `{}` leads out of the folder", module.path)));
        }
        let place = if module.path.is_empty() { root.to_path_buf() } else { root.join(&module.path) };
        match module.r#type.rsplit('.').next().unwrap_or_default() {
            "Transformer" => folder = place,
            "Normalize" => readout.normalize = Normalize::L2,
            "Pooling" => {
                let settings = place.join(CONFIG);
                if settings.is_file() {
                    readout.pooling = pooling(&settings)?;
                    read.push(settings);
                }
            }
            other => {
                return Err(refuse(format!(
                    "the model has a step `{other}` behind the encoder, which celldag does not know"
                )));
            }
        }
    }
    read.push(file);
    Ok((folder, readout))
}

fn pooling(file: &Path) -> Result<Pooling, ModelError> {
    let modes: PoolingModes = read_json(file)?;
    let unknown = modes.pooling_mode_mean_sqrt_len_tokens
        || modes.pooling_mode_weightedmean_tokens
        || modes.pooling_mode_lasttoken;
    match (modes.pooling_mode_mean_tokens, modes.pooling_mode_cls_token, modes.pooling_mode_max_tokens) {
        (true, false, false) if !unknown => Ok(Pooling::Mean),
        (false, true, false) if !unknown => Ok(Pooling::Cls),
        (false, false, true) if !unknown => Ok(Pooling::Max),
        _ => Err(ModelError::Config {
            path: file.to_path_buf(),
            reason: "the pooling is not exactly one of mean, cls and max".to_owned(),
        }),
    }
}
