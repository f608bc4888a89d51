//! The classifiers on principal components give the published baseline figures on the same folds of real cells.

use celldag_data::{CellsFile, CountsSource};
use celldag_nodes::evaluate::baseline::{Classifier, LogCells};
use celldag_nodes::evaluate::metrics::{Confusion, ZeroDivision};
use celldag_nodes::evaluate::{ScoredCell, ScoredModel, measure};
use rayon::prelude::*;
use serde_json::Value;

/// Means must agree to this, as the reference asks: drawn classifiers less closely.
const MEAN: f64 = 0.01;
const MEAN_DRAWN: f64 = 0.02;
/// Figures over all cells of the lung lines: the reference stops its optimiser at a gradient of 1e-4, which moves the
/// AUROC of leave-one-line-out by 0.012. Run to convergence (tol 1e-9) scikit-learn 1.9.1 gives [`CONVERGED`].
const MERGED: f64 = 0.015;
/// Merged AUROC of leave-one-line-out, scikit-learn 1.9.1 with exact components and tol 1e-9.
const CONVERGED: f64 = 0.508_441_3;
/// No fold may differ by more.
const FOLD: f64 = 0.05;

fn strings(value: &Value) -> Vec<String> {
    value.as_array().expect("array").iter().map(|v| v.as_str().expect("text").to_owned()).collect()
}

fn indices(value: &Value) -> Vec<usize> {
    value.as_array().expect("array").iter().map(|v| v.as_u64().expect("index") as usize).collect()
}

/// Scores of all test cells when every fold is fitted on the others.
fn cross_validate(
    classifier: Classifier,
    cells: &str,
    names: &[String],
    class: &[usize],
    classes: usize,
    fold: &[usize],
) -> ScoredModel {
    let file =
        CellsFile::open(crate::common::fixtures().expect("checked before").join(cells)).expect("cells");
    let loaded = file.read_counts(&CountsSource::Auto).expect("counts");
    let row = |name: &String| loaded.obs.index.iter().position(|id| id == name).expect("cell of the folds");
    let rows: Vec<usize> = names.iter().map(row).collect();
    let log = LogCells::new(loaded.x).expect("counts");
    let folds = fold.iter().max().expect("folds") + 1;
    let one = |f: usize| {
        let (test, train): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(|&i| fold[i] == f);
        let pick = |of: &[usize]| of.iter().map(|&i| rows[i]).collect::<Vec<_>>();
        let labels: Vec<usize> = train.iter().map(|&i| class[i]).collect();
        let (x, y) = log.fold(&pick(&train), &pick(&test)).expect("components");
        let scores = classifier.predict(&x, &labels, classes, &y, 0).expect("fit");
        let scored = move |(i, scores): (usize, Vec<f64>)| ScoredCell {
            dataset: String::new(),
            id: names[i].clone(),
            group: String::new(),
            fold: (0, f as u32),
            truth: class[i],
            predicted: (1..classes).fold(0, |best, c| if scores[c] > scores[best] { c } else { best }),
            scores,
            logits: None,
        };
        test.into_iter().zip(scores).map(scored).collect::<Vec<_>>()
    };
    let cells: Vec<ScoredCell> = (0..folds).into_par_iter().flat_map_iter(one).collect();
    ScoredModel { name: "logistic".to_owned(), cells }
}

/// F1 by fold as the reference counts it: 0 in a fold without positive cells, which celldag itself reports as undefined.
fn f1_by_fold(model: &ScoredModel) -> Vec<Option<f64>> {
    let f1 = |cells: Vec<&ScoredCell>| {
        let pick = |of: fn(&ScoredCell) -> usize| cells.iter().map(|c| of(c)).collect::<Vec<_>>();
        let confusion = Confusion::new(2, &pick(|c| c.truth), &pick(|c| c.predicted), None).expect("cells");
        confusion.positive_class(ZeroDivision::Zero).f1
    };
    model.folds().into_values().map(f1).collect()
}

/// Compares one metric by fold and in the mean.
fn compare(what: &str, found: &[Option<f64>], expected: &[Option<f64>], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: folds");
    for (fold, (f, e)) in found.iter().zip(expected).enumerate() {
        match (f, e) {
            (Some(f), Some(e)) => assert!((f - e).abs() <= FOLD, "{what}, fold {fold}: {f} instead of {e}"),
            (None, None) => {}
            _ => panic!("{what}, fold {fold}: {f:?} instead of {e:?}"),
        }
    }
    let mean = |v: &[Option<f64>]| v.iter().map(|x| x.unwrap_or(0.0)).sum::<f64>() / v.len() as f64;
    let (f, e) = (mean(found), mean(expected));
    println!("{what}: {f:.4} (reference {e:.4})");
    assert!((f - e).abs() <= tolerance, "{what}: mean {f} instead of {e}");
}

fn numbers(value: &Value) -> Vec<Option<f64>> {
    value.as_array().expect("array").iter().map(Value::as_f64).collect()
}

/// Sets whose folds are one list: metrics are stored by name.
fn check_simple(set: &str, cells: &str, which: (Classifier, &str), metrics: &[(&str, &str)]) {
    let (classifier, reference_name) = which;
    let Some(folds) = crate::common::json(&format!("data/folds/{set}_folds.json")) else { return };
    let reference =
        crate::common::json(&format!("data/folds/{set}_baseline.json")).expect("beside the folds");
    let reference = &reference["models"][reference_name];
    assert!(reference.is_object(), "{set}: no {reference_name}");
    let classes = strings(&folds["classes"]).len();
    let names = strings(&folds["cell"]);
    let (label, fold) = (indices(&folds["label"]), indices(&folds["fold"]));
    let model = cross_validate(classifier, cells, &names, &label, classes, &fold);
    let tolerance = if classifier == Classifier::Logistic { MEAN } else { MEAN_DRAWN };
    let measured = measure(&model, classes, 10).expect("scores");
    for (ours, theirs) in metrics {
        let expected = numbers(&reference[theirs]["folds"]);
        compare(&format!("{set}, {reference_name}: {ours}"), &measured.values(ours), &expected, tolerance);
    }
}

const LOGISTIC: (Classifier, &str) = (Classifier::Logistic, "logistic_regression");
const FOREST: (Classifier, &str) = (Classifier::Forest, "random_forest_200");
const PERCEPTRON: (Classifier, &str) = (Classifier::Perceptron, "mlp_512x512_20ep_lr1e-3");

#[test]
fn kang_thinned_to_a_tenth() {
    for which in [LOGISTIC, FOREST, PERCEPTRON] {
        check_simple(
            "kang_thin10",
            "data/folds/kang_thin10.h5ad",
            which,
            &[("f1", "f1"), ("auroc", "auroc")],
        );
    }
}

#[test]
fn five_types_of_blood_cells() {
    let metrics =
        [("macro_f1", "macro_f1"), ("auroc_ovr_macro", "auroc_ovr_macro"), ("accuracy", "accuracy")];
    for which in [LOGISTIC, FOREST] {
        check_simple("pbmc4k", "data/pbmc4k_annotated/pbmc4k_annotated.h5ad", which, &metrics);
    }
}

#[test]
fn five_lung_cancer_lines_by_three_splits() {
    let Some(folds) = crate::common::json("data/folds/lung5_folds.json") else { return };
    let reference = crate::common::json("data/folds/lung5_baseline.json").expect("beside the folds");
    let (names, class) = (strings(&folds["cell"]), indices(&folds["y"]));
    for (split, assignment) in folds["folds"].as_object().expect("folds") {
        let cells = "data/lung5_mixology/lung5_mixology.h5ad";
        let model = cross_validate(Classifier::Logistic, cells, &names, &class, 2, &indices(assignment));
        let measured = measure(&model, 2, 10).expect("scores");
        let expected = &reference["splits"][split]["logistic_regression"];
        let by_fold = |metric: &str| -> Vec<Option<f64>> {
            expected["folds"].as_array().expect("folds").iter().map(|f| f[metric].as_f64()).collect()
        };
        compare(&format!("lung5, {split}: f1"), &f1_by_fold(&model), &by_fold("f1"), MEAN);
        if expected["n_folds_auroc_defined"] != 0 {
            compare(&format!("lung5, {split}: auroc"), &measured.values("auroc"), &by_fold("auroc"), MEAN);
        } else {
            assert!(measured.values("auroc").iter().all(Option::is_none), "one class a fold");
        }
        if split == "leave one cell line out" {
            let auroc = measured.merged["auroc"].expect("defined");
            assert!((auroc - CONVERGED).abs() < 1e-3, "{auroc} instead of {CONVERGED}");
        }
        for metric in ["f1", "auroc", "mcc"] {
            let (f, e) = (
                measured.merged[metric].expect("defined"),
                expected["merged"][metric].as_f64().expect("number"),
            );
            println!("lung5, {split}: merged {metric} {f:.4} (reference {e:.4})");
            assert!((f - e).abs() <= MERGED, "{split}: merged {metric} {f} instead of {e}");
        }
    }
}
