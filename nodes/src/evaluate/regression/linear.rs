//! Ridge regression and LASSO on features of the cell lines (expression, an embedding), one fit a drug: the classical way to
//! use what a model claims to use better.

use std::collections::BTreeMap;
use std::path::Path;

use celldag_data::CellsFile;
use celldag_engine::NodeError;
use rayon::prelude::*;

use super::measure::Predicted;
use crate::evaluate::baseline::{Features, FittedResponses, LinearModel, Penalty, Response, ResponseModel};
use crate::failure::data;

/// Fewest training lines of a drug that a fit of its own needs.
const FEWEST: usize = 10;

/// One vector a line.
pub(super) struct LineFeatures {
    dim: usize,
    row_of: BTreeMap<String, usize>,
    values: Vec<f64>,
}

/// Predictions for all pairs, and how many of them could not use features.
pub(super) struct Linear {
    pub(super) pairs: Vec<Predicted>,
    pub(super) without: usize,
}

impl LineFeatures {
    /// Reads an AnnData file whose rows are lines: `obsm[key]`, or without a key X, or where there are no genes the only array
    /// of obsm.
    ///
    /// # Errors
    /// Files that cannot be read, that hold several arrays, or values that are not finite.
    pub(super) fn read(path: &Path, key: Option<&str>) -> Result<Self, NodeError> {
        let file = CellsFile::open(path).map_err(data)?;
        let (dim, values): (usize, Vec<f64>) = if key.is_none() && file.n_genes() > 0 {
            let matrix = file.read_matrix(&file.matrix("X").map_err(data)?).map_err(data)?;
            let dense = (0..matrix.rows()).flat_map(|row| matrix.to_dense_row(row)).map(f64::from);
            (matrix.n_cols(), dense.collect())
        } else {
            let names = file.obsm_names();
            let name = match (key, names.as_slice()) {
                (Some(key), _) => key,
                (None, [only]) => only,
                (None, _) => {
                    return Err(NodeError::parameter(format!(
                        "{}: there are no genes, and obsm holds {} arrays: {}",
                        path.display(),
                        names.len(),
                        names.join(", ")
                    ))
                    .help("say which one with `features_key`"));
                }
            };
            let (_, dim, values) = file.obsm(name).map_err(data)?;
            (dim, values.into_iter().map(f64::from).collect())
        };
        let lines = &file.obs().index;
        if let Some(at) = values.iter().position(|v| !v.is_finite()) {
            let line = &lines[at / dim.max(1)];
            return Err(NodeError::data(format!(
                "{}: a feature of line `{line}` is no finite number",
                path.display()
            ))
            .help("leave such lines out"));
        }
        let row_of = lines.iter().enumerate().map(|(row, line)| (line.clone(), row)).collect();
        Ok(Self { dim, row_of, values })
    }

    fn of(&self, line: &str) -> Option<&[f64]> {
        self.row_of.get(line).map(|row| &self.values[row * self.dim..(row + 1) * self.dim])
    }
}

/// Fits each drug of each fold on the lines that trained with it. A pair whose drug has too few training lines with features,
/// or whose line has none, gets the prediction of the additive model.
pub(super) fn predict(
    features: &LineFeatures,
    penalty: Penalty,
    ridge: f64,
    pairs: &[Predicted],
    training: &BTreeMap<String, Vec<Response>>,
) -> Linear {
    let mut tested: BTreeMap<(&String, &String), Vec<usize>> = BTreeMap::new();
    for (at, pair) in pairs.iter().enumerate() {
        tested.entry((&pair.fold, &pair.response.drug)).or_default().push(at);
    }
    let additive: BTreeMap<&String, Option<FittedResponses>> = training
        .iter()
        .map(|(fold, rows)| (fold, FittedResponses::fit(ResponseModel::Additive { ridge }, rows)))
        .collect();
    let one = |((fold, drug), members): (&(&String, &String), &Vec<usize>)| -> Vec<(usize, f64, bool)> {
        let rows = training.get(*fold).map(Vec::as_slice).unwrap_or_default();
        let model = fit(features, penalty, rows, drug);
        let value = |at: &usize| {
            let line = &pairs[*at].response.line;
            match (&model, features.of(line)) {
                (Some(model), Some(row)) => Some((*at, model.predict(row), true)),
                _ => Some((*at, additive.get(*fold)?.as_ref()?.predict(drug, line), false)),
            }
        };
        members.iter().filter_map(value).collect()
    };
    let mut found: Vec<(usize, f64, bool)> =
        tested.par_iter().map(one).collect::<Vec<_>>().into_iter().flatten().collect();
    found.sort_by_key(|(at, ..)| *at);
    Linear {
        without: found.iter().filter(|(.., used)| !used).count(),
        pairs: found
            .into_iter()
            .map(|(at, prediction, _)| Predicted { prediction, ..pairs[at].clone() })
            .collect(),
    }
}

fn fit(features: &LineFeatures, penalty: Penalty, rows: &[Response], drug: &str) -> Option<LinearModel> {
    let known: Vec<(&[f64], f64)> = rows
        .iter()
        .filter(|r| r.drug == drug)
        .filter_map(|r| Some((features.of(&r.line)?, r.value)))
        .collect();
    if known.len() < FEWEST {
        return None;
    }
    let x =
        Features { dim: features.dim, values: known.iter().flat_map(|(x, _)| x.iter().copied()).collect() };
    LinearModel::fit(&x, &known.iter().map(|(_, y)| *y).collect::<Vec<_>>(), penalty)
}
