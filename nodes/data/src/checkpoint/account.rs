//! Taking tensors, and the account of what was taken.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{MutexGuard, PoisonError};

use super::entry::Entry;
use super::error::CheckpointError;
use super::mismatch::{Mismatch, list};
use super::names::matches;
use super::stored::Stored;
use super::weights::Weights;

/// Elements that stand in for missing tensors before [`Weights::load`] gives up.
const MAX_STAND_INS: usize = 1 << 28;
/// Names that [`CheckpointError::Unused`] shows.
const SHOWN: usize = 20;

/// What was taken, and what was found wrong.
#[derive(Debug, Default)]
pub(super) struct Account {
    taken: BTreeSet<String>,
    /// Inside of [`Weights::load`]: what does not fit, so far.
    survey: Option<Mismatch>,
    /// Elements given out in place of what does not fit.
    stand_ins: usize,
}

impl Weights {
    /// The values of a tensor of exactly this shape, row-major; half and double precision become `f32`.
    ///
    /// # Errors
    /// When the tensor is missing, has another shape, holds integers, or cannot be read.
    pub fn take(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, CheckpointError> {
        let read = |entry: &Entry| entry.widened(0..entry.rows());
        self.shaped(name, shape, "real numbers", read, |count| vec![0.0; count])
    }

    /// The values of a tensor of exactly this shape, row-major, in the element type of the file: 16-bit weights cost two
    /// bytes each.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn take_stored(&self, name: &str, shape: &[usize]) -> Result<Stored, CheckpointError> {
        let read = |entry: &Entry| entry.stored(0..entry.rows());
        self.shaped(name, shape, "real numbers", read, |count| Stored::F32(vec![0.0; count]))
    }

    /// The values of a tensor of whole numbers or truth values of exactly this shape.
    ///
    /// # Errors
    /// As [`Weights::take`], when the tensor holds real numbers or numbers beyond `i64`.
    pub fn take_integers(&self, name: &str, shape: &[usize]) -> Result<Vec<i64>, CheckpointError> {
        let read = |entry: &Entry| entry.integers(0..entry.rows());
        self.shaped(name, shape, "whole numbers", read, |count| vec![0; count])
    }

    /// Shape and values of a tensor whose shape only the file knows.
    ///
    /// # Errors
    /// As [`Weights::take`].
    pub fn take_any(&self, name: &str) -> Result<(Vec<usize>, Vec<f32>), CheckpointError> {
        let shape = self.find(name)?.shape().to_vec();
        let values = self.take(name, &shape)?;
        Ok((shape, values))
    }

    /// Some rows (slices along the first extent) of a tensor, as `f32`; only their bytes are read. The tensor counts as
    /// taken.
    ///
    /// # Errors
    /// When the tensor is missing, has fewer rows, holds integers, or cannot be read.
    pub fn rows(&self, name: &str, rows: Range<usize>) -> Result<Vec<f32>, CheckpointError> {
        self.part(name, rows, Entry::widened)
    }

    /// Some rows of a tensor in the element type of the file. The tensor counts as taken.
    ///
    /// # Errors
    /// As [`Weights::rows`].
    pub fn rows_stored(&self, name: &str, rows: Range<usize>) -> Result<Stored, CheckpointError> {
        self.part(name, rows, Entry::stored)
    }

    /// Counts a tensor as taken without reading it: a buffer that the model computes itself.
    pub fn skip(&self, name: &str) {
        if self.contains(name) {
            self.account().taken.insert(name.to_owned());
        }
    }

    /// Builds a model from the weights. What is missing, misshapen, of the wrong type, or left over and not
    /// `allow_unused` is collected and reported together: while `build` runs, `take`, `take_stored` and `take_integers`
    /// hand out zeros in place of what does not fit, and what was built from them is thrown away.
    ///
    /// # Errors
    /// [`CheckpointError::Mismatch`], or the error of `build`.
    pub fn load<T, E: From<CheckpointError>>(
        &self,
        allow_unused: &[&str],
        build: impl FnOnce(&Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let files = self.place.clone();
        {
            let mut account = self.account();
            account.survey = Some(Mismatch { files, ..Mismatch::default() });
            account.stand_ins = 0;
        }
        let built = build(self);
        let mut survey = self.account().survey.take().unwrap_or_default();
        if built.is_ok() {
            survey.unused = self.unused(allow_unused);
        }
        if survey.is_empty() { built } else { Err(CheckpointError::Mismatch(Box::new(survey)).into()) }
    }

    /// Fails when a tensor was not taken and is not `allow_unused`. An entry there is a full name, a prefix that ends in
    /// a dot, or a pattern with `*` for any text.
    ///
    /// # Errors
    /// [`CheckpointError::Unused`] with the first names.
    pub fn finish(&self, allow_unused: &[&str]) -> Result<(), CheckpointError> {
        let unused = self.unused(allow_unused);
        if unused.is_empty() {
            return Ok(());
        }
        Err(CheckpointError::Unused {
            files: self.place.clone(),
            count: unused.len(),
            examples: list(&unused, SHOWN, |name| format!("`{name}`")),
        })
    }

    /// Names of tensors that were not taken and are not `allow_unused`, sorted.
    #[must_use]
    pub fn unused(&self, allow_unused: &[&str]) -> Vec<String> {
        let account = self.account();
        let allowed = |name: &str| allow_unused.iter().any(|pattern| matches(pattern, name));
        let unused = self.names().filter(|name| !account.taken.contains(*name) && !allowed(name));
        unused.map(str::to_owned).collect()
    }

    /// Those of `patterns` that mean no tensor that was not taken: misspelt, or of another checkpoint. Asked when the model
    /// is complete.
    #[must_use]
    pub fn idle<'p>(&self, patterns: &[&'p str]) -> Vec<&'p str> {
        let account = self.account();
        let left: Vec<&str> = self.names_in_order().filter(|name| !account.taken.contains(*name)).collect();
        let idle = |pattern: &&&str| !left.iter().any(|name| matches(pattern, name));
        patterns.iter().filter(idle).copied().collect()
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shaped<T>(
        &self,
        name: &str,
        shape: &[usize],
        wanted: &'static str,
        read: impl FnOnce(&Entry) -> Result<Option<T>, CheckpointError>,
        stand_in: impl FnOnce(usize) -> T,
    ) -> Result<T, CheckpointError> {
        let values = self.find(name).and_then(|entry| {
            if entry.shape() != shape {
                return Err(CheckpointError::WrongShape {
                    name: name.to_owned(),
                    file: entry.storage.path().to_path_buf(),
                    wanted: shape.to_vec(),
                    found: entry.shape().to_vec(),
                });
            }
            read(entry)?.ok_or_else(|| wrong_type(name, entry, wanted))
        });
        let mut account = self.account();
        let error = match values {
            Ok(values) => {
                account.taken.insert(name.to_owned());
                return Ok(values);
            }
            Err(error) => error,
        };
        let Some(survey) = &mut account.survey else { return Err(error) };
        survey.note(error)?;
        let count = shape.iter().try_fold(1_usize, |n, &extent| n.checked_mul(extent));
        let total = count.and_then(|count| count.checked_add(account.stand_ins));
        let (Some(count), Some(total @ ..=MAX_STAND_INS)) = (count, total) else {
            return Err(CheckpointError::Mismatch(Box::new(account.survey.clone().unwrap_or_default())));
        };
        account.stand_ins = total;
        // It is reported already, and is not left over on top.
        account.taken.insert(name.to_owned());
        drop(account);
        Ok(stand_in(count))
    }

    fn part<T>(
        &self,
        name: &str,
        rows: Range<usize>,
        read: impl FnOnce(&Entry, Range<usize>) -> Result<Option<T>, CheckpointError>,
    ) -> Result<T, CheckpointError> {
        let entry = self.find(name)?;
        if rows.start > rows.end || rows.end > entry.rows() {
            return Err(CheckpointError::NoSuchRows {
                name: name.to_owned(),
                file: entry.storage.path().to_path_buf(),
                from: rows.start,
                to: rows.end,
                found: entry.rows(),
            });
        }
        let values = read(entry, rows)?.ok_or_else(|| wrong_type(name, entry, "real numbers"))?;
        self.account().taken.insert(name.to_owned());
        Ok(values)
    }

    fn find(&self, name: &str) -> Result<&Entry, CheckpointError> {
        self.tensors.get(name).ok_or_else(|| CheckpointError::MissingTensor {
            name: name.to_owned(),
            files: self.place.clone(),
            close: self.closest(name),
        })
    }
}

fn wrong_type(name: &str, entry: &Entry, wanted: &'static str) -> CheckpointError {
    CheckpointError::WrongType {
        name: name.to_owned(),
        file: entry.storage.path().to_path_buf(),
        found: entry.dtype.to_string(),
        wanted,
    }
}
