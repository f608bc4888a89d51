//! `${...}` in values: whether every name exists here, and what stands there for one job.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::scope::Scope;
use super::suggest::{hint, nearest};
use crate::diagnostic::Diagnostic;
use crate::expand::axes::Axis;
use crate::spec::template::{Part, Reference, Template};
use crate::spec::{Data, Span, Tree};

/// Where a value stands: which names it may use.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    /// Parameters of the pipeline.
    pub(crate) scope: &'a Scope<'a>,
    /// All axes of the pipeline.
    pub(crate) axes: &'a [Axis],
    /// Axes that vary here (indices into `axes`).
    pub(crate) here: &'a [usize],
    /// What `here` is, for messages: "node `head`".
    pub(crate) place: &'a str,
}

/// One combination of axis values.
#[derive(Clone, Copy)]
pub(crate) struct Combination<'a> {
    /// The axes (indices).
    pub(crate) axes: &'a [usize],
    /// For each, the index of its value.
    pub(crate) values: &'a [usize],
}

impl Names<'_> {
    /// Checks every `${...}` in `tree`. Returns the axes used, or `None` after a finding.
    pub(crate) fn check(&self, tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<BTreeSet<usize>> {
        match &tree.data {
            Data::Scalar(scalar) => {
                let template = self.parse(&scalar.text, &tree.span, out)?;
                self.check_template(&template, &tree.span, out)
            }
            Data::List(items) => self.check_all(items.iter(), out),
            Data::Map(entries) => self.check_all(entries.iter().map(|(_, value)| value), out),
        }
    }

    fn check_all<'t>(
        &self,
        trees: impl Iterator<Item = &'t Tree>,
        out: &mut Vec<Diagnostic>,
    ) -> Option<BTreeSet<usize>> {
        // Every part is checked, also after a finding.
        let parts: Vec<_> = trees.map(|tree| self.check(tree, out)).collect();
        parts.into_iter().try_fold(BTreeSet::new(), |mut all, part| {
            all.extend(part?);
            Some(all)
        })
    }

    /// Splits a text into its pieces.
    pub(crate) fn parse(&self, text: &str, span: &Span, out: &mut Vec<Diagnostic>) -> Option<Template> {
        Template::parse(text)
            .map_err(|message| {
                out.push(
                    Diagnostic::error("celldag::pipeline::bad_interpolation", message)
                        .at(span.clone(), "here")
                        .help("write ${name}, ${axis} or ${axis.column}; $${ stands for a literal ${"),
                );
            })
            .ok()
    }

    /// Checks the names of a text. Returns the axes used, or `None` after a finding.
    pub(crate) fn check_template(
        &self,
        template: &Template,
        span: &Span,
        out: &mut Vec<Diagnostic>,
    ) -> Option<BTreeSet<usize>> {
        let mut used = BTreeSet::new();
        let mut sound = true;
        for reference in template.references() {
            match self.find(reference) {
                Ok(Some(axis)) => {
                    used.insert(axis);
                }
                Ok(None) => {}
                Err(finding) => {
                    sound = false;
                    out.push(finding.at(span.clone(), "used here"));
                }
            }
        }
        sound.then_some(used)
    }

    /// The axis that a reference names, `None` for a parameter.
    fn find(&self, reference: &Reference) -> Result<Option<usize>, Box<Diagnostic>> {
        let name = reference.name.as_str();
        if let Some(axis) = self.axes.iter().position(|axis| axis.name == name) {
            return self.find_axis(axis, reference).map(Some);
        }
        if self.scope.get(name).is_some() {
            return match &reference.column {
                None => Ok(None),
                Some(column) => Err(Box::new(
                    Diagnostic::error(
                        "celldag::pipeline::no_column",
                        format!("`{name}` is a parameter and has no column `{column}`"),
                    )
                    .help(format!("write ${{{name}}}")),
                )),
            };
        }
        let known: Vec<&str> =
            self.scope.names().chain(self.axes.iter().map(|axis| axis.name.as_str())).collect();
        let help = nearest(name, known.iter().copied())
            .map(|near| format!("did you mean ${{{near}}}?"))
            .unwrap_or_else(|| format!("define it: params: {{{name}: ...}}"));
        let message = format!("`${{{name}}}` is not defined");
        Err(Box::new(Diagnostic::error("celldag::pipeline::undefined", message).help(help)))
    }

    fn find_axis(&self, axis: usize, reference: &Reference) -> Result<usize, Box<Diagnostic>> {
        let found = &self.axes[axis];
        let name = found.name.as_str();
        found.used.set(true);
        if !self.here.contains(&axis) {
            let code = "celldag::pipeline::axis_not_here";
            let message = format!("{} does not vary over the axis `{name}`", self.place);
            return Err(Box::new(
                Diagnostic::error(code, message).help(format!("add it: foreach: [{name}]")),
            ));
        }
        if let Some(column) = &reference.column
            && !found.broken
            && found.column(column).is_none()
        {
            let code = "celldag::pipeline::no_column";
            let help = if found.columns.is_empty() {
                Some(format!("only axes that come from a table have columns; write ${{{name}}}"))
            } else {
                hint(column, "columns", found.columns.iter().map(String::as_str))
            };
            let message = format!("the axis `{name}` has no column `{column}`");
            return Err(Box::new(Diagnostic::error(code, message).maybe_help(help)));
        }
        Ok(axis)
    }

    /// What a reference stands for in one job.
    fn look_up(&self, reference: &Reference, at: Combination<'_>) -> Option<Cow<'_, Tree>> {
        let name = reference.name.as_str();
        let Some(index) = self.axes.iter().position(|axis| axis.name == name) else {
            return self.scope.get(name).map(Cow::Borrowed);
        };
        let slot = at.axes.iter().position(|axis| *axis == index)?;
        let axis = self.axes.get(index)?;
        let value = axis.values.get(*at.values.get(slot)?)?;
        match &reference.column {
            None => Some(Cow::Borrowed(&value.tree)),
            Some(column) => {
                let text = value.columns.get(axis.column(column)?)?;
                Some(Cow::Owned(Tree::plain(text, value.tree.span.clone())))
            }
        }
    }

    /// `tree` for one job. A text that is one `${name}` becomes the value itself and keeps its type.
    ///
    /// # Errors
    /// Place and message, when a list or mapping stands inside a text.
    pub(crate) fn fill<'t>(
        &self,
        tree: &'t Tree,
        at: Combination<'_>,
    ) -> Result<Cow<'t, Tree>, (Span, String)> {
        match &tree.data {
            Data::Scalar(scalar) => {
                if !scalar.text.contains("${") {
                    return Ok(Cow::Borrowed(tree));
                }
                let template =
                    Template::parse(&scalar.text).map_err(|message| (tree.span.clone(), message))?;
                if let Some(value) = template.single().and_then(|reference| self.look_up(reference, at)) {
                    return Ok(Cow::Owned(value.moved_to(&tree.span)));
                }
                let text = self.render(&template, at).map_err(|message| (tree.span.clone(), message))?;
                Ok(Cow::Owned(Tree::quoted(text, tree.span.clone())))
            }
            Data::List(items) => {
                let items = items.iter().map(|item| self.fill(item, at).map(Cow::into_owned));
                let items = items.collect::<Result<Vec<_>, _>>()?;
                Ok(Cow::Owned(Tree { span: tree.span.clone(), data: Data::List(items) }))
            }
            Data::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.fill(value, at)?.into_owned())))
                    .collect::<Result<Vec<_>, (Span, String)>>()?;
                Ok(Cow::Owned(Tree { span: tree.span.clone(), data: Data::Map(entries) }))
            }
        }
    }

    /// `tree` with parameters filled in. A value that is one `${name}`, or begins with it, keeps the place where that was
    /// written: a relative path starts in its folder, through any number of included files.
    ///
    /// # Errors
    /// Place and message, when a list or mapping stands inside a text.
    pub(crate) fn fill_in_place(&self, tree: &Tree) -> Result<Tree, (Span, String)> {
        let template = tree.scalar().and_then(|scalar| Template::parse(&scalar.text).ok());
        let value = template.as_ref().and_then(Template::single).and_then(|name| self.scope.get(&name.name));
        if let Some(value) = value {
            return Ok(value.clone());
        }
        let filled = self.fill(tree, Combination { axes: &[], values: &[] })?.into_owned();
        let span = template.map_or_else(|| tree.span.clone(), |template| self.home(&template, &tree.span));
        Ok(Tree { span, ..filled })
    }

    /// The place whose file decides what a path or a name of a node means: a text that begins with a value means what it
    /// meant where that value was written.
    pub(crate) fn home(&self, template: &Template, span: &Span) -> Span {
        let Some(Part::Ref(reference)) = template.parts.first() else { return span.clone() };
        let axis = self.axes.iter().find(|axis| axis.name == reference.name).map(|axis| &axis.span);
        axis.or_else(|| self.scope.place(&reference.name)).unwrap_or(span).clone()
    }

    /// The text of a template for one job.
    ///
    /// # Errors
    /// A message, when a name has no text.
    pub(crate) fn render(&self, template: &Template, at: Combination<'_>) -> Result<String, String> {
        let mut text = String::new();
        for part in &template.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Ref(reference) => {
                    let name = &reference.name;
                    let value =
                        self.look_up(reference, at).ok_or_else(|| format!("`${{{name}}}` is not defined"))?;
                    let scalar = value.scalar().filter(|_| !value.is_null());
                    let scalar = scalar.ok_or_else(|| {
                        format!("`${{{name}}}` is {} and cannot stand inside a text", value.describe())
                    })?;
                    text.push_str(&scalar.text);
                }
            }
        }
        Ok(text)
    }

    /// A template whose parameters are filled in; references to axes stay.
    ///
    /// # Errors
    /// A message, when a parameter has no text.
    pub(crate) fn fill_params(&self, template: &Template) -> Result<Template, String> {
        let none = Combination { axes: &[], values: &[] };
        let mut parts: Vec<Part> = Vec::new();
        for part in &template.parts {
            let text = match part {
                Part::Ref(reference) if self.axes.iter().any(|axis| axis.name == reference.name) => {
                    parts.push(part.clone());
                    continue;
                }
                part => self.render(&Template { parts: vec![part.clone()] }, none)?,
            };
            match parts.last_mut() {
                Some(Part::Text(before)) => before.push_str(&text),
                _ => parts.push(Part::Text(text)),
            }
        }
        Ok(Template { parts })
    }
}
