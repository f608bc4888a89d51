//! The kind `evaluate-perturbation` itself: files, parameters.

use celldag_engine::{InPort, Kind, KindSpec, Multiplicity, NodeError, Param, ParamType, Params, Step};
use serde::Deserialize;
use serde_json::{Value, json};

use super::effects::BASELINES;
use crate::artifacts::CELLS;
use crate::evaluate::files::outputs;
use crate::evaluate::models::NAME;

/// Measures predicted expression after perturbations beside baselines.
#[derive(Clone, Copy, Debug, Default)]
pub struct EvaluatePerturbation;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    pub(super) perturbation: String,
    pub(super) line: Option<String>,
    pub(super) control: String,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) baselines: Vec<String>,
}

impl Kind for EvaluatePerturbation {
    fn spec(&self) -> KindSpec {
        let words: Vec<&'static str> = BASELINES.iter().map(|(word, _)| *word).collect();
        KindSpec {
            name: "evaluate-perturbation",
            epoch: 2,
            about: "measures predicted mean expression after perturbations beside the control and mean effects",
            inputs: vec![
                InPort {
                    name: "predictions",
                    ty: CELLS,
                    many: Multiplicity::Many,
                    about: "predicted mean expression in X, one row a tested condition; files of several folds are joined",
                },
                InPort {
                    name: "truth",
                    ty: CELLS,
                    many: Multiplicity::One,
                    about: "measured mean expression of all conditions, with the control of every line; conditions that a file does not test train its baselines",
                },
            ],
            outputs: outputs(
                "all metrics, baselines and warnings (celldag.report/1)",
                "model, scope (fold, mean, sd, se, merged, condition), fold or condition, metric, value",
            ),
            params: vec![
                Param::text("perturbation", "column of obs that names the perturbation").default("drug"),
                Param::text("line", "column of obs that names the cell line or type; default: there is one only")
                    .optional(),
                Param::text("control", "value of the perturbation column of unperturbed cells").default("control"),
                Param::text("name", "name of the model in tables when there is one only; several are named by their nodes and axes")
                    .default(NAME),
                Param::text("title", "heading of the report").default("Perturbation"),
                Param::list("baselines", ParamType::Choice(words.clone()), "what the model is compared with")
                    .default(json!(words)),
            ],
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let text = |name: &str| params.get(name).and_then(Value::as_str);
        match (text("perturbation"), text("line")) {
            (Some(perturbation), Some(line)) if perturbation == line => {
                vec![("line".to_owned(), "is the perturbation column itself".to_owned())]
            }
            _ => Vec::new(),
        }
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        super::run::run(step, &step.read_params()?)
    }
}
