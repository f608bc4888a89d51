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
use crate::learn::params::{self, Training, Usual};
use crate::learn::ports;

/// Trains adapters and a head per fold.
#[derive(Clone, Copy, Debug, Default)]
pub struct LoraTrain;

#[derive(Deserialize)]
pub(super) struct Options {
    pub(super) model: Option<String>,
    pub(super) precision: String,
    pub(super) batch_tokens: Option<usize>,
    pub(super) rank: usize,
    pub(super) alpha: f64,
    pub(super) dropout: f64,
    pub(super) targets: Option<Vec<String>>,
    pub(super) train: Vec<String>,
    pub(super) sampling: String,
    pub(super) schedule: String,
    pub(super) warmup: f64,
    pub(super) clip: Option<f64>,
    pub(super) accumulation: usize,
    pub(super) recompute: bool,
    #[serde(flatten)]
    pub(super) training: Training,
}

const USUAL: Usual = Usual {
    epochs: 5,
    batch_size: 16,
    early_stopping: 2,
    seed: "seed of initial weights, batch order and dropout",
};

impl Kind for LoraTrain {
    fn spec(&self) -> KindSpec {
        let one = |name, ty, about| InPort { name, ty, many: Multiplicity::One, about };
        KindSpec {
            name: "lora-train",
            epoch: 3,
            about: "trains low-rank adapters of a model together with a head per fold and scores the test cells",
            inputs: vec![
                one("tokens", TOKENS, "output of `tokenize`"),
                one(
                    "checkpoint",
                    CHECKPOINT,
                    "folder of the model; must be the one the tokens were made for",
                ),
                ports::split(),
                ports::external(TOKENS, "tokens of the external cells of a split of `kind: external`"),
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
                .chain(params::training(USUAL))
                .chain(of_steps())
                .chain(options::of_encoder())
                .collect(),
            uses_device: true,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let mut wrong = options::misplaced(params, Purpose::Embed);
        wrong.extend(params::check(params));
        wrong.extend(params::below_one(params, "dropout", "nothing is left of what goes into the adapters"));
        let is_empty = |name: &str| params.get(name).and_then(Value::as_array).is_some_and(Vec::is_empty);
        if is_empty("targets") && is_empty("train") {
            let what = "names no layer, and `train` neither; leave it out for the model's own";
            wrong.push(("targets".to_owned(), what.to_owned()));
        }
        if is_empty("targets") {
            wrong.extend(without_adapters(params));
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

/// Parameters of adapters that somebody set although there are none.
fn without_adapters(params: &Params) -> Vec<(String, String)> {
    let usual = of_adapters();
    let is_set = |name: &&str| {
        let default = usual.iter().find(|param| param.name == *name).and_then(|param| param.default.as_ref());
        let number = |value: Option<&Value>| value.and_then(Value::as_f64);
        number(params.get(name)).is_some_and(|given| Some(given) != number(default))
    };
    let set = ["rank", "alpha", "dropout"].into_iter().filter(is_set);
    let what = "has no effect with `targets: []`, which leaves out adapters; leave it out, or name `targets`";
    set.map(|name| (name.to_owned(), what.to_owned())).collect()
}

/// What is trained.
fn of_adapters() -> Vec<Param> {
    vec![
        Param::int("rank", "columns between the two matrices of an adapter").range(1, 4096).default(8),
        Param::float("alpha", 1e-6, 1e6, "an adapter's product is scaled by alpha / rank").default(8.0),
        Param::float("dropout", 0.0, 1.0, "share of the values in front of an adapter that a training step drops")
            .default(0.05),
        Param::list(
            "targets",
            ParamType::Text,
            "layers with an adapter: ends of their names (`query`), or patterns of whole names (`*.layer.5.*`); default: \
             what the model's published fine-tuning uses; []: none",
        )
        .optional(),
        Param::list(
            "train",
            ParamType::Text,
            "layers whose own weights are trained (full fine-tuning), named as in `targets`: `*.layer.5.*`, `*` for all; they get no \
             adapter",
        )
        .default(json!([])),
    ]
}

/// How steps are made.
fn of_steps() -> Vec<Param> {
    vec![
        Param::choice(
            "sampling",
            &["shuffle", "balanced"],
            "shuffle: every training cell once an epoch; balanced: as many draws, every class with the same probability",
        )
        .default("shuffle"),
        Param::choice(
            "schedule",
            &["constant", "linear", "cosine"],
            "learning rate after the warm-up: as it is, straight to 0, or along a cosine to 0, over `epochs`",
        )
        .default("constant"),
        Param::float("warmup", 0.0, 1.0, "share of all steps over which the learning rate rises from 0").default(0.0),
        Param::float("clip", 1e-12, 1e12, "most norm of the gradient of all parameters; default: any").optional(),
        Param::int(
            "accumulation",
            "parts that a batch is computed in, one after the other, their gradients added: less memory",
        )
        .range(1, 1 << 20)
        .default(1),
        Param::bool(
            "recompute",
            "compute layers twice instead of keeping their results: less memory; done anyway when memory is short",
        )
        .default(false)
        .perf(),
    ]
}
