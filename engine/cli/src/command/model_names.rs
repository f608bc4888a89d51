//! Which model `embed` and `embed-drug` are told to use.

use celldag_engine::nearest;
use celldag_models::cell_models;
use celldag_models::drug::drug_models;

use crate::failure::Failure;

/// What is embedded: each has models and a command of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Embedded {
    Cells,
    Drugs,
}

impl Embedded {
    fn models(self) -> Vec<&'static str> {
        match self {
            Self::Cells => cell_models().iter().map(|model| model.name()).collect(),
            Self::Drugs => drug_models().iter().map(|model| model.name()).collect(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Cells => "cells",
            Self::Drugs => "drugs",
        }
    }

    /// The others, and their command.
    fn other(self) -> (Self, &'static str) {
        match self {
            Self::Cells => (Self::Drugs, "celldag embed-drug"),
            Self::Drugs => (Self::Cells, "celldag embed"),
        }
    }
}

/// Refuses a model that embeds nothing of the kind, and names the command whose model it is, the model that the user may have
/// meant, or else all of them.
pub(super) fn refuse_unknown_model(model: &str, embedded: Embedded) -> Result<(), Failure> {
    let models = embedded.models();
    if models.contains(&model) {
        return Ok(());
    }
    let (other, command) = embedded.other();
    let help = if other.models().contains(&model) {
        format!("it is one for {}: `{command}`", other.name())
    } else {
        nearest(model, models.iter().copied()).map_or_else(
            || format!("models are: {}", models.join(", ")),
            |near| format!("did you mean `{near}`?"),
        )
    };
    Err(Failure::Usage {
        message: format!("--model {model}: there is no such model for {}", embedded.name()),
        help: Some(help),
    })
}

/// Refuses `--with model=...` where the model is an argument of its own: two answers to one question.
pub(super) fn refuse_model(with: &[(String, String)]) -> Result<(), Failure> {
    match with.iter().find(|(name, _)| name == "model") {
        None => Ok(()),
        Some((name, value)) => Err(Failure::Usage {
            message: format!("--with {name}={value}: the model is what --model says"),
            help: Some(format!("write --model {value}, and leave --with {name} out")),
        }),
    }
}
