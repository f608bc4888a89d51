//! Baselines on the folds of the model that is measured.

use std::collections::BTreeMap;

use celldag_data::{CellsFile, CountsSource};
use celldag_engine::{NodeError, Step};
use rayon::prelude::*;

use super::baseline::PcaLogistic;
use super::models::{ScoredCell, ScoredModel};
use super::threads::pool;
use crate::learn::failure::data;
use crate::learn::split::{Role, SplitTable};

/// Folds fitted at once; each holds a dense matrix of its training cells x 2,000 genes.
const AT_ONCE: usize = 4;

/// Baseline names as written in `baselines:`.
pub(super) const NAMES: &[&str] = &["majority", "all-positive", "logistic-regression"];

/// Name of the logistic regression in tables.
pub(super) const LOGISTIC: &str = "logistic regression (PCA 50)";

/// Predicts the same for every cell of a fold: what `class` says, with certainty.
fn constant(
    model: &ScoredModel,
    name: &str,
    classes: usize,
    class: impl Fn((u32, u32)) -> usize,
) -> ScoredModel {
    let cells = model.cells.iter().map(|cell| {
        let predicted = class(cell.fold);
        let mut scores = vec![0.0; classes];
        scores[predicted] = 1.0;
        ScoredCell { predicted, scores, logits: None, ..cell.clone() }
    });
    ScoredModel { name: name.to_owned(), cells: cells.collect() }
}

/// Every cell is positive.
pub(super) fn all_positive(model: &ScoredModel) -> ScoredModel {
    constant(model, "all positive", 2, |_| 1)
}

/// The most frequent class among the cells that do not test in the fold (of the split, or without one of all test
/// cells); of equals the first.
pub(super) fn majority(model: &ScoredModel, classes: usize, split: Option<&SplitTable>) -> ScoredModel {
    let mut counts: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
    for row in split.iter().flat_map(|s| &s.rows).filter(|r| r.role != Role::Test && r.class < classes) {
        counts.entry((row.repeat, row.fold)).or_insert_with(|| vec![0; classes])[row.class] += 1;
    }
    let mut all = vec![0; classes];
    model.cells.iter().for_each(|cell| all[cell.truth] += 1);
    let largest =
        |counts: &Vec<usize>| (0..classes).fold(0, |best, c| if counts[c] > counts[best] { c } else { best });
    constant(model, "majority class", classes, |fold| largest(counts.get(&fold).unwrap_or(&all)))
}

/// Logistic regression on principal components of the counts, trained on all cells of a fold that do not test.
pub(super) fn logistic(
    step: &Step<'_>,
    model: &ScoredModel,
    classes: usize,
    split: &SplitTable,
    cells: &CellsFile,
) -> Result<Result<ScoredModel, String>, NodeError> {
    let matrix = match cells.counts_matrix(&CountsSource::Auto) {
        Ok(matrix) => matrix,
        Err(e) => return Ok(Err(format!("it needs raw counts: {e}"))),
    };
    let counts = cells.read_matrix(&matrix).map_err(data)?;
    let baseline = PcaLogistic::new(counts).map_err(|e| NodeError::failed(e.to_string()))?;
    let row_of: BTreeMap<&str, usize> =
        cells.obs().index.iter().enumerate().map(|(row, id)| (id.as_str(), row)).collect();
    let mut training: BTreeMap<(u32, u32), (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for row in split.rows.iter().filter(|r| r.role != Role::Test) {
        let at = *row_of.get(row.cell_id.as_str()).ok_or_else(|| not_there(&row.cell_id))?;
        let (rows, class) = training.entry((row.repeat, row.fold)).or_default();
        rows.push(at);
        class.push(row.class);
    }
    let folds: Vec<_> = model.folds().into_iter().collect();
    let pool = pool(step, AT_ONCE)?;
    let one = |(fold, members): &((u32, u32), Vec<&ScoredCell>)| -> Result<Result<Vec<ScoredCell>, String>, NodeError> {
        step.check_cancelled()?;
        let Some((rows, class)) = training.get(fold) else {
            return Ok(Err(format!("the split has no training cells for repeat {}, fold {}", fold.0, fold.1)));
        };
        let test: Vec<usize> = members
            .iter()
            .map(|m| row_of.get(m.id.as_str()).copied().ok_or_else(|| not_there(&m.id)))
            .collect::<Result<_, _>>()?;
        let scores = match baseline.predict(rows, class, classes, &test) {
            Ok(scores) => scores,
            Err(e) => return Ok(Err(format!("fold {}: {e}", fold.1))),
        };
        step.progress.advance(1);
        Ok(Ok(members.iter().zip(scores).map(|(m, scores)| scored(m, scores)).collect()))
    };
    step.progress.total(folds.len() as u64, "baseline folds");
    let results: Vec<_> = pool.install(|| folds.par_iter().map(one).collect());
    let mut all = Vec::new();
    for result in results {
        match result? {
            Ok(cells) => all.extend(cells),
            Err(why) => return Ok(Err(why)),
        }
    }
    Ok(Ok(ScoredModel { name: LOGISTIC.to_owned(), cells: all }))
}

/// Baselines that could be made, and why others could not.
#[derive(Default)]
pub(super) struct Baselines {
    pub(super) models: Vec<ScoredModel>,
    pub(super) warnings: Vec<String>,
}

/// Makes the baselines `names` on the test cells of `like`.
///
/// # Errors
/// Cells or splits that cannot be read or do not fit.
pub(super) fn baselines(
    step: &Step<'_>,
    names: &[String],
    like: &ScoredModel,
    classes: usize,
    split: Option<&SplitTable>,
) -> Result<Baselines, NodeError> {
    let mut out = Baselines::default();
    for name in names {
        match name.as_str() {
            "majority" => out.models.push(majority(like, classes, split)),
            "all-positive" if classes == 2 => out.models.push(all_positive(like)),
            "logistic-regression" => match (step.optional_input("cells"), split) {
                (Some(cells), Some(split)) => {
                    let file = CellsFile::open(&cells.path).map_err(data)?;
                    match logistic(step, like, classes, split, &file)? {
                        Ok(model) => out.models.push(model),
                        Err(why) => out.warnings.push(format!("no logistic regression baseline: {why}")),
                    }
                }
                _ => out.warnings.push(
                    "no logistic regression baseline: give `evaluate` the inputs `cells` and `split`, so that the model can \
                     be compared with something that looks at the cells"
                        .to_owned(),
                ),
            },
            _ => {}
        }
    }
    Ok(out)
}

fn scored(cell: &ScoredCell, scores: Vec<f64>) -> ScoredCell {
    // scikit-learn's rule: positive above a decision value of 0, that is, a probability above one half.
    let predicted =
        if scores.len() == 2 { usize::from(scores[1] > 0.5) } else { super::metrics::argmax(&scores) };
    ScoredCell { predicted, scores, logits: None, ..cell.clone() }
}

fn not_there(cell: &str) -> NodeError {
    NodeError::data(format!("cell `{cell}` of the split or the predictions is not in the cells file"))
        .help("give `evaluate` the cells that were split")
}
