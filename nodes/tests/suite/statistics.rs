//! Every case of the reference statistics (SciPy 1.17.1): spread, box plots, tests of means, corrections.

use crate::common::golden::{assert_close, cases, number, numbers};
use celldag_nodes::evaluate::metrics::{
    BoxPlot, Spread, benjamini_hochberg, bonferroni, holm, nadeau_bengio, paired_t, t_two_sided, welch_t,
    wilcoxon_signed_rank,
};
use serde_json::{Value, json};

#[test]
fn statistics() {
    let Some(file) = crate::common::json("golden/metrics/statistics.json") else { return };
    let (list, tolerance) = cases(&file, "cases", 13);
    for case in list {
        let (id, inputs) = (case["id"].as_str().expect("id"), &case["inputs"]);
        for (key, expected) in case["expected"].as_object().expect("expected") {
            let found = match case["kind"].as_str().expect("kind") {
                "summary" => summary_value(key, &numbers(&inputs["x"])),
                "paired" => paired_value(key, &numbers(&inputs["a"]), &numbers(&inputs["b"]), expected),
                "multiple_testing" => match key.as_str() {
                    "bh" => Some(json!(benjamini_hochberg(&numbers(&inputs["p"])))),
                    "bonferroni" => Some(json!(bonferroni(&numbers(&inputs["p"])))),
                    "holm" => Some(json!(holm(&numbers(&inputs["p"])))),
                    _ => None,
                },
                "t_to_p" => (key == "p_two_sided").then(|| {
                    let df = number(&inputs["df"]);
                    numbers(&inputs["t"]).into_iter().map(|t| json!(t_two_sided(t, df))).collect()
                }),
                kind => panic!("{id}: unknown kind {kind}"),
            };
            let found = found.unwrap_or_else(|| panic!("{id}: unknown expected key {key}"));
            assert_close(&format!("{id}.{key}"), &found, expected, tolerance);
        }
    }
}

fn summary_value(key: &str, x: &[f64]) -> Option<Value> {
    let s = Spread::of(x)?;
    Some(match key {
        "n" => json!(s.n),
        "mean" => json!(s.mean),
        "sd_ddof1" => json!(s.sd),
        "sd_ddof0" => json!(s.sd_population),
        "se" => json!(s.se),
        "median" => json!(s.median),
        "q25" => json!(s.q25),
        "q75" => json!(s.q75),
        "min" => json!(s.min),
        "max" => json!(s.max),
        "ci95_t" => json!(s.ci95),
        "boxplot" => {
            let b = BoxPlot::of(x)?;
            json!({"q1": s.q25, "median": s.median, "q3": s.q75, "whisker_low": b.whisker_low,
                "whisker_high": b.whisker_high, "outliers": b.outliers})
        }
        _ => return None,
    })
}

fn paired_value(key: &str, a: &[f64], b: &[f64], expected: &Value) -> Option<Value> {
    let t = paired_t(a, b);
    let d: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    let spread = Spread::of(&d)?;
    Some(match key {
        "t" => json!(t.map(|t| t.t)),
        "p_two_sided" => json!(t.map(|t| t.p_two_sided)),
        "p_greater" => json!(t.map(|t| t.p_greater)),
        "df" => json!(t.map(|t| t.df)),
        "mean_difference" => json!(spread.mean),
        "cohen_dz" => json!(spread.mean / spread.sd?),
        "wilcoxon" => wilcoxon_signed_rank(a, b).map(|(s, p)| json!({"p": p, "statistic": s}))?,
        "nadeau_bengio_k_fold" => {
            let t = nadeau_bengio(a, b, 1.0 / (a.len() - 1) as f64)?;
            json!({"note": expected["note"], "t": t.t, "p_two_sided": t.p_two_sided})
        }
        "welch" => welch_t(a, b).map(|t| json!({"t": t.t, "p": t.p_two_sided}))?,
        "note" => expected.clone(),
        _ => return None,
    })
}
