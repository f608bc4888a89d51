//! The kind `prompt-classify` itself: ports and parameters.

use celldag_engine::{
    InPort, Kind, KindSpec, Multiplicity, NodeError, OutPort, Param, ParamType, Params, Step,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::endpoint::fault;
use super::request::Format;
use super::template::Template;
use crate::artifacts::{CELLS, PREDICTIONS, RESPONSES, SPLIT};

/// Asks a language model about cells.
#[derive(Clone, Copy, Debug, Default)]
pub struct PromptClassify;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Options {
    pub(super) endpoint: String,
    pub(super) model: String,
    pub(super) template: Template,
    pub(super) task: String,
    pub(super) classes: Vec<String>,
    pub(super) source: String,
    pub(super) matrix: String,
    pub(super) genes: usize,
    pub(super) exclude: Vec<String>,
    pub(super) cells_per_request: usize,
    pub(super) shots: usize,
    pub(super) fold: Option<u32>,
    pub(super) temperature: f64,
    pub(super) seed: u64,
    pub(super) max_tokens: u64,
    pub(super) answer_format: Format,
    pub(super) repairs: u32,
    pub(super) dataset: String,
    pub(super) dry_run: bool,
    pub(super) api_key_env: Option<String>,
    pub(super) timeout: f64,
    pub(super) retries: u32,
    pub(super) backoff: f64,
    pub(super) concurrency: usize,
    pub(super) requests_per_minute: f64,
    pub(super) max_requests: Option<u64>,
    pub(super) max_total_tokens: Option<u64>,
    pub(super) max_cost: Option<f64>,
    pub(super) price_prompt: f64,
    pub(super) price_completion: f64,
    pub(super) keep_answers: Option<String>,
}

impl Kind for PromptClassify {
    fn spec(&self) -> KindSpec {
        KindSpec {
            name: "prompt-classify",
            epoch: 2,
            about: "asks a language model behind an OpenAI-compatible endpoint for the class of each cell; names of genes \
                    leave this machine",
            inputs: vec![
                InPort {
                    name: "cells",
                    ty: CELLS,
                    many: Multiplicity::One,
                    about: "expression values; only their order within a cell matters",
                },
                InPort {
                    name: "external",
                    ty: CELLS,
                    many: Multiplicity::Optional,
                    about: "cells of the other study, for a split of `kind: external`",
                },
                InPort {
                    name: "split",
                    ty: SPLIT,
                    many: Multiplicity::Optional,
                    about: "output of `split`: its test cells are asked about; without it, all cells, without labels",
                },
            ],
            outputs: vec![
                OutPort {
                    name: "predictions",
                    ty: PREDICTIONS,
                    file: "predictions.csv",
                    about: "every cell that was to be asked about; without an answer, score and prediction are empty and the \
                            column `answer` says why",
                },
                OutPort {
                    name: "answered",
                    ty: PREDICTIONS,
                    file: "answered.csv",
                    about: "labelled cells with an answer, for `evaluate`",
                },
                OutPort {
                    name: "missing_as_wrong",
                    ty: PREDICTIONS,
                    file: "missing_as_wrong.csv",
                    about: "all labelled cells, one without an answer counted as predicted wrongly, for `evaluate`",
                },
                OutPort {
                    name: "responses",
                    ty: RESPONSES,
                    file: "responses.jsonl",
                    about: "one line a request: its digest, cells, messages, the answer with its token counts, the outcome",
                },
            ],
            params: params(),
            uses_device: false,
            wants_lineage: false,
        }
    }

    fn check(&self, params: &Params) -> Vec<(String, String)> {
        let text = |name: &str| params.get(name).and_then(Value::as_str).unwrap_or_default();
        let mut wrong = Vec::new();
        let mut say = |name: &str, what: &str| wrong.push((name.to_owned(), what.to_owned()));
        if let Some(fault) = fault(text("endpoint")) {
            say("endpoint", fault);
        }
        let per_minute = params.get("requests_per_minute").and_then(Value::as_f64).unwrap_or_default();
        if per_minute > 0.0 && per_minute < 1e-3 {
            say("requests_per_minute", "is 0 (no limit) or at least 0.001");
        }
        if text("model").trim().is_empty() {
            say("model", "must not be empty");
        }
        let classes: Vec<&str> = params
            .get("classes")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let distinct: std::collections::BTreeSet<&&str> = classes.iter().collect();
        if !(2..=10).contains(&classes.len()) || distinct.len() < classes.len() || distinct.contains(&"") {
            say("classes", "must be 2 to 10 different names");
        }
        if is_published(params) {
            if classes.len() > 2 {
                say("classes", "template scdrugmap knows two classes");
            }
            if params.get("shots").and_then(Value::as_u64).is_some_and(|shots| shots > 0) {
                say("shots", "template scdrugmap shows no examples: the published code sends none");
            }
            if is_given(params, "answer_format") && text("answer_format") != "text" {
                say(
                    "answer_format",
                    "template scdrugmap asks for text, as the published code does: leave it out",
                );
            }
            if is_given(params, "repairs") && params.get("repairs").and_then(Value::as_u64) != Some(0) {
                say(
                    "repairs",
                    "template scdrugmap never asks again, as the published code does: leave it out",
                );
            }
        }
        let price = |name: &str| params.get(name).and_then(Value::as_f64).unwrap_or_default();
        if params.get("max_cost").is_some_and(|cost| !cost.is_null())
            && price("price_prompt") <= 0.0
            && price("price_completion") <= 0.0
        {
            say("max_cost", "needs `price_prompt` and `price_completion`");
        }
        wrong
    }

    /// The published code asks for text and never asks back; the other template says more.
    fn resolve(&self, params: &mut Params) {
        let published = is_published(params);
        let defaults = [
            ("answer_format", json!(if published { "text" } else { "json-schema" })),
            ("repairs", json!(u8::from(!published))),
        ];
        for (name, default) in defaults {
            if !is_given(params, name) {
                params.0.insert(name.to_owned(), default);
            }
        }
    }

    fn run(&self, step: &Step<'_>) -> Result<(), NodeError> {
        super::run::run(step, &step.read_params()?)
    }
}

fn is_published(params: &Params) -> bool {
    params.get("template").and_then(Value::as_str) == Some("scdrugmap")
}

fn is_given(params: &Params, name: &str) -> bool {
    params.get(name).is_some_and(|value| !value.is_null())
}

fn params() -> Vec<Param> {
    let whole = |name: &'static str, about: &'static str| Param::int(name, about).range(1, 1 << 40);
    let text_list = || ParamType::List(Box::new(ParamType::Text));
    vec![
        Param::text(
            "endpoint",
            "address before `/chat/completions`, such as http://localhost:11434/v1; has no default, because names of genes \
             are sent there",
        ),
        Param::text("model", "name of the model, as the server knows it"),
        Param::choice(
            "template",
            &["celldag-1", "scdrugmap"],
            "texts and reading of answers; scdrugmap: parts, answer format, parser and batches of the published code",
        )
        .default("celldag-1"),
        Param::text("task", "what is to be judged, in one sentence of the question").default(
            "Judge from these genes whether the cell is sensitive or resistant to the drug treatment of the study.",
        ),
        Param::new("classes", text_list(), "names of the classes, numbered from 0, without a split; with one, its own")
            .default(json!(["resistant", "sensitive"])),
        Param::text("source", "description of the data, part of the question; an accession lets a model recall the study")
            .default(""),
        Param::text("matrix", "expression values: X, raw/X or layers/NAME").default("X"),
        Param::int("genes", "top genes of a cell").range(1, 10_000).unit("genes").default(10),
        Param::new("exclude", text_list(), "beginnings of names of genes that are passed over, such as MT-")
            .default(json!([])),
        Param::int("cells_per_request", "cells of a question").range(1, 1000).unit("cells").default(10),
        Param::int("shots", "labelled training cells of each class that are shown before the question")
            .range(0, 1000)
            .unit("cells")
            .default(0),
        Param::int("fold", "ask about the test cells of this fold only; default: all").range(0, 100_000).optional(),
        Param::float("temperature", 0.0, 10.0, "randomness of the answer").default(0.0),
        Param::int("seed", "seed of the answer, of the batches and of the examples").default(0),
        Param::int("max_tokens", "most tokens of an answer; a cut answer is asked for again with twice as many, three times (not by \
             template scdrugmap)")
            .range(1, 1 << 30)
            .unit("tokens")
            .default(512),
        Param::choice(
            "answer_format",
            &["json-schema", "json-object", "text"],
            "what the server is asked to hold the answer to; one that refuses is asked for less; default: json-schema, with \
             template scdrugmap text",
        )
        .optional(),
        Param::int("repairs", "how often the model is told that its answer cannot be read, before the cells are divided; \
             default: 1, with template scdrugmap 0")
            .range(0, 100)
            .optional(),
        Param::text("dataset", "name written into the predictions").default(""),
        Param::bool("dry_run", "send nothing: count requests, estimate tokens, write the questions").default(false),
        Param::text("api_key_env", "name of the environment variable that holds the key; default: no key").optional().perf(),
        Param::float("timeout", 0.01, 86_400.0, "longest wait for one response").unit("seconds").default(300.0).perf(),
        Param::int("retries", "further tries of a request that failed").range(0, 100).default(5).perf(),
        Param::float("backoff", 0.0, 3600.0, "wait before the second try; it doubles with each further one")
            .unit("seconds")
            .default(1.0)
            .perf(),
        Param::int("concurrency", "requests under way at once").range(1, 256).default(4).perf(),
        Param::float("requests_per_minute", 0.0, 1e6, "most requests a minute; 0: no limit").default(0.0).perf(),
        whole("max_requests", "stop with an error before more requests are sent").optional().perf(),
        whole("max_total_tokens", "stop with an error once so many tokens are used").unit("tokens").optional().perf(),
        Param::float("max_cost", 0.0, 1e12, "stop with an error once so much is spent").optional().perf(),
        Param::float("price_prompt", 0.0, 1e9, "price of a million tokens of questions").default(0.0).perf(),
        Param::float("price_completion", 0.0, 1e9, "price of a million tokens of answers").default(0.0).perf(),
        Param::text(
            "keep_answers",
            "folder, seen from the current one, where each answer is kept and looked for, so that other parameters and other \
             stores find it too; without it, a run that stopped goes on all the same",
        )
        .optional()
        .perf(),
    ]
}
