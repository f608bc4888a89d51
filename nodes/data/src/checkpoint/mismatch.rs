//! Everything in which a checkpoint and a model differ.

use std::fmt;
use std::path::PathBuf;

use super::error::CheckpointError;

/// Names that a message shows of each kind of difference.
const SHOWN: usize = 40;

/// What is missing, left over, or of another shape or type than the model needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// The file or folder.
    pub files: PathBuf,
    /// Tensors that are not there, each with the closest name that is.
    pub missing: Vec<(String, Option<String>)>,
    /// Tensors of another shape: name, shape asked for, shape in the file.
    pub misshapen: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Tensors of another kind of elements: name and element type in the file.
    pub mistyped: Vec<(String, String)>,
    /// Tensors that the model has no place for.
    pub unused: Vec<String>,
}

impl Mismatch {
    /// Whether checkpoint and model fit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty()
            && self.misshapen.is_empty()
            && self.mistyped.is_empty()
            && self.unused.is_empty()
    }

    /// Takes down an error about one tensor; gives back every other error.
    pub(super) fn note(&mut self, error: CheckpointError) -> Result<(), CheckpointError> {
        match error {
            CheckpointError::MissingTensor { name, close, .. } => self.missing.push((name, close)),
            CheckpointError::WrongShape { name, wanted, found, .. } => {
                self.misshapen.push((name, wanted, found));
            }
            CheckpointError::WrongType { name, found, .. } => self.mistyped.push((name, found)),
            other => return Err(other),
        }
        Ok(())
    }
}

/// Some names, separated by commas.
pub(super) fn list<T>(items: &[T], shown: usize, show: impl Fn(&T) -> String) -> String {
    let mut out = items.iter().take(shown).map(show).collect::<Vec<_>>().join(", ");
    if items.len() > shown {
        out += &format!(", and {} more", items.len() - shown);
    }
    out
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: weights and model do not belong together", self.files.display())?;
        if !self.missing.is_empty() {
            let names = list(&self.missing, SHOWN, |(name, close)| match close {
                Some(close) => format!("`{name}` (there is `{close}`)"),
                None => format!("`{name}`"),
            });
            write!(f, "; {} missing: {names}", self.missing.len())?;
        }
        if !self.misshapen.is_empty() {
            let names = list(&self.misshapen, SHOWN, |(name, wanted, found)| {
                format!("`{name}` is {found:?} instead of {wanted:?}")
            });
            write!(f, "; {} of another shape: {names}", self.misshapen.len())?;
        }
        if !self.mistyped.is_empty() {
            let names = list(&self.mistyped, SHOWN, |(name, found)| format!("`{name}` holds {found}"));
            write!(f, "; {} of another element type: {names}", self.mistyped.len())?;
        }
        if !self.unused.is_empty() {
            let names = list(&self.unused, SHOWN, |name| format!("`{name}`"));
            let remedy = "`allow_unused` names what may be left out";
            write!(f, "; {} left over: {names} ({remedy})", self.unused.len())?;
        }
        Ok(())
    }
}

impl std::error::Error for Mismatch {}
