//! Finds the parts of a published Geneformer: configuration and weights in one folder, the gene dictionaries beside them
//! or in the Python package folder of the same repository.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::CheckpointError;
use celldag_data::vocabulary::read_integers;
use indexmap::IndexMap;

use crate::blocks::BertConfig;
use crate::error::ModelError;
use crate::model::Purpose;

const CONFIG: &str = "config.json";
/// In the order of preference where a folder holds both.
const WEIGHTS: [&str; 2] = ["model.safetensors", "pytorch_model.bin"];
const EXTENSIONS: [&str; 3] = ["pkl", "pickle", "json"];
/// Where the public repository keeps dictionaries, relative to its root.
const PACKAGE_FOLDERS: [&str; 3] = ["", "geneformer", "geneformer/gene_dictionaries_30m"];
/// Fine-tuned classifiers hold the same encoder, but nobody who points at a repository means them.
const FINE_TUNED: &str = "fine_tuned_models";

/// The files of one Geneformer, its configuration and its token dictionary.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The configuration.
    pub config: BertConfig,
    /// Token name → id, of as many entries as the model has tokens.
    pub tokens: IndexMap<String, i64>,
    pub(super) config_file: PathBuf,
    pub(super) weights_file: PathBuf,
    pub(super) dictionaries: Dictionaries,
}

/// Dictionaries of one generation, which share a folder and a suffix (`_gc30M`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dictionaries {
    pub(crate) tokens: PathBuf,
    pub(crate) medians: PathBuf,
    /// Retired and alternative ids → current ids.
    pub(crate) mapping: Option<PathBuf>,
    /// Symbols → ids.
    pub(crate) names: Option<PathBuf>,
}

impl Dictionaries {
    /// The only set of dictionaries in a folder that need not hold a model.
    ///
    /// # Errors
    /// When there is none or are several.
    pub(crate) fn only(folder: &Path) -> Result<Self, ModelError> {
        let mut found = dictionaries_in_package(folder)?;
        let layout = |what: String, help: &str| ModelError::Layout {
            path: folder.to_path_buf(),
            what,
            help: help.to_owned(),
        };
        match found.len() {
            1 => Ok(found.remove(0)),
            0 => Err(layout(
                "there is no token_dictionary* with a gene_median_dictionary* of the same ending".to_owned(),
                "Give a folder with the dictionaries of a published Geneformer, as .pkl or .json",
            )),
            _ => {
                let files: Vec<String> = found.iter().map(|d| d.tokens.display().to_string()).collect();
                let what = format!("there are several token dictionaries: {}", files.join(", "));
                Err(layout(what, "Give a folder with those of one model"))
            }
        }
    }

    /// The files, sorted.
    pub(crate) fn all(&self) -> Vec<PathBuf> {
        let Self { tokens, medians, mapping, names } = self;
        let mut files: Vec<PathBuf> = [Some(tokens), Some(medians), mapping.as_ref(), names.as_ref()]
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        files.sort();
        files
    }
}

impl Checkpoint {
    /// Finds a model in `path`: the folder of the weights, or a repository that holds exactly one base model.
    ///
    /// # Errors
    /// When something is missing or ambiguous, or no dictionary has as many entries as the model has tokens.
    pub fn find(path: &Path) -> Result<Self, ModelError> {
        let root = fs_err::canonicalize(path).map_err(CheckpointError::from)?;
        let (folder, weights_file) = model_folder(&root)?;
        let config_file = folder.join(CONFIG);
        let config = BertConfig::read(&config_file, "Geneformer", "bert")?;
        let context = config.max_position_embeddings;
        if context < 3 {
            let reason = format!("a context of {context} tokens holds no cell");
            return Err(ModelError::Config { path: config_file, reason });
        }
        let candidates = dictionaries(&folder)?;
        if candidates.is_empty() {
            return Err(ModelError::Layout {
                path: folder,
                what: "there is no token dictionary beside the weights or in the folder `geneformer` of the repository"
                    .to_owned(),
                help: "Copy token_dictionary*.pkl, gene_median_dictionary*.pkl and, where they exist, \
                       ensembl_mapping_dict*.pkl and gene_name_id_dict*.pkl of the model's repository beside the weights"
                    .to_owned(),
            });
        }
        let mut found = Vec::new();
        for dictionaries in candidates {
            let tokens = read_integers(&dictionaries.tokens)?;
            if tokens.len() == config.vocab_size {
                return Ok(Self { config, tokens, config_file, weights_file, dictionaries });
            }
            found.push(format!("{} ({})", tokens.len(), dictionaries.tokens.display()));
        }
        Err(ModelError::WrongDictionary {
            config: config_file,
            vocab_size: config.vocab_size,
            found: found.join(", "),
        })
    }

    /// What there is of a model before it has weights: enough for its tokens.
    pub(crate) fn untrained(
        config: BertConfig,
        tokens: IndexMap<String, i64>,
        dictionaries: Dictionaries,
    ) -> Self {
        Self { config, tokens, config_file: PathBuf::new(), weights_file: PathBuf::new(), dictionaries }
    }

    /// Exactly the files that are read for a purpose, sorted.
    #[must_use]
    pub fn files(&self, purpose: Purpose) -> Vec<PathBuf> {
        let mut files = vec![self.config_file.clone(), self.dictionaries.tokens.clone()];
        match purpose {
            Purpose::Tokenize => {
                files.push(self.dictionaries.medians.clone());
                files.extend(self.dictionaries.mapping.clone());
                files.extend(self.dictionaries.names.clone());
            }
            Purpose::Embed => files.push(self.weights_file.clone()),
        }
        files.sort();
        files
    }
}

/// The folder of the only base model in `root`, and its weights.
fn model_folder(root: &Path) -> Result<(PathBuf, PathBuf), ModelError> {
    if let Some(weights) = weights_in(root) {
        return Ok((root.to_path_buf(), weights));
    }
    let layout = |what: String, help: &str| ModelError::Layout {
        path: root.to_path_buf(),
        what,
        help: help.to_owned(),
    };
    if !root.is_dir() {
        return Err(layout(
            "is no folder".to_owned(),
            "Give the folder that holds config.json and the weights",
        ));
    }
    let mut models = models_below(root)?;
    if models.is_empty() {
        models = models_below(&root.join(FINE_TUNED))?;
    }
    match models.len() {
        1 => Ok(models.remove(0)),
        0 => Err(layout(
            format!("there is no folder with {CONFIG} and {} or {}", WEIGHTS[0], WEIGHTS[1]),
            "Give the folder of a downloaded Geneformer model; files of a few hundred bytes are Git LFS pointers and \
             must be fetched first",
        )),
        _ => {
            let names: Vec<String> = models
                .iter()
                .filter_map(|(folder, _)| folder.file_name())
                .map(|name| format!("`{}`", name.to_string_lossy()))
                .collect();
            Err(layout(
                format!("there are {} models: {}", names.len(), names.join(", ")),
                "Give the folder of one",
            ))
        }
    }
}

/// Folders directly inside `root` that hold a model, sorted by name.
fn models_below(root: &Path) -> Result<Vec<(PathBuf, PathBuf)>, ModelError> {
    let mut out = Vec::new();
    if root.is_dir() {
        for entry in fs_err::read_dir(root).map_err(CheckpointError::from)? {
            let folder = entry.map_err(CheckpointError::from)?.path();
            if let Some(weights) = weights_in(&folder) {
                out.push((folder, weights));
            }
        }
    }
    out.sort();
    Ok(out)
}

fn weights_in(folder: &Path) -> Option<PathBuf> {
    if !folder.join(CONFIG).is_file() {
        return None;
    }
    WEIGHTS.iter().map(|name| folder.join(name)).find(|file| file.is_file())
}

/// Complete sets of dictionaries, nearest first: beside the weights, then in the repository around them.
fn dictionaries(model: &Path) -> Result<Vec<Dictionaries>, ModelError> {
    let mut out = Vec::new();
    // A fine-tuned model is two levels below the root of its repository.
    for base in model.ancestors().take(3) {
        out.extend(dictionaries_in_package(base)?);
    }
    Ok(out)
}

/// Complete sets of dictionaries in a folder, or in the Python package folder of a repository.
fn dictionaries_in_package(base: &Path) -> Result<Vec<Dictionaries>, ModelError> {
    let mut out = Vec::new();
    for package in PACKAGE_FOLDERS {
        let folder = base.join(package);
        if folder.is_dir() {
            out.extend(dictionaries_in(&folder)?);
        }
    }
    Ok(out)
}

fn dictionaries_in(folder: &Path) -> Result<Vec<Dictionaries>, ModelError> {
    let mut out = Vec::new();
    for entry in fs_err::read_dir(folder).map_err(CheckpointError::from)? {
        let tokens = entry.map_err(CheckpointError::from)?.path();
        let known = tokens.extension().and_then(|e| e.to_str()).is_some_and(|e| EXTENSIONS.contains(&e));
        let Some(suffix) = tokens.file_stem().and_then(|s| s.to_str()?.strip_prefix("token_dictionary"))
        else {
            continue;
        };
        let sibling = |name: &str| {
            let file = |extension| folder.join(format!("{name}{suffix}.{extension}"));
            EXTENSIONS.iter().map(file).find(|f| f.is_file())
        };
        if let (true, Some(medians)) = (known, sibling("gene_median_dictionary")) {
            let mapping = sibling("ensembl_mapping_dict");
            let names = sibling("gene_name_id_dict");
            out.push(Dictionaries { tokens, medians, mapping, names });
        }
    }
    out.sort_by(|a, b| a.tokens.cmp(&b.tokens));
    Ok(out)
}
