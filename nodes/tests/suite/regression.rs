//! Every case of the reference regression metrics (scikit-learn 1.9.1, SciPy 1.17.1), and predictions that were published.

use std::collections::BTreeMap;

use crate::common::golden::{assert_close, cases, number, numbers};
use celldag_data::{Column, Csr, Dtype, H5adWriter, Table, WriteOptions};
use celldag_engine::alone::run_alone;
use celldag_nodes::evaluate::metrics::{
    BinarySample, RegressionSample, Spread, auroc, average_precision, discrimination, kendall_tau_b, pearson,
    perturbation_scores, spearman,
};
use celldag_nodes::evaluate::perturbation::EvaluatePerturbation;
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
    let Some(file) = crate::common::json("golden/metrics/regression.json") else { return };
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
    let Some(file) = crate::common::json("golden/metrics/regression.json") else { return };
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
    let Some(file) = crate::common::json("golden/metrics/real_published_predictions.json") else { return };
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

#[test]
fn profiles_after_a_perturbation() {
    let Some(file) = crate::common::json("golden/metrics/perturbation.json") else { return };
    let (cases, tolerance) = cases(&file, "cases", 10);
    let mut seen = 0;
    for case in cases {
        let (id, inputs, expected) = (&case["id"], &case["inputs"], &case["expected"]);
        match case["kind"].as_str() {
            Some("single_condition") => {
                let [control, measured, predicted] =
                    ["control_mean", "treated_mean", "predicted"].map(|name| numbers(&inputs[name]));
                let order: Vec<usize> = numbers(&inputs["de_order"]).iter().map(|&g| g as usize).collect();
                for (name, expected) in expected.as_object().expect("expected") {
                    let genes = match name.strip_prefix("top") {
                        Some(top) => order[..top.parse().expect("number")].to_vec(),
                        None => (0..control.len()).collect(),
                    };
                    let s = perturbation_scores(&control, &measured, &predicted, &genes).expect("finite");
                    let found = json!({
                        "r2": s.r2,
                        "r2_clipped_at_0": s.r2.map(|r2| r2.max(0.0)),
                        "mse": s.mse,
                        "mae": s.mae,
                        "pearson": s.pearson,
                        "pearson_delta": s.pearson_delta,
                        "r2_delta": s.r2_delta,
                        "frac_opposite_direction": s.opposite_direction,
                        "mse_ratio_to_no_change": s.mse_ratio_to_no_change,
                        // Needs the cells, not their mean.
                        "frac_within_one_sd_of_cells": expected["frac_within_one_sd_of_cells"],
                    });
                    for (key, expected) in expected.as_object().expect("figures") {
                        assert_close(&format!("{id} {name} {key}"), &found[key], expected, tolerance);
                    }
                    seen += 1;
                }
            }
            Some("condition_set") => {
                let control = numbers(&inputs["control_mean"]);
                let profiles = |name: &str| -> Vec<Vec<f64>> {
                    inputs[name].as_array().expect("conditions").iter().map(numbers).collect()
                };
                let effects = |name: &str| -> Vec<Vec<f64>> {
                    let less = |p: Vec<f64>| p.iter().zip(&control).map(|(p, c)| p - c).collect();
                    profiles(name).into_iter().map(less).collect()
                };
                let found = discrimination(&effects("real"), &effects("predicted"));
                let reference = &expected["discrimination"]["l2"]["per_condition"];
                assert_close(&format!("{id} discrimination"), &json!(found), reference, tolerance);
                let all: Vec<usize> = (0..control.len()).collect();
                let pairs = profiles("real").into_iter().zip(profiles("predicted"));
                let r2: Vec<f64> = pairs
                    .map(|(real, predicted)| {
                        let scores = perturbation_scores(&control, &real, &predicted, &all).expect("finite");
                        scores.r2.expect("varies")
                    })
                    .collect();
                assert_close(&format!("{id} r2"), &json!(r2), &expected["r2_per_condition"], tolerance);
                seen += 1;
            }
            _ => {}
        }
    }
    assert_eq!(seen, 5 * 4 + 3);
}

/// Effects that add up over perturbations and lines: the additive baseline finds them, and a model that says the same for
/// every perturbation is called out.
#[test]
fn a_model_that_says_the_same_for_every_perturbation_is_called_out() {
    let temporary = tempfile::tempdir().expect("folder");
    let root = temporary.path();
    let effect = |p: usize, l: usize, g: usize| {
        ((p * 7 + g) as f64 * 0.9).sin() + 0.3 * ((l * 5 + g) as f64 * 1.7).cos()
    };
    let control = |l: usize, g: usize| 2.0 + ((l + g) as f64 * 0.4).sin();
    let write = |name: &str, rows: &[(usize, usize)], value: &dyn Fn(usize, usize, usize) -> f64| {
        let path = root.join(name);
        let mut obs = Table::new((0..rows.len()).map(|i| format!("r{i}")).collect());
        let text =
            |of: &dyn Fn(&(usize, usize)) -> String| Column::Text(rows.iter().map(|r| Some(of(r))).collect());
        obs.insert("drug", text(&|r| if r.0 == 0 { "control".to_owned() } else { format!("p{}", r.0) }))
            .expect("rows");
        obs.insert("line", text(&|r| format!("l{}", r.1))).expect("rows");
        let genes = Table::new((0..30).map(|g| format!("g{g}")).collect());
        let mut writer = H5adWriter::create(&path, &obs, &genes, &WriteOptions::default()).expect("file");
        writer.begin_matrix("X", Dtype::F64).expect("matrix");
        let values: Vec<f32> = rows
            .iter()
            .flat_map(|&(p, l)| (0..30).map(move |g| (p, l, g)))
            .map(|(p, l, g)| value(p, l, g) as f32)
            .collect();
        writer.append(&Csr::from_dense(30, &values)).expect("rows");
        writer.finish().expect("finish");
        path
    };
    let real = |p: usize, l: usize, g: usize| control(l, g) + if p == 0 { 0.0 } else { effect(p, l, g) };
    let all: Vec<(usize, usize)> = (0..6).flat_map(|p| (0..3).map(move |l| (p, l))).collect();
    let held: Vec<(usize, usize)> = (1..6).map(|p| (p, p % 3)).collect();
    let truth = write("truth.h5ad", &all, &real);
    let deaf = write("deaf.h5ad", &held, &|_, l, g| control(l, g) + effect(1, 0, g));
    let right = write("right.h5ad", &held, &real);
    let folder = root.join("out");
    fs_err::create_dir_all(&folder).expect("folder");
    let inputs = [
        ("predictions", "deaf", deaf.as_path()),
        ("predictions", "right", right.as_path()),
        ("truth", "", truth.as_path()),
    ];
    let params = json!({"line": "line"});
    let run = |params: Value, inputs: &[(&str, &str, &std::path::Path)]| {
        run_alone(&EvaluatePerturbation, params.as_object().expect("object").clone(), inputs, &folder, "cpu")
    };
    let (summary, outputs) = run(params, &inputs).expect("report");
    let report: Value =
        serde_json::from_str(&fs_err::read_to_string(&outputs["report"]).expect("report")).expect("json");
    let of = |model: &str, metric: &str| report["metrics"][model]["merged"][metric].as_f64();
    assert!(of("right", "pearson_delta").expect("defined") > 0.999);
    assert_eq!(of("right", "discrimination"), Some(1.0));
    assert!(of("deaf", "discrimination").expect("defined") < 0.9);
    assert!(of("additive perturbation + line", "pearson_delta").expect("defined") > 0.9);
    assert_eq!(
        of("no change (control mean)", "pearson_delta"),
        None,
        "an effect of zero correlates with nothing"
    );
    assert_eq!(of("deaf", "n"), Some(5.0));
    assert!(
        summary.warnings.iter().any(|w| w.starts_with("deaf is not better than the baseline")),
        "{:?}",
        summary.warnings
    );
    assert!(summary.warnings.iter().all(|w| !w.starts_with("right")), "{:?}", summary.warnings);
    let refused = run(json!({"line": "line", "control": "dmso"}), &inputs).expect_err("no such control");
    assert!(refused.message.contains("no measured control `dmso`"), "{}", refused.message);

    // A condition in two files of a model would count twice.
    let twice =
        [("predictions", "fold=0", right.as_path()), ("predictions", "fold=1", right.as_path()), inputs[2]];
    let refused = run(json!({"line": "line"}), &twice).expect_err("each condition twice");
    assert!(refused.message.contains("predict the condition p1, l1, which would count twice"), "{refused}");

    // Conditions that one model lacks are left out of all, and those without a control are named.
    let less = write("less.h5ad", &held[1..], &real);
    let more: Vec<(usize, usize)> = all.iter().copied().chain([(1, 9)]).collect();
    let truth = write("more.h5ad", &more, &real);
    let inputs = [inputs[0], ("predictions", "less", less.as_path()), ("truth", "", truth.as_path())];
    let (summary, outputs) = run(json!({"line": "line"}), &inputs).expect("report");
    let report: Value =
        serde_json::from_str(&fs_err::read_to_string(&outputs["report"]).expect("report")).expect("json");
    for name in ["deaf", "less", "mean effect"] {
        assert_eq!(report["metrics"][name]["merged"]["n"], json!(4.0), "{name}");
    }
    let warned = |what: &str| summary.warnings.iter().any(|w| w.contains(what));
    assert!(warned("over the same (1): p1, l1"), "{:?}", summary.warnings);
    assert!(
        warned("1 measured conditions have no control “control” of their line and train no baseline: p1, l9"),
        "{:?}",
        summary.warnings
    );
}
