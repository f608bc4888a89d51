//! `with:` of a node against the parameters of its kind.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::choice::{self, Choice};
use super::interpolate::Combination;
use super::scope::Origin;
use super::suggest::{hint, nearest};
use super::types::{describe, normal, typed};
use super::{Context, Sketch};
use crate::diagnostic::Diagnostic;
use crate::kind::KindSpec;
use crate::param::{ParamType, Params};
use crate::registry::Registered;
use crate::spec::choice::{is_choice, no_axis, split};
use crate::spec::template::Template;
use crate::spec::{Data, Key, Tree};

/// What a node gives to its kind.
#[derive(Default)]
pub(crate) struct NodeParams {
    /// Entries of `with:` without findings.
    pub(crate) given: Vec<Given>,
    /// Axes that the values name, as indices into [`Context::axes`]: jobs that agree in them share their parameters.
    pub(crate) axes: BTreeSet<usize>,
    /// A required parameter is missing, an entry is unknown or names something unknown.
    pub(crate) incomplete: bool,
}

/// One entry of `with:`.
pub(crate) struct Given {
    /// Index of the entry.
    entry: usize,
    /// Index of the parameter.
    param: usize,
    /// The value is chosen among several by the value of an axis.
    choice: Option<Choice>,
}

/// Checks names: of parameters, and inside `${...}`.
pub(crate) fn check(context: &Context<'_>, node: &Sketch<'_>, out: &mut Vec<Diagnostic>) -> NodeParams {
    let mut checked = NodeParams::default();
    let names = node.names(context);
    // Required parameters that a misspelt one probably is: one finding about them is enough.
    let mut meant = BTreeSet::new();
    for (entry, (key, value)) in node.def.with.iter().enumerate() {
        let mut used = names.check(value, out);
        let Some(kind) = &node.kind else { continue };
        let found = kind.spec.params.iter().position(|param| param.name == key.name);
        if found.is_none() {
            meant.extend(nearest(&key.name, kind.spec.params.iter().map(|param| param.name)));
            out.push(unknown(&kind.spec, key));
        }
        let mut choice = None;
        if let Some(param) = found.and_then(|param| kind.spec.params.get(param))
            && may_be_chosen(&param.ty)
            && is_choice(value)
        {
            choice = choose(context, node, value, out);
            used = used.zip(choice.as_ref()).map(|(mut used, choice)| {
                used.insert(choice.axis);
                used
            });
        }
        match (found, used) {
            (Some(param), Some(used)) => {
                checked.given.push(Given { entry, param, choice });
                checked.axes.extend(used);
            }
            _ => checked.incomplete = true,
        }
    }
    let Some(kind) = &node.kind else { return checked };
    for param in &kind.spec.params {
        if param.default.is_none() && !node.def.with.iter().any(|(key, _)| key.name == param.name) {
            checked.incomplete = true;
            if meant.contains(param.name) {
                continue;
            }
            let message = format!("{} needs the parameter `{}`: {}", node.place, param.name, param.about);
            let unit = if param.unit.is_empty() { String::new() } else { format!(" ({})", param.unit) };
            out.push(
                Diagnostic::error("celldag::pipeline::missing_param", message)
                    .at(node.def.name.span.clone(), format!("`{}` is not given", param.name))
                    .help(format!("add `with: {{{}: ...}}`, {}{unit}", param.name, describe(&param.ty))),
            );
        }
    }
    checked
}

/// A mapping on a parameter that takes mappings is a value: whether it is a choice could not be told.
pub(crate) fn may_be_chosen(ty: &ParamType) -> bool {
    !matches!(ty, ParamType::Map(_))
}

fn choose(
    context: &Context<'_>,
    node: &Sketch<'_>,
    value: &Tree,
    out: &mut Vec<Diagnostic>,
) -> Option<Choice> {
    let Some((def, _)) = split(value) else {
        out.push(no_axis(value));
        return None;
    };
    choice::check(context, node, &def, out)
}

fn unknown(spec: &KindSpec, key: &Key) -> Diagnostic {
    let name = key.name.as_str();
    let message = format!("kind `{}` has no parameter `{name}`", spec.name);
    let help = if spec.inputs.iter().any(|port| port.name == name) {
        Some(format!("`{name}` is an input: write it under `in:`"))
    } else {
        hint(name, "parameters", spec.params.iter().map(|param| param.name))
    };
    Diagnostic::error("celldag::pipeline::unknown_param", message)
        .at(key.span.clone(), "unknown parameter")
        .help("it takes no parameters")
        .maybe_help(help)
}

/// Resolves the parameters of jobs of one node, and reports each misfit once.
pub(crate) struct Resolver<'a> {
    context: &'a Context<'a>,
    node: &'a Sketch<'a>,
    kind: &'a Registered,
    checked: &'a NodeParams,
    reported: BTreeSet<String>,
}

impl<'a> Resolver<'a> {
    /// For the jobs of `node`.
    pub(crate) fn new(
        context: &'a Context<'a>,
        node: &'a Sketch<'a>,
        kind: &'a Registered,
        checked: &'a NodeParams,
    ) -> Self {
        Self { context, node, kind, checked, reported: BTreeSet::new() }
    }

    /// All parameters of one job, defaults written out; `None` after a finding.
    pub(crate) fn resolve(&mut self, at: Combination<'_>, out: &mut Vec<Diagnostic>) -> Option<Arc<Params>> {
        let spec = &self.kind.spec;
        let names = self.node.names(self.context);
        let mut map = Map::new();
        let mut sound = !self.checked.incomplete;
        for given in &self.checked.given {
            let (key, written) = &self.node.def.with[given.entry];
            let param = &spec.params[given.param];
            let Some(value) = chosen(given, written, at) else {
                sound = false;
                if let Some(choice) = &given.choice
                    && self.reported.insert(key.name.clone())
                {
                    let what = format!("parameter `{}`", key.name);
                    out.push(choice.missing(self.context, self.node, at.values, &what));
                }
                continue;
            };
            let optional = param.default == Some(Value::Null);
            let result = match names.fill(value, at) {
                Ok(filled) if optional && filled.is_null() => Ok(Value::Null),
                Ok(filled) => typed(&filled, &param.ty).map_err(|m| (m.span, m.wanted, m.message, m.help)),
                Err((span, message)) => Err((span, describe(&param.ty), message, None)),
            };
            match result {
                Ok(value) => {
                    map.insert(param.name.to_owned(), value);
                }
                Err((span, wanted, message, help)) => {
                    sound = false;
                    if self.reported.insert(key.name.clone()) {
                        let message = format!(
                            "`{}` of {}: {message}{}",
                            key.name,
                            self.node.place,
                            for_job(self.context, value, at)
                        );
                        let unit = if param.unit.is_empty() {
                            String::new()
                        } else {
                            format!("; its unit is {}", param.unit)
                        };
                        let place = if span.is_empty() { key.span.clone() } else { span };
                        let finding = Diagnostic::error("celldag::pipeline::wrong_param", message)
                            .at(place, format!("expected {wanted}"))
                            .help(format!("`{}`: {}{unit}", param.name, param.about))
                            .maybe_help(help);
                        out.push(self.with_origin(finding, value));
                    }
                }
            }
        }
        if !sound {
            return None;
        }
        for param in &spec.params {
            if let Some(default) = &param.default
                && !map.contains_key(param.name)
            {
                map.insert(param.name.to_owned(), normal(default, &param.ty));
            }
        }
        let mut params = Params(map);
        for (name, message) in self.kind.kind.check(&params) {
            sound = false;
            if self.reported.insert(format!("{name} {message}")) {
                out.push(self.rule_broken(&name, &message));
            }
        }
        sound.then(|| {
            self.kind.kind.resolve(&mut params);
            Arc::new(params)
        })
    }

    /// A rule of the kind between parameters, shown at the parameter it names.
    fn rule_broken(&self, name: &str, message: &str) -> Diagnostic {
        let entry = self.node.def.with.iter().find(|(key, _)| key.name == name);
        let span = entry.map_or_else(|| self.node.def.name.span.clone(), |(_, value)| value.span.clone());
        let message = format!("`{name}` of {}: {message}", self.node.place);
        let finding = Diagnostic::error("celldag::pipeline::rule", message).at(span, format!("`{name}`"));
        match entry {
            Some((_, value)) => self.with_origin(finding, value),
            None => finding.help(format!("`{name}` has its default value here")),
        }
    }

    /// Says where the value comes from when it stands elsewhere.
    fn with_origin(&self, mut finding: Diagnostic, value: &Tree) -> Diagnostic {
        let mut origins = Vec::new();
        visit(value, &mut |template| {
            for reference in template.references() {
                if let Some(origin) = self.context.scope(&self.node.def.name.span).origin(&reference.name) {
                    origins.push((reference.name.clone(), origin.clone()));
                }
            }
        });
        for (name, origin) in origins {
            match origin {
                Origin::File(span) => finding = finding.and(span, format!("`{name}` has its value here")),
                Origin::Set(written) => finding.message.push_str(&format!(", from {written}")),
            }
        }
        finding
    }
}

/// What stands there for one job: one of the cases, where it is a choice. `None` when the job has no case.
fn chosen<'t>(given: &Given, written: &'t Tree, at: Combination<'_>) -> Option<&'t Tree> {
    let Some(choice) = &given.choice else { return Some(written) };
    let case = choice.case(at.values)?;
    split(written).and_then(|(_, values)| values.get(case).copied())
}

/// `, for model=scgpt` when the value differs between jobs.
pub(super) fn for_job(context: &Context<'_>, value: &Tree, at: Combination<'_>) -> String {
    let mut used = BTreeSet::new();
    visit(value, &mut |template| {
        for reference in template.references() {
            let found = at.axes.iter().position(|axis| context.axes[*axis].name == reference.name);
            if let Some(slot) = found {
                let axis = &context.axes[at.axes[slot]];
                let text = axis.values.get(at.values[slot]).map_or("", |value| value.text());
                used.insert(format!("{}={text}", axis.name));
            }
        }
    });
    if used.is_empty() {
        String::new()
    } else {
        format!(", for {}", used.into_iter().collect::<Vec<_>>().join(","))
    }
}

fn visit(tree: &Tree, f: &mut dyn FnMut(&Template)) {
    match &tree.data {
        Data::Scalar(scalar) => {
            if let Ok(template) = Template::parse(&scalar.text) {
                f(&template);
            }
        }
        Data::List(items) => items.iter().for_each(|item| visit(item, f)),
        Data::Map(entries) => entries.iter().for_each(|(_, item)| visit(item, f)),
    }
}
