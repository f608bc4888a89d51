//! Conditions over fixed names.

use super::Condition;
use crate::check::interpolate::{Combination, Names};
use crate::check::scope::Scope;
use crate::spec::{parse, read};

fn decide(text: &str) -> Result<bool, String> {
    let mut findings = Vec::new();
    let file = "celldag: 1\nparams: {model: scgpt, folds: 10, models: [uce, scgpt], on: true, name: a b}\nnodes: {}\n";
    let tree = parse::parse(file, &mut findings).unwrap();
    let document = read::read(&tree, &mut findings);
    let scope = Scope::new(&document, &[], &[], &mut findings);
    let names = Names { scope: &scope, axes: &[], here: &[], place: "a test" };
    Condition::parse(text)?.holds(&names, Combination { axes: &[], values: &[] }, &(0..0))
}

#[test]
fn compares_and_combines() {
    for (text, expected) in [
        ("${model} == scgpt", true),
        ("${model} == 'scgpt'", true),
        ("${model} != scgpt", false),
        ("${folds} == 10.0", true),
        ("${folds} == 1e1", true),
        ("${model} in [uce, scgpt]", true),
        ("${model} in ${models}", true),
        ("${model} not in [uce,]", true),
        ("${model} in []", false),
        ("${name} == 'a b'", true),
        ("\"x-${model}\" == x-scgpt", true),
        ("x-${model}==x-scgpt", true),
        ("${on}", true),
        ("not ${on}", false),
        ("not ${model} == uce and ${folds} == 10", true),
        ("${model} == uce and ${folds} == 9 or ${on}", true),
        ("${model} == uce and (${folds} == 9 or ${on})", false),
        ("true", true),
    ] {
        assert_eq!(decide(text), Ok(expected), "{text}");
    }
}

#[test]
fn refuses_everything_else() {
    let deep = "(".repeat(1000);
    let long = "true or ".repeat(2000) + "true";
    for text in [
        "",
        "==",
        "a ==",
        "a == b c",
        "(a == b",
        "a > b",
        "a && b",
        "'a",
        "a in [b",
        "a not b",
        "not",
        "${x == 1",
        "a = b",
        "${folds}",
        "${models} == a",
        deep.as_str(),
        long.as_str(),
    ] {
        assert!(decide(text).is_err(), "{text}");
    }
}
