//! Points of ROC and precision-recall curves.

use super::sample::BinarySample;

/// Weights above or at each distinct score, thresholds descending.
pub(super) struct Cumulative {
    pub(super) thresholds: Vec<f64>,
    pub(super) negatives: Vec<f64>,
    pub(super) positives: Vec<f64>,
}

impl Cumulative {
    /// Cells without weight give no points.
    pub(super) fn of(sample: &BinarySample) -> Self {
        let mut order: Vec<usize> = (0..sample.len()).filter(|&i| sample.weight(i) > 0.0).collect();
        let score = sample.score();
        order.sort_by(|&a, &b| score[b].total_cmp(&score[a]).then(a.cmp(&b)));
        let mut out = Self { thresholds: Vec::new(), negatives: Vec::new(), positives: Vec::new() };
        let (mut fp, mut tp) = (0.0, 0.0);
        for (at, &i) in order.iter().enumerate() {
            if sample.truth()[i] {
                tp += sample.weight(i);
            } else {
                fp += sample.weight(i);
            }
            let last_of_tie = order.get(at + 1).is_none_or(|&next| score[next] != score[i]);
            if last_of_tie {
                out.thresholds.push(score[i]);
                out.negatives.push(fp);
                out.positives.push(tp);
            }
        }
        out
    }

    fn keep(&mut self, keep: &[bool]) {
        for list in [&mut self.thresholds, &mut self.negatives, &mut self.positives] {
            let mut flags = keep.iter();
            list.retain(|_| *flags.next().unwrap_or(&true));
        }
    }
}

/// A ROC curve from (0, 0) to (1, 1). The first threshold is +infinity.
#[derive(Clone, Debug, PartialEq)]
pub struct RocPoints {
    /// False positive rate, rising.
    pub fpr: Vec<f64>,
    /// True positive rate.
    pub tpr: Vec<f64>,
    /// Score at and above which cells count as positive, falling.
    pub thresholds: Vec<f64>,
}

impl RocPoints {
    /// Area under the points by the trapezoid rule.
    #[must_use]
    pub fn area(&self) -> f64 {
        trapezoid(&self.fpr, &self.tpr)
    }
}

/// A precision-recall curve. Points go from the lowest threshold to (recall 0, precision 1), which has no threshold.
#[derive(Clone, Debug, PartialEq)]
pub struct PrPoints {
    /// Precision per point.
    pub precision: Vec<f64>,
    /// Recall per point, falling.
    pub recall: Vec<f64>,
    /// Thresholds, rising; one fewer than points.
    pub thresholds: Vec<f64>,
}

impl PrPoints {
    /// Area under the points by the trapezoid rule (too optimistic; average precision is the sound number).
    #[must_use]
    pub fn area(&self) -> f64 {
        -trapezoid(&self.recall, &self.precision)
    }
}

/// ROC points; without those inside straight segments when `drop_collinear`. `None` with only one class.
#[must_use]
pub fn roc_points(sample: &BinarySample, drop_collinear: bool) -> Option<RocPoints> {
    let mut c = Cumulative::of(sample);
    let bends = |v: &[f64], i: usize| (v[i + 1] - v[i]) - (v[i] - v[i - 1]) != 0.0;
    if drop_collinear && c.thresholds.len() > 2 {
        let last = c.thresholds.len() - 1;
        let keep: Vec<bool> = (0..=last)
            .map(|i| i == 0 || i == last || bends(&c.negatives, i) || bends(&c.positives, i))
            .collect();
        c.keep(&keep);
    }
    let (n, p) = (*c.negatives.last()?, *c.positives.last()?);
    if n <= 0.0 || p <= 0.0 {
        return None;
    }
    let scaled =
        |values: &[f64], by: f64| std::iter::once(0.0).chain(values.iter().map(|v| v / by)).collect();
    Some(RocPoints {
        fpr: scaled(&c.negatives, n),
        tpr: scaled(&c.positives, p),
        thresholds: std::iter::once(f64::INFINITY).chain(c.thresholds.iter().copied()).collect(),
    })
}

/// Precision-recall points; without those on runs of constant recall when `drop_intermediate`. `None` without
/// positives.
#[must_use]
pub fn pr_points(sample: &BinarySample, drop_intermediate: bool) -> Option<PrPoints> {
    let mut c = Cumulative::of(sample);
    if drop_intermediate && c.thresholds.len() > 2 {
        let last = c.thresholds.len() - 1;
        let p = &c.positives;
        let keep: Vec<bool> =
            (0..=last).map(|i| i == 0 || i == last || p[i] != p[i - 1] || p[i + 1] != p[i]).collect();
        c.keep(&keep);
    }
    let all = *c.positives.last()?;
    if all <= 0.0 {
        return None;
    }
    let points = c.thresholds.len();
    let mut out = PrPoints { precision: Vec::new(), recall: Vec::new(), thresholds: Vec::new() };
    for i in (0..points).rev() {
        out.precision.push(c.positives[i] / (c.positives[i] + c.negatives[i]));
        out.recall.push(c.positives[i] / all);
        out.thresholds.push(c.thresholds[i]);
    }
    out.precision.push(1.0);
    out.recall.push(0.0);
    Some(out)
}

fn trapezoid(x: &[f64], y: &[f64]) -> f64 {
    x.windows(2).zip(y.windows(2)).map(|(x, y)| (x[1] - x[0]) * (y[1] + y[0]) / 2.0).sum()
}
