//! Curves, histograms, matrices and maps of scored cells.

use celldag_engine::document::{Colouring, Figure, Series};

use super::baseline::leading_components;
use super::measure::{confusion, sample};
use super::metrics::{MetricError, calibration_bins, pr_points, roc_points};
use super::models::{ScoredCell, ScoredModel};
use crate::learn::mlp::Embedding;

/// Most points of a line; more cannot be seen.
const POINTS: usize = 600;
/// Most cells on a map.
const MAP_CELLS: usize = 5000;
const BINS: usize = 25;

/// A model whose cells are drawn, faintly when it is a baseline.
pub(super) struct Drawn<'a> {
    pub(super) model: &'a ScoredModel,
    pub(super) faint: bool,
}

/// ROC and precision-recall curves over all test cells: one line a model, or with more than two classes one line a
/// class of the first model.
pub(super) fn curves(models: &[Drawn<'_>], classes: &[String]) -> Result<Vec<Figure>, MetricError> {
    let (mut roc, mut pr) = (Vec::new(), Vec::new());
    let mut add = |name: &str, cells: &[&ScoredCell], class: usize, faint: bool| -> Result<(), MetricError> {
        let sample = sample(cells, class)?;
        if let Some(curve) = roc_points(&sample, true) {
            let points = curve.fpr.into_iter().zip(curve.tpr).map(|(x, y)| [x, y]).collect();
            roc.push(Series { name: name.to_owned(), points: thin(points), faint });
        }
        if let Some(curve) = pr_points(&sample, true) {
            let points = curve.recall.into_iter().zip(curve.precision).map(|(x, y)| [x, y]).collect();
            pr.push(Series { name: name.to_owned(), points: thin(points), faint });
        }
        Ok(())
    };
    if classes.len() == 2 {
        for drawn in models {
            add(&drawn.model.name, &drawn.model.cells.iter().collect::<Vec<_>>(), 1, drawn.faint)?;
        }
    } else if let Some(drawn) = models.first() {
        let cells: Vec<&ScoredCell> = drawn.model.cells.iter().collect();
        for (class, name) in classes.iter().enumerate() {
            add(name, &cells, class, false)?;
        }
    }
    let what = if classes.len() == 2 { "all test cells" } else { "one class against the rest" };
    let lines = |title: String, x: &str, y: &str, series, diagonal| Figure::Lines {
        title,
        x: x.to_owned(),
        y: y.to_owned(),
        limits: Some([0.0, 1.0, 0.0, 1.0]),
        series,
        diagonal,
    };
    let mut out = Vec::new();
    if !roc.is_empty() {
        out.push(lines(format!("ROC curve, {what}"), "false positive rate", "true positive rate", roc, true));
    }
    if !pr.is_empty() {
        out.push(lines(format!("Precision-recall curve, {what}"), "recall", "precision", pr, false));
    }
    Ok(out)
}

/// Every so many points, always the first and the last.
fn thin(points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    let every = points.len().div_ceil(POINTS).max(1);
    let last = points.len().saturating_sub(1);
    points.into_iter().enumerate().filter(|(i, _)| i % every == 0 || *i == last).map(|(_, p)| p).collect()
}

/// Scores of the positive class by label (two classes), or of the predicted class by right and wrong.
pub(super) fn histogram(model: &ScoredModel, classes: &[String]) -> Figure {
    let binary = classes.len() == 2;
    let value = |c: &ScoredCell| if binary { c.scores[1] } else { c.scores[c.predicted] };
    let (low, high) =
        model.cells.iter().map(value).fold((0.0_f64, 1.0_f64), |(l, h), v| (l.min(v), h.max(v)));
    let width = (high - low) / BINS as f64;
    let edges: Vec<f64> = (0..=BINS).map(|i| low + i as f64 * width).collect();
    let names: Vec<String> =
        if binary { classes.to_vec() } else { vec!["wrong".to_owned(), "right".to_owned()] };
    let mut counts = vec![vec![0.0; BINS]; 2];
    for cell in &model.cells {
        let series = if binary { cell.truth } else { usize::from(cell.truth == cell.predicted) };
        let bin = (((value(cell) - low) / width) as usize).min(BINS - 1);
        counts[series][bin] += 1.0;
    }
    let x = if binary {
        format!("score of “{}”", classes[1])
    } else {
        "score of the predicted class".to_owned()
    };
    Figure::Histogram {
        title: format!(
            "{}: scores of the test cells by {}",
            model.name,
            if binary { "label" } else { "outcome" }
        ),
        x,
        edges,
        series: names.into_iter().zip(counts).collect(),
    }
}

/// Confusion matrix over all test cells.
pub(super) fn matrix(model: &ScoredModel, classes: &[String]) -> Result<Figure, MetricError> {
    let confusion = confusion(&model.cells.iter().collect::<Vec<_>>(), classes.len())?;
    Ok(Figure::Matrix {
        title: format!("{}: confusion matrix, all test cells", model.name),
        y: "label".to_owned(),
        x: "prediction".to_owned(),
        rows: classes.to_vec(),
        columns: classes.to_vec(),
        values: confusion.rows(),
    })
}

/// Reliability diagram of a two-class model; `None` when scores are no probabilities.
pub(super) fn calibration(models: &[Drawn<'_>], bins: usize) -> Result<Option<Figure>, MetricError> {
    let mut series = Vec::new();
    for drawn in models {
        let sample = sample(&drawn.model.cells.iter().collect::<Vec<_>>(), 1)?;
        if let Some(bins) = calibration_bins(&sample, bins) {
            let points = bins.iter().map(|b| [b.predicted, b.observed]).collect();
            series.push(Series { name: drawn.model.name.clone(), points, faint: drawn.faint });
        }
    }
    Ok((!series.is_empty()).then(|| Figure::Lines {
        title: "Calibration".to_owned(),
        x: "mean score".to_owned(),
        y: "share of positive cells".to_owned(),
        limits: Some([0.0, 1.0, 0.0, 1.0]),
        series,
        diagonal: true,
    }))
}

/// The test cells on the first two principal components of their embedding, coloured by label, prediction and score.
/// Also says how many cells were drawn of how many. Cells whose vector is not finite (no gene of the vocabulary) are left out;
/// `None` when no cell is left.
pub(super) fn map(
    model: &ScoredModel,
    classes: &[String],
    embedding: &Embedding,
) -> Option<(Figure, usize, usize)> {
    let mut cells: Vec<(&ScoredCell, usize)> = model
        .cells
        .iter()
        .filter(|c| c.fold.0 == 0)
        .filter_map(|c| Some((c, embedding.row_of(&c.id)?)))
        .filter(|(_, row)| embedding.is_finite(*row))
        .collect();
    let all = cells.len();
    if all > MAP_CELLS {
        // A sample that depends on the names only.
        cells.sort_by_cached_key(|(c, _)| *blake3::hash(c.id.as_bytes()).as_bytes());
        cells.truncate(MAP_CELLS);
    }
    cells.sort_by(|a, b| a.0.id.cmp(&b.0.id));
    let rows: Vec<f64> =
        cells.iter().flat_map(|(_, row)| embedding.vector(*row).iter().map(|&v| f64::from(v))).collect();
    let components = leading_components(&rows, embedding.dim, 2).filter(|c| c.count > 0)?;
    let scores = components.scores(&rows);
    let points: Vec<[f32; 2]> = scores
        .chunks(components.count)
        .map(|s| [s[0] as f32, s.get(1).copied().unwrap_or(0.0) as f32])
        .collect();
    let category = |title: &str, index: &dyn Fn(&ScoredCell) -> usize| Colouring::Category {
        title: title.to_owned(),
        names: classes.to_vec(),
        index: cells.iter().map(|(c, _)| index(c) as u32).collect(),
    };
    let binary = classes.len() == 2;
    let colourings = vec![
        category("label", &|c| c.truth),
        category("prediction", &|c| c.predicted),
        Colouring::Value {
            title: if binary {
                format!("score of “{}”", classes[1])
            } else {
                "score of the predicted class".to_owned()
            },
            values: cells
                .iter()
                .map(|(c, _)| Some((if binary { c.scores[1] } else { c.scores[c.predicted] }) as f32))
                .collect(),
        },
    ];
    let drawn = points.len();
    let figure = Figure::Scatter {
        title: format!("{}: test cells in the space of {}", model.name, embedding.key),
        x: "component 1".to_owned(),
        y: "component 2".to_owned(),
        points,
        colourings,
    };
    Some((figure, drawn, all))
}
