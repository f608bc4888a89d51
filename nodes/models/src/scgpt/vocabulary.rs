//! `vocab.json` of a scGPT: gene symbols and three special tokens.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_data::vocabulary::{check_ids, read_integers};

use crate::error::ModelError;
use crate::vocabulary::digest;

/// The token in front of every cell, whose state is the cell's embedding.
const CLS: &str = "<cls>";
/// End of a cell in training; not used for embeddings.
const EOC: &str = "<eoc>";

/// Token ids of genes and of the special tokens.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Gene symbol → token id.
    pub genes: BTreeMap<String, u32>,
    /// Id of `<cls>`.
    pub cls: u32,
    /// Number of tokens, special ones included: rows of the gene embedding.
    pub size: usize,
    /// BLAKE3 of the sorted lines `name<TAB>id<LF>`, hex.
    pub digest: String,
}

impl Vocabulary {
    /// Reads a vocabulary. As the authors do, special tokens that are missing are appended: padding, `<cls>`, `<eoc>`.
    ///
    /// # Errors
    /// When the file cannot be read, or its ids are not exactly 0, 1, ...
    pub fn read(path: &Path, pad: &str) -> Result<Self, ModelError> {
        let mut tokens = read_integers(path)?;
        check_ids(path, &tokens, tokens.len())?;
        let special = [pad, CLS, EOC];
        for name in special {
            let next = i64::try_from(tokens.len()).unwrap_or(i64::MAX);
            tokens.entry(name.to_owned()).or_insert(next);
        }
        let mut all: BTreeMap<String, u32> = BTreeMap::new();
        for (name, id) in tokens {
            let refuse = |_| ModelError::Config {
                path: path.to_path_buf(),
                reason: format!("`{name}` has the id {id}"),
            };
            let id = u32::try_from(id).map_err(refuse)?;
            all.insert(name, id);
        }
        let (size, digest, cls) = (all.len(), digest(&all), all[CLS]);
        all.retain(|name, _| !special.contains(&name.as_str()));
        Ok(Self { genes: all, cls, size, digest })
    }
}
