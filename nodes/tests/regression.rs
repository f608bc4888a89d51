//! Every case of the reference regression metrics (scikit-learn 1.9.1, SciPy 1.17.1), and predictions that were published.

mod common;

use std::collections::BTreeMap;

use celldag_nodes::evaluate::metrics::{
    BinarySample, RegressionSample, Spread, auroc, average_precision, kendall_tau_b, pearson, spearman,
};
use common::golden::{assert_close, cases, number, numbers};
use serde_json::{Value, json};

/// The value of an expected key; `None` for a key that this test does not know.
fn value(key: &str, sample: &RegressionSample) -> Option<Value> {
    Some(match key {
        "n" => json!(sample.len()),
        "mse" => json!(sample.mse()),
        "rmse" => json!(sample.rmse()),
        "mae" => json!(sample.mae()),
        "max_error" => json!(sample.max_error()),
        "median_absolute_error" => json!(sample.median_absolute_error()),
        "r2" => json!(sample.r2()),
        "explained_variance" => json!(sample.explained_variance()),
        "pearson" => json!(pearson(sample).map(|c| c.r)),
        "pearson_p" => json!(pearson(sample).and_then(|c| c.p)),
        "spearman" => json!(spearman(sample).map(|c| c.r)),
        "spearman_p" => json!(spearman(sample).and_then(|c| c.p)),
        "kendall_tau_b" => json!(kendall_tau_b(sample)),
        "concordance_ccc" => json!(sample.concordance()),
        "mre_seed003" => json!(sample.mre_as_printed()),
        "mean_abs_relative_error" => json!(sample.mean_absolute_relative_error()),
        _ => return None,
    })
}

fn check(id: &str, expected: &Value, sample: &RegressionSample, tolerance: f64) {
    for (key, expected) in expected.as_object().expect("expected") {
        let found = value(key, sample).unwrap_or_else(|| panic!("{id}: unknown expected key {key}"));
        assert_close(&format!("{id}.{key}"), &found, expected, tolerance);
    }
}

fn sample(inputs: &Value) -> RegressionSample {
    RegressionSample::new(numbers(&inputs["y_true"]), numbers(&inputs["y_pred"])).expect("valid")
}

#[test]
fn regression() {
    let Some(file) = common::json("golden/metrics/regression.json") else { return };
    let (list, tolerance) = cases(&file, "cases", 13);
    for case in list {
        check(case["id"].as_str().expect("id"), &case["expected"], &sample(&case["inputs"]), tolerance);
    }
    for case in cases(&file, "error_cases", 3).0 {
        let inputs = &case["inputs"];
        let refused = RegressionSample::new(numbers(&inputs["y_true"]), numbers(&inputs["y_pred"]))
            .expect_err(case["id"].as_str().expect("id"));
        assert!(!refused.to_string().is_empty() && case["expected_error"].is_string());
    }
}

#[test]
fn regression_by_group() {
    let Some(file) = common::json("golden/metrics/regression.json") else { return };
    let (list, tolerance) = cases(&file, "grouped_cases", 1);
    for case in list {
        let (id, inputs) = (case["id"].as_str().expect("id"), &case["inputs"]);
        let (truth, prediction) = (numbers(&inputs["y_true"]), numbers(&inputs["y_pred"]));
        let mut members: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, group) in inputs["group"].as_array().expect("groups").iter().enumerate() {
            members.entry(group.to_string()).or_default().push(i);
        }
        let of = |cells: &[usize]| {
            let pick = |v: &[f64]| cells.iter().map(|&i| v[i]).collect();
            RegressionSample::new(pick(&truth), pick(&prediction)).expect("valid")
        };
        let per_group: BTreeMap<&String, RegressionSample> =
            members.iter().map(|(g, c)| (g, of(c))).collect();
        for (key, expected) in case["expected"].as_object().expect("expected") {
            match key.as_str() {
                "overall" => check(&format!("{id}.overall"), expected, &sample(inputs), tolerance),
                "per_group" => {
                    let expected = expected.as_object().expect("groups");
                    assert_eq!(expected.len(), per_group.len());
                    for (group, expected) in expected {
                        check(&format!("{id}.{group}"), expected, &per_group[group], tolerance);
                    }
                }
                other => {
                    let found = over_groups(other, per_group.values())
                        .unwrap_or_else(|| panic!("{id}: unknown expected key {other}"));
                    assert_close(&format!("{id}.{other}"), &found, expected, tolerance);
                }
            }
        }
    }
}

/// Means over groups, of the groups where the metric is defined.
fn over_groups<'a>(key: &str, groups: impl Iterator<Item = &'a RegressionSample>) -> Option<Value> {
    let groups: Vec<&RegressionSample> = groups.collect();
    let spread = |metric: &str| {
        let values: Vec<f64> = groups.iter().filter_map(|g| value(metric, g)?.as_f64()).collect();
        Spread::of(&values)
    };
    Some(match key {
        "mean_pearson" => json!(spread("pearson")?.mean),
        "sd_pearson_ddof1" => json!(spread("pearson")?.sd),
        "mean_rmse" => json!(spread("rmse")?.mean),
        "n_groups_defined" => json!(spread("pearson")?.n),
        "n_groups_undefined" => json!(groups.len() - spread("pearson")?.n),
        _ => return None,
    })
}

#[test]
fn published_predictions_give_the_published_figures() {
    let Some(file) = common::json("golden/metrics/real_published_predictions.json") else { return };
    let (list, tolerance) = cases(&file, "cases", 5);
    for case in list {
        let (id, inputs) = (case["id"].as_str().expect("id"), &case["inputs"]);
        if inputs["y_pred"].is_array() {
            check(id, &case["expected"], &sample(inputs), tolerance);
            continue;
        }
        let of = |fold: Option<f64>| {
            let folds = numbers(&inputs["fold"]);
            let keep = |v: &Value| -> Vec<f64> {
                let all = numbers(v).into_iter().zip(&folds);
                all.filter(|(_, f)| fold.is_none_or(|wanted| **f == wanted)).map(|(v, _)| v).collect()
            };
            BinarySample::from_numbers(&keep(&inputs["y_true"]), keep(&inputs["y_score"]), None)
                .expect("valid")
        };
        let mut folds: Vec<f64> = inputs["fold"].as_array().expect("folds").iter().map(number).collect();
        folds.sort_by(f64::total_cmp);
        folds.dedup();
        let each = |metric: &dyn Fn(&BinarySample) -> f64| -> Vec<f64> {
            folds.iter().map(|&f| metric(&of(Some(f)))).collect()
        };
        let areas = each(&|s| auroc(s).expect("both classes"));
        let precisions = each(&average_precision);
        let spread = |v: &[f64]| Spread::of(v).expect("folds");
        for (key, expected) in case["expected"].as_object().expect("expected") {
            let found = match key.as_str() {
                "auroc_pooled" => json!(auroc(&of(None))),
                "auroc_per_fold" => json!(areas),
                "auroc_mean_of_folds" => json!(spread(&areas).mean),
                "auroc_sd_ddof0" => json!(spread(&areas).sd_population),
                "ap_pooled" => json!(average_precision(&of(None))),
                "ap_mean_of_folds" => json!(spread(&precisions).mean),
                _ => panic!("{id}: unknown expected key {key}"),
            };
            assert_close(&format!("{id}.{key}"), &found, expected, tolerance);
        }
    }
}
