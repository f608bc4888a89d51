//! Every case of the reference figures of embeddings (scikit-learn, scib-metrics, networkx) and of groupings.

use crate::common::golden::{assert_close, cases, number, numbers};
use celldag_nodes::evaluate::embedding::{
    Distance, Grouping, Neighbours, Others, Points, asw_batch, calinski_harabasz, clisi, davies_bouldin,
    ilisi, isolated_labels, kmeans, lisi, median, silhouette, variance_by_batch,
};
use celldag_nodes::evaluate::metrics::{Contingency, NmiMean};
use serde_json::{Value, json};

/// Keys that compare the reference with another reference, or belong to a measure that no kind reports.
const NOT_OURS: [&str; 3] = [
    "max_abs_diff_to_scib_metrics_f32",
    "n_cells_where_scib_metrics_f32_differs_by_more_than_1e_3",
    "trustworthiness_first2_vs_all_k10",
];

fn names(value: &Value) -> Vec<String> {
    value.as_array().expect("array").iter().map(|v| format!("{:04}", v.as_u64().expect("index"))).collect()
}

fn points(value: &Value) -> Points {
    let rows = value.as_array().expect("rows");
    Points::new(numbers(&rows[0]).len(), rows.iter().flat_map(numbers).collect()).expect("points")
}

struct Case<'a> {
    points: Points,
    labels: Grouping,
    batches: Grouping,
    around: Neighbours,
    expected: &'a Value,
}

impl Case<'_> {
    fn silhouettes(&self, distance: Distance) -> Vec<f64> {
        silhouette(&self.points, &self.labels, distance, Others::Nearest).expect("two labels")
    }

    fn silhouette_label(&self) -> Value {
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let samples = self.silhouettes(Distance::Euclidean);
        let per_label: serde_json::Map<String, Value> = self
            .labels
            .members()
            .iter()
            .zip(&self.labels.names)
            .map(|(members, name)| {
                let values: Vec<f64> = members.iter().map(|&c| samples[c]).collect();
                (name.parse::<u64>().expect("number").to_string(), json!(mean(&values)))
            })
            .collect();
        json!({"mean": mean(&samples), "rescaled_0_1": (mean(&samples) + 1.0) / 2.0, "samples": samples,
            "per_label": per_label, "cosine_mean": mean(&self.silhouettes(Distance::Cosine))})
    }

    fn kbet(&self, expected: &Value) -> Value {
        let cells = self.around.kbet(&self.batches).expect("two batches");
        let accepted = cells.iter().filter(|(_, p)| *p >= 0.05).count() as f64 / cells.len() as f64;
        json!({"note": expected["note"], "acceptance_rate": accepted, "acceptance_rate_scib_metrics_f32": accepted,
            "statistic": cells.iter().map(|c| c.0).collect::<Vec<_>>(), "p": cells.iter().map(|c| c.1).collect::<Vec<_>>()})
    }

    fn lisi(&self, key: &str) -> Value {
        let (batch, label) = (lisi(&self.around, &self.batches), lisi(&self.around, &self.labels));
        match key {
            "perplexity" => json!(self.around.k / 3),
            "lisi_batch" => json!(batch),
            "lisi_label" => json!(label),
            "ilisi_median" => json!(median(&batch)),
            "clisi_median" => json!(median(&label)),
            "ilisi_scaled" => json!(ilisi(&batch, self.batches.count())),
            "clisi_scaled" => json!(clisi(&label, self.labels.count())),
            _ => panic!("unknown expected key lisi.{key}"),
        }
    }

    fn value(&self, key: &str) -> Option<Value> {
        let asw =
            |distance, others| json!(asw_batch(&self.points, &self.labels, &self.batches, distance, others));
        Some(match key {
            "silhouette_label" => self.silhouette_label(),
            "calinski_harabasz" => json!(calinski_harabasz(&self.points, &self.labels)),
            "davies_bouldin" => json!(davies_bouldin(&self.points, &self.labels)),
            "silhouette_batch_raw_mean" => {
                let all =
                    silhouette(&self.points, &self.batches, Distance::Euclidean, Others::Nearest).ok()?;
                json!(all.iter().sum::<f64>() / all.len() as f64)
            }
            "asw_batch_scib" | "asw_batch_scib_metrics_f32" => asw(Distance::Euclidean, Others::Nearest),
            "bras_cosine_scib_metrics_f32" => asw(Distance::Cosine, Others::All),
            "isolated_labels_scib_metrics_f32" => {
                json!(isolated_labels(&self.silhouettes(Distance::Euclidean), &self.labels, &self.batches))
            }
            "pcr_batch" => json!(variance_by_batch(&self.points, &self.batches)),
            "kbet" => self.kbet(&self.expected["kbet"]),
            "graph_connectivity_strong" | "graph_connectivity_scib_metrics" => {
                json!(self.around.connectivity(&self.labels))
            }
            _ => return None,
        })
    }
}

#[test]
fn embeddings() {
    let Some(file) = crate::common::json("golden/metrics/embedding.json") else { return };
    let cases = file["cases"].as_array().expect("cases");
    assert!(cases.len() >= 9);
    let exact = number(&file["tolerance"]["default"]);
    let single = number(&file["tolerance"]["names_ending_f32"]);
    for case in cases {
        let (id, inputs) = (case["id"].as_str().expect("id"), &case["inputs"]);
        let points = points(&inputs["X"]);
        let around = Neighbours::exact(&points, inputs["knn_k"].as_u64().expect("k") as usize);
        assert_close(&format!("{id}: neighbours"), &json!(around.index), &inputs["knn_indices"], 0.0);
        assert_close(&format!("{id}: distances"), &json!(around.distance), &inputs["knn_distances"], 1e-9);
        let case = Case {
            labels: Grouping::new(&names(&inputs["label"])),
            batches: Grouping::new(&names(&inputs["batch"])),
            points,
            around,
            expected: &case["expected"],
        };
        for (key, expected) in case.expected.as_object().expect("expected") {
            if NOT_OURS.contains(&key.as_str()) {
                continue;
            }
            if key == "lisi" {
                for (key, expected) in expected.as_object().expect("lisi") {
                    if !NOT_OURS.contains(&key.as_str()) {
                        assert_close(&format!("{id}.lisi.{key}"), &case.lisi(key), expected, exact);
                    }
                }
                continue;
            }
            let found = case.value(key).unwrap_or_else(|| panic!("{id}: unknown expected key {key}"));
            let tolerance = if key.ends_with("f32") { single } else { exact };
            assert_close(&format!("{id}.{key}"), &found, expected, tolerance);
        }
        if id == "one_batch" {
            assert_eq!(variance_by_batch(&case.points, &case.batches), None, "undefined, not 0");
            assert_eq!(case.around.kbet(&case.batches), None);
        }
    }
    for case in file["error_cases"].as_array().expect("errors") {
        let (id, inputs) = (case["id"].as_str().expect("id"), &case["inputs"]);
        let rows = inputs["X"].as_array().expect("rows");
        let refused = Points::new(2, rows.iter().flat_map(numbers).collect()).and_then(|points| {
            silhouette(
                &points,
                &Grouping::new(&names(&inputs["label"])),
                Distance::Euclidean,
                Others::Nearest,
            )
        });
        assert!(!refused.expect_err(id).to_string().is_empty() && case["expected_error"].is_string());
    }
}

#[test]
fn groupings() {
    let Some(file) = crate::common::json("golden/metrics/clustering_agreement.json") else { return };
    let (list, tolerance) = cases(&file, "cases", 10);
    for case in list {
        let (id, inputs) = (case["id"].as_str().expect("id"), &case["inputs"]);
        let groups = |v: &Value| numbers(v).into_iter().map(|x| x as i64).collect::<Vec<_>>();
        let table = Contingency::new(&groups(&inputs["labels_true"]), &groups(&inputs["labels_pred"]))
            .expect("cells");
        for (key, expected) in case["expected"].as_object().expect("expected") {
            let found = match key.as_str() {
                "ari" => json!(table.ari()),
                "rand" => json!(table.rand()),
                "nmi_arithmetic" => json!(table.nmi(NmiMean::Arithmetic)),
                "nmi_geometric" => json!(table.nmi(NmiMean::Geometric)),
                "nmi_max" => json!(table.nmi(NmiMean::Max)),
                "ami" => json!(table.ami()),
                "mutual_info_nats" => json!(table.mutual_information()),
                "homogeneity" => json!(table.homogeneity()),
                "completeness" => json!(table.completeness()),
                "v_measure" => json!(table.v_measure()),
                "fowlkes_mallows" => json!(table.fowlkes_mallows()),
                "purity" => json!(table.purity()),
                "contingency" => json!(table.rows()),
                _ => panic!("{id}: unknown expected key {key}"),
            };
            assert_close(&format!("{id}.{key}"), &found, expected, tolerance);
        }
    }
}

#[test]
fn clusters_that_are_apart_are_found_whatever_the_seed() {
    let centre = |group: usize| [[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]][group];
    let values: Vec<f64> = (0..90)
        .flat_map(|i| {
            let wobble = |k: usize| ((i * 37 + k * 11) % 17) as f64 / 10.0;
            [centre(i % 3)[0] + wobble(0), centre(i % 3)[1] + wobble(1)]
        })
        .collect();
    let points = Points::new(2, values).expect("points");
    let truth: Vec<usize> = (0..90).map(|i| i % 3).collect();
    for seed in 0..20 {
        let found = kmeans(&points, 3, seed);
        assert_eq!(found, kmeans(&points, 3, seed));
        assert_eq!(Contingency::new(&truth, &found).expect("cells").ari(), 1.0);
    }
}
