//! Whether a model was tested on the test cells of the split: on no other cell, and on which of them.

use std::collections::{BTreeMap, BTreeSet};

use celldag_engine::NodeError;

use super::models::{ScoredCell, ScoredModel};
use crate::learn::split::{Role, SplitRow, SplitTable, fold_name};

/// Cells that a message names.
const NAMED: usize = 3;

/// Looks at every prediction. Gives a warning about test cells without a prediction.
///
/// # Errors
/// A data error when a predicted cell is no test cell of its fold (figures on training cells mean nothing), or when its
/// label is another one than in the split.
pub(super) fn check(
    model: &ScoredModel,
    classes: &[String],
    split: &SplitTable,
) -> Result<Option<String>, NodeError> {
    let mut rows: BTreeMap<((u32, u32), &str), &SplitRow> = BTreeMap::new();
    for row in &split.rows {
        rows.insert(((row.repeat, row.fold), row.cell_id.as_str()), row);
    }
    let row_of = |cell: &ScoredCell| rows.get(&(cell.fold, cell.id.as_str())).copied();
    let strangers: Vec<&ScoredCell> =
        model.cells.iter().filter(|&cell| row_of(cell).is_none_or(|row| row.role != Role::Test)).collect();
    if !strangers.is_empty() {
        return Err(not_tested(model, &strangers, row_of));
    }
    let relabelled = model
        .cells
        .iter()
        .find_map(|cell| row_of(cell).filter(|row| classes[cell.truth] != row.label).map(|row| (cell, row)));
    if let Some((cell, row)) = relabelled {
        return Err(NodeError::data(format!(
            "{}: cell `{}` has the label `{}` in the predictions and `{}` in the split",
            model.name, cell.id, classes[cell.truth], row.label
        ))
        .help("give `evaluate` the split that the heads were trained with"));
    }
    Ok(without_prediction(model, split))
}

fn not_tested<'a>(
    model: &ScoredModel,
    strangers: &[&ScoredCell],
    row_of: impl Fn(&ScoredCell) -> Option<&'a SplitRow>,
) -> NodeError {
    let examples: Vec<String> = strangers
        .iter()
        .take(NAMED)
        .map(|cell| {
            let what = match row_of(cell).map(|row| row.role) {
                Some(Role::Train) => "trains there",
                Some(Role::Validation) => "validates there",
                _ => "is not in that fold",
            };
            format!("`{}` in fold {} {what}", cell.id, fold_name(cell.fold.0, cell.fold.1))
        })
        .collect();
    NodeError::data(format!(
        "{}: {} of {} predictions are of cells that the split does not test in their fold: {}",
        model.name,
        strangers.len(),
        model.cells.len(),
        examples.join(", ")
    ))
    .help("give `evaluate` the split that the heads were trained with; figures on other cells than its test cells mean nothing")
}

/// How many test cells have no prediction: whole folds, and cells of the folds that have some.
fn without_prediction(model: &ScoredModel, split: &SplitTable) -> Option<String> {
    let predicted: BTreeMap<(u32, u32), BTreeSet<&str>> = model
        .folds()
        .into_iter()
        .map(|(fold, cells)| (fold, cells.into_iter().map(|cell| cell.id.as_str()).collect()))
        .collect();
    let (mut folds, mut in_them, mut cells) = (Vec::new(), 0, Vec::new());
    for (fold, rows) in split.folds() {
        let tests = rows.iter().filter(|row| row.role == Role::Test).map(|row| row.cell_id.as_str());
        match predicted.get(&fold) {
            None => {
                in_them += tests.count();
                folds.push(fold_name(fold.0, fold.1));
            }
            Some(known) => cells.extend(tests.filter(|id| !known.contains(id))),
        }
    }
    let mut parts = Vec::new();
    if !folds.is_empty() {
        parts.push(format!("all {in_them} of fold {}", folds.join(", ")));
    }
    if !cells.is_empty() {
        let named: Vec<String> = cells.iter().take(NAMED).map(|id| format!("`{id}`")).collect();
        parts.push(format!("{} of the other folds (for example {})", cells.len(), named.join(", ")));
    }
    (!parts.is_empty()).then(|| {
        format!(
            "{}: {} test cells of the split have no prediction and count nowhere: {}.",
            model.name,
            in_them + cells.len(),
            parts.join("; ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split() -> SplitTable {
        let row = |cell: usize, fold: u32| SplitRow {
            cell_id: format!("c{cell}"),
            repeat: 0,
            fold,
            role: if cell as u32 % 3 == fold { Role::Test } else { Role::Train },
            label: ["no", "yes"][cell % 2].to_owned(),
            class: cell % 2,
            group: String::new(),
        };
        SplitTable { rows: (0..3).flat_map(|fold| (0..12).map(move |cell| row(cell, fold))).collect() }
    }

    fn model(cells: &[(usize, u32)]) -> ScoredModel {
        let cell = |&(cell, fold): &(usize, u32)| ScoredCell {
            dataset: String::new(),
            id: format!("c{cell}"),
            group: String::new(),
            fold: (0, fold),
            truth: cell % 2,
            predicted: 0,
            scores: vec![1.0, 0.0],
            logits: None,
        };
        ScoredModel { name: "m".to_owned(), cells: cells.iter().map(cell).collect() }
    }

    #[test]
    fn what_was_not_predicted_is_counted_and_what_is_no_test_cell_is_refused() {
        let classes = ["no".to_owned(), "yes".to_owned()];
        let of = |cells: &[(usize, u32)]| check(&model(cells), &classes, &split());
        let all: Vec<(usize, u32)> = (0..12).map(|cell| (cell, cell as u32 % 3)).collect();
        assert_eq!(of(&all).expect("test cells"), None);
        let part = of(&[(0, 0), (3, 0), (6, 0), (1, 1), (4, 1), (7, 1), (10, 1)]).expect("test cells");
        let part = part.expect("five are missing");
        assert!(part.contains("5 test cells") && part.contains("all 4 of fold 2"), "{part}");
        assert!(part.contains("1 of the other folds (for example `c9`)"), "{part}");
        let refused = of(&[(0, 0), (1, 0)]).expect_err("c1 trains in fold 0");
        assert!(refused.message.contains("`c1` in fold 0 trains there"), "{}", refused.message);
        let relabelled = check(&model(&all), &["yes".to_owned(), "no".to_owned()], &split());
        assert!(relabelled.expect_err("labels differ").message.contains("in the split"));
    }
}
