//! `retries:` of a node against the perf parameters of its kind.

use std::collections::BTreeMap;

use super::Sketch;
use super::suggest::nearest;
use super::types::typed;
use crate::diagnostic::Diagnostic;
use crate::kind::KindSpec;
use crate::param::{Param, ParamClass, ParamType};
use crate::resources::{OutOfMemory, PerfChange, Retries};
use crate::spec::{Key, Tree};

/// The retries of all jobs of a node; what has a finding is left out.
pub(crate) fn check(node: &Sketch<'_>, out: &mut Vec<Diagnostic>) -> Retries {
    let def = &node.def.retries;
    let mut retries = Retries { transient: def.transient, out_of_memory: None };
    let (Some(wanted), Some(kind)) = (&def.out_of_memory, &node.kind) else { return retries };
    let mut set = BTreeMap::new();
    for (key, value) in &wanted.set {
        match change(node, &kind.spec, key, value) {
            Ok(found) => {
                set.insert(key.name.clone(), found);
            }
            Err(finding) => out.push(*finding),
        }
    }
    retries.out_of_memory = Some(OutOfMemory { times: wanted.times, set });
    retries
}

fn change(
    node: &Sketch<'_>,
    spec: &KindSpec,
    key: &Key,
    value: &Tree,
) -> Result<PerfChange, Box<Diagnostic>> {
    let param = perf(spec, key)?;
    let whole = matches!(param.ty, ParamType::Int { .. });
    let halved = value.scalar().is_some_and(|scalar| scalar.text == "half");
    if whole && halved {
        return Ok(PerfChange::Half);
    }
    typed(value, &param.ty).map(PerfChange::Value).map_err(|misfit| {
        let message = format!("`{}` of {}: {}", key.name, node.place, misfit.message);
        let finding = Diagnostic::error("celldag::pipeline::wrong_param", message)
            .at(misfit.span, format!("expected {}", misfit.wanted))
            .maybe_help(misfit.help);
        Box::new(match (whole, halved) {
            (true, _) => finding.help("write `half`, or the value of the next try"),
            (_, true) => finding.help("only whole numbers can be halved: write the value of the next try"),
            _ => finding,
        })
    })
}

/// The parameter, if a retry may change it: another one would change the result that the key promises.
fn perf<'s>(spec: &'s KindSpec, key: &Key) -> Result<&'s Param, Box<Diagnostic>> {
    let name = key.name.as_str();
    let known = spec.params.iter().find(|param| param.name == name);
    if let Some(param) = known.filter(|param| param.class == ParamClass::Perf) {
        return Ok(param);
    }
    let names: Vec<&str> =
        spec.params.iter().filter(|param| param.class == ParamClass::Perf).map(|param| param.name).collect();
    let message = match known {
        Some(_) => format!("`{name}` changes the result of kind `{}`: a retry may not change it", spec.name),
        None => format!("kind `{}` has no parameter `{name}`", spec.name),
    };
    let help = match nearest(name, names.iter().copied()) {
        Some(near) if known.is_none() => format!("did you mean `{near}`?"),
        _ if names.is_empty() => {
            format!("no parameter of `{}` changes speed or memory only: remove `out_of_memory`", spec.name)
        }
        _ => format!("parameters that change speed or memory only: {}", names.join(", ")),
    };
    Err(Box::new(
        Diagnostic::error("celldag::pipeline::not_a_perf_param", message)
            .at(key.span.clone(), "cannot be changed here")
            .help(help),
    ))
}
