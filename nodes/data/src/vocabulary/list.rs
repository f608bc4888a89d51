//! Ordered lists of names: one name a line, or a list in JSON or in a pickle.

use std::path::Path;

use super::dictionary::{bytes, looks_like_json, pickle};
use super::error::VocabularyError;
use super::table;

/// Names in the order of the file: a JSON or pickled list of text, or lines of text (white space around a name and empty
/// lines at the end do not count). The position of a name is often its id, so nothing is dropped or sorted.
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn read_names(path: &Path) -> Result<Vec<String>, VocabularyError> {
    let bytes = bytes(path)?;
    let other = |found| VocabularyError::NoList { path: path.to_path_buf(), found };
    if looks_like_json(&bytes) && bytes.trim_ascii().ends_with(b"]") {
        return serde_json::from_slice(&bytes)
            .map_err(|source| VocabularyError::Json { path: path.to_path_buf(), source });
    }
    if bytes.first() == Some(&0x80) {
        let pickle = pickle(path, &bytes)?;
        let items = pickle.root().items().ok_or_else(|| other(pickle.root().type_name()))?;
        let mut out = Vec::with_capacity(items.len());
        for (position, item) in items.enumerate() {
            let wrong = || VocabularyError::WrongEntry {
                path: path.to_path_buf(),
                key: format!("position {position}"),
                found: item.type_name(),
                wanted: "text",
            };
            out.push(item.as_str().ok_or_else(wrong)?.to_owned());
        }
        return Ok(out);
    }
    let text = table::text(path, bytes)?;
    Ok(text.trim_end().lines().map(|line| line.trim().to_owned()).collect())
}
