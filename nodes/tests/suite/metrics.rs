//! Every case of the reference metrics (scikit-learn 1.9.1, SciPy 1.17.1), each expected key checked or refused.

use crate::common::golden::{assert_close, cases, number, numbers};
use celldag_nodes::evaluate::metrics::{
    Average, BinarySample, Confusion, PrecisionRecallF1, ProbabilityTable, TrivialBaselines, TwoLogit,
    ZeroDivision, auprc_trapezoid, auroc, average_precision, brier, calibration_bins,
    expected_calibration_error, log_loss, pr_points, roc_points,
};
use proptest::prelude::*;
use serde_json::{Value, json};

fn with_inf(values: &[f64]) -> Value {
    values.iter().map(|v| if v.is_infinite() { json!("inf") } else { json!(v) }).collect()
}

fn triple(p: PrecisionRecallF1) -> Value {
    json!({"f1": p.f1, "precision": p.precision, "recall": p.recall})
}

fn per_class(c: &Confusion, zero: ZeroDivision) -> Value {
    let all = c.per_class(zero);
    json!({
        "f1": all.iter().map(|x| x.scores.f1).collect::<Vec<_>>(),
        "precision": all.iter().map(|x| x.scores.precision).collect::<Vec<_>>(),
        "recall": all.iter().map(|x| x.scores.recall).collect::<Vec<_>>(),
        "support": all.iter().map(|x| x.support).collect::<Vec<_>>(),
    })
}

/// The value of an expected key of a binary case; `None` for a key that this test does not know.
fn binary_value(key: &str, sample: &BinarySample, c: &Confusion) -> Option<Value> {
    let both = [0, 1];
    let averages = |zero| {
        json!({
            "binary": triple(c.positive_class(zero)),
            "macro": triple(c.average(Average::Macro, &both, zero)),
            "weighted": triple(c.average(Average::Weighted, &both, zero)),
            "micro": triple(c.average(Average::Micro, &both, zero)),
            "per_class": per_class(c, zero),
        })
    };
    let one = c.positive_class(ZeroDivision::Zero);
    Some(match key {
        "confusion" => {
            json!({"tn": c.count(0, 0), "fp": c.count(0, 1), "fn": c.count(1, 0), "tp": c.count(1, 1)})
        }
        "accuracy" => json!(c.accuracy()),
        "balanced_accuracy" => json!(c.balanced_accuracy()),
        "specificity" => json!(c.specificity()),
        "npv" => json!(c.npv()),
        "mcc" => json!(c.mcc().unwrap_or(0.0)), // undefined here, 0 in scikit-learn
        "cohen_kappa" => json!(c.cohen_kappa()),
        "zero_division_0" => averages(ZeroDivision::Zero),
        "zero_division_1" => averages(ZeroDivision::One),
        "precision" => json!(one.precision),
        "recall" => json!(one.recall),
        "f1" => json!(one.f1),
        "f1_macro" => json!(c.average(Average::Macro, &both, ZeroDivision::Zero).f1),
        "auroc" => json!(auroc(sample)),
        "average_precision" => json!(average_precision(sample)),
        "auprc_trapezoid" => json!(auprc_trapezoid(sample)),
        "brier" => json!(brier(sample)),
        "log_loss" => json!(log_loss(sample)),
        "prevalence" => json!(sample.prevalence()),
        "trivial_baselines" => {
            let t = TrivialBaselines::new(sample.prevalence());
            json!({
                "all_positive": {"f1": t.all_positive_f1(), "accuracy": t.all_positive_accuracy(),
                    "precision": t.all_positive_accuracy(), "recall": t.all_positive_recall(), "auroc": 0.5},
                "all_negative": {"f1": 0.0, "accuracy": t.all_negative_accuracy(), "auroc": 0.5},
                "random_at_prevalence": {"expected_f1": t.random_f1(), "expected_accuracy": t.random_accuracy()},
            })
        }
        _ => return None,
    })
}

fn check_binary(case: &Value, sample: &BinarySample, c: &Confusion, tolerance: f64) {
    let id = case["id"].as_str().expect("id");
    for (key, expected) in case["expected"].as_object().expect("expected") {
        let found =
            binary_value(key, sample, c).unwrap_or_else(|| panic!("{id}: unknown expected key {key}"));
        assert_close(&format!("{id}.{key}"), &found, expected, tolerance);
    }
}

#[test]
fn classification_binary() {
    let Some(file) = crate::common::json("golden/metrics/classification_binary.json") else { return };
    let (list, tolerance) = cases(&file, "cases", 19);
    for case in list {
        let inputs = &case["inputs"];
        let sample =
            BinarySample::from_numbers(&numbers(&inputs["y_true"]), numbers(&inputs["y_score"]), None)
                .expect("valid");
        let threshold = number(&inputs["threshold"]);
        let predicted: Vec<f64> = sample.predict(threshold).iter().map(|&p| f64::from(u8::from(p))).collect();
        assert_eq!(predicted, numbers(&inputs["y_pred"]), "{}", case["id"]);
        check_binary(case, &sample, &Confusion::at_threshold(&sample, threshold), tolerance);
    }
    for case in cases(&file, "string_label_cases", 2).0 {
        let inputs = &case["inputs"];
        let truth: Vec<bool> =
            inputs["y_true"].as_array().expect("labels").iter().map(|l| l == "sensitive").collect();
        let mut sample = BinarySample::new(truth, numbers(&inputs["y_score"]), None).expect("valid");
        if inputs["positive"] == "resistant" {
            sample = sample.flipped();
        }
        let threshold = number(&inputs["threshold"]);
        check_binary(case, &sample, &Confusion::at_threshold(&sample, threshold), tolerance);
    }
    for case in cases(&file, "error_cases", 6).0 {
        let inputs = &case["inputs"];
        let refused =
            BinarySample::from_numbers(&numbers(&inputs["y_true"]), numbers(&inputs["y_score"]), None)
                .expect_err(case["id"].as_str().expect("id"));
        assert!(!refused.to_string().is_empty() && case["expected_error"].is_string());
    }
}

#[test]
fn classification_weighted() {
    let Some(file) = crate::common::json("golden/metrics/classification_weighted.json") else { return };
    let (list, tolerance) = cases(&file, "cases", 3);
    for case in list {
        let inputs = &case["inputs"];
        let weight = Some(numbers(&inputs["sample_weight"]));
        let sample =
            BinarySample::from_numbers(&numbers(&inputs["y_true"]), numbers(&inputs["y_score"]), weight)
                .expect("valid");
        let confusion = Confusion::at_threshold(&sample, number(&inputs["threshold"]));
        check_binary(case, &sample, &confusion, tolerance);
    }
}

#[test]
fn classification_multiclass() {
    let Some(file) = crate::common::json("golden/metrics/classification_multiclass.json") else { return };
    let (list, tolerance) = cases(&file, "cases", 6);
    let indices = |v: &Value| numbers(v).into_iter().map(|x| x as usize).collect::<Vec<_>>();
    for case in list {
        let (id, inputs) = (case["id"].as_str().expect("id"), &case["inputs"]);
        let classes = inputs["n_classes"].as_u64().expect("n") as usize;
        let (truth, predicted) = (indices(&inputs["y_true"]), indices(&inputs["y_pred"]));
        let c = Confusion::new(classes, &truth, &predicted, None).expect("valid");
        let table = inputs["y_prob"].as_array().map(|rows| {
            ProbabilityTable::new(classes, truth.clone(), rows.iter().flat_map(numbers).collect())
                .expect("valid")
        });
        if let Some(table) = &table {
            assert_eq!(table.argmax(), predicted, "{id}: argmax");
        }
        let table = || table.as_ref().expect("probabilities are given");
        let all: Vec<usize> = (0..classes).collect();
        let average = |how, labels: &[usize]| triple(c.average(how, labels, ZeroDivision::Zero));
        for (key, expected) in case["expected"].as_object().expect("expected") {
            let found = match key.as_str() {
                "confusion" => json!(c.rows()),
                "accuracy" => json!(c.accuracy()),
                "mcc" => json!(c.mcc().unwrap_or(0.0)), // undefined here, 0 in scikit-learn
                "cohen_kappa" => json!(c.cohen_kappa()),
                "balanced_accuracy" => json!(c.balanced_accuracy()),
                "macro_labels_all" => average(Average::Macro, &all),
                "macro_labels_seen" => average(Average::Macro, &c.seen()),
                "weighted_labels_all" => average(Average::Weighted, &all),
                "weighted_labels_seen" => average(Average::Weighted, &c.seen()),
                "micro_labels_all" => average(Average::Micro, &all),
                "micro_labels_seen" => average(Average::Micro, &c.seen()),
                "per_class" => per_class(&c, ZeroDivision::Zero),
                "auroc_ovr_macro" => json!(table().auroc_ovr(false)),
                "auroc_ovr_weighted" => json!(table().auroc_ovr(true)),
                "auroc_ovo_macro" => json!(table().auroc_ovo()),
                "log_loss" => json!(table().log_loss()),
                "top2_accuracy" => json!(table().top_k_accuracy(2)),
                _ => panic!("{id}: unknown expected key {key}"),
            };
            assert_close(&format!("{id}.{key}"), &found, expected, tolerance);
        }
        if case["id"] == "class_absent_in_truth" {
            assert_eq!(
                (table().auroc_ovr(false), table().auroc_ovo()),
                (None, None),
                "undefined, not a number"
            );
        }
    }
}

#[test]
fn curves() {
    let Some(file) = crate::common::json("golden/metrics/curves.json") else { return };
    let (list, tolerance) = cases(&file, "cases", 7);
    for case in list {
        let (id, inputs) = (case["id"].as_str().expect("id"), &case["inputs"]);
        let sample =
            BinarySample::from_numbers(&numbers(&inputs["y_true"]), numbers(&inputs["y_score"]), None)
                .expect("valid");
        let roc = |drop| {
            let r = roc_points(&sample, drop).expect("both classes");
            json!({"fpr": r.fpr, "tpr": r.tpr, "thresholds": with_inf(&r.thresholds), "auc": r.area()})
        };
        let pr = |drop| {
            let p = pr_points(&sample, drop).expect("positives");
            json!({"precision": p.precision, "recall": p.recall, "thresholds": p.thresholds, "auc_trapezoid": p.area()})
        };
        for (key, expected) in case["expected"].as_object().expect("expected") {
            let found = match key.as_str() {
                "roc" => roc(true),
                "roc_all_points" => roc(false),
                "pr" => pr(false),
                "pr_drop_intermediate" => pr(true),
                "average_precision" => json!(average_precision(&sample)),
                "calibration_uniform_10" => {
                    let bins = calibration_bins(&sample, 10).expect("probabilities");
                    json!({
                        "prob_true": bins.iter().map(|b| b.observed).collect::<Vec<_>>(),
                        "prob_pred": bins.iter().map(|b| b.predicted).collect::<Vec<_>>(),
                        "ece": expected_calibration_error(&bins),
                    })
                }
                _ => panic!("{id}: unknown expected key {key}"),
            };
            assert_close(&format!("{id}.{key}"), &found, expected, tolerance);
        }
    }
}

#[test]
fn scdrugmap_convention() {
    let Some(file) = crate::common::json("golden/metrics/scdrugmap_convention.json") else { return };
    let (list, tolerance) = cases(&file, "cases", 4);
    for case in list {
        let (id, inputs) = (case["id"].as_str().expect("id"), &case["inputs"]);
        let logits = inputs["logits"].as_array().expect("rows").iter().map(numbers).map(|r| [r[0], r[1]]);
        let truth = numbers(&inputs["y_true"]).into_iter().map(|y| y == 1.0).collect();
        let r = TwoLogit::new(logits.collect(), truth).and_then(|t| t.report()).expect("valid");
        for (key, expected) in case["expected"].as_object().expect("expected") {
            let found = match key.as_str() {
                "loss_bce_with_logits_mean_over_Nx2" => json!(r.bce),
                "loss_softmax_cross_entropy" => json!(r.cross_entropy),
                "y_pred_argmax" => r.prediction.iter().map(|&p| json!(u8::from(p))).collect(),
                "accuracy" => json!(r.accuracy),
                "f1" => json!(r.f1),
                "precision_zero_division_1" => json!(r.precision),
                "recall_zero_division_1" => json!(r.recall),
                "auroc_on_logit1_only" => json!(r.auroc_on_positive_logit),
                "auroc_on_logit_difference" => json!(r.auroc_on_logit_difference),
                _ => panic!("{id}: unknown expected key {key}"),
            };
            assert_close(&format!("{id}.{key}"), &found, expected, tolerance);
        }
    }
}

/// Truth with scores on a coarse grid, so that ties are common.
fn cells() -> impl Strategy<Value = Vec<(bool, f64, f64)>> {
    prop::collection::vec((any::<bool>(), (0..12_i32).prop_map(|s| f64::from(s) / 11.0), 0.1..3.0_f64), 1..60)
}

fn sample_of(cells: &[(bool, f64, f64)], weighted: bool) -> BinarySample {
    let weight = weighted.then(|| cells.iter().map(|c| c.2).collect());
    BinarySample::new(cells.iter().map(|c| c.0).collect(), cells.iter().map(|c| c.1).collect(), weight)
        .expect("valid")
}

proptest! {
    #[test]
    fn auroc_is_the_chance_of_ranking_a_pair_right(cells in cells(), weighted: bool) {
        let w = |c: &(bool, f64, f64)| if weighted { c.2 } else { 1.0 };
        let (mut right, mut pairs) = (0.0, 0.0);
        for p in cells.iter().filter(|c| c.0) {
            for n in cells.iter().filter(|c| !c.0) {
                pairs += w(p) * w(n);
                right += w(p) * w(n) * if p.1 > n.1 { 1.0 } else if p.1 == n.1 { 0.5 } else { 0.0 };
            }
        }
        match auroc(&sample_of(&cells, weighted)) {
            None => prop_assert_eq!(pairs, 0.0),
            Some(a) => prop_assert!((a - right / pairs).abs() < 1e-12),
        }
    }

    #[test]
    fn metrics_do_not_depend_on_the_order_of_cells(cells in cells(), seed in any::<u64>()) {
        let mut other = cells.clone();
        // A fixed permutation from the seed: sort by a hash of the position.
        let mut keys: Vec<(u64, usize)> =
            (0..cells.len()).map(|i| ((i as u64 + 1).wrapping_mul(seed | 1).rotate_left(29), i)).collect();
        keys.sort_unstable();
        for (to, (_, from)) in keys.into_iter().enumerate() {
            other[to] = cells[from];
        }
        let all = |c: &[(bool, f64, f64)]| {
            let s = sample_of(c, false);
            (auroc(&s), average_precision(&s).to_bits(), Confusion::at_threshold(&s, 0.5), roc_points(&s, true))
        };
        prop_assert_eq!(all(&cells), all(&other));
    }

    #[test]
    fn flipping_the_positive_class_mirrors_the_ranking(cells in cells()) {
        let s = sample_of(&cells, true);
        match (auroc(&s), auroc(&s.flipped())) {
            (Some(a), Some(b)) => prop_assert!((a - b).abs() < 1e-9),
            (a, b) => prop_assert_eq!(a, b),
        }
    }
}

/// Reference files by the test target that checks them.
const CHECKED: [&str; 10] = [
    "classification_binary.json",
    "classification_multiclass.json",
    "classification_weighted.json",
    "clustering_agreement.json",
    "curves.json",
    "embedding.json",
    "real_published_predictions.json",
    "regression.json",
    "scdrugmap_convention.json",
    "statistics.json",
];
/// Reference files of measures that no kind reports: predicted expression after a perturbation, and trees of cell types.
const NOT_MEASURED: [&str; 2] = ["ontology_and_roughness.json", "perturbation.json"];

#[test]
fn every_reference_file_is_checked_somewhere() {
    let Some(folder) = crate::common::fixtures().map(|f| f.join("golden/metrics")) else { return };
    let mut found: Vec<String> = fs_err::read_dir(folder)
        .expect("folder")
        .map(|entry| entry.expect("entry").file_name().to_string_lossy().into_owned())
        .filter(|name| name.ends_with(".json"))
        .collect();
    found.sort();
    let mut known: Vec<&str> = CHECKED.iter().chain(&NOT_MEASURED).copied().collect();
    known.sort_unstable();
    assert_eq!(found, known);
}
