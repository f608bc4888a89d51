//! Finds the files of a published ChemBERTa.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::{CheckpointError, find_weights, weight_files};
use celldag_data::tokenizer::TextTokenizer;
use celldag_data::vocabulary::read_integers;
use indexmap::IndexMap;

use super::config::Config;
use super::special::{FILES, Special};
use crate::drug::Vocabulary;
use crate::error::ModelError;

const CONFIG: &str = "config.json";
const VOCABULARY: &str = "vocab.json";
const MERGES: &str = "merges.txt";
/// Newer uploads hold the whole tokenizer in one file.
const TOKENIZER: &str = "tokenizer.json";

/// The files of one ChemBERTa, its configuration and its vocabulary.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The configuration.
    pub config: Config,
    /// Longest sequence, special tokens included.
    pub context: usize,
    pub(super) vocabulary: Vocabulary,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) unknown: Option<u32>,
    pub(super) tokenizer: TextTokenizer,
    pub(super) weights_file: PathBuf,
    pub(super) files: Vec<PathBuf>,
}

impl Checkpoint {
    /// Opens the model in the folder `path`.
    ///
    /// # Errors
    /// When a file is missing or damaged, or the vocabulary does not fit the configuration.
    pub fn find(path: &Path) -> Result<Self, ModelError> {
        let folder = fs_err::canonicalize(path).map_err(CheckpointError::from)?;
        let file = |name: &str| Some(folder.join(name)).filter(|file| file.is_file());
        let missing = |what: &str| ModelError::Layout {
            path: folder.clone(),
            what: format!("there is no {what}"),
            help: format!(
                "Give the folder of a downloaded ChemBERTa, with {CONFIG}, {VOCABULARY} and {MERGES} (or {TOKENIZER}), and \
                 pytorch_model.bin or model.safetensors"
            ),
        };
        let config_file = file(CONFIG).ok_or_else(|| missing(CONFIG))?;
        let weights_file = find_weights(&folder).ok_or_else(|| missing("pytorch_model.bin"))?;
        let config = Config::read(&config_file)?;
        let special = Special::read(&folder)?;
        let mut files = weight_files(&weights_file)?;
        files.push(config_file);
        let (ids, vocabulary_file, whole) = if let Some(whole) = file(TOKENIZER) {
            let tokenizer = TextTokenizer::open(&whole)?;
            let ids: IndexMap<String, i64> =
                tokenizer.vocabulary().into_iter().map(|(text, id)| (text, i64::from(id))).collect();
            (ids, whole, Some(tokenizer))
        } else {
            let vocabulary = file(VOCABULARY).ok_or_else(|| missing(VOCABULARY))?;
            (read_integers(&vocabulary)?, vocabulary, None)
        };
        let vocabulary = Vocabulary::new(&ids, &vocabulary_file, config.bert.vocab_size)?;
        // Without the small files: RoBERTa's names, else those of the vocabularies of atoms, which are BERT's.
        let named = |said: Option<String>, roberta: &str, bert: &str| {
            said.unwrap_or_else(|| if vocabulary.id(roberta).is_some() { roberta } else { bert }.to_owned())
        };
        let frame = [named(special.first, "<s>", "[CLS]"), named(special.last, "</s>", "[SEP]")];
        let first = vocabulary.special(&frame[0], &vocabulary_file)?;
        let last = vocabulary.special(&frame[1], &vocabulary_file)?;
        let unknown = vocabulary.id(&named(special.unknown, "<unk>", "[UNK]"));
        let tokenizer = if let Some(tokenizer) = whole {
            tokenizer
        } else {
            let merges = file(MERGES).ok_or_else(|| missing(MERGES))?;
            files.push(merges.clone());
            TextTokenizer::byte_level(&vocabulary_file, &merges, [&frame[0], &frame[1]])?
        };
        files.push(vocabulary_file);
        files.extend(FILES.iter().filter_map(|name| file(name)));
        files.sort();
        let context = special.context.min(config.places);
        Ok(Self { config, context, vocabulary, first, last, unknown, tokenizer, weights_file, files })
    }
}
