//! What training minimises, and how logits become scores.

use celldag_shaders::ops::{bce_with_logits, softmax_cross_entropy};
use celldag_shaders::{Device, Ids, Result, Tensor};

/// The loss and with it the number of outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// One logit, binary cross entropy (the scDrugMap paper).
    Bce,
    /// One logit a class, softmax cross entropy.
    CrossEntropy,
    /// Two independent logits against one-hot labels, mean over cells x 2 (the scDrugMap code).
    TwoLogit,
}

impl LossKind {
    /// Number of logits for this many classes.
    #[must_use]
    pub fn outputs(self, classes: usize) -> usize {
        match self {
            Self::Bce => 1,
            Self::CrossEntropy => classes,
            Self::TwoLogit => 2,
        }
    }
}

/// A loss with its class weights.
#[derive(Clone, Debug)]
pub struct Objective {
    kind: LossKind,
    classes: usize,
    /// Weight of positives per output, for the binary losses.
    pos_weight: Option<Vec<f32>>,
    /// Weight per class, for the softmax.
    class_weight: Option<Vec<f64>>,
}

impl Objective {
    /// Every cell counts the same.
    #[must_use]
    pub fn new(kind: LossKind, classes: usize) -> Self {
        Self { kind, classes, pos_weight: None, class_weight: None }
    }

    /// The same with a weight of positives for each output of a binary loss.
    #[must_use]
    pub fn with_pos_weight(mut self, weight: Vec<f32>) -> Self {
        self.pos_weight = Some(weight);
        self
    }

    /// Every class counts the same: weights are inverse to the class sizes among the training cells. A class without
    /// cells has weight 1.
    #[must_use]
    pub fn balanced(kind: LossKind, classes: usize, training: &[usize]) -> Self {
        let n = training.len() as f64;
        let size: Vec<f64> =
            (0..classes).map(|c| training.iter().filter(|&&t| t == c).count() as f64).collect();
        let against =
            |c: usize| if size[c] > 0.0 && size[c] < n { ((n - size[c]) / size[c]) as f32 } else { 1.0 };
        let plain = Self::new(kind, classes);
        match kind {
            LossKind::Bce => plain.with_pos_weight(vec![against(1)]),
            LossKind::TwoLogit => plain.with_pos_weight(vec![against(0), against(1)]),
            LossKind::CrossEntropy => {
                let weight = |s: &f64| if *s > 0.0 { n / (classes as f64 * s) } else { 1.0 };
                Self { class_weight: Some(size.iter().map(weight).collect()), ..plain }
            }
        }
    }

    /// The loss.
    #[must_use]
    pub fn kind(&self) -> LossKind {
        self.kind
    }

    /// What the loss of a batch is divided by: its cells, or the sum of their weights. The gradient of a batch is the sum
    /// over its parts, each with its share of this.
    #[must_use]
    pub fn divisor(&self, labels: &[usize]) -> f64 {
        match &self.class_weight {
            Some(weight) => labels.iter().map(|&label| weight[label]).sum(),
            None => labels.len() as f64,
        }
    }

    /// Loss of each row and the gradient of the batch loss at the logits. With class weights the batch loss is the
    /// weighted mean, as torch's `cross_entropy(weight=...)`.
    ///
    /// # Errors
    /// Labels that are no class; the device's errors.
    pub fn evaluate(&self, device: &Device, logits: &Tensor, labels: &[usize]) -> Result<(f64, Tensor)> {
        let n = labels.len();
        let loss = match self.kind {
            LossKind::CrossEntropy => {
                let ids: Vec<u32> = labels.iter().map(|&l| l as u32).collect();
                softmax_cross_entropy(logits, &Ids::new(device, &ids)?)?
            }
            LossKind::Bce | LossKind::TwoLogit => {
                let columns = self.kind.outputs(self.classes);
                let target = |l: usize| -> Vec<f32> {
                    let one = |yes: bool| if yes { 1.0 } else { 0.0 };
                    if columns == 1 { vec![one(l == 1)] } else { vec![one(l == 0), one(l == 1)] }
                };
                let targets: Vec<f32> = labels.iter().flat_map(|&l| target(l)).collect();
                let targets = device.upload(&[n, columns], &targets)?;
                let weight = self.pos_weight.as_ref().map(|w| device.upload(&[columns], w)).transpose()?;
                bce_with_logits(logits, &targets, weight.as_ref())?
            }
        };
        let rows = loss.rows.read()?;
        let Some(weight) = &self.class_weight else {
            return Ok((rows.iter().map(|&v| f64::from(v)).sum::<f64>() / n as f64, loss.gradient));
        };
        // Rows are weighted on the host: a batch is small, and no kernel scales rows.
        let total = self.divisor(labels);
        let value = rows.iter().zip(labels).map(|(&v, &l)| f64::from(v) * weight[l]).sum::<f64>() / total;
        let mut gradient = loss.gradient.read()?;
        for (row, &label) in gradient.chunks_mut(self.classes).zip(labels) {
            let factor = weight[label] * n as f64 / total;
            row.iter_mut().for_each(|g| *g = (f64::from(*g) * factor) as f32);
        }
        Ok((value, device.upload(logits.shape(), &gradient)?))
    }

    /// Score per class from the logits of one cell; scores add up to 1. Two independent logits are ranked by their
    /// difference, which is the ranking that agrees with their argmax.
    #[must_use]
    pub fn scores(&self, logits: &[f32]) -> Vec<f64> {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match (self.kind, logits) {
            (LossKind::Bce, [one]) => {
                let p = sigmoid(f64::from(*one));
                vec![1.0 - p, p]
            }
            (LossKind::TwoLogit, [no, yes]) => {
                let p = sigmoid(f64::from(*yes) - f64::from(*no));
                vec![1.0 - p, p]
            }
            _ => {
                let high = logits.iter().fold(f64::NEG_INFINITY, |m, &v| m.max(f64::from(v)));
                let powers: Vec<f64> = logits.iter().map(|&v| (f64::from(v) - high).exp()).collect();
                let sum: f64 = powers.iter().sum();
                powers.iter().map(|p| p / sum).collect()
            }
        }
    }
}
