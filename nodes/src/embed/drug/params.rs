//! The options of all drug models as parameters of `embed-drug`.

use std::sync::OnceLock;

use celldag_engine::{Param, Params};
use celldag_models::Options;
use celldag_models::drug::drug_models;

use super::options;

/// Parameters for the options of all drug models, sorted by name.
pub(super) fn of_models() -> &'static [Param] {
    static MERGED: OnceLock<Vec<Param>> = OnceLock::new();
    MERGED.get_or_init(|| {
        let of = |name, options: &'static [_]| options.iter().map(move |option| (name, option));
        options::merge(drug_models().iter().flat_map(|model| of(model.name(), model.options())))
    })
}

/// What the parameters of a node say about the model's options.
pub(super) fn given(values: &Params) -> Options {
    options::of_params(of_models(), values)
}
