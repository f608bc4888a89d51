//! What `evaluate` measures: the models that were given, and the baselines on the same cells.

use celldag_engine::{NodeError, Step};

use super::coverage;
use super::inputs::Inputs;
use super::kind::Options;
use super::measure::{Measured, measure};
use super::metrics::MetricError;
use super::models::{self, Gathered, ScoredCell, ScoredModel};
use super::{reference, warnings};
use crate::learn::split::SplitInfo;

/// What is measured, with its scores.
pub(super) struct Study {
    pub(super) classes: Vec<String>,
    pub(super) models: Vec<(ScoredModel, Measured)>,
    pub(super) baselines: Vec<(ScoredModel, Measured)>,
    pub(super) notes: Vec<String>,
    pub(super) warnings: Vec<String>,
}

impl Study {
    /// Models, then baselines.
    pub(super) fn all(&self) -> Vec<&Measured> {
        self.models.iter().chain(&self.baselines).map(|(_, m)| m).collect()
    }

    /// The same with their cells.
    pub(super) fn scored(&self) -> Vec<&ScoredModel> {
        self.models.iter().chain(&self.baselines).map(|(m, _)| m).collect()
    }
}

/// Reads the predictions, looks whether they fit the split, and measures them beside baselines.
///
/// # Errors
/// Predictions that cannot be read, that are not of the split's test cells, or that cannot be told apart by name.
pub(super) fn study(step: &Step<'_>, options: &Options, inputs: &Inputs) -> Result<Study, NodeError> {
    let gathered = models::read(step.gathered("predictions"), &options.name, options.threshold)?;
    let Gathered { classes, models, disagreeing } = gathered;
    let info = inputs.info.as_ref();
    let mut study = Study {
        notes: notes(&classes, options, info),
        warnings: info
            .map(|i| i.warnings.iter().map(|w| format!("split: {w}")).collect())
            .unwrap_or_default(),
        models: Vec::new(),
        baselines: Vec::new(),
        classes,
    };
    if disagreeing > 0 {
        study.warnings.push(format!(
            "{disagreeing} predictions in the files differ from what the threshold {} gives; the threshold is used",
            options.threshold
        ));
    }
    if let Some(split) = &inputs.split {
        for model in &models {
            study.warnings.extend(coverage::check(model, &study.classes, split)?);
        }
    }
    study.warnings.extend(different_cells(&models));
    let (n, bins) = (study.classes.len(), options.calibration_bins);
    let measured = |m: ScoredModel| -> Result<(ScoredModel, Measured), NodeError> {
        let bad = |e: MetricError| NodeError::data(format!("{}: {e}", m.name));
        let result = measure(&m, n, bins).map_err(bad)?;
        Ok((m, result))
    };
    study.models = models.into_iter().map(measured).collect::<Result<_, _>>()?;
    // The model with the most folds decides; folds of the others are the same or fewer.
    let baselines = match study.models.iter().max_by_key(|(m, _)| m.cells.len()) {
        Some((like, _)) => reference::baselines(step, options, like, n, inputs)?,
        None => reference::Baselines::default(),
    };
    study.baselines = baselines.models.into_iter().map(measured).collect::<Result<_, _>>()?;
    models::distinct(study.all().into_iter().map(|m| m.name.as_str()))?;
    study.warnings.extend(baselines.warnings);
    let references: Vec<Measured> = study.baselines.iter().map(|(_, m)| m.clone()).collect();
    for (_, model) in &study.models {
        for warning in warnings::about(model, &references, study.classes.len()) {
            if !study.warnings.contains(&warning) {
                study.warnings.push(warning);
            }
        }
    }
    Ok(study)
}

/// Models are only comparable on the same cells in the same folds.
fn different_cells(models: &[ScoredModel]) -> Option<String> {
    let same = |a: &ScoredModel, b: &ScoredModel| {
        let key = |c: &ScoredCell| (c.fold, c.dataset.clone(), c.id.clone(), c.truth);
        a.cells.iter().map(key).eq(b.cells.iter().map(key))
    };
    let (first, rest) = models.split_first()?;
    let other = rest.iter().find(|m| !same(first, m))?;
    Some(format!(
        "`{}` and `{}` were tested on different cells, datasets or folds: their numbers cannot be compared, and the \
         baselines are those of the model with the most test cells. Evaluate each dataset on its own (`foreach: [dataset]`).",
        first.name, other.name
    ))
}

fn notes(classes: &[String], options: &Options, info: Option<&SplitInfo>) -> Vec<String> {
    let mut notes = Vec::new();
    if let [negative, positive] = classes {
        notes.push(format!(
            "Positive class: `{positive}`; negative class: `{negative}`. A cell is predicted positive from a score of {} on.",
            options.threshold
        ));
    } else {
        notes
            .push(format!("Classes: {}. The class with the highest score is predicted.", classes.join(", ")));
    }
    if let Some(info) = info {
        let group = info
            .group
            .as_ref()
            .map(|g| format!(" by `{g}` ({} groups)", info.groups.len()))
            .unwrap_or_default();
        notes.push(format!(
            "Split: {}{group}, {} fold(s), {} repeat(s), seed {}; label column `{}`; {} cells, {} left out.",
            info.kind, info.folds, info.repeats, info.seed, info.label, info.cells, info.left_out
        ));
    }
    notes.push(
        "Metrics are computed per fold (mean and sample standard deviation over the folds where they are defined) and once \
         over all test cells. Undefined values are left empty."
            .to_owned(),
    );
    notes
}
