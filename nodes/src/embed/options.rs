//! The options of all models as parameters of `tokenize` and `embed`: one list for the reference, the checks and the editor.
//!
//! Options of one name are one parameter, whichever models have them. A pipeline that gives an option to a model without it
//! is refused before anything runs, where the model is known.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use celldag_engine::{Param, ParamType, Params};
use celldag_models::{CellModel, ModelOption, OptionType, Options, Purpose, cell_model, cell_models};
use serde_json::{Map, Value};

const ALLOW_UNUSED: &str = "allow_unused";

/// Names of all models.
pub(crate) fn model_names() -> Vec<&'static str> {
    cell_models().iter().map(|model| model.name()).collect()
}

/// The parameter `model` of kinds that read tokens, which say it themselves.
fn of_tokens_model() -> Param {
    let about = "must be the model of the tokens; if it is given, its options and its folder are checked before anything runs";
    Param::choice("model", &model_names(), about).optional()
}

/// How the device computes: parameters of every kind that runs a model.
pub(crate) fn computing() -> [Param; 2] {
    let precision = Param::choice(
        "precision",
        &["f32", "f32x3", "f16"],
        "matrix products: f32; f32x3: f32 accuracy from three f16 products; f16: the fastest, rounded factors",
    );
    let batch_tokens = Param::int("batch_tokens", "tokens computed at once; default: fits the device");
    [precision.default("f32"), batch_tokens.range(1, 1 << 30).unit("tokens").optional().perf()]
}

/// Tensors that may be left over: a parameter of every kind that loads the weights of a model.
pub(crate) fn allow_unused() -> Param {
    let about = "tensors of the checkpoint that the model may leave over: names as the error about them has them, prefixes that \
                 end in a dot, or patterns with * for any text; one that means no such tensor is an error";
    Param::list(ALLOW_UNUSED, ParamType::Text, about).default(Value::Array(Vec::new()))
}

/// Everything that a kind which runs a model over tokens is told about it.
pub(crate) fn of_encoder() -> impl Iterator<Item = Param> {
    let of_models = params(Purpose::Embed).iter().cloned();
    std::iter::once(of_tokens_model()).chain(computing()).chain([allow_unused()]).chain(of_models)
}

/// The model that the parameter `model` names.
pub(crate) fn model_of(values: &Params) -> Option<&'static dyn CellModel> {
    values.get("model").and_then(Value::as_str).and_then(cell_model)
}

/// The epoch of a model, for the key.
pub(crate) fn epoch(model: &dyn CellModel) -> (String, u32) {
    (model.name().to_owned(), model.epoch())
}

/// The epochs that belong into the key of a kind that reads tokens. Without the parameter `model`, the model is only written
/// in the tokens, which need not exist yet: then those of all models, and no defaults are written out, whose change is a new
/// epoch of their model.
pub(crate) fn epochs(values: &Params) -> BTreeMap<String, u32> {
    match model_of(values) {
        Some(model) => BTreeMap::from([epoch(model)]),
        None => cell_models().iter().copied().map(epoch).collect(),
    }
}

/// Writes out the defaults of the options that a model has: those of other models stay absent.
pub(crate) fn write_out(values: &mut Params, options: &[ModelOption]) {
    for option in options {
        if let (Some(value @ Value::Null), Some(default)) =
            (values.0.get_mut(option.name), option.default_value())
        {
            *value = default;
        }
    }
}

/// Writes out the defaults of the options for a purpose of the model that the parameter `model` names, if it is known.
pub(crate) fn resolve(values: &mut Params, purpose: Purpose) {
    if let Some(model) = model_of(values) {
        write_out(values, model.options(purpose));
    }
}

/// Parameters for the options of all models, sorted by name.
pub(crate) fn params(purpose: Purpose) -> &'static [Param] {
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

/// Parameters for the options of all models that give vectors of genes, sorted by name.
pub(super) fn gene_params() -> &'static [Param] {
    static GENES: OnceLock<Vec<Param>> = OnceLock::new();
    GENES.get_or_init(|| {
        let of = |model: &&'static dyn CellModel| {
            let name = model.name();
            model.gene_options().unwrap_or_default().iter().map(move |option| (name, option))
        };
        merge(cell_models().iter().flat_map(of))
    })
}

/// What the parameters of a node say about the model's options.
pub(crate) fn given(values: &Params, purpose: Purpose) -> Options {
    of_params(params(purpose), values)
}

/// What the parameters of a node say about the options that `of_models` are.
pub(crate) fn of_params(of_models: &'static [Param], values: &Params) -> Options {
    let of_models = of_models.iter().map(|param| param.name);
    let value = |name: &'static str| values.get(name).map(|value| (name.to_owned(), value.clone()));
    let unused = values.get(ALLOW_UNUSED).and_then(Value::as_array).into_iter().flatten();
    Options::new(of_models.filter_map(value).collect::<Map<String, Value>>())
        .allowing_unused(unused.filter_map(Value::as_str).map(str::to_owned).collect())
}

/// Options that the model named by the parameter `model` does not have, if it is known.
pub(crate) fn misplaced(values: &Params, purpose: Purpose) -> Vec<(String, String)> {
    model_of(values).map_or_else(Vec::new, |model| given(values, purpose).unknown(model, purpose))
}

/// One parameter for the options of one name, each given with its model, sorted by name.
pub(crate) fn merge(options: impl Iterator<Item = (&'static str, &'static ModelOption)>) -> Vec<Param> {
    let mut merged: Vec<(Param, Vec<(String, String)>)> = Vec::new();
    for (model, option) in options {
        let line = format!("({}): {}", option.default, option.about);
        let Some((param, lines)) = merged.iter_mut().find(|(param, _)| param.name == option.name) else {
            let line = vec![(model.to_owned(), line)];
            merged.push((Param::new(option.name, param_type(option.ty), "").optional(), line));
            continue;
        };
        widen(&mut param.ty, option);
        // Models whose option is the same share a line.
        match lines.iter_mut().find(|(_, same)| *same == line) {
            Some((models, _)) => models.extend([", ", model]),
            None => lines.push((model.to_owned(), line)),
        }
    }
    merged.sort_by_key(|(param, _)| param.name);
    let with_about = |(param, lines): (Param, Vec<(String, String)>)| {
        let lines: Vec<String> = lines.into_iter().map(|(models, line)| format!("{models} {line}")).collect();
        Param { about: lines.join("; ").into(), ..param }
    };
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
