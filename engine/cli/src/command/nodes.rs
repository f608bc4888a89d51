//! `celldag nodes`: the kinds, their ports and parameters.

use celldag_engine::{KindSpec, Multiplicity, Param, ParamClass, ParamType};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::kinds::{find, registry};
use crate::output::Output;
use crate::text::table;

pub(crate) fn run(kind: Option<&str>, output: &Output) -> Result<(), Failure> {
    let registry = registry();
    let Some(name) = kind else {
        for problem in registry.problems() {
            output.complain(&format!("warning: {problem}"));
        }
        if output.json {
            let all: Vec<Value> = registry.iter().map(|kind| to_json(&kind.spec)).collect();
            return output.json_result(&all);
        }
        let rows: Vec<Vec<String>> = registry
            .iter()
            .map(|kind| {
                let ports = |names: Vec<&str>| names.join(", ");
                vec![
                    kind.spec.name.to_owned(),
                    ports(kind.spec.inputs.iter().map(|p| p.name).collect()),
                    ports(kind.spec.outputs.iter().map(|p| p.name).collect()),
                    kind.spec.about.to_owned(),
                ]
            })
            .collect();
        return output.result(&table(&["kind", "in", "out", "what it does"], &rows));
    };
    let found = find(&registry, name)?;
    if output.json { output.json_result(&to_json(&found.spec)) } else { output.result(&explain(&found.spec)) }
}

fn explain(spec: &KindSpec) -> String {
    let mut out = format!("{} (epoch {}): {}\n\nin\n", spec.name, spec.epoch, spec.about);
    for port in &spec.inputs {
        let many = match port.many {
            Multiplicity::One => "",
            Multiplicity::Optional => ", optional",
            Multiplicity::Many => ", one or more",
        };
        out.push_str(&format!("  {:14} {}{many}: {}\n", port.name, port.ty, port.about));
    }
    out.push_str("\nout\n");
    for port in &spec.outputs {
        out.push_str(&format!("  {:14} {} ({}): {}\n", port.name, port.ty, port.file, port.about));
    }
    out.push_str("\nwith\n");
    for param in &spec.params {
        out.push_str(&format!(
            "  {:26} {}\n  {:26} {}\n",
            param.name,
            type_and_default(param),
            "",
            param.about
        ));
    }
    if spec.params.is_empty() {
        out.push_str("  (no parameters)\n");
    }
    out
}

fn type_and_default(param: &Param) -> String {
    let unit = if param.unit.is_empty() { String::new() } else { format!(", in {}", param.unit) };
    let default = match &param.default {
        None => "required".to_owned(),
        Some(Value::Null) => "optional".to_owned(),
        Some(value) => format!("default {value}"),
    };
    let class = if param.class == ParamClass::Perf { ", speed or memory only" } else { "" };
    format!("{}{unit}; {default}{class}", type_text(&param.ty))
}

fn type_text(ty: &ParamType) -> String {
    match ty {
        ParamType::Bool => "true or false".to_owned(),
        ParamType::Int { min, max } if *max == i64::MAX => format!("whole number from {min}"),
        ParamType::Int { min, max } => format!("whole number {min} to {max}"),
        ParamType::Float { min, max } if max.is_finite() && *max < 1e300 => format!("number {min} to {max}"),
        ParamType::Float { min, .. } if min.is_finite() && *min > -1e300 => format!("number from {min}"),
        ParamType::Float { .. } => "number".to_owned(),
        ParamType::Text => "text".to_owned(),
        ParamType::Choice(words) => words.join(" | "),
        ParamType::List(of) => format!("list of {}", type_text(of)),
        ParamType::Map(of) => format!("mapping of names to {}", type_text(of)),
    }
}

fn to_json(spec: &KindSpec) -> Value {
    let inputs: Vec<Value> = spec
        .inputs
        .iter()
        .map(|p| {
            let many = match p.many {
                Multiplicity::One => "one",
                Multiplicity::Optional => "optional",
                Multiplicity::Many => "many",
            };
            json!({ "name": p.name, "type": p.ty.name, "multiplicity": many, "about": p.about })
        })
        .collect();
    let outputs: Vec<Value> = spec
        .outputs
        .iter()
        .map(|p| json!({ "name": p.name, "type": p.ty.name, "file": p.file, "about": p.about }))
        .collect();
    let params: Vec<Value> = spec
        .params
        .iter()
        .map(|p| {
            json!({
                "name": p.name,
                "type": type_text(&p.ty),
                "required": p.default.is_none(),
                "default": p.default,
                "unit": p.unit,
                "about": p.about,
                "class": if p.class == ParamClass::Perf { "perf" } else { "result" },
            })
        })
        .collect();
    json!({
        "kind": spec.name,
        "epoch": spec.epoch,
        "about": spec.about,
        "inputs": inputs,
        "outputs": outputs,
        "params": params,
        "uses_device": spec.uses_device,
    })
}
