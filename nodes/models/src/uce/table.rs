//! Vectors of tokens: rows of a table of several gigabytes, brought to length 1 and projected to the width of the model.
//!
//! Only rows that occur are read. The projection does not depend on the cell, so each token is projected once and its
//! result kept (5 KB instead of the 20 KB of the row); the rest of the model reads the kept rows. While the projection itself
//! is trained, rows are projected anew in every batch.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use celldag_data::checkpoint::Weights;
use celldag_shaders::ops::{self, Activation};
use celldag_shaders::{Device, Ids, Tensor};

use crate::blocks::{LayerNorm, Linear};
use crate::error::ModelError;

/// Rows that are projected at once: bounds memory.
const AT_ONCE: usize = 512;

/// The token table and its projection.
#[derive(Debug)]
pub struct TokenTable {
    weights: Weights,
    tensor: String,
    rows: usize,
    inputs: usize,
    linear: Linear,
    norm: LayerNorm,
    hidden: usize,
    /// Whether training changes the projection.
    trained: bool,
    projected: Mutex<BTreeMap<u32, Box<[f32]>>>,
}

/// Parts of a [`TokenTable`].
#[derive(Debug)]
pub(super) struct Parts {
    /// Holds the table.
    pub(super) weights: Weights,
    /// Name of the table `[rows, inputs]`.
    pub(super) tensor: String,
    /// Rows of the table.
    pub(super) rows: usize,
    /// Width of the table.
    pub(super) inputs: usize,
    /// `[hidden, inputs]`.
    pub(super) linear: Linear,
    /// Behind the activation.
    pub(super) norm: LayerNorm,
    /// Width of the model.
    pub(super) hidden: usize,
    /// Whether training changes `linear` or `norm`.
    pub(super) trained: bool,
}

impl TokenTable {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { weights, tensor, rows, inputs, linear, norm, hidden, trained } = parts;
        Self { weights, tensor, rows, inputs, linear, norm, hidden, trained, projected: Mutex::default() }
    }

    /// The vectors of `tokens`, `[tokens, hidden]`: √hidden LN(GELU(W e/|e| + b)).
    ///
    /// # Errors
    /// When a token is no row of the table, or a file or the device fails.
    pub fn vectors(&self, tokens: &[u32], device: &Device) -> Result<Tensor, ModelError> {
        if let Some(unknown) = tokens.iter().find(|&&token| token as usize >= self.rows) {
            let message = format!("the token {unknown} is beyond the table of {} rows", self.rows);
            return Err(ModelError::Tokens(message));
        }
        let distinct = distinct(tokens.iter().copied());
        let table =
            if self.trained { self.project(&distinct, device)? } else { self.kept(&distinct, device)? };
        let place = |token: &u32| {
            let at = distinct.binary_search(token).unwrap_or_default();
            u32::try_from(at).unwrap_or(u32::MAX)
        };
        let places: Vec<u32> = tokens.iter().map(place).collect();
        Ok(ops::embed(&table, &Ids::new(device, &places)?)?)
    }

    /// Projected rows of distinct tokens, of which new ones are projected and kept.
    fn kept(&self, distinct: &[u32], device: &Device) -> Result<Tensor, ModelError> {
        let mut kept = self.projected.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<u32> = distinct.iter().copied().filter(|token| !kept.contains_key(token)).collect();
        for tokens in new.chunks(AT_ONCE) {
            // A rehearsal of this thread has no values; what is kept must be real.
            let project = || -> Result<Vec<f32>, ModelError> { Ok(self.project(tokens, device)?.read()?) };
            let values = std::thread::scope(|scope| scope.spawn(project).join());
            let values = values.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            for (&token, row) in tokens.iter().zip(values.chunks_exact(self.hidden)) {
                kept.insert(token, row.into());
            }
        }
        let mut values = Vec::with_capacity(distinct.len() * self.hidden);
        for row in distinct.iter().filter_map(|token| kept.get(token)) {
            values.extend_from_slice(row);
        }
        Ok(device.upload(&[distinct.len(), self.hidden], &values)?)
    }

    fn project(&self, distinct: &[u32], device: &Device) -> Result<Tensor, ModelError> {
        let mut values = Vec::with_capacity(distinct.len() * self.inputs);
        for run in distinct.chunk_by(|a, b| a + 1 == *b) {
            let first = run[0] as usize;
            values.extend(self.weights.rows(&self.tensor, first..first + run.len())?);
        }
        for row in values.chunks_exact_mut(self.inputs) {
            let squares: f64 = row.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
            #[expect(clippy::cast_possible_truncation, reason = "vectors are single precision")]
            let length = squares.sqrt().max(1e-12) as f32;
            row.iter_mut().for_each(|v| *v /= length);
        }
        let x = device.upload(&[distinct.len(), self.inputs], &values)?;
        let x = self.norm.forward(&self.linear.forward(&x, Activation::Gelu)?, None)?;
        #[expect(clippy::cast_precision_loss, reason = "a width is small")]
        let scale = (self.hidden as f32).sqrt();
        Ok(ops::scale(&x, scale)?)
    }
}

/// Each of `tokens` once, in ascending order: the rows that a batch projects.
pub(super) fn distinct(tokens: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut distinct: Vec<u32> = tokens.collect();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}
