//! The kind `lora-train` itself: parameters, files, one training a fold.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celldag_engine::{
    InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, ParamType, Params, Step,
};
use celldag_models::Purpose;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::artifacts::{ADAPTER, CHECKPOINT, TOKENS};
use crate::embed::{checkpoint, options};
use crate::learn::ports;

/// Trains adapters and a head per fold.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoraTrain;

#[derive(Deserialize)]
pub(super) struct Options {
    pub(super) model: Option<String>,
    pub(super) precision: String,
    pub(super) batch_tokens: Option<usize>,
    pub(super) fold: Option<u32>,
    pub(super) rank: usize,
    pub(super) alpha: f64,
    pub(super) dropout: f64,
    pub(super) targets: Option<Vec<String>>,
    pub(super) hidden: Vec<usize>,
    pub(super) loss: String,
    pub(super) class_weight: String,
    pub(super) sampling: String,
    pub(super) optimizer: String,
    pub(super) learning_rate: f64,
    pub(super) weight_decay: f64,
    pub(super) momentum: f64,
    pub(super) schedule: String,
    pub(super) warmup: f64,
    pub(super) clip: Option<f64>,
    pub(super) epochs: usize,
    pub(super) batch_size: usize,
    pub(super) accumulation: usize,
    pub(super) early_stopping: usize,
    pub(super) recompute: bool,
    pub(super) dataset: String,
    pub(super) seed: u64,
}

impl Kind for LoraTrain {
    fn spec(&self) -> KindSpec {
        let one = |name, ty, about| InPort { name, ty, many: Multiplicity::One, about };
        KindSpec {
            name: "lora-train",
            epoch: 1,
            about: "trains low-rank adapters of a model together with a head per fold and scores the test cells",
            inputs: vec![
                one("tokens", TOKENS, "output of `tokenize`"),
                one(
                    "checkpoint",
                    CHECKPOINT,
                    "folder of the model; must be the one the tokens were made for",
                ),
                ports::split(),
            ],
            outputs: std::iter::once(OutPort {
                name: "adapter",
                ty: ADAPTER,
                file: "adapter/",
                about: "a PEFT folder for every fold, called repeat<r>.fold<f>, which Hugging Face peft loads",
            })
            .chain(ports::outputs("training and validation loss of every epoch"))
            .collect(),
            params: of_adapters()
                .into_iter()
                .chain(of_training())
                .chain([options::of_tokens_model()])
                .chain(options::computing())
                .chain([options::allow_unused()])
                .chain(options::params(Purpose::Embed).iter().cloned())
                .collect(),
            uses_device: true,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let mut wrong = options::misplaced(params, Purpose::Embed);
        let below_one = |name: &str, why: &str| {
            let value = params.get(name).and_then(Value::as_f64);
            value
                .filter(|&value| value >= 1.0)
                .map(|_| (name.to_owned(), format!("must be below 1, or {why}")))
        };
        wrong.extend(below_one("momentum", "steps grow without end"));
        wrong.extend(below_one("dropout", "nothing is left of what goes into the adapters"));
        if params.get("targets").and_then(Value::as_array).is_some_and(Vec::is_empty) {
            wrong.push(("targets".to_owned(), "names no layer; leave it out for the model's own".to_owned()));
        }
        wrong
    }

    fn resolve(&self, params: &mut Params) {
        options::resolve(params, Purpose::Embed);
        let usual = options::model_of(params).map(|model| json!(model.lora_targets()));
        if let (Some(targets @ Value::Null), Some(usual)) = (params.0.get_mut("targets"), usual) {
            *targets = usual;
        }
    }

    fn parts(&self, params: &Params) -> BTreeMap<String, u32> {
        options::epochs(params)
    }

    fn input_files(
        &self,
        port: &str,
        path: &Path,
        params: &Params,
    ) -> Result<Option<Vec<PathBuf>>, NodeError> {
        if port != "checkpoint" {
            return Ok(None);
        }
        checkpoint::files_of_any(path, params).map(Some)
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        Ok(super::run::run(step, &step.read_params()?)?)
    }
}

/// What is trained.
fn of_adapters() -> Vec<Param> {
    vec![
        Param::int("fold", "train this fold only; default: all").range(0, 100_000).optional(),
        Param::int("rank", "columns between the two matrices of an adapter").range(1, 4096).default(8),
        Param::float("alpha", 1e-6, 1e6, "an adapter's product is scaled by alpha / rank").default(8.0),
        Param::float("dropout", 0.0, 1.0, "share of the values in front of an adapter that a training step drops")
            .default(0.05),
        Param::list(
            "targets",
            ParamType::Text,
            "layers with an adapter: ends of their names (`query`), or patterns of whole names (`*.layer.5.*`); default: \
             what the model's published fine-tuning uses",
        )
        .optional(),
        Param::list("hidden", ParamType::Int { min: 1, max: 1 << 20 }, "widths of the head's hidden layers (ReLU)")
            .unit("units")
            .default(json!([512, 512])),
        Param::choice(
            "loss",
            &["auto", "bce", "cross-entropy", "scdrugmap-two-logit"],
            "auto: bce (one logit) for two classes, else cross-entropy; scdrugmap-two-logit: as that code does",
        )
        .default("auto"),
        Param::choice("class_weight", &["none", "balanced"], "balanced: every class counts the same in the loss")
            .default("none"),
        Param::choice(
            "sampling",
            &["shuffle", "balanced"],
            "shuffle: every training cell once an epoch; balanced: as many draws, every class with the same probability",
        )
        .default("shuffle"),
        Param::text("dataset", "name written into the predictions").default(""),
        Param::int("seed", "seed of initial weights, batch order and dropout").default(0),
    ]
}

/// How it is trained.
fn of_training() -> Vec<Param> {
    vec![
        Param::choice("optimizer", &["adamw", "adam", "sgd"], "adamw decouples the weight decay").default("adamw"),
        Param::float("learning_rate", 1e-12, 100.0, "step size").default(1e-4),
        Param::float("weight_decay", 0.0, 100.0, "weight decay").default(0.01),
        Param::float("momentum", 0.0, 1.0, "momentum of sgd").default(0.9),
        Param::choice(
            "schedule",
            &["constant", "linear", "cosine"],
            "learning rate after the warm-up: as it is, straight to 0, or along a cosine to 0, over `epochs`",
        )
        .default("constant"),
        Param::float("warmup", 0.0, 1.0, "share of all steps over which the learning rate rises from 0").default(0.0),
        Param::float("clip", 1e-12, 1e12, "most norm of the gradient of all parameters; default: any").optional(),
        Param::int("epochs", "most passes over the training cells").range(1, 1_000_000).default(5),
        Param::int("batch_size", "cells of an optimiser step").range(1, 1 << 20).unit("cells").default(16),
        Param::int(
            "accumulation",
            "parts that a batch is computed in, one after the other, their gradients added: less memory",
        )
        .range(1, 1 << 20)
        .default(1),
        Param::int(
            "early_stopping",
            "stop after so many epochs without a lower loss on the validation cells, and keep the best epoch; 0: train all epochs and keep the best",
        )
        .range(0, 1_000_000)
        .unit("epochs")
        .default(2),
        Param::bool(
            "recompute",
            "compute layers twice instead of keeping their results: less memory; done anyway when memory is short",
        )
        .default(false)
        .perf(),
    ]
}
