//! Baselines on the folds of the model that is measured.

use std::collections::BTreeMap;

use celldag_data::Csr;
use celldag_engine::{NodeError, Step};
use celldag_models::draw::below;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use super::baseline::{BaselineError, Classifier, LogCells};
use super::inputs::Inputs;
use super::kind::Options;
use super::models::{ScoredCell, ScoredModel};
use super::threads::pool;
use crate::learn::split::{JoinedCells, Role, SplitTable, fold_name};

/// Folds fitted at once; each holds a dense matrix of its training cells x 2,000 genes.
const AT_ONCE: usize = 4;

/// Baseline names as written in `baselines:`.
pub(super) const NAMES: &[&str] =
    &["majority", "all-positive", "all-negative", "random", "logistic-regression", "random-forest", "mlp"];
/// Those that are always made unless the user says otherwise; the others take time or say little.
pub(super) const DEFAULT: &[&str] = &["majority", "all-positive", "logistic-regression"];

/// Name of the logistic regression in tables.
pub(super) const LOGISTIC: &str = "logistic regression (PCA 50)";

/// The classifiers that learn, as written and as shown.
const LEARNED: [(&str, &str, Classifier); 3] = [
    ("logistic-regression", LOGISTIC, Classifier::Logistic),
    ("random-forest", "random forest (PCA 50)", Classifier::Forest),
    ("mlp", "MLP 512-512 (PCA 50)", Classifier::Perceptron),
];

/// Predicts one class for every cell of a fold: what `class` says, with certainty.
fn constant(
    model: &ScoredModel,
    name: &str,
    classes: usize,
    class: impl Fn(&ScoredCell) -> usize,
) -> ScoredModel {
    let cells = model.cells.iter().map(|cell| {
        let predicted = class(cell);
        let mut scores = vec![0.0; classes];
        scores[predicted] = 1.0;
        ScoredCell { predicted, scores, logits: None, ..cell.clone() }
    });
    ScoredModel { name: name.to_owned(), cells: cells.collect() }
}

/// Classes of the cells that do not test, by fold (of the split, or without one of all test cells).
struct Counts {
    by_fold: BTreeMap<(u32, u32), Vec<usize>>,
    all: Vec<usize>,
}

impl Counts {
    fn new(model: &ScoredModel, classes: usize, split: Option<&SplitTable>) -> Self {
        let mut by_fold: BTreeMap<(u32, u32), Vec<usize>> = BTreeMap::new();
        for row in split.iter().flat_map(|s| &s.rows).filter(|r| r.role != Role::Test && r.class < classes) {
            by_fold.entry((row.repeat, row.fold)).or_insert_with(|| vec![0; classes])[row.class] += 1;
        }
        let mut all = vec![0; classes];
        model.cells.iter().for_each(|cell| all[cell.truth] += 1);
        Self { by_fold, all }
    }

    fn of(&self, fold: (u32, u32)) -> &[usize] {
        self.by_fold.get(&fold).unwrap_or(&self.all)
    }

    /// The most frequent class; of equals the first.
    fn largest(&self, fold: (u32, u32)) -> usize {
        let counts = self.of(fold);
        (0..counts.len()).fold(0, |best, c| if counts[c] > counts[best] { c } else { best })
    }

    /// A class drawn with the shares of the training cells, by (seed, fold, cell).
    fn drawn(&self, cell: &ScoredCell, seed: u64) -> usize {
        let mut hash = blake3::Hasher::new_derive_key("celldag baseline random 1");
        hash.update(&seed.to_le_bytes());
        hash.update(&cell.fold.0.to_le_bytes());
        hash.update(&cell.fold.1.to_le_bytes());
        hash.update(cell.dataset.as_bytes());
        hash.update(&[0]);
        hash.update(cell.id.as_bytes());
        let counts = self.of(cell.fold);
        let total: usize = counts.iter().sum();
        let mut at = below(&mut ChaCha8Rng::from_seed(*hash.finalize().as_bytes()), total as u64);
        for (class, &count) in counts.iter().enumerate() {
            if at < count as u64 {
                return class;
            }
            at -= count as u64;
        }
        counts.len() - 1
    }
}

/// Baselines that could be made, and why others could not.
#[derive(Default)]
pub(super) struct Baselines {
    pub(super) models: Vec<ScoredModel>,
    pub(super) warnings: Vec<String>,
}

/// Makes the baselines that the options name on the test cells of `like`.
///
/// # Errors
/// Cells or splits that cannot be read or do not fit.
pub(super) fn baselines(
    step: &Step<'_>,
    options: &Options,
    like: &ScoredModel,
    classes: usize,
    inputs: &Inputs,
) -> Result<Baselines, NodeError> {
    let mut out = Baselines::default();
    let counts = Counts::new(like, classes, inputs.split.as_ref());
    let wanted = |name: &str| options.baselines.iter().any(|b| b == name);
    if inputs.split.is_none() && (wanted("majority") || wanted("random")) {
        out.warnings.push(
            "without the input `split` nobody knows which cells trained: the baselines `majority` and `random` have the classes of \
             the test cells, and so are better than they could be"
                .to_owned(),
        );
    }
    if wanted("majority") {
        out.models.push(constant(like, "majority class", classes, |cell| counts.largest(cell.fold)));
    }
    if wanted("all-positive") && classes == 2 {
        out.models.push(constant(like, "all positive", 2, |_| 1));
    }
    if wanted("all-negative") && classes == 2 {
        out.models.push(constant(like, "all negative", 2, |_| 0));
    }
    if wanted("random") {
        let drawn = |cell: &ScoredCell| counts.drawn(cell, options.seed);
        out.models.push(constant(like, "random (training shares)", classes, drawn));
    }
    let learned: Vec<_> = LEARNED.into_iter().filter(|(name, ..)| wanted(name)).collect();
    if learned.is_empty() {
        return Ok(out);
    }
    let names = learned.iter().map(|(name, ..)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let (Some(cells), Some(split)) = (&inputs.cells, &inputs.split) else {
        out.warnings.push(format!(
            "no baseline {names}: give `evaluate` the inputs `cells` and `split`, so that the model can be compared with \
             something that looks at the cells"
        ));
        return Ok(out);
    };
    match cells.counts()? {
        Err(why) => out.warnings.push(format!("no baseline {names}: {why}")),
        Ok(counts) => {
            let (seed, threshold) = (options.seed, options.threshold);
            let task = Task { step, like, classes, split, cells, seed, threshold };
            for (model, name) in task.learn(counts, &learned)?.into_iter().zip(&learned) {
                match model {
                    Ok(model) => out.models.push(model),
                    Err(why) => out.warnings.push(format!("no baseline `{}`: {why}", name.0)),
                }
            }
        }
    }
    Ok(out)
}

/// What the classifiers that learn are given.
struct Task<'a> {
    step: &'a Step<'a>,
    like: &'a ScoredModel,
    classes: usize,
    split: &'a SplitTable,
    cells: &'a JoinedCells,
    seed: u64,
    threshold: f64,
}

/// Scored test cells of one fold by one classifier, or why there are none.
type OfFold = Result<Vec<ScoredCell>, String>;

impl Task<'_> {
    /// Trains each classifier on all cells of a fold that do not test; components are computed once a fold.
    fn learn(
        &self,
        counts: Csr,
        learned: &[(&str, &str, Classifier)],
    ) -> Result<Vec<Result<ScoredModel, String>>, NodeError> {
        let failed = |e: BaselineError| NodeError::failed(e.to_string());
        let cells = LogCells::new(counts).map_err(failed)?;
        let row_of: BTreeMap<&str, usize> =
            self.cells.obs().index.iter().enumerate().map(|(row, id)| (id.as_str(), row)).collect();
        let mut training: BTreeMap<(u32, u32), (Vec<usize>, Vec<usize>)> = BTreeMap::new();
        for row in self.split.rows.iter().filter(|r| r.role != Role::Test) {
            let at = *row_of.get(row.cell_id.as_str()).ok_or_else(|| not_there(&row.cell_id))?;
            let (rows, class) = training.entry((row.repeat, row.fold)).or_default();
            rows.push(at);
            class.push(row.class);
        }
        let folds: Vec<_> = self.like.folds().into_iter().collect();
        let none = (Vec::new(), Vec::new());
        let one = |(fold, members): &((u32, u32), Vec<&ScoredCell>)| -> Result<Vec<OfFold>, NodeError> {
            self.step.check_cancelled()?;
            let (rows, class) = training.get(fold).unwrap_or(&none);
            let test: Vec<usize> = members
                .iter()
                .map(|m| row_of.get(m.id.as_str()).copied().ok_or_else(|| not_there(&m.id)))
                .collect::<Result<_, _>>()?;
            let of_fold = self.fold(&cells, (rows.as_slice(), class.as_slice()), &test, members, learned);
            self.step.progress.advance(1);
            let named = |e: BaselineError| format!("fold {}: {e}", fold_name(fold.0, fold.1));
            Ok(of_fold.into_iter().map(|scored| scored.map_err(named)).collect())
        };
        self.step.progress.total(folds.len() as u64, "baseline folds");
        let results: Vec<_> =
            pool(self.step, AT_ONCE)?.install(|| folds.par_iter().map(one).collect::<Vec<_>>());
        let mut out: Vec<Result<ScoredModel, String>> = learned
            .iter()
            .map(|(_, name, _)| Ok(ScoredModel { name: (*name).to_owned(), cells: Vec::new() }))
            .collect();
        for result in results {
            for (model, cells) in out.iter_mut().zip(result?) {
                if let Ok(known) = model {
                    match cells {
                        Ok(cells) => known.cells.extend(cells),
                        Err(why) => *model = Err(why),
                    }
                }
            }
        }
        Ok(out)
    }

    fn fold(
        &self,
        cells: &LogCells,
        (rows, class): (&[usize], &[usize]),
        test: &[usize],
        members: &[&ScoredCell],
        learned: &[(&str, &str, Classifier)],
    ) -> Vec<Result<Vec<ScoredCell>, BaselineError>> {
        let features = if rows.is_empty() { Err(BaselineError::NoCells) } else { cells.fold(rows, test) };
        let one = |classifier: Classifier| -> Result<Vec<ScoredCell>, BaselineError> {
            let (train, test) = features.as_ref().map_err(Clone::clone)?;
            let scores = classifier.predict(train, class, self.classes, test, self.seed)?;
            Ok(members.iter().zip(scores).map(|(m, scores)| scored(m, scores, self.threshold)).collect())
        };
        learned.iter().map(|(.., classifier)| one(*classifier)).collect()
    }
}

fn scored(cell: &ScoredCell, scores: Vec<f64>, threshold: f64) -> ScoredCell {
    // The models' threshold, or two operating points would be compared. Above it and not at it: for one half that is
    // scikit-learn's rule, a decision value above 0.
    let predicted =
        if scores.len() == 2 { usize::from(scores[1] > threshold) } else { super::metrics::argmax(&scores) };
    ScoredCell { predicted, scores, logits: None, ..cell.clone() }
}

fn not_there(cell: &str) -> NodeError {
    NodeError::data(format!("cell `{cell}` of the split or the predictions is not in the cells file"))
        .help("give `evaluate` the cells that were split, and those of `external` on the port of that name")
}
