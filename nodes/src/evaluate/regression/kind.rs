//! The kind `evaluate-regression` itself: files, parameters.

use celldag_engine::{
    ArtifactType, InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, ParamType, Params, Step,
};
use serde::Deserialize;
use serde_json::json;

use super::run::BASELINES;
use crate::artifacts::{METRICS, REPORT};

/// Measures predicted responses beside baselines.
#[derive(Clone, Copy, Debug, Default)]
pub struct EvaluateRegression;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    pub(super) truth: String,
    pub(super) prediction: String,
    pub(super) drug: String,
    pub(super) line: String,
    pub(super) fold: Option<String>,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) baselines: Vec<String>,
    pub(super) ridge: f64,
    pub(super) rank: usize,
    pub(super) rank_ridge: f64,
}

impl Kind for EvaluateRegression {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "evaluate-regression",
            epoch: 1,
            about: "measures predicted drug responses (ln IC50), also within each drug and line, beside baselines",
            inputs: vec![
                InPort {
                    name: "predictions",
                    ty: ArtifactType::FILE,
                    many: Multiplicity::Many,
                    about: "table (.csv, .tsv) of tested pairs: drug, line, truth, prediction, and optionally a fold",
                },
                InPort {
                    name: "training",
                    ty: ArtifactType::FILE,
                    many: Multiplicity::Optional,
                    about: "table (.csv, .tsv) of the pairs that trained: drug, line, truth; without it the other folds train the baselines",
                },
            ],
            outputs: vec![
                OutPort {
                    name: "report",
                    ty: REPORT,
                    file: "report.json",
                    about: "all metrics, baselines and warnings (celldag.report/1)",
                },
                OutPort {
                    name: "metrics",
                    ty: METRICS,
                    file: "metrics.csv",
                    about: "model, scope (fold, mean, sd, merged, drug, line), fold or name, metric, value",
                },
            ],
            params: vec![
                Param::text("truth", "column with the measured response").default("truth"),
                Param::text("prediction", "column with the predicted response").default("prediction"),
                Param::text("drug", "column that names the drug").default("drug"),
                Param::text("line", "column that names the cell line, sample or patient").default("line"),
                Param::text("fold", "column that names the fold; default: all pairs are one test set")
                    .optional(),
                Param::text("name", "name of the model in tables, when the gathered labels give none")
                    .default("model"),
                Param::text("title", "heading of the report").default("Regression"),
                Param::list(
                    "baselines",
                    ParamType::Choice(BASELINES.to_vec()),
                    "what the model is compared with",
                )
                .default(json!(BASELINES)),
                Param::float("ridge", 0.0, 1e9, "penalty of drug and line effects").default(5.0),
                Param::int("rank", "factors of the low-rank baseline").range(1, 100).default(6),
                Param::float("rank_ridge", 1e-9, 1e9, "penalty of these factors").default(12.0),
            ],
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let listed = params.get("baselines").and_then(|v| v.as_array());
        let unknown = listed.into_iter().flatten().filter_map(|v| v.as_str());
        unknown
            .filter(|b| !BASELINES.contains(b))
            .map(|b| ("baselines".to_owned(), format!("`{b}` is none of {}", BASELINES.join(", "))))
            .collect()
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        super::run::run(step, &step.read_params()?)
    }
}
