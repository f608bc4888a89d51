use super::fit_probe;
use crate::learn::mlp::{Embedding, FeatureRows, TrainingData};
use crate::learn::split::{Role, SplitRow};

/// Cells on a line; the label follows the sign with some noise, so that no penalty separates them.
fn fold(validation: bool) -> (Embedding, Vec<SplitRow>) {
    let n = 60;
    let value = |i: usize| (i as f32 - 29.5) / 10.0;
    let class = |i: usize| usize::from((value(i) > 0.0) != i.is_multiple_of(7));
    let ids: Vec<String> = (0..n).map(|i| format!("c{i:02}")).collect();
    let values = (0..n).flat_map(|i| [value(i), ((i * 13) % 11) as f32 / 11.0]).collect();
    let row = |i: usize| SplitRow {
        cell_id: ids[i].clone(),
        repeat: 0,
        fold: 0,
        role: match i % 5 {
            0 => Role::Test,
            1 if validation => Role::Validation,
            _ => Role::Train,
        },
        label: class(i).to_string(),
        class: class(i),
        group: String::new(),
    };
    let rows = (0..n).map(row).collect();
    (Embedding::new("X".into(), ids, 2, values), rows)
}

fn data(validation: bool) -> (TrainingData, FeatureRows) {
    let (embedding, rows) = fold(validation);
    let members: Vec<&SplitRow> = rows.iter().collect();
    let data = TrainingData::of_fold(&embedding, &members).expect("data");
    (data, FeatureRows::test_of_fold(&embedding, &members).expect("test"))
}

#[test]
fn the_penalty_is_chosen_on_validation_cells_only() {
    let (with, test) = data(true);
    let probe = fit_probe(&with, 2, &[1e-6, 1.0], false).expect("fit");
    assert_eq!(probe.best, 1, "{:?}", probe.tried);
    assert!(probe.tried.iter().all(|t| t.converged));
    assert_eq!((probe.weight.len(), probe.bias.len(), probe.logits(&test)[0].len()), (2, 1, 1));
    let (without, _) = data(false);
    let refused = fit_probe(&without, 2, &[0.1, 1.0], false).expect_err("nothing to choose with");
    assert!(refused.message.contains("validation"), "{}", refused.message);
    fit_probe(&without, 2, &[0.1], false).expect("one value needs no choice");
}

#[test]
fn balanced_classes_move_the_intercept_as_copies_of_cells_would() {
    let (data, _) = data(false);
    let counts = |class: usize| data.train().class.iter().filter(|&&c| c == class).count();
    assert_ne!(counts(0), counts(1), "the classes are not equally large");
    let plain = fit_probe(&data, 2, &[1.0], false).expect("fit");
    let balanced = fit_probe(&data, 2, &[1.0], true).expect("fit");
    let rarer_is_positive = counts(1) < counts(0);
    assert_eq!(balanced.bias[0] > plain.bias[0], rarer_is_positive, "{plain:?} {balanced:?}");
}
