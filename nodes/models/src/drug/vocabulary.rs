//! Token ids by text, checked against the rows of the embedding.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_data::vocabulary::{VocabularyError, check_ids};
use indexmap::IndexMap;

use crate::error::ModelError;
use crate::vocabulary::digest;

/// Token ids by text.
#[derive(Clone, Debug)]
pub(crate) struct Vocabulary {
    ids: BTreeMap<String, u32>,
    /// BLAKE3 of the sorted lines `text<TAB>id<LF>`, hex.
    pub(crate) digest: String,
}

impl Vocabulary {
    /// Ids as `file` has them; each is a row of an embedding of `rows`, and none has two names.
    ///
    /// # Errors
    /// [`VocabularyError::Misfit`].
    pub(crate) fn new(
        ids: &IndexMap<String, i64>,
        file: &Path,
        rows: usize,
    ) -> Result<Self, VocabularyError> {
        check_ids(file, ids, rows)?;
        // Below the rows of a tensor, so it fits.
        let ids: BTreeMap<String, u32> =
            ids.iter().map(|(text, &id)| (text.clone(), u32::try_from(id).unwrap_or(u32::MAX))).collect();
        Ok(Self { digest: digest(&ids), ids })
    }

    /// The id of a text.
    pub(crate) fn id(&self, text: &str) -> Option<u32> {
        self.ids.get(text).copied()
    }

    /// The id of a special token, which must be there.
    ///
    /// # Errors
    /// [`ModelError::Config`] naming `file`.
    pub(crate) fn special(&self, text: &str, file: &Path) -> Result<u32, ModelError> {
        self.id(text).ok_or_else(|| ModelError::Config {
            path: file.to_path_buf(),
            reason: format!(
                "the vocabulary has no special token `{text}`; is it the model's own vocabulary?"
            ),
        })
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }
}
