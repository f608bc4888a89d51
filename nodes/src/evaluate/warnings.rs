//! What the reader must know before believing a number.

use super::fair::fair;
use super::measure::{Measured, deciding};
use super::reference::LOGISTIC;
use super::verdict;
use crate::learn::split::fold_name;

/// Difference of merged AUROC and mean over folds above which folds rank on different scales.
const SCALE: f64 = 0.05;
/// Score of the logistic regression from which a task cannot tell models apart.
const SATURATED: f64 = 0.99;

/// Warnings about one model beside its baselines.
pub(super) fn about(model: &Measured, baselines: &[Measured], classes: usize) -> Vec<String> {
    let mut out = Vec::new();
    out.extend(undefined(model));
    out.extend(deciding(classes).into_iter().filter_map(|metric| not_better(model, baselines, metric)));
    out.extend(scale_of_folds(model, deciding(classes)[1]));
    out.extend(saturated(baselines, classes));
    out
}

fn undefined(model: &Measured) -> Vec<String> {
    let mut by_folds: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
    for metric in model.merged.keys() {
        let folds: Vec<String> = model
            .folds
            .iter()
            .filter(|(_, m)| m.get(metric).is_some_and(Option::is_none))
            .map(|((repeat, fold), _)| fold_name(*repeat, *fold))
            .collect();
        if folds.is_empty() {
            continue;
        }
        match by_folds.iter_mut().find(|(f, _)| *f == folds) {
            Some((_, metrics)) => metrics.push(metric),
            None => by_folds.push((folds, vec![metric])),
        }
    }
    let all = model.folds.len();
    by_folds
        .into_iter()
        .map(|(folds, metrics)| {
            let which = if folds.len() == all { "every fold".to_owned() } else { format!("fold {}", folds.join(", ")) };
            format!(
                "{}: undefined in {which} (a class is absent or never predicted there) and left out of the mean over folds: {}.",
                model.name,
                metrics.join(", ")
            )
        })
        .collect()
}

/// Says plainly when the best baseline is as good.
fn not_better(model: &Measured, baselines: &[Measured], metric: &str) -> Option<String> {
    let all: Vec<&Measured> = std::iter::once(model).chain(baselines).collect();
    let compared = fair(&all, metric);
    let (own, others) = compared.values.split_first()?;
    let others = baselines.iter().zip(others).filter_map(|(b, v)| Some((b.name.as_str(), (*v)?)));
    verdict::not_better((&model.name, (*own)?), others, metric, &format!(" ({})", compared.scope))
}

fn scale_of_folds(model: &Measured, ranking: &str) -> Option<String> {
    let merged = model.merged.get(ranking).copied().flatten()?;
    if model.folds.len() < 2 {
        return None;
    }
    match model.spread(ranking) {
        None => Some(format!(
            "{}: {ranking} is undefined in every fold; over all test cells it is {merged:.3}, which compares scores of \
             different trained models and depends on their scales.",
            model.name
        )),
        Some(spread) => ((spread.mean - merged).abs() > SCALE).then(|| {
            format!(
                "{}: {ranking} over all test cells ({merged:.3}) differs from its mean over folds ({:.3}): the folds score \
                 on different scales. The mean over folds is the sounder figure for ranking within a fold.",
                model.name, spread.mean
            )
        }),
    }
}

fn saturated(baselines: &[Measured], classes: usize) -> Option<String> {
    let logistic = baselines.iter().find(|b| b.name == LOGISTIC)?;
    let [hard, ranking] = deciding(classes);
    let (f1, auroc) = (logistic.headline(hard)?, logistic.headline(ranking)?);
    (f1 >= SATURATED && auroc >= SATURATED).then(|| {
        format!(
            "the task is saturated: logistic regression on principal components reaches {hard} {f1:.3} and {ranking} \
             {auroc:.3}, so no model can show an advantage here. Ask a harder question, such as groups left out."
        )
    })
}
