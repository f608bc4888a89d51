//! The kind `evaluate-regression` itself: files, parameters.

use celldag_engine::{
    ArtifactType, InPort, Kind, KindSpec, Multiplicity, NodeError, Param, ParamType, Params, Step,
};
use serde::Deserialize;

use super::run::BASELINES;
use crate::evaluate::files::outputs;
use crate::evaluate::models::NAME;

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
    pub(super) baselines: Option<Vec<String>>,
    pub(super) ridge: f64,
    pub(super) rank: usize,
    pub(super) rank_ridge: f64,
    pub(super) features_key: Option<String>,
    pub(super) ridge_alpha: f64,
    pub(super) lasso_alpha: f64,
}

impl Kind for EvaluateRegression {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "evaluate-regression",
            epoch: 3,
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
                InPort {
                    name: "features",
                    ty: ArtifactType::FILE,
                    many: Multiplicity::Optional,
                    about: "one row a line (expression in X, or an embedding in obsm), for the baselines `ridge` and `lasso`",
                },
            ],
            outputs: outputs(
                "all metrics, baselines and warnings (celldag.report/1)",
                "model, scope (fold, mean, sd, se, merged, drug, line), fold or name, metric, value",
            ),
            params: vec![
                Param::text("truth", "column with the measured response").default("truth"),
                Param::text("prediction", "column with the predicted response").default("prediction"),
                Param::text("drug", "column that names the drug").default("drug"),
                Param::text("line", "column that names the cell line, sample or patient").default("line"),
                Param::text("fold", "column that names the fold; default: all pairs are one test set")
                    .optional(),
                Param::text("name", "name of the model in tables when there is one only; several are named by their nodes and axes")
                    .default(NAME),
                Param::text("title", "heading of the report").default("Regression"),
                Param::list(
                    "baselines",
                    ParamType::Choice(BASELINES.to_vec()),
                    "what the model is compared with; default: all, ridge and lasso where `features` are given",
                )
                .optional(),
                Param::float("ridge", 0.0, 1e9, "penalty of drug and line effects").default(5.0),
                Param::int("rank", "factors of the low-rank baseline").range(1, 100).default(6),
                Param::float("rank_ridge", 1e-9, 1e9, "penalty of these factors").default(12.0),
                Param::text("features_key", "array of obsm of `features`; default: X, or without genes the only array there is")
                    .optional(),
                Param::float("ridge_alpha", 1e-9, 1e12, "penalty of `ridge`, for standardised features, as in scikit-learn")
                    .default(100.0),
                Param::float("lasso_alpha", 0.0, 1e12, "penalty of `lasso`, for standardised features, as in scikit-learn")
                    .default(0.1),
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
