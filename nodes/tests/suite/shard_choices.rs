//! Every model cut into shards, whatever is chosen of it: a tokenizer that comes to look at several cells, and does not say so by
//! `surveys` or `has_order`, is found here.

use crate::common::shards::{Golden, shard};
use celldag_engine::Portion;
use celldag_models::{OptionType, Purpose, cell_model, cell_models};
use serde_json::{Value, json};

const CELLS: usize = 11;

/// The models and their fixtures. The tokenizer of `bert-text` is that of `llama`, and there are no weights of it here.
const MODELS: [(&str, &str); 9] = [
    ("celllm", "celllm"),
    ("cellplm", "cellplm"),
    ("geneformer", "geneformer-v2"),
    ("llama", "llama"),
    ("scbert", "scbert"),
    ("scfoundation", "scfoundation"),
    ("scgpt", "scgpt"),
    ("tgpt", "tgpt"),
    ("uce", "uce"),
];

#[test]
fn every_model_is_cut_in_these_tests() {
    let known = MODELS.iter().map(|(model, _)| *model).chain(["bert-text"]);
    let (mut known, mut models): (Vec<&str>, Vec<&str>) =
        (known.collect(), cell_models().iter().map(|model| model.name()).collect());
    known.sort_unstable();
    models.sort_unstable();
    assert_eq!(known, models, "a new model belongs into the list above, and into a test below");
}

/// Tokens with each value of each option that has a few, one at a time; then the embedding of the plain ones.
fn every_choice(model: &str) {
    let fixture = MODELS.iter().find(|(name, _)| *name == model).expect("a fixture").1;
    let Some(golden) = Golden::new(fixture, CELLS) else { return };
    let known = cell_model(model).expect("a model");
    let plain: &[(&str, &str)] = match model {
        // The filter would leave none of so few cells.
        "uce" => &[("filter", "false"), ("sample_size", "64")],
        // What takes longest is the attention over long sentences.
        "llama" => &[("max_length", "256")],
        _ => &[],
    };
    let plain = [&[("model", model)], plain].concat();
    let tokens = golden.tokenize("plain", &plain).compare(&[3]);
    let (mut tried, mut accepted) = (0, 0);
    for option in known.options(Purpose::Tokenize) {
        let default = option.default_value();
        for value in values(option.ty) {
            if default == Some(value.clone()) || plain.iter().any(|(name, _)| *name == option.name) {
                continue;
            }
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let with = [&plain[..], &[(option.name, &value)]].concat();
            let name = format!("{}={value}", option.name);
            let work = golden.tokenize(&name, &with);
            tried += 1;
            match work.run("whole", &Portion::Whole) {
                Ok(whole) => {
                    work.agrees(&whole, &[3]);
                    accepted += 1;
                }
                // What the whole refuses, a shard refuses in the same words.
                Err(error) => {
                    let of_shard = work.run("shard", &shard(1, 3)).expect_err(&name);
                    assert_eq!((error.cause, error.message), (of_shard.cause, of_shard.message), "{name}");
                }
            }
        }
    }
    assert!(
        tried == 0 || accepted > 0,
        "{model}: all {tried} other values are refused, so nothing was compared"
    );
    golden.embed("vectors", (&tokens, false), &[]).compare(&[3]);
}

fn values(ty: OptionType) -> Vec<Value> {
    match ty {
        OptionType::Bool => vec![json!(false), json!(true)],
        OptionType::Choice(words) => words.iter().map(|&word| json!(word)).collect(),
        OptionType::Int(..) | OptionType::Float(..) | OptionType::Text => Vec::new(),
    }
}

#[test]
fn celllm_whatever_is_chosen() {
    every_choice("celllm");
}

#[test]
fn cellplm_whatever_is_chosen() {
    every_choice("cellplm");
}

#[test]
fn geneformer_whatever_is_chosen() {
    every_choice("geneformer");
}

#[test]
fn llama_whatever_is_chosen() {
    every_choice("llama");
}

#[test]
fn scbert_whatever_is_chosen() {
    every_choice("scbert");
}

#[test]
fn scfoundation_whatever_is_chosen() {
    every_choice("scfoundation");
}

#[test]
fn scgpt_whatever_is_chosen() {
    every_choice("scgpt");
}

#[test]
fn tgpt_whatever_is_chosen() {
    every_choice("tgpt");
}

#[test]
fn uce_whatever_is_chosen() {
    every_choice("uce");
}
