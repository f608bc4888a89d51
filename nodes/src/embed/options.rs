//! The options of all models as parameters of `tokenize` and `embed`: one list for the reference, the checks and the editor.
//!
//! Options of one name are one parameter, whichever models have them. A pipeline that gives an option to a model without it
//! is refused before anything runs, where the model is known.

use std::sync::OnceLock;

use celldag_engine::{Param, ParamType, Params};
use celldag_models::{CellModel, ModelOption, OptionType, Options, Purpose, cell_model, cell_models};
use serde_json::{Map, Value};

/// Names of all models.
pub(super) fn model_names() -> Vec<&'static str> {
    cell_models().iter().map(|model| model.name()).collect()
}

/// How the device computes: parameters of every kind that runs a model.
pub(super) fn computing() -> [Param; 2] {
    let precision = Param::choice(
        "precision",
        &["f32", "f32x3", "f16"],
        "matrix products: f32; f32x3: f32 accuracy from three f16 products; f16: the fastest, rounded factors",
    );
    let batch_tokens = Param::int("batch_tokens", "tokens computed at once; default: fits the device");
    [precision.default("f32"), batch_tokens.range(1, 1 << 30).unit("tokens").optional().perf()]
}

/// Parameters for the options of all models, sorted by name.
pub(super) fn params(purpose: Purpose) -> &'static [Param] {
    static TOKENIZE: OnceLock<Vec<Param>> = OnceLock::new();
    static EMBED: OnceLock<Vec<Param>> = OnceLock::new();
    let merged = match purpose {
        Purpose::Tokenize => &TOKENIZE,
        Purpose::Embed => &EMBED,
    };
    merged.get_or_init(|| {
        let of = |model: &&'static dyn CellModel| {
            let name = model.name();
            model.options(purpose).iter().map(move |option| (name, option))
        };
        merge(cell_models().iter().flat_map(of))
    })
}

/// What the parameters of a node say about the model's options.
pub(super) fn given(values: &Params, purpose: Purpose) -> Options {
    of_params(params(purpose), values)
}

/// What the parameters of a node say about the options that `of_models` are.
pub(super) fn of_params(of_models: &'static [Param], values: &Params) -> Options {
    let of_models = of_models.iter().map(|param| param.name);
    let value = |name: &'static str| values.get(name).map(|value| (name.to_owned(), value.clone()));
    Options::new(of_models.filter_map(value).collect::<Map<String, Value>>())
}

/// Options that the model named by the parameter `model` does not have, if it is known.
pub(super) fn misplaced(values: &Params, purpose: Purpose) -> Vec<(String, String)> {
    let name = values.get("model").and_then(Value::as_str);
    let model = name.and_then(cell_model);
    model.map_or_else(Vec::new, |model| given(values, purpose).unknown(model, purpose))
}

/// One parameter for the options of one name, each given with its model, sorted by name.
pub(super) fn merge(options: impl Iterator<Item = (&'static str, &'static ModelOption)>) -> Vec<Param> {
    let mut merged: Vec<(Param, Vec<String>)> = Vec::new();
    for (model, option) in options {
        let line = format!("{model} ({}): {}", option.default, option.about);
        if let Some((param, lines)) = merged.iter_mut().find(|(param, _)| param.name == option.name) {
            widen(&mut param.ty, option);
            lines.push(line);
        } else {
            merged.push((Param::new(option.name, param_type(option.ty), "").optional(), vec![line]));
        }
    }
    merged.sort_by_key(|(param, _)| param.name);
    let with_about = |(param, lines): (Param, Vec<String>)| Param { about: lines.join("; ").into(), ..param };
    merged.into_iter().map(with_about).collect()
}

fn param_type(ty: OptionType) -> ParamType {
    match ty {
        OptionType::Bool => ParamType::Bool,
        OptionType::Int(min, max) => ParamType::Int { min, max },
        OptionType::Float(min, max) => ParamType::Float { min, max },
        OptionType::Choice(words) => ParamType::Choice(words.to_vec()),
        OptionType::Text => ParamType::Text,
    }
}

/// Lets a parameter take the values of another model's option too; that model checks its own again.
fn widen(ty: &mut ParamType, option: &ModelOption) {
    match (ty, param_type(option.ty)) {
        (ParamType::Int { min, max }, ParamType::Int { min: low, max: high }) => {
            (*min, *max) = ((*min).min(low), (*max).max(high));
        }
        (ParamType::Float { min, max }, ParamType::Float { min: low, max: high }) => {
            (*min, *max) = (min.min(low), max.max(high));
        }
        (ParamType::Choice(words), ParamType::Choice(more)) => {
            words.extend(more.iter().filter(|word| !words.contains(word)).copied().collect::<Vec<_>>());
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_of_one_name_have_one_type() {
        for purpose in [Purpose::Tokenize, Purpose::Embed] {
            let all: Vec<&ModelOption> =
                cell_models().iter().flat_map(|model| model.options(purpose)).collect();
            for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
                let same = std::mem::discriminant(&a.ty) == std::mem::discriminant(&b.ty);
                assert!(a.name != b.name || same, "`{}` has two types", a.name);
            }
        }
    }
}
