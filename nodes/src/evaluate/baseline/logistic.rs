//! L2-regularised logistic regression with the objective of scikit-learn's `LogisticRegression`.
//!
//! Minimises C times the summed loss plus half the squared norm of the weights; intercepts are not penalised. Two
//! classes have one weight vector, more have one each (multinomial). Fitted by L-BFGS (Nocedal and Wright, chapter 7)
//! from zero; no randomness, one thread, so the result depends on the data only.

/// Pairs of differences that L-BFGS remembers.
const MEMORY: usize = 10;
/// Largest component of the mean gradient at which the fit counts as converged.
const TOLERANCE: f64 = 1e-7;
/// Most iterations; real fits need tens to a few hundred.
const MOST: usize = 2000;

/// A fitted model.
#[derive(Clone, Debug, PartialEq)]
pub struct LogisticRegression {
    features: usize,
    classes: usize,
    /// One row `[features + 1]` (intercept last) per output; one output for two classes.
    weights: Vec<f64>,
    /// Whether the gradient fell below the tolerance.
    pub converged: bool,
}

struct Problem<'a> {
    x: &'a [f64],
    y: &'a [usize],
    features: usize,
    outputs: usize,
    c: f64,
    weight: Option<&'a [f64]>,
}

impl LogisticRegression {
    /// Fits `x` (row-major, `y.len()` rows) with inverse regularisation `c`.
    ///
    /// # Panics
    /// When `x` does not have `features` columns, or a class is not below `classes`.
    #[must_use]
    pub fn fit(x: &[f64], features: usize, y: &[usize], classes: usize, c: f64) -> Self {
        Self::fit_weighted(x, features, y, classes, c, None)
    }

    /// The same with a weight for each class, by which the losses of its rows are multiplied.
    ///
    /// # Panics
    /// As [`LogisticRegression::fit`], or when weights are given but not one a class.
    #[must_use]
    pub fn fit_weighted(
        x: &[f64],
        features: usize,
        y: &[usize],
        classes: usize,
        c: f64,
        weight: Option<&[f64]>,
    ) -> Self {
        assert!(weight.is_none_or(|w| w.len() == classes), "one weight a class");
        assert_eq!(x.len(), features * y.len(), "one row of features a label");
        assert!(y.iter().all(|&class| class < classes), "labels are class indices");
        let outputs = if classes == 2 { 1 } else { classes };
        let problem = Problem { x, y, features, outputs, c, weight };
        let (weights, converged) = minimise(&problem, vec![0.0; outputs * (features + 1)]);
        Self { features, classes, weights, converged }
    }

    /// Probability of each class for one row of features.
    #[must_use]
    pub fn probabilities(&self, row: &[f64]) -> Vec<f64> {
        let logits: Vec<f64> = self.weights.chunks(self.features + 1).map(|w| logit(w, row)).collect();
        if self.classes == 2 {
            let p = 1.0 / (1.0 + (-logits[0]).exp());
            return vec![1.0 - p, p];
        }
        let high = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = logits.iter().map(|l| (l - high).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.iter().map(|p| p / sum).collect()
    }

    /// Weights of an output, intercept last.
    #[must_use]
    pub fn weights(&self, output: usize) -> &[f64] {
        &self.weights[output * (self.features + 1)..(output + 1) * (self.features + 1)]
    }
}

fn logit(weights: &[f64], row: &[f64]) -> f64 {
    let (intercept, slopes) = weights.split_last().map_or((0.0, weights), |(i, s)| (*i, s));
    intercept + dot(slopes, row)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

impl Problem<'_> {
    /// Objective divided by the number of cells, and its gradient.
    fn value(&self, w: &[f64], gradient: &mut [f64]) -> f64 {
        gradient.fill(0.0);
        let width = self.features + 1;
        let mut loss = 0.0;
        let mut slope = vec![0.0; self.outputs];
        for (row, &class) in self.x.chunks(self.features.max(1)).zip(self.y) {
            for (s, w) in slope.iter_mut().zip(w.chunks(width)) {
                *s = logit(w, row);
            }
            let own_loss = self.row_loss(&mut slope, class);
            let weight = self.weight.map_or(1.0, |w| w[class]);
            loss += weight * own_loss;
            slope.iter_mut().for_each(|s| *s *= weight);
            for (g, &s) in gradient.chunks_mut(width).zip(&slope) {
                g.iter_mut().zip(row).for_each(|(g, x)| *g += s * x);
                g[self.features] += s;
            }
        }
        let n = self.y.len().max(1) as f64;
        let mut penalty = 0.0;
        for (w, g) in w.chunks(width).zip(gradient.chunks_mut(width)) {
            for (at, (w, g)) in w.iter().zip(g).enumerate() {
                let pull = if at < self.features { *w / (self.c * n) } else { 0.0 };
                penalty += 0.5 * w * pull;
                *g = *g / n + pull;
            }
        }
        loss / n + penalty
    }

    /// Turns logits into the slope of the loss at them; returns the loss.
    fn row_loss(&self, logits: &mut [f64], class: usize) -> f64 {
        if self.outputs == 1 {
            let (z, t) = (logits[0], class as f64);
            let loss = z.max(0.0) - z * t + (-z.abs()).exp().ln_1p();
            logits[0] = 1.0 / (1.0 + (-z).exp()) - t;
            return loss;
        }
        let high = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let at_class = logits[class] - high;
        let mut sum = 0.0;
        for l in logits.iter_mut() {
            *l = (*l - high).exp();
            sum += *l;
        }
        logits.iter_mut().for_each(|l| *l /= sum);
        logits[class] -= 1.0;
        sum.ln() - at_class
    }
}

/// L-BFGS with a weak Wolfe line search by bisection.
fn minimise(problem: &Problem<'_>, mut w: Vec<f64>) -> (Vec<f64>, bool) {
    let mut gradient = vec![0.0; w.len()];
    let mut value = problem.value(&w, &mut gradient);
    let mut memory: Vec<(Vec<f64>, Vec<f64>, f64)> = Vec::new();
    for _ in 0..MOST {
        if gradient.iter().all(|g| g.abs() <= TOLERANCE) {
            return (w, true);
        }
        let mut direction = descend(&memory, &gradient);
        if dot(&direction, &gradient) >= 0.0 {
            memory.clear();
            direction = gradient.iter().map(|g| -g).collect();
        }
        let first = if memory.is_empty() { 1.0 / dot(&gradient, &gradient).sqrt().max(1.0) } else { 1.0 };
        let Some((next, next_value, next_gradient)) =
            search(problem, &w, value, &gradient, &direction, first)
        else {
            // No step lowers the value: the optimum up to rounding.
            return (w, gradient.iter().all(|g| g.abs() <= 1e3 * TOLERANCE));
        };
        let s: Vec<f64> = next.iter().zip(&w).map(|(a, b)| a - b).collect();
        let y: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&s, &y);
        if curvature > 0.0 {
            memory.push((s, y, curvature));
            if memory.len() > MEMORY {
                memory.remove(0);
            }
        }
        (w, value, gradient) = (next, next_value, next_gradient);
    }
    (w, false)
}

/// Two-loop recursion: minus the inverse Hessian estimate times the gradient.
fn descend(memory: &[(Vec<f64>, Vec<f64>, f64)], gradient: &[f64]) -> Vec<f64> {
    let mut q = gradient.to_vec();
    let mut alphas = Vec::with_capacity(memory.len());
    for (s, y, curvature) in memory.iter().rev() {
        let alpha = dot(s, &q) / curvature;
        q.iter_mut().zip(y).for_each(|(q, y)| *q -= alpha * y);
        alphas.push(alpha);
    }
    if let Some((_, y, curvature)) = memory.last() {
        let scale = curvature / dot(y, y);
        q.iter_mut().for_each(|q| *q *= scale);
    }
    for ((s, y, curvature), alpha) in memory.iter().zip(alphas.iter().rev()) {
        let beta = dot(y, &q) / curvature;
        q.iter_mut().zip(s).for_each(|(q, s)| *q += (alpha - beta) * s);
    }
    q.iter_mut().for_each(|q| *q = -*q);
    q
}

type Point = (Vec<f64>, f64, Vec<f64>);

/// A step that lowers the value enough and the slope enough; `None` when none is found.
fn search(
    problem: &Problem<'_>,
    w: &[f64],
    value: f64,
    gradient: &[f64],
    direction: &[f64],
    first: f64,
) -> Option<Point> {
    let slope = dot(gradient, direction);
    let (mut low, mut high, mut step) = (0.0, f64::INFINITY, first);
    let mut best: Option<Point> = None;
    for _ in 0..60 {
        let next: Vec<f64> = w.iter().zip(direction).map(|(w, d)| w + step * d).collect();
        let mut next_gradient = vec![0.0; w.len()];
        let next_value = problem.value(&next, &mut next_gradient);
        if next_value.is_nan() || next_value > value + 1e-4 * step * slope {
            high = step;
        } else if dot(&next_gradient, direction) < 0.9 * slope {
            low = step;
            best = Some((next, next_value, next_gradient));
        } else {
            return Some((next, next_value, next_gradient));
        }
        step = if high.is_finite() { 0.5 * (low + high) } else { 2.0 * low };
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimum_of_a_small_problem_is_that_of_scikit_learn() {
        // LogisticRegression(C=1, tol=1e-12) on these points: coef 0.99365..., computed by a separate Newton iteration
        // below, which shares no code with the fit.
        let x = [-2.0, -1.0, -0.5, 0.3, 0.8, 1.5];
        let y = [0, 0, 1, 0, 1, 1];
        let model = LogisticRegression::fit(&x, 1, &y, 2, 1.0);
        let (mut a, mut b) = (0.0_f64, 0.0_f64);
        for _ in 0..100 {
            let (mut ga, mut gb, mut haa, mut hab, mut hbb) = (a, 0.0, 1.0, 0.0, 0.0);
            for (x, &y) in x.iter().zip(&y) {
                let p = 1.0 / (1.0 + (-(a * x + b)).exp());
                let v = p * (1.0 - p);
                ga += (p - y as f64) * x;
                gb += p - y as f64;
                (haa, hab, hbb) = (haa + v * x * x, hab + v * x, hbb + v);
            }
            let det = haa * hbb - hab * hab;
            a -= (hbb * ga - hab * gb) / det;
            b -= (haa * gb - hab * ga) / det;
        }
        assert!(model.converged);
        assert!((model.weights(0)[0] - a).abs() < 1e-6 && (model.weights(0)[1] - b).abs() < 1e-6);
    }

    #[test]
    fn three_classes_have_probabilities_that_add_up_and_separate() {
        let x: Vec<f64> = (0..30)
            .flat_map(|i| {
                let (c, s) = ((i % 3) as f64, (i / 3) as f64 / 10.0);
                [c * 3.0 + s, (c - 1.0).powi(2) * 2.0 - s]
            })
            .collect();
        let y: Vec<usize> = (0..30).map(|i| i % 3).collect();
        let model = LogisticRegression::fit(&x, 2, &y, 3, 1.0);
        assert!(model.converged);
        for (row, &class) in x.chunks(2).zip(&y) {
            let p = model.probabilities(row);
            assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(p[class] > 0.5, "{p:?}");
        }
        // Intercepts are free: the gradient of each is the mean residual, which vanishes at the optimum.
        for class in 0..3 {
            let mean: f64 = x.chunks(2).map(|r| model.probabilities(r)[class]).sum::<f64>() / 30.0;
            assert!((mean - 1.0 / 3.0).abs() < 1e-6);
        }
    }

    #[test]
    fn a_weight_counts_like_copies_of_the_cell() {
        let x = [-2.0, -1.0, -0.5, 0.3, 0.8, 1.5];
        let y = [0, 0, 1, 0, 1, 1];
        let (mut copied_x, mut copied_y) = (x.to_vec(), y.to_vec());
        for (x, y) in x.iter().zip(y).filter(|(_, y)| *y == 1) {
            copied_x.extend([*x, *x]);
            copied_y.extend([y, y]);
        }
        let weighted = LogisticRegression::fit_weighted(&x, 1, &y, 2, 0.7, Some(&[1.0, 3.0]));
        let copied = LogisticRegression::fit(&copied_x, 1, &copied_y, 2, 0.7);
        for (a, b) in weighted.weights(0).iter().zip(copied.weights(0)) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
