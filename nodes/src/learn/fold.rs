//! What the kinds that train fold by fold share: the folds asked for, the loss, seeds, and the scores of test
//! cells.

use std::collections::BTreeSet;
use std::path::Path;

use celldag_engine::{NodeError, Step};
use celldag_models::training::{LossKind, Objective};
use serde_json::Value;

use super::failure;
use super::predictions::Prediction;
use super::split::{Role, SplitRow, SplitTable};
use crate::evaluate::metrics::argmax;

/// Repeat and fold with their cells.
pub(crate) type Fold<'a> = ((u32, u32), Vec<&'a SplitRow>);

/// All folds of a split, or those of one number.
pub(crate) fn wanted_folds(split: &SplitTable, fold: Option<u32>) -> Result<Vec<Fold<'_>>, NodeError> {
    let folds = split.folds();
    let known: BTreeSet<u32> = folds.keys().map(|(_, fold)| *fold).collect();
    let wanted: Vec<_> =
        folds.into_iter().filter(|((_, of), _)| fold.is_none_or(|wanted| wanted == *of)).collect();
    if wanted.is_empty() {
        let fold = fold.unwrap_or_default();
        return Err(NodeError::parameter(format!("the split has no fold {fold}; its folds are {known:?}"))
            .help("folds count from 0; take as many as `split` makes"));
    }
    Ok(wanted)
}

/// `fold 3`, or `repeat 1, fold 3`.
pub(crate) fn fold_name(repeat: u32, fold: u32) -> String {
    if repeat > 0 { format!("repeat {repeat}, fold {fold}") } else { format!("fold {fold}") }
}

/// The loss that the parameter `loss` names.
pub(super) fn loss_kind(word: &str, classes: usize) -> Result<LossKind, NodeError> {
    match (word, classes) {
        ("auto" | "bce", 2) => Ok(LossKind::Bce),
        ("scdrugmap-two-logit", 2) => Ok(LossKind::TwoLogit),
        ("auto" | "cross-entropy", _) => Ok(LossKind::CrossEntropy),
        (_, n) => Err(NodeError::parameter(format!("`loss: {word}` is for two classes; the split has {n}"))
            .help("set `loss: cross-entropy` or `auto`, or leave classes out of the split")),
    }
}

/// The loss as `head.json` names it.
pub(super) fn loss_word(kind: LossKind) -> &'static str {
    match kind {
        LossKind::Bce => "bce",
        LossKind::CrossEntropy => "cross-entropy",
        LossKind::TwoLogit => "scdrugmap-two-logit",
    }
}

/// The loss for the training cells of these classes. Warns about classes that no training cell has.
pub(super) fn objective(
    step: &Step<'_>,
    fold: &str,
    (kind, balanced): (LossKind, bool),
    classes: &[String],
    training: &[usize],
) -> Objective {
    let present: BTreeSet<usize> = training.iter().copied().collect();
    let missing: Vec<&str> = classes
        .iter()
        .enumerate()
        .filter(|(class, _)| !present.contains(class))
        .map(|(_, name)| name.as_str())
        .collect();
    if !missing.is_empty() {
        step.warn(format!(
            "{fold}: no training cell is {}; the head cannot learn to predict it",
            missing.join(" or ")
        ));
    }
    if balanced {
        Objective::balanced(kind, classes.len(), training)
    } else {
        Objective::new(kind, classes.len())
    }
}

/// Randomness of a fold for one purpose; `context` keeps kinds apart.
pub(super) fn fold_seed(context: &str, seed: u64, (repeat, fold): (u32, u32), purpose: &str) -> [u8; 32] {
    let mut key = blake3::Hasher::new_derive_key(context);
    key.update(&seed.to_le_bytes());
    key.update(&repeat.to_le_bytes());
    key.update(&fold.to_le_bytes());
    key.update(purpose.as_bytes());
    *key.finalize().as_bytes()
}

/// Joins scores and labels after training; the only place that sees both. `logits` are those of the test cells among
/// `members`, in their order.
///
/// # Errors
/// When a score is no number.
pub(super) fn predictions(
    members: &[&SplitRow],
    objective: &Objective,
    (classes, dataset): (&[String], &str),
    logits: &[Vec<f32>],
) -> Result<Vec<Prediction>, NodeError> {
    let binary = classes.len() == 2;
    let tested = members.iter().filter(|r| r.role == Role::Test);
    let row = |(member, logits): (&&SplitRow, &Vec<f32>)| {
        let scores = objective.scores(logits);
        if scores.iter().any(|score| !score.is_finite()) {
            let message =
                format!("the score of cell {} is no number: the head's weights ran away", member.cell_id);
            return Err(NodeError::failed(message).help("lower `learning_rate`"));
        }
        // Two classes: positive from 0.5 on, as metrics have it; argmax would call a tie negative.
        let predicted = if binary { usize::from(scores[1] >= 0.5) } else { argmax(&scores) };
        Ok(Prediction {
            cell_id: member.cell_id.clone(),
            dataset: dataset.to_owned(),
            group: member.group.clone(),
            repeat: member.repeat,
            fold: member.fold,
            label: member.label.clone(),
            score: if binary { scores[1] } else { scores[predicted] },
            prediction: classes[predicted].clone(),
            class_scores: if binary { Vec::new() } else { scores },
            logits: if objective.kind() == LossKind::TwoLogit {
                logits.iter().map(|&l| f64::from(l)).collect()
            } else {
                Vec::new()
            },
        })
    };
    tested.zip(logits).map(row).collect()
}

/// Writes the learning curves.
pub(super) fn write_json(path: &Path, value: &Value) -> Result<(), NodeError> {
    let text = serde_json::to_string_pretty(value).map_err(failure::io)?;
    fs_err::write(path, text + "\n").map_err(failure::io)
}
