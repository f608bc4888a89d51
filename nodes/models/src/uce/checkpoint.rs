//! Finds the files of a published UCE, which lie beside each other under the names that its download script gives them.

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::{BARE_TENSOR, CheckpointError, Weights};
use celldag_data::vocabulary::read_columns;

use super::sampling::{CHROM_TOKEN_OFFSET, SPECIES, Sampling, VERSION};
use crate::error::ModelError;
use crate::model::Purpose;
use crate::option::Options;

/// The table of all genes of all species; its number of rows is where the rows of chromosomes begin.
const ALL_TOKENS: &str = "all_tokens.torch";
const CHROMOSOMES: &str = "species_chrom.csv";
const OFFSETS: &str = "species_offsets.pkl";
const PROTEINS: &str = "protein_embeddings";
/// Species that a user added, with the paths of their protein embeddings.
const NEW_SPECIES: &str = "new_species_protein_embeddings.csv";
/// What the authors' script loads unless told otherwise.
const DEFAULT_MODEL: &str = "4layer_model";
const EXTENSIONS: [&str; 5] = ["torch", "pt", "pth", "safetensors", "bin"];

/// Species of the paper and what the files of their protein embeddings begin with.
const PUBLISHED: [(&str, &str); 8] = [
    ("frog", "Xenopus_tropicalis."),
    ("human", "Homo_sapiens."),
    ("macaca_fascicularis", "Macaca_fascicularis."),
    ("macaca_mulatta", "Macaca_mulatta."),
    ("mouse", "Mus_musculus."),
    ("mouse_lemur", "Microcebus_murinus."),
    ("pig", "Sus_scrofa."),
    ("zebrafish", "Danio_rerio."),
];

/// The files of a UCE.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// The folder.
    pub folder: PathBuf,
    /// Weights, sorted; the folder may hold both published models.
    pub weights: Vec<PathBuf>,
    /// The token table beside the weights, if it is there.
    pub all_tokens: Option<PathBuf>,
    /// Where genes lie: `species_chrom.csv`.
    pub chromosomes: PathBuf,
    /// Rows of the token table at which species begin: `species_offsets.pkl`.
    pub offsets: PathBuf,
    /// The list of added species, if there is one.
    new_species: Option<PathBuf>,
}

impl Checkpoint {
    /// Finds the files in `path`.
    ///
    /// # Errors
    /// When a file that both tokens and embeddings need is missing.
    pub fn find(path: &Path) -> Result<Self, ModelError> {
        let folder = fs_err::canonicalize(path).map_err(CheckpointError::from)?;
        if !folder.is_dir() {
            return Err(layout(&folder, "is no folder", "Give the folder with the files of UCE"));
        }
        let needed = |name: &str| {
            let file = folder.join(name);
            let what = format!("there is no {name}");
            if file.is_file() { Ok(file) } else { Err(layout(&folder, &what, DOWNLOAD)) }
        };
        let (chromosomes, offsets) = (needed(CHROMOSOMES)?, needed(OFFSETS)?);
        let all_tokens = Some(folder.join(ALL_TOKENS)).filter(|file| file.is_file());
        let is_weights = |file: &PathBuf| {
            let extension = file.extension().and_then(|e| e.to_str());
            file.is_file()
                && Some(file) != all_tokens.as_ref()
                && extension.is_some_and(|e| EXTENSIONS.contains(&e))
        };
        let weights = files_in(&folder)?.into_iter().filter(is_weights).collect();
        let new_species = Some(folder.join(NEW_SPECIES)).filter(|file| file.is_file());
        Ok(Self { folder, weights, all_tokens, chromosomes, offsets, new_species })
    }

    /// Exactly the files that are read for a purpose with these options, sorted.
    ///
    /// # Errors
    /// When weights or protein embeddings are missing.
    pub fn files(&self, purpose: Purpose, options: &Options) -> Result<Vec<PathBuf>, ModelError> {
        let mut files = vec![self.chromosomes.clone(), self.offsets.clone()];
        let weights = || self.weights_file(options.text(VERSION.name)).map(Path::to_path_buf);
        match purpose {
            Purpose::Tokenize => {
                let species = options.text(SPECIES.name);
                let human = Sampling::default().species;
                files.extend(self.new_species.clone());
                files.push(self.proteins(if species.is_empty() { &human } else { species })?);
                // Where chromosomes begin is said, or read from the table of tokens.
                if !options.names().any(|name| name == CHROM_TOKEN_OFFSET.name) {
                    files.push(self.all_tokens.clone().map_or_else(weights, Ok)?);
                }
            }
            Purpose::Embed => {
                files.extend(self.all_tokens.clone());
                files.push(weights()?);
            }
        }
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The weights called `version` (without the ending); for an empty name the only ones, or those of 4 layers.
    ///
    /// # Errors
    /// When there are none, or none of this name.
    pub fn weights_file(&self, version: &str) -> Result<&Path, ModelError> {
        let stem =
            |file: &Path| file.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
        let wanted = if version.is_empty() { DEFAULT_MODEL } else { version };
        if let Some(found) = self.weights.iter().find(|file| stem(file) == wanted) {
            return Ok(found);
        }
        match self.weights.as_slice() {
            [only] if version.is_empty() => Ok(only),
            [] => Err(layout(&self.folder, "there are no weights (4layer_model.torch)", DOWNLOAD)),
            several => {
                let names: Vec<String> = several.iter().map(|file| stem(file)).collect();
                Err(ModelError::Option(format!(
                    "{}: choose the weights with the option `version`: {}",
                    self.folder.display(),
                    names.join(" or ")
                )))
            }
        }
    }

    /// The weights of this name, open, without what wrappers add to names.
    ///
    /// # Errors
    /// As [`Checkpoint::weights_file`], or when the file cannot be read.
    pub fn open(&self, version: &str) -> Result<Weights, ModelError> {
        Ok(Weights::open(&[self.weights_file(version)?])?.state_dict()?)
    }

    /// `all_tokens.torch`, open, and its number of rows.
    ///
    /// # Errors
    /// When the file cannot be read or is no table.
    pub fn open_tokens(&self) -> Result<Option<(Weights, usize)>, ModelError> {
        let Some(file) = &self.all_tokens else { return Ok(None) };
        let table = Weights::open(std::slice::from_ref(file))?;
        match table.shape(BARE_TENSOR) {
            Some(&[rows, _]) => Ok(Some((table, rows))),
            shape => Err(ModelError::Config {
                path: file.clone(),
                reason: format!("not a table of token vectors (shape {shape:?})"),
            }),
        }
    }

    /// The protein embeddings of a species.
    ///
    /// # Errors
    /// When there are none, or not where the list of added species says.
    pub fn proteins(&self, species: &str) -> Result<PathBuf, ModelError> {
        let published = published_species(&self.folder)?;
        let added = self.new_species.as_deref().map(|list| read_columns(list, &["species", "path"]));
        let added: Vec<(String, String)> = match added.transpose()?.as_deref() {
            Some([names, paths]) => names.iter().cloned().zip(paths.iter().cloned()).collect(),
            _ => Vec::new(),
        };
        // A species that a user added replaces a published one of the same name.
        if let (Some(list), Some((_, path))) =
            (&self.new_species, added.iter().rev().find(|(name, _)| name == species))
        {
            return self.added(list, species, path);
        }
        if let Some((_, file)) = published.iter().find(|(name, _)| name == species) {
            return Ok(file.clone());
        }
        let names = published.iter().map(|(name, _)| name).chain(added.iter().map(|(name, _)| name));
        let names: Vec<&str> = names.map(String::as_str).collect();
        if names.is_empty() {
            let what = "there is no folder protein_embeddings with *.pt files";
            return Err(layout(&self.folder, what, DOWNLOAD));
        }
        Err(ModelError::Option(format!(
            "{}: there are no protein embeddings of the species `{species}`; there are those of {}",
            self.folder.display(),
            names.join(", ")
        )))
    }

    /// The authors' list gives paths as they were where it was written: what is not there is looked for by its name.
    fn added(&self, list: &Path, species: &str, path: &str) -> Result<PathBuf, ModelError> {
        let name = Path::new(path).file_name().unwrap_or_default();
        let proteins = self.folder.join(PROTEINS);
        let places = [self.folder.join(path), proteins.join(name), self.folder.join(name)];
        let found = places.into_iter().find(|place| place.is_file()).ok_or_else(|| ModelError::Config {
            path: list.to_path_buf(),
            reason: format!(
                "the protein embeddings of `{species}` are not at {path}, nor in {PROTEINS} by that name"
            ),
        })?;
        Ok(fs_err::canonicalize(found).map_err(CheckpointError::from)?)
    }
}

const DOWNLOAD: &str = "Download the files of UCE (Figshare article 24320806): 4layer_model.torch or 33l_8ep_1024t_1280.torch, \
    all_tokens.torch, species_chrom.csv, species_offsets.pkl and the unpacked protein_embeddings.tar.gz";

fn layout(folder: &Path, what: &str, help: &str) -> ModelError {
    ModelError::Layout { path: folder.to_path_buf(), what: what.to_owned(), help: help.to_owned() }
}

/// Entries of a folder, sorted; none if there is no folder.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, ModelError> {
    let mut out = Vec::new();
    if folder.is_dir() {
        for entry in fs_err::read_dir(folder).map_err(CheckpointError::from)? {
            out.push(entry.map_err(CheckpointError::from)?.path());
        }
    }
    out.sort();
    Ok(out)
}

fn published_species(folder: &Path) -> Result<Vec<(String, PathBuf)>, ModelError> {
    let files = files_in(&folder.join(PROTEINS))?;
    let named = |file: &Path, prefix: &str| {
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(prefix) && name.ends_with(".pt")
    };
    let mut out = Vec::new();
    for (species, prefix) in PUBLISHED {
        if let Some(file) = files.iter().find(|file| named(file, prefix)) {
            out.push((species.to_owned(), file.clone()));
        }
    }
    Ok(out)
}
