//! What `evaluate-regression` does: models and baselines on the same pairs.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::{NodeError, Step};

use super::kind::Options;
use super::measure::{PairMetrics, Predicted, measure};
use super::report;
use super::table::{Columns, read};
use crate::evaluate::baseline::{FittedResponses, Response, ResponseModel};
use crate::evaluate::metrics::MetricError;
use crate::evaluate::models::model_name;

/// Baselines as written in `baselines:`.
pub(super) const BASELINES: &[&str] = &["drug-mean", "line-mean", "additive", "low-rank"];

/// Pairs of one model with everything measured on them.
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) baseline: bool,
    pub(super) pairs: Vec<Predicted>,
    pub(super) folds: BTreeMap<String, PairMetrics>,
    pub(super) merged: PairMetrics,
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
    for input in step.gathered("predictions") {
        parts
            .entry(model_name(&input.label, &options.name))
            .or_default()
            .extend(read(&input.path, &columns)?);
    }
    let mut warnings = Vec::new();
    let mut all = Vec::new();
    for (name, mut pairs) in parts {
        pairs.sort_by(|a, b| key(a).cmp(&key(b)));
        all.push(Measured::new(name, false, pairs)?);
    }
    let training = step
        .optional_input("training")
        .map(|input| read(&input.path, &Columns { prediction: None, fold: None, ..columns }))
        .transpose()?;
    let Some(first) = all.first() else { return Err(NodeError::data("there are no predictions")) };
    if let Some(other) = all.iter().find(|m| !same_pairs(&m.pairs, &first.pairs)) {
        warnings.push(format!(
            "{} and {} were tested on different pairs: their numbers cannot be compared, and the baselines are those of {}",
            first.name, other.name, first.name
        ));
    }
    let like = first.pairs.clone();
    let trained_on = training_of(&like, training.as_deref());
    if trained_on.is_empty() {
        warnings.push(
            "no baselines: give `evaluate-regression` the input `training`, or a column `fold` with several folds, so that \
             the model can be compared with drug and line means"
                .to_owned(),
        );
    } else {
        warnings.extend(seen_pairs(&like, &trained_on));
        for name in &options.baselines {
            let pairs = predict(model(name, options), &like, &trained_on);
            all.push(Measured::new(title(name, options), true, pairs)?);
        }
    }
    warnings.extend(doubts(&all));
    report::write(step, options, &all, training.is_some(), &warnings)
}

fn key(pair: &Predicted) -> (&str, &str, &str) {
    (&pair.fold, &pair.response.drug, &pair.response.line)
}

fn same_pairs(a: &[Predicted], b: &[Predicted]) -> bool {
    a.len() == b.len()
        && a.iter().zip(b).all(|(a, b)| key(a) == key(b) && a.response.value == b.response.value)
}

/// What trains the baselines of each fold: the training table, or else the pairs of the other folds.
fn training_of(pairs: &[Predicted], training: Option<&[Predicted]>) -> BTreeMap<String, Vec<Response>> {
    let folds: BTreeSet<&String> = pairs.iter().map(|p| &p.fold).collect();
    let of = |fold: &String| -> Vec<Response> {
        match training {
            Some(rows) => rows.iter().map(|r| r.response.clone()).collect(),
            None => pairs.iter().filter(|p| p.fold != *fold).map(|p| p.response.clone()).collect(),
        }
    };
    folds.into_iter().map(|fold| (fold.clone(), of(fold))).filter(|(_, rows)| !rows.is_empty()).collect()
}

fn model(name: &str, options: &Options) -> ResponseModel {
    match name {
        "drug-mean" => ResponseModel::DrugMean,
        "line-mean" => ResponseModel::LineMean,
        "additive" => ResponseModel::Additive { ridge: options.ridge },
        _ => ResponseModel::LowRank {
            ridge: options.ridge,
            rank: options.rank,
            rank_ridge: options.rank_ridge,
        },
    }
}

fn title(name: &str, options: &Options) -> String {
    match name {
        "drug-mean" => "drug mean".to_owned(),
        "line-mean" => "line mean".to_owned(),
        "additive" => "additive drug + line".to_owned(),
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

/// Models that ignore the line, or that a baseline beats.
fn doubts(all: &[Measured]) -> Vec<String> {
    let mut out = Vec::new();
    for model in all.iter().filter(|m| !m.baseline) {
        let of = |m: &Measured, metric: &str| m.merged.get(metric).copied().flatten();
        let mut drugs: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for pair in &model.pairs {
            drugs.entry(&pair.response.drug).or_default().insert(pair.prediction.to_bits());
        }
        let several = drugs.len() > 1 && model.pairs.len() > drugs.len();
        let constant = drugs.values().filter(|values| values.len() == 1).count();
        if several && 2 * constant > drugs.len() {
            out.push(format!(
                "{}: the prediction is the same for every line of {constant} of {} drugs: the model ignores the line there",
                model.name,
                drugs.len()
            ));
        }
        for (metric, sign) in [("pearson", 1.0), ("rmse", -1.0), ("pearson_within_drug", 1.0)] {
            let Some(own) = of(model, metric) else { continue };
            let best = all
                .iter()
                .filter(|m| m.baseline)
                .filter_map(|m| Some((m, of(m, metric)?)))
                .max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)));
            if let Some((baseline, value)) = best
                && sign * own <= sign * value
            {
                out.push(format!(
                    "{} is not better than the baseline `{}`: {metric} {own:.3} against {value:.3}.",
                    model.name, baseline.name
                ));
            }
        }
    }
    out
}
