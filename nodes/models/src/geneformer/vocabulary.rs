//! The token dictionary of a Geneformer, checked: dense ids, and whether it has the special tokens of V2.

use std::collections::BTreeMap;
use std::path::Path;

use indexmap::IndexMap;

use crate::error::ModelError;

/// Token ids of genes and of special tokens.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    /// Gene id → token id.
    pub genes: BTreeMap<String, u32>,
    /// `<cls>` and `<eos>`, which V2 puts around every cell.
    pub frame: Option<(u32, u32)>,
    /// Number of tokens, special ones included.
    pub size: usize,
    /// BLAKE3 of the sorted lines `name<TAB>id<LF>`, hex.
    pub digest: String,
}

impl Vocabulary {
    /// Checks that ids are exactly 0, 1, ... and that `<cls>` and `<eos>` come together.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming `file`.
    pub fn new(tokens: &IndexMap<String, i64>, file: &Path) -> Result<Self, ModelError> {
        let refuse = |reason: String| ModelError::Config { path: file.to_path_buf(), reason };
        let size = tokens.len();
        let mut owner: Vec<Option<&str>> = vec![None; size];
        let mut genes = BTreeMap::new();
        let mut special = BTreeMap::new();
        for (name, &id) in tokens {
            let slot = usize::try_from(id).ok().filter(|&slot| slot < size);
            let slot =
                slot.ok_or_else(|| refuse(format!("`{name}` has the id {id} in a vocabulary of {size}")))?;
            if let Some(other) = owner[slot].replace(name) {
                return Err(refuse(format!("`{name}` and `{other}` have the same id {id}")));
            }
            let id = u32::try_from(id).map_err(|_| refuse(format!("`{name}` has the id {id}")))?;
            let list = if name.starts_with('<') { &mut special } else { &mut genes };
            list.insert(name.clone(), id);
        }
        let frame = match (special.get("<cls>"), special.get("<eos>")) {
            (Some(&cls), Some(&eos)) => Some((cls, eos)),
            (None, None) => None,
            _ => return Err(refuse("there is only one of `<cls>` and `<eos>`".to_owned())),
        };
        let mut hasher = blake3::Hasher::new();
        for (name, id) in genes.iter().chain(&special) {
            hasher.update(format!("{name}\t{id}\n").as_bytes());
        }
        Ok(Self { genes, frame, size, digest: hasher.finalize().to_hex().to_string() })
    }

    /// What the authors call a model with this vocabulary.
    #[must_use]
    pub fn variant(&self) -> &'static str {
        if self.frame.is_some() { "V2" } else { "V1" }
    }
}
