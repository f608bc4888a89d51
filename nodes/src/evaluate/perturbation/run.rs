//! What `evaluate-perturbation` does: models and baselines on the same conditions.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::document::{DOCUMENT_FORMAT, ReportDocument};
use celldag_engine::{NodeError, Step};

use super::compare;
use super::effects::{BASELINES, Effects};
use super::kind::Options;
use super::measure::{Tested, by_condition, mean};
use super::profiles::{Condition, Profiles};
use crate::evaluate::files::{FlatTable, write_report};
use crate::evaluate::measure::Metrics;
use crate::evaluate::models::{distinct, names};
use crate::evaluate::scopes::{Scopes, complete, side_by_side, value};
use crate::evaluate::shared::{self, Mean, left_out};

/// Metrics of the first table, in reading order.
const SHOWN: [&str; 8] = [
    "pearson_delta",
    "pearson_delta_top20",
    "r2_top20",
    "mse_top20",
    "opposite_direction_top20",
    "discrimination",
    "r2",
    "n",
];

/// Most conditions named in a warning.
const NAMED: usize = 5;

/// One model or baseline with everything measured on it.
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) baseline: bool,
    pub(super) tested: Vec<Tested>,
    pub(super) conditions: Vec<Metrics>,
    parts: Vec<(String, Metrics)>,
    merged: Metrics,
}

impl Measured {
    fn new(name: String, baseline: bool, tested: Vec<Tested>) -> Result<Self, NodeError> {
        let conditions = by_condition(&tested).map_err(|e| NodeError::data(format!("{name}: {e}")))?;
        let parts: BTreeSet<usize> = tested.iter().map(|t| t.part).collect();
        let of = |part: usize| {
            let own = tested.iter().zip(&conditions).filter(|(t, _)| t.part == part).map(|(_, m)| m);
            (part.to_string(), mean(&own.collect::<Vec<_>>()))
        };
        let parts = parts.into_iter().map(of).collect();
        let merged = mean(&conditions.iter().collect::<Vec<_>>());
        Ok(Self { name, baseline, tested, conditions, parts, merged })
    }

    fn scopes(&self) -> Scopes<'_> {
        let folds = self.parts.iter().map(|(part, metrics)| (part.clone(), metrics)).collect();
        Scopes { name: &self.name, baseline: self.baseline, folds, merged: &self.merged }
    }
}

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    let truth = Profiles::read(&step.input("truth")?.path, options)?;
    let gathered = step.gathered("predictions");
    let mut models: BTreeMap<String, Vec<Tested>> = BTreeMap::new();
    for (part, (name, input)) in names(gathered, &options.name).into_iter().zip(gathered).enumerate() {
        let predicted = Profiles::read(&input.path, options)?.over(&truth.genes, &name)?;
        let known = models.entry(name.clone()).or_default();
        // Parts of each model are numbered from 0, so that models are compared fold by fold.
        let number = known.last().map_or(0, |t: &Tested| t.part + 1);
        let own = tested(&truth, predicted, number, options)
            .map_err(|e| NodeError { message: format!("{name}: {}", e.message), ..e })?;
        if own.is_empty() {
            return Err(NodeError::data(format!(
                "{name}: file {part} holds no condition beside the control"
            )));
        }
        if let Some(twice) = own.iter().find(|t| known.iter().any(|k| k.condition == t.condition)) {
            return Err(NodeError::data(format!(
                "two files of `{name}` predict the condition {}, which would count twice",
                twice.condition.name()
            ))
            .help("give each condition once, and name models apart by their nodes or an axis"));
        }
        known.extend(own);
    }
    let mut models: Vec<(String, Vec<Tested>)> = models.into_iter().collect();
    let held = held(&models);
    let others = compare::keep_common(&mut models);
    if let Some((name, _)) = models.iter().find(|(_, tested)| tested.is_empty()) {
        return Err(NodeError::data(format!(
            "no condition of `{name}` is tested by all models in the same fold"
        ))
        .help("measure models of different conditions or folds in nodes of their own"));
    }
    let mut all: Vec<Measured> = models
        .into_iter()
        .map(|(name, tested)| Measured::new(name, false, tested))
        .collect::<Result<_, _>>()?;
    let mut warnings: Vec<String> = left_out(&others, "conditions").into_iter().collect();
    warnings.extend(without_control(&truth, options));
    let Some(like) = all.first().map(|m| m.tested.clone()) else {
        return Err(NodeError::data("there are no predictions"));
    };
    for (word, name) in BASELINES.iter().filter(|(word, _)| options.baselines.iter().any(|b| b == word)) {
        match baseline(word, &truth, (&like, &held), options) {
            Some(tested) => all.push(Measured::new((*name).to_owned(), true, tested)?),
            None => warnings.push(format!(
                "no baseline `{word}`: every measured condition is tested, so that none is left to average"
            )),
        }
    }
    distinct(all.iter().map(|m| m.name.as_str()))?;
    warnings.extend(compare::not_better(&all));
    warnings.extend(shared::warnings(&compare::means(&all)));
    write(step, options, &all, truth.genes.len(), warnings)
}

/// The conditions of a file with what was measured of them.
fn tested(
    truth: &Profiles,
    predicted: Profiles,
    part: usize,
    options: &Options,
) -> Result<Vec<Tested>, NodeError> {
    let mut out = Vec::new();
    for (condition, predicted) in predicted.of {
        if condition.perturbation == options.control {
            continue;
        }
        let measured = truth.of.get(&condition).ok_or_else(|| {
            NodeError::data(format!("the condition {} was predicted but not measured", condition.name()))
                .help("give the measured mean of every predicted condition on the port `truth`")
        })?;
        let control = control(truth, &condition, options)?;
        out.push(Tested { control: control.clone(), measured: measured.clone(), predicted, part, condition });
    }
    Ok(out)
}

fn control<'a>(
    truth: &'a Profiles,
    condition: &Condition,
    options: &Options,
) -> Result<&'a Vec<f64>, NodeError> {
    let own = Condition { perturbation: options.control.clone(), line: condition.line.clone() };
    truth.of.get(&own).ok_or_else(|| {
        NodeError::data(format!(
            "there is no measured control `{}` for {}",
            options.control,
            condition.name()
        ))
        .help("name the unperturbed condition with `control`; every line needs its own")
    })
}

/// The same conditions as a baseline predicts them, fitted on the measured conditions that the file did not test.
fn baseline(
    word: &str,
    truth: &Profiles,
    (like, held): (&[Tested], &BTreeMap<usize, BTreeSet<Condition>>),
    options: &Options,
) -> Option<Vec<Tested>> {
    let parts: BTreeSet<usize> = like.iter().map(|t| t.part).collect();
    let mut out = Vec::new();
    for part in parts {
        let none = BTreeSet::new();
        let held = held.get(&part).unwrap_or(&none);
        let training: Vec<(&Condition, Vec<f64>)> = truth
            .of
            .iter()
            .filter(|(c, _)| c.perturbation != options.control && !held.contains(c))
            .filter_map(|(c, profile)| {
                let control = control(truth, c, options).ok()?;
                Some((c, profile.iter().zip(control).map(|(v, c)| v - c).collect()))
            })
            .collect();
        let effects = Effects::new(truth.genes.len(), &training);
        for tested in like.iter().filter(|t| t.part == part) {
            let effect = effects.predict(word, &tested.condition)?;
            let predicted = tested.control.iter().zip(effect).map(|(c, e)| c + e).collect();
            out.push(Tested { predicted, ..tested.clone() });
        }
    }
    Some(out)
}

/// Conditions that any model tests in a part: they train no baseline of it, also where not all models test them.
fn held(models: &[(String, Vec<Tested>)]) -> BTreeMap<usize, BTreeSet<Condition>> {
    let mut held: BTreeMap<usize, BTreeSet<Condition>> = BTreeMap::new();
    for tested in models.iter().flat_map(|(_, tested)| tested) {
        held.entry(tested.part).or_default().insert(tested.condition.clone());
    }
    held
}

/// Names measured conditions that train no baseline because their line has no control.
fn without_control(truth: &Profiles, options: &Options) -> Option<String> {
    let lacks = |condition: &&Condition| {
        condition.perturbation != options.control && control(truth, condition, options).is_err()
    };
    let names: Vec<String> = truth.of.keys().filter(lacks).map(Condition::name).collect();
    let more = if names.len() > NAMED { "; ..." } else { "" };
    (!names.is_empty()).then(|| {
        format!(
            "{} measured conditions have no control `{}` of their line and train no baseline: {}{more}",
            names.len(),
            options.control,
            names[..names.len().min(NAMED)].join("; ")
        )
    })
}

fn write(
    step: &Step<'_>,
    options: &Options,
    all: &[Measured],
    genes: usize,
    warnings: Vec<String>,
) -> Result<(), NodeError> {
    let scopes: Vec<Scopes<'_>> = all.iter().map(Measured::scopes).collect();
    let note = "Means over conditions where the figure is defined. delta: of the change from the control. top20: the 20 genes \
                whose measured mean changes most. discrimination: 1 when the measured effect nearest to the predicted one is \
                that of the same condition, about 0.5 when all predictions are alike.";
    let mut tables = side_by_side(&scopes, &SHOWN, "conditions", note);
    tables.extend(complete(
        &scopes,
        "conditions",
        "Empty: undefined, such as the correlation of an effect that does not vary.",
    ));
    let means = compare::means(all);
    tables.extend(shared::table(&means));
    let of_delta = means.iter().filter(|mean| mean.metric == "pearson_delta").flat_map(Mean::headline);
    let mse = all.iter().map(|m| (format!("mse_top20 {}", m.name), value(&m.merged, "mse_top20")));
    let document = ReportDocument {
        format: DOCUMENT_FORMAT.to_owned(),
        title: options.title.clone(),
        notes: vec![format!(
            "{} tested conditions, {genes} genes, control `{}`. Baselines average the effects of the measured conditions that \
             the same file does not test; a perturbation or line without one has the mean effect.",
            all.first().map_or(0, |m| m.tested.len()),
            options.control
        )],
        warnings,
        headline: of_delta.chain(mse).collect(),
        metrics: scopes.iter().map(|m| (m.name.to_owned(), m.numbers().into())).collect(),
        tables,
        figures: Vec::new(),
    };
    write_report(step, document)?;
    let mut out = FlatTable::create(step)?;
    for (model, scopes) in all.iter().zip(&scopes) {
        out.model(scopes)?;
        for (tested, metrics) in model.tested.iter().zip(&model.conditions) {
            out.rows(&model.name, "condition", &tested.condition.name(), metrics)?;
        }
    }
    out.finish()
}
