//! What `evaluate-regression` does: models and baselines on the same pairs.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::{NodeError, Step};

use super::kind::Options;
use super::linear::{self, LineFeatures, Linear};
use super::measure::{Predicted, measure};
use super::table::{Columns, read};
use super::{compare, report};
use crate::evaluate::baseline::{FittedResponses, Penalty, Response, ResponseModel};
use crate::evaluate::measure::Metrics;
use crate::evaluate::metrics::MetricError;
use crate::evaluate::models::{distinct, names};
use crate::evaluate::scopes::Scopes;
use crate::evaluate::shared::{self, left_out};
use crate::evaluate::threads::pool;

/// Baselines as written in `baselines:`.
pub(super) const BASELINES: &[&str] = &["drug-mean", "line-mean", "additive", "low-rank", "ridge", "lasso"];

/// Pairs of one model with everything measured on them.
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) baseline: bool,
    pub(super) pairs: Vec<Predicted>,
    pub(super) folds: BTreeMap<String, Metrics>,
    pub(super) merged: Metrics,
}

impl Measured {
    fn new(name: String, baseline: bool, pairs: Vec<Predicted>) -> Result<Self, NodeError> {
        let bad = |e: MetricError| NodeError::data(format!("{name}: {e}"));
        let mut by_fold: BTreeMap<String, Vec<&Predicted>> = BTreeMap::new();
        for pair in &pairs {
            by_fold.entry(pair.fold.clone()).or_default().push(pair);
        }
        let folds = by_fold.into_iter().map(|(fold, pairs)| Ok((fold, measure(&pairs).map_err(bad)?)));
        let folds = folds.collect::<Result<_, NodeError>>()?;
        let merged = measure(&pairs.iter().collect::<Vec<_>>()).map_err(bad)?;
        Ok(Self { name, baseline, pairs, folds, merged })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// As tables of every kind that measures show it.
    pub(super) fn scopes(&self) -> Scopes<'_> {
        let folds = self.folds.iter().map(|(fold, metrics)| (fold.clone(), metrics)).collect();
        Scopes { name: &self.name, baseline: self.baseline, folds, merged: &self.merged }
    }
}

pub(super) fn run(step: &Step<'_>, options: &Options) -> Result<(), NodeError> {
    let columns = Columns {
        truth: &options.truth,
        prediction: Some(&options.prediction),
        drug: &options.drug,
        line: &options.line,
        fold: options.fold.as_deref(),
    };
    let mut parts: BTreeMap<String, Vec<Predicted>> = BTreeMap::new();
    let gathered = step.gathered("predictions");
    for (name, input) in names(gathered, &options.name).into_iter().zip(gathered) {
        let pairs = read(&input.path, &columns)?;
        let known = parts.entry(name.clone()).or_default();
        if let Some(pair) = twice(known, &pairs) {
            return Err(NodeError::data(format!(
                "two files of `{name}` predict the pair of drug `{}` and line `{}` in one fold",
                pair.response.drug, pair.response.line
            ))
            .help("give each fold once, and name models apart by their nodes or an axis"));
        }
        known.extend(pairs);
    }
    let mut models: Vec<(String, Vec<Predicted>)> = parts.into_iter().collect();
    let measured = measured(&models);
    let others = compare::keep_common(&mut models);
    let mut warnings: Vec<String> = left_out(&others, "pairs").into_iter().collect();
    let mut all = Vec::new();
    for (name, mut pairs) in models {
        if pairs.is_empty() {
            return Err(NodeError::data("no pair was tested by all models in the same fold")
                .help("measure models of different pairs or folds in nodes of their own"));
        }
        pairs.sort_by(|a, b| key(a).cmp(&key(b)));
        all.push(Measured::new(name, false, pairs)?);
    }
    let training = step
        .optional_input("training")
        .map(|input| read(&input.path, &Columns { prediction: None, fold: None, ..columns }))
        .transpose()?;
    let Some(first) = all.first() else { return Err(NodeError::data("there are no predictions")) };
    let like = first.pairs.clone();
    let trained_on = training_of(&like, &measured, training.as_deref());
    if trained_on.is_empty() {
        warnings.push(
            "no baselines: give `evaluate-regression` the input `training`, or a column `fold` with several folds, so that \
             the model can be compared with drug and line means"
                .to_owned(),
        );
    } else {
        warnings.extend(seen_pairs(&like, &trained_on));
        let wanted = wanted(step, options)?;
        for name in &wanted {
            if let Some(model) = simple(name, options) {
                let pairs = predict(model, &like, &trained_on);
                all.push(Measured::new(title(name, options), true, pairs)?);
            }
        }
        all.extend(on_features(step, options, &wanted, &like, &trained_on, &mut warnings)?);
    }
    distinct(all.iter().map(|m| m.name.as_str()))?;
    let means = compare::means(&all).map_err(|e| NodeError::data(e.to_string()))?;
    warnings.extend(all.iter().filter(|m| !m.baseline).filter_map(ignores_the_line));
    warnings.extend(compare::not_better(&all, &means));
    warnings.extend(shared::warnings(&means));
    report::write(step, options, (&all, &means), training.is_some(), &warnings)
}

pub(super) fn key(pair: &Predicted) -> (&str, &str, &str) {
    (&pair.fold, &pair.response.drug, &pair.response.line)
}

/// Every pair that a model tested, once: it trains the baselines of other folds also where not all models tested it.
fn measured(models: &[(String, Vec<Predicted>)]) -> Vec<Predicted> {
    let mut all: Vec<Predicted> = Vec::new();
    for (_, pairs) in models {
        let seen: BTreeSet<_> = all.iter().map(key).collect();
        let mut new: Vec<Predicted> =
            pairs.iter().filter(|pair| !seen.contains(&key(pair))).cloned().collect();
        all.append(&mut new);
    }
    all.sort_by(|a, b| key(a).cmp(&key(b)));
    all
}

/// What trains the baselines of each fold: the training table, or else the measured pairs of the other folds.
fn training_of(
    pairs: &[Predicted],
    measured: &[Predicted],
    training: Option<&[Predicted]>,
) -> BTreeMap<String, Vec<Response>> {
    let folds: BTreeSet<&String> = pairs.iter().map(|p| &p.fold).collect();
    let of = |fold: &String| -> Vec<Response> {
        match training {
            Some(rows) => rows.iter().map(|r| r.response.clone()).collect(),
            None => measured.iter().filter(|p| p.fold != *fold).map(|p| p.response.clone()).collect(),
        }
    };
    folds.into_iter().map(|fold| (fold.clone(), of(fold))).filter(|(_, rows)| !rows.is_empty()).collect()
}

/// The baselines to make: those that were named, or all that the inputs allow.
fn wanted(step: &Step<'_>, options: &Options) -> Result<Vec<String>, NodeError> {
    let features = step.optional_input("features").is_some();
    let needs_features = |name: &str| matches!(name, "ridge" | "lasso");
    let Some(named) = &options.baselines else {
        let all = BASELINES.iter().filter(|name| features || !needs_features(name));
        return Ok(all.map(|name| (*name).to_owned()).collect());
    };
    match named.iter().find(|name| needs_features(name) && !features) {
        Some(name) => Err(NodeError::parameter(format!(
            "the baseline `{name}` needs one vector a line on the port `features`"
        ))
        .help("write `in: {predictions: ..., features: expression_of_lines.h5ad}`")),
        None => Ok(named.clone()),
    }
}

/// The baselines that see no features of the lines.
fn simple(name: &str, options: &Options) -> Option<ResponseModel> {
    match name {
        "drug-mean" => Some(ResponseModel::DrugMean),
        "line-mean" => Some(ResponseModel::LineMean),
        "additive" => Some(ResponseModel::Additive { ridge: options.ridge }),
        "low-rank" => Some(ResponseModel::LowRank {
            ridge: options.ridge,
            rank: options.rank,
            rank_ridge: options.rank_ridge,
        }),
        _ => None,
    }
}

/// The baselines that see the features of the lines, where these are given.
fn on_features(
    step: &Step<'_>,
    options: &Options,
    wanted: &[String],
    like: &[Predicted],
    training: &BTreeMap<String, Vec<Response>>,
    warnings: &mut Vec<String>,
) -> Result<Vec<Measured>, NodeError> {
    let penalty = |name: &String| match name.as_str() {
        "ridge" => Some((name.clone(), Penalty::Ridge { alpha: options.ridge_alpha })),
        "lasso" => Some((name.clone(), Penalty::Lasso { alpha: options.lasso_alpha })),
        _ => None,
    };
    let Some(input) = step.optional_input("features") else { return Ok(Vec::new()) };
    let features = LineFeatures::read(&input.path, options.features_key.as_deref())?;
    let mut out = Vec::new();
    for (name, penalty) in wanted.iter().filter_map(penalty) {
        step.check_cancelled()?;
        let fitted = || linear::predict(&features, penalty, options.ridge, like, training);
        let Linear { pairs, without } = pool(step, usize::MAX)?.install(fitted);
        if without > 0 {
            warnings.push(format!(
                "{name}: {without} of {} pairs have a line without features, or a drug with too few training lines for a fit of \
                 its own; the additive model stands in",
                pairs.len()
            ));
        }
        out.push(Measured::new(title(&name, options), true, pairs)?);
    }
    Ok(out)
}

/// A pair that two files predict in the same fold.
fn twice<'a>(known: &[Predicted], pairs: &'a [Predicted]) -> Option<&'a Predicted> {
    let seen: BTreeSet<(&str, &str, &str)> = known.iter().map(key).collect();
    pairs.iter().find(|pair| seen.contains(&key(pair)))
}

fn title(name: &str, options: &Options) -> String {
    match name {
        "drug-mean" => "drug mean".to_owned(),
        "line-mean" => "line mean".to_owned(),
        "additive" => "additive drug + line".to_owned(),
        "ridge" => "ridge per drug on features".to_owned(),
        "lasso" => "LASSO per drug on features".to_owned(),
        _ => format!("additive + rank {}", options.rank),
    }
}

fn predict(
    model: ResponseModel,
    pairs: &[Predicted],
    training: &BTreeMap<String, Vec<Response>>,
) -> Vec<Predicted> {
    let fitted: BTreeMap<&String, FittedResponses> =
        training.iter().filter_map(|(fold, rows)| Some((fold, FittedResponses::fit(model, rows)?))).collect();
    let one = |pair: &Predicted| {
        let prediction = fitted.get(&pair.fold)?.predict(&pair.response.drug, &pair.response.line);
        Some(Predicted { prediction, ..pair.clone() })
    };
    pairs.iter().filter_map(one).collect()
}

/// Pairs that were tested and trained on.
fn seen_pairs(pairs: &[Predicted], training: &BTreeMap<String, Vec<Response>>) -> Option<String> {
    let seen: BTreeMap<&String, BTreeSet<(&str, &str)>> = training
        .iter()
        .map(|(fold, rows)| (fold, rows.iter().map(|r| (r.drug.as_str(), r.line.as_str())).collect()))
        .collect();
    let both = |p: &&Predicted| {
        seen.get(&p.fold).is_some_and(|s| s.contains(&(p.response.drug.as_str(), p.response.line.as_str())))
    };
    let count = pairs.iter().filter(both).count();
    (count > 0).then(|| {
        format!(
            "{count} of {} test pairs ({:.1} %) have a pair of the same drug and line in training (measured twice): group or \
             average such pairs before they are divided",
            pairs.len(),
            100.0 * count as f64 / pairs.len() as f64
        )
    })
}

/// Says so when most drugs have one prediction for all lines of a fold. Folds are looked at one by one: each has a model of
/// its own, so that even a mean of the drug differs between them.
fn ignores_the_line(model: &Measured) -> Option<String> {
    let mut predictions: BTreeMap<(&str, &str), Vec<u64>> = BTreeMap::new();
    for pair in &model.pairs {
        let of = (pair.response.drug.as_str(), pair.fold.as_str());
        predictions.entry(of).or_default().push(pair.prediction.to_bits());
    }
    let mut drugs: BTreeMap<&str, bool> = BTreeMap::new();
    for ((drug, _), values) in predictions.iter().filter(|(_, values)| values.len() > 1) {
        *drugs.entry(drug).or_insert(true) &= values.iter().all(|v| *v == values[0]);
    }
    let constant = drugs.values().filter(|constant| **constant).count();
    (drugs.len() > 1 && 2 * constant > drugs.len()).then(|| {
        format!(
            "{}: the prediction is the same for every line of {constant} of {} drugs: the model ignores the line there",
            model.name,
            drugs.len()
        )
    })
}
