//! Intervals by drawing again: which figures would other cells, or other groups of cells, have given?
//!
//! Percentile bootstrap (Efron and Tibshirani 1993, section 13.3) of the figures over all test cells. Two kinds of unit
//! are drawn with replacement. By cell takes cells for independent, which cells of one sample are not: it says how much
//! the figure would move with other cells of the same samples. By group draws whole groups (samples, patients, studies):
//! it says how much it would move with other groups, which is what most readers mean, and is usually wider. A cell that
//! is tested in several repeats is one unit; cells and groups of one name in two datasets are two.

use celldag_models::draw::below;
use indexmap::IndexMap;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::metrics::{
    Average, BinarySample, Confusion, MetricError, ZeroDivision, auroc, average_precision, brier, quantile,
};
use super::models::{ScoredCell, ScoredModel};
use crate::numbering::Numbering;

/// Fewest groups that can be drawn: percentile intervals of fewer are far too narrow.
pub(super) const FEWEST_GROUPS: usize = 5;
/// Share of draws in which a metric must be defined.
const DEFINED: f64 = 0.9;

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Cells, by name.
    Cell,
    /// Groups of the split.
    Group,
}

/// How often, how wide, from which seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) draws: usize,
    pub(super) confidence: f64,
    pub(super) seed: u64,
}

/// Values of every draw: metric → one value a draw.
#[derive(Clone, Debug, Default)]
pub(super) struct Draws(pub(super) IndexMap<&'static str, Vec<Option<f64>>>);

/// Bounds, or why there are none.
pub(super) type Interval = Result<[f64; 2], String>;

/// Draws for each model, all with the same units in each draw, so that differences are paired.
///
/// # Errors
/// A sentence when there are too few units; [`MetricError`] for scores that are not finite.
pub(super) fn draws(
    models: &[&ScoredModel],
    classes: usize,
    unit: Unit,
    settings: &Settings,
) -> Result<Result<Vec<Draws>, String>, MetricError> {
    // Two datasets may use a barcode or a name of a sample for different things.
    let name = |cell: &ScoredCell| {
        let own = if unit == Unit::Cell { &cell.id } else { &cell.group };
        format!("{}\u{1f}{own}", cell.dataset)
    };
    let cells = || models.iter().flat_map(|m| &m.cells);
    let index = Numbering::of(cells().filter(|c| unit == Unit::Cell || !c.group.is_empty()).map(name));
    if unit == Unit::Group {
        if index.is_empty() {
            return Ok(Err("the split names no groups".to_owned()));
        }
        if index.len() < FEWEST_GROUPS {
            return Ok(Err(format!(
                "{} groups are too few to draw from ({FEWEST_GROUPS} are needed)",
                index.len()
            )));
        }
        if cells().any(|c| c.group.is_empty()) {
            return Ok(Err("some test cells have no group".to_owned()));
        }
    }
    let ranked: Vec<Ranked> = models
        .iter()
        .map(|m| Ranked::new(m, classes, |cell| index.get(&name(cell)).unwrap_or_default()))
        .collect();
    let one = |draw: usize| -> Result<Vec<Figures>, MetricError> {
        let weights = drawn(index.len(), settings.seed, draw, unit);
        ranked.iter().map(|model| model.figures(&weights)).collect()
    };
    let all: Vec<Vec<Figures>> = (0..settings.draws).into_par_iter().map(one).collect::<Result<_, _>>()?;
    let mut out = vec![Draws::default(); models.len()];
    for figures in all {
        for (model, figures) in out.iter_mut().zip(figures) {
            for metric in drawn_metrics(classes) {
                let value = figures.iter().find(|(name, _)| name == metric).and_then(|(_, value)| *value);
                model.0.entry(metric).or_default().push(value);
            }
        }
    }
    Ok(Ok(out))
}

/// What has intervals, in reading order.
pub(super) fn drawn_metrics(classes: usize) -> &'static [&'static str] {
    if classes == 2 {
        &[
            "f1",
            "auroc",
            "average_precision",
            "mcc",
            "accuracy",
            "balanced_accuracy",
            "precision",
            "recall",
            "brier",
        ]
    } else {
        &["macro_f1", "weighted_f1", "auroc_ovr_macro", "mcc", "accuracy", "balanced_accuracy"]
    }
}

impl Draws {
    /// Interval of one metric.
    pub(super) fn interval(&self, metric: &str, confidence: f64) -> Interval {
        bounds(self.0.get(metric).map(Vec::as_slice).unwrap_or_default(), confidence)
    }

    /// Interval of the difference of this model and another one that was drawn with it.
    pub(super) fn difference(&self, other: &Self, metric: &str, confidence: f64) -> Interval {
        let (Some(own), Some(theirs)) = (self.0.get(metric), other.0.get(metric)) else {
            return Err("it was not drawn".to_owned());
        };
        let differences: Vec<Option<f64>> =
            own.iter().zip(theirs).map(|(a, b)| Some((*a)? - (*b)?)).collect();
        bounds(&differences, confidence)
    }
}

fn bounds(values: &[Option<f64>], confidence: f64) -> Interval {
    let mut defined: Vec<f64> = values.iter().flatten().copied().collect();
    if defined.is_empty() || (defined.len() as f64) < DEFINED * values.len() as f64 {
        return Err(format!("defined in {} of {} draws only", defined.len(), values.len()));
    }
    defined.sort_by(f64::total_cmp);
    let tail = (1.0 - confidence) / 2.0;
    Ok([quantile(&defined, tail), quantile(&defined, 1.0 - tail)])
}

/// How often each unit is drawn.
fn drawn(units: usize, seed: u64, draw: usize, unit: Unit) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(2 * draw as u64 + u64::from(unit == Unit::Group));
    let mut weights = vec![0.0; units];
    for _ in 0..units {
        weights[below(&mut rng, units as u64) as usize] += 1.0;
    }
    weights
}

/// Metric → value of one draw.
type Figures = Vec<(&'static str, Option<f64>)>;

/// A model whose cells are sorted once by each score, so that no draw has to sort.
struct Ranked {
    classes: usize,
    truth: Vec<usize>,
    predicted: Vec<usize>,
    unit: Vec<usize>,
    /// (class, cells by falling score, those scores)
    by_score: Vec<(usize, Vec<usize>, Vec<f64>)>,
}

impl Ranked {
    fn new(model: &ScoredModel, classes: usize, unit: impl Fn(&ScoredCell) -> usize) -> Self {
        let scored: Vec<usize> = if classes == 2 { vec![1] } else { (0..classes).collect() };
        let by_score = scored.into_iter().map(|class| {
            let score = |i: &usize| model.cells[*i].scores[class];
            let mut order: Vec<usize> = (0..model.cells.len()).collect();
            order.sort_by(|a, b| score(b).total_cmp(&score(a)));
            let scores = order.iter().map(score).collect();
            (class, order, scores)
        });
        Self {
            classes,
            truth: model.cells.iter().map(|c| c.truth).collect(),
            predicted: model.cells.iter().map(|c| c.predicted).collect(),
            unit: model.cells.iter().map(unit).collect(),
            by_score: by_score.collect(),
        }
    }

    /// The figures with a weight for each unit; definitions are those of [`measure`](super::measure::measure).
    fn figures(&self, weights: &[f64]) -> Result<Figures, MetricError> {
        let weight: Vec<f64> = self.unit.iter().map(|&u| weights[u]).collect();
        if weight.iter().all(|&w| w == 0.0) {
            // Models tested on different cells: this draw holds none of these.
            return Ok(Vec::new());
        }
        let c = Confusion::new(self.classes, &self.truth, &self.predicted, Some(&weight))?;
        let samples: Vec<BinarySample> = self
            .by_score
            .iter()
            .map(|(class, order, scores)| {
                let truth = order.iter().map(|&i| self.truth[i] == *class).collect();
                BinarySample::new(truth, scores.clone(), Some(order.iter().map(|&i| weight[i]).collect()))
            })
            .collect::<Result<_, _>>()?;
        let present = (0..self.classes).filter(|&class| c.support(class) > 0.0).count();
        let several = present > 1;
        Ok(match samples.as_slice() {
            [sample] => {
                let positive = c.positive_class(ZeroDivision::Undefined);
                let has_positives = c.support(1) > 0.0;
                vec![
                    ("f1", positive.f1.filter(|_| has_positives)),
                    ("auroc", auroc(sample)),
                    ("average_precision", several.then(|| average_precision(sample))),
                    ("mcc", c.mcc()),
                    ("accuracy", Some(c.accuracy())),
                    ("balanced_accuracy", c.balanced_accuracy()),
                    ("precision", positive.precision.filter(|_| has_positives)),
                    ("recall", positive.recall),
                    ("brier", brier(sample)),
                ]
            }
            samples => {
                let seen = c.seen();
                let areas: Option<Vec<f64>> = samples.iter().map(auroc).collect();
                vec![
                    ("macro_f1", c.average(Average::Macro, &seen, ZeroDivision::Zero).f1),
                    ("weighted_f1", c.average(Average::Weighted, &seen, ZeroDivision::Zero).f1),
                    ("auroc_ovr_macro", areas.map(|a| a.iter().sum::<f64>() / a.len() as f64)),
                    ("mcc", c.mcc()),
                    ("accuracy", Some(c.accuracy())),
                    ("balanced_accuracy", c.balanced_accuracy().filter(|_| several)),
                ]
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::measure::measure;
    use super::*;

    fn model(classes: usize, n: usize) -> ScoredModel {
        let cell = |i: usize| {
            let truth = (i * 7 + i / 5) % classes;
            let score =
                |c: usize| ((i * 31 + c * 17) % 23) as f64 / 23.0 + if c == truth { 0.3 } else { 0.0 };
            let total: f64 = (0..classes).map(score).sum();
            let scores: Vec<f64> = (0..classes).map(|c| score(c) / total).collect();
            let predicted = (0..classes).fold(0, |b, c| if scores[c] > scores[b] { c } else { b });
            let (id, group) = (format!("c{i:03}"), format!("g{}", i % 8));
            let (dataset, fold) = (String::new(), (0, i as u32 % 4));
            ScoredCell { dataset, id, group, fold, truth, predicted, scores, logits: None }
        };
        ScoredModel { name: "m".to_owned(), cells: (0..n).map(cell).collect() }
    }

    #[test]
    fn one_draw_of_everything_gives_the_measured_figures() {
        for classes in [2, 3] {
            let model = model(classes, 120);
            let measured = measure(&model, classes, 10).expect("scores").merged;
            let ranked = Ranked::new(&model, classes, |cell| cell.id[1..].parse().expect("number"));
            let figures = ranked.figures(&vec![1.0; 120]).expect("scores");
            assert_eq!(figures.iter().map(|f| f.0).collect::<Vec<_>>(), drawn_metrics(classes));
            for (metric, value) in figures {
                let (found, expected) = (value.expect("defined"), measured[metric].expect("defined"));
                assert!((found - expected).abs() < 1e-12, "{metric}: {found} instead of {expected}");
            }
        }
    }

    #[test]
    fn intervals_hold_the_figure_and_need_enough_groups() {
        let model = model(2, 200);
        let settings = Settings { draws: 300, confidence: 0.95, seed: 1 };
        let measured = measure(&model, 2, 10).expect("scores").merged;
        let cells = draws(&[&model, &model], 2, Unit::Cell, &settings).expect("scores").expect("cells");
        let [low, high] = cells[0].interval("auroc", 0.95).expect("defined");
        let value = measured["auroc"].expect("defined");
        assert!(low < value && value < high && high - low < 0.3, "{low} {value} {high}");
        let wide = cells[0].interval("auroc", 0.99).expect("defined");
        assert!(wide[0] <= low && high <= wide[1]);
        assert_eq!(
            cells[0].difference(&cells[1], "f1", 0.95),
            Ok([0.0, 0.0]),
            "the same model, the same draws"
        );
        assert!(draws(&[&model], 2, Unit::Group, &settings).expect("scores").is_ok());
        let mut few = model;
        few.cells.iter_mut().for_each(|c| c.group = format!("g{}", c.truth));
        let refused = draws(&[&few], 2, Unit::Group, &settings).expect("scores").expect_err("two groups");
        assert!(refused.contains("2 groups"), "{refused}");
    }

    #[test]
    fn a_barcode_in_two_datasets_is_two_cells() {
        let mut model = model(2, 12);
        for (i, cell) in model.cells.iter_mut().enumerate() {
            (cell.id, cell.dataset) = (format!("c{}", i % 6), format!("d{}", i / 6));
            cell.predicted = if i < 6 { cell.truth } else { 1 - cell.truth };
        }
        let settings = Settings { draws: 200, confidence: 0.95, seed: 1 };
        let width = |model: &ScoredModel| {
            let drawn = draws(&[model], 2, Unit::Cell, &settings).expect("scores").expect("cells");
            let [low, high] = drawn[0].interval("accuracy", 0.95).expect("defined");
            high - low
        };
        assert!(width(&model) > 0.3, "twelve cells, half of them right");
        // As one unit a right and a wrong cell are always drawn together: the accuracy never moves.
        model.cells.iter_mut().for_each(|cell| cell.dataset.clear());
        assert!(width(&model).abs() < 1e-12);
    }

    #[test]
    fn the_interval_of_a_mean_has_the_width_that_theory_gives() {
        // Accuracy of n independent cells with p right: sd sqrt(p (1 - p) / n).
        let mut model = model(2, 400);
        for (i, cell) in model.cells.iter_mut().enumerate() {
            cell.predicted = if i % 5 == 0 { 1 - cell.truth } else { cell.truth };
        }
        let settings = Settings { draws: 2000, confidence: 0.95, seed: 9 };
        let drawn = draws(&[&model], 2, Unit::Cell, &settings).expect("scores").expect("cells");
        let [low, high] = drawn[0].interval("accuracy", 0.95).expect("defined");
        let expected = 2.0 * 1.96 * (0.8_f64 * 0.2 / 400.0).sqrt();
        assert!(((high - low) / expected - 1.0).abs() < 0.1, "{} instead of {expected}", high - low);
    }
}
