//! One fold: a fit for each penalty, and the one that the validation cells prefer.

use celldag_engine::NodeError;
use serde::Serialize;

use crate::evaluate::baseline::LogisticRegression;
use crate::learn::mlp::{FeatureRows, LabelledRows, TrainingData};

/// A fitted logistic regression as a layer: weights `[outputs, dim]` row after row, and bias `[outputs]`. Two classes
/// have one output, the logit of the second.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    dim: usize,
    /// Weights.
    pub weight: Vec<f32>,
    /// Intercepts.
    pub bias: Vec<f32>,
    /// What was tried.
    pub tried: Vec<Tried>,
    /// Position in `tried` of what was kept.
    pub best: usize,
}

/// One penalty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// Inverse strength of the penalty.
    pub c: f64,
    /// Whether the optimiser reached the optimum.
    pub converged: bool,
    /// Mean cross entropy of the training cells, without penalty and class weights.
    pub train_loss: f64,
    /// The same of the validation cells.
    pub validation_loss: Option<f64>,
}

/// Fits for each value of `c`; keeps the one with the lowest loss on the validation cells, of equals the first.
///
/// # Errors
/// A data error when several values are given and the fold has no validation cells to choose with.
pub fn fit_probe(data: &TrainingData, classes: usize, c: &[f64], balanced: bool) -> Result<Probe, NodeError> {
    if c.len() > 1 && data.validation().is_none() {
        return Err(NodeError::data("there are no validation cells to choose among the values of `c`")
            .help("give one value of `c`, or set `validation_fraction` of `split` above 0"));
    }
    let train = data.train();
    let x: Vec<f64> = train.rows.values.iter().map(|&v| f64::from(v)).collect();
    let weight = balanced.then(|| class_weights(&train.class, classes));
    let mut best: Option<(usize, f64, LogisticRegression)> = None;
    let mut tried = Vec::new();
    for (at, &c) in c.iter().enumerate() {
        let model =
            LogisticRegression::fit_weighted(&x, train.rows.dim, &train.class, classes, c, weight.as_deref());
        let train_loss = loss(&model, train);
        let validation_loss = data.validation().map(|rows| loss(&model, rows));
        tried.push(Tried { c, converged: model.converged, train_loss, validation_loss });
        let decides = validation_loss.unwrap_or(train_loss);
        if best.as_ref().is_none_or(|(_, least, _)| decides < *least) {
            best = Some((at, decides, model));
        }
    }
    let (best, _, model) = best.ok_or_else(|| NodeError::parameter("`c` names no value"))?;
    let outputs = if classes == 2 { 1 } else { classes };
    let mut probe = Probe { dim: train.rows.dim, weight: Vec::new(), bias: Vec::new(), tried, best };
    for output in 0..outputs {
        let row = model.weights(output);
        probe.weight.extend(row[..train.rows.dim].iter().map(|&w| w as f32));
        probe.bias.push(row[train.rows.dim] as f32);
    }
    Ok(probe)
}

/// Weight of each class such that all weigh the same together and cells weigh 1 on average.
fn class_weights(class: &[usize], classes: usize) -> Vec<f64> {
    let mut counts = vec![0_usize; classes];
    class.iter().for_each(|&c| counts[c] += 1);
    let present = counts.iter().filter(|&&n| n > 0).count();
    counts.iter().map(|&n| if n == 0 { 0.0 } else { class.len() as f64 / (present * n) as f64 }).collect()
}

fn loss(model: &LogisticRegression, rows: &LabelledRows) -> f64 {
    let one = |(i, &class): (usize, &usize)| {
        let row: Vec<f64> = rows.rows.vector(i).iter().map(|&v| f64::from(v)).collect();
        -model.probabilities(&row)[class].max(f64::MIN_POSITIVE).ln()
    };
    rows.class.iter().enumerate().map(one).sum::<f64>() / rows.class.len().max(1) as f64
}

impl Probe {
    /// Logits of cells, one row each.
    #[must_use]
    pub fn logits(&self, rows: &FeatureRows) -> Vec<Vec<f32>> {
        let logit = |vector: &[f32], weight: &[f32], bias: f32| {
            let sum: f64 = vector.iter().zip(weight).map(|(v, w)| f64::from(*v) * f64::from(*w)).sum();
            (sum + f64::from(bias)) as f32
        };
        let one = |i: usize| {
            self.weight
                .chunks(self.dim)
                .zip(&self.bias)
                .map(|(weight, &bias)| logit(rows.vector(i), weight, bias))
                .collect()
        };
        (0..rows.len()).map(one).collect()
    }
}
