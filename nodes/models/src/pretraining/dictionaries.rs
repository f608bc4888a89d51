//! The genes that a new model knows: those of published dictionaries that its cells express.

use std::path::{Path, PathBuf};

use celldag_data::GeneIds;
use celldag_data::checkpoint::CheckpointError;
use celldag_data::vocabulary::{read_integers, read_numbers, read_texts};
use indexmap::{IndexMap, IndexSet};

use super::pickle;
use super::shape::ModelShape;
use crate::blocks::BertConfig;
use crate::error::ModelError;
use crate::geneformer::{Checkpoint, Dictionaries, Tokenizer};
use crate::option::Options;

/// Tokens that are no genes, with their ids in a Geneformer V1.
const SPECIAL: [&str; 2] = ["<pad>", "<mask>"];
/// The token that stands for a hidden gene.
pub const MASK: u32 = 1;
/// The first token that is a gene.
pub const FIRST_GENE: u32 = 2;

/// Token and median dictionaries of a Geneformer, with its tables of symbols and retired ids where it has them.
#[derive(Clone, Debug)]
pub struct GeneDictionaries {
    files: Dictionaries,
    tokens: IndexMap<String, i64>,
}

impl GeneDictionaries {
    /// Finds the dictionaries in a folder, or in the Python package folder of a repository.
    ///
    /// # Errors
    /// When there are none or several, or one is damaged.
    pub fn find(folder: &Path) -> Result<Self, ModelError> {
        let files = Dictionaries::only(folder)?;
        let tokens = read_integers(&files.tokens)?;
        Ok(Self { files, tokens })
    }

    /// The files that are read, sorted.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.files.all()
    }

    /// Number of tokens, special ones included.
    #[must_use]
    pub fn size(&self) -> usize {
        self.tokens.len()
    }

    /// A tokenizer of these genes for a matrix whose columns are called `genes`, as the model of `shape` will have it.
    ///
    /// # Errors
    /// As [`Tokenizer::new`]; when a size is none that a model can have.
    pub fn tokenizer(&self, shape: &ModelShape, genes: &GeneIds) -> Result<Tokenizer, ModelError> {
        let config = shape.config(self.size())?;
        Tokenizer::new(&self.untrained(config), genes, &Options::default())
    }

    fn untrained(&self, config: BertConfig) -> Checkpoint {
        Checkpoint::untrained(config, self.tokens.clone(), self.files.clone())
    }

    /// Writes dictionaries of the genes that at least `least` cells express into an empty folder, in the order of their tokens
    /// here; `cells` are the numbers of cells by token. Special tokens become those of V1.
    ///
    /// # Errors
    /// When no gene is left, a dictionary is damaged, or a file cannot be written.
    pub fn restrict(&self, cells: &[u64], least: u64, folder: &Path) -> Result<Self, ModelError> {
        let enough =
            |id: i64| usize::try_from(id).is_ok_and(|id| cells.get(id).is_some_and(|&cells| cells >= least));
        let mut genes: Vec<(&str, i64)> = self
            .tokens
            .iter()
            .filter(|&(name, &id)| !name.starts_with('<') && enough(id))
            .map(|(name, &id)| (name.as_str(), id))
            .collect();
        genes.sort_by_key(|&(_, id)| id);
        let names: IndexSet<&str> = genes.iter().map(|&(name, _)| name).collect();
        if names.is_empty() {
            return Err(ModelError::Option(format!(
                "min_cells: no gene of {} is expressed in {least} cells",
                self.files.tokens.display()
            )));
        }
        let write = |name: &str, bytes: Vec<u8>| {
            fs_err::write(folder.join(name), bytes).map_err(CheckpointError::from)
        };
        let tokens = SPECIAL.iter().copied().chain(names.iter().copied()).zip(0_i32..);
        write("token_dictionary.pkl", pickle::numbers(tokens))?;
        let medians = read_numbers(&self.files.medians)?;
        let known = names.iter().filter_map(|&name| Some((name, *medians.get(name)?)));
        write("gene_median_dictionary.pkl", pickle::numbers(known))?;
        let mapping = self.files.mapping.as_deref().map(read_texts).transpose()?;
        if let Some(mapping) = &mapping {
            let kept = mapping.iter().filter(|(_, to)| names.contains(to.as_str()));
            write("ensembl_mapping_dict.pkl", pickle::texts(kept))?;
        }
        if let Some(file) = &self.files.names {
            let symbols = read_texts(file)?;
            let current = |id: &String| match &mapping {
                Some(mapping) => mapping.get(id).is_some_and(|to| names.contains(to.as_str())),
                None => names.contains(id.as_str()),
            };
            write("gene_name_id_dict.pkl", pickle::texts(symbols.iter().filter(|(_, id)| current(id))))?;
        }
        Self::find(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &Path, name: &str, json: &serde_json::Value) {
        fs_err::write(folder.join(name), json.to_string()).unwrap();
    }

    fn published(folder: &Path) -> GeneDictionaries {
        // Of V2: special tokens of its own, and genes that are not in their order.
        let tokens = serde_json::json!({"<pad>": 0, "<mask>": 1, "<cls>": 2, "<eos>": 3, "C": 6, "A": 4, "B": 5, "D": 7});
        put(folder, "token_dictionary_x.json", &tokens);
        put(
            folder,
            "gene_median_dictionary_x.json",
            &serde_json::json!({"D": 4.0, "C": 3.0, "B": 2.0, "A": 1.0, "E": 9.0}),
        );
        put(
            folder,
            "ensembl_mapping_dict_x.json",
            &serde_json::json!({"A": "A", "A0": "A", "B": "B", "C": "C", "D": "D"}),
        );
        put(
            folder,
            "gene_name_id_dict_x.json",
            &serde_json::json!({"a": "A", "old": "A0", "b": "B", "c": "C"}),
        );
        GeneDictionaries::find(folder).unwrap()
    }

    #[test]
    fn genes_that_enough_cells_express_are_kept_in_the_order_of_their_tokens() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let all = published(from.path());
        assert_eq!((all.size(), all.files().len()), (8, 4));
        let kept = all.restrict(&[0, 0, 9, 9, 5, 4, 5, 6], 5, to.path()).unwrap();
        let tokens: Vec<(&str, i64)> = kept.tokens.iter().map(|(name, &id)| (name.as_str(), id)).collect();
        assert_eq!(tokens, [("<pad>", 0), ("<mask>", 1), ("A", 2), ("C", 3), ("D", 4)]);
        let medians = read_numbers(&kept.files.medians).unwrap();
        assert_eq!(
            medians.into_iter().collect::<Vec<_>>(),
            [("A".to_owned(), 1.0), ("C".to_owned(), 3.0), ("D".to_owned(), 4.0)]
        );
        let names = read_texts(kept.files.names.as_deref().unwrap()).unwrap();
        assert_eq!(names.keys().collect::<Vec<_>>(), ["a", "c", "old"]);
        let mapping = read_texts(kept.files.mapping.as_deref().unwrap()).unwrap();
        assert_eq!(mapping.keys().collect::<Vec<_>>(), ["A", "A0", "C", "D"]);
        let error = all.restrict(&[0; 8], 1, to.path()).unwrap_err().to_string();
        assert!(error.contains("no gene of"), "{error}");
    }

    #[test]
    fn one_set_of_dictionaries_must_be_meant() {
        let folder = tempfile::tempdir().unwrap();
        let error = GeneDictionaries::find(folder.path()).unwrap_err().to_string();
        assert!(error.contains("token_dictionary"), "{error}");
        published(folder.path());
        put(folder.path(), "token_dictionary_y.json", &serde_json::json!({"<pad>": 0}));
        put(folder.path(), "gene_median_dictionary_y.json", &serde_json::json!({}));
        let error = GeneDictionaries::find(folder.path()).unwrap_err().to_string();
        assert!(error.contains("token_dictionary_x") && error.contains("token_dictionary_y"), "{error}");
    }
}
