//! The axes of a pipeline and their values: written out, counted, or read from a table.

use std::cell::{Cell, OnceCell};
use std::collections::BTreeSet;
use std::path::PathBuf;

use super::table::{self, Table};
use crate::check::interpolate::{Combination, Names};
use crate::check::modules::Modules;
use crate::check::scope::Scope;
use crate::check::suggest::hint;
use crate::diagnostic::Diagnostic;
use crate::spec::document::{Document, ProfileDef};
use crate::spec::template::Template;
use crate::spec::{Data, Key, Span, Tree};

/// More values than any study has; guards against a slip in `range`.
const MAX_VALUES: i64 = 1_000_000;

/// A named axis.
#[derive(Debug)]
pub(crate) struct Axis {
    /// Its name.
    pub(crate) name: String,
    /// Where it is defined.
    pub(crate) span: Span,
    /// Values in file order.
    pub(crate) values: Vec<AxisValue>,
    /// Column names of the table, if it comes from one.
    pub(crate) columns: Vec<String>,
    /// The table, if it comes from one.
    pub(crate) table: Option<PathBuf>,
    /// The values are not known because of a finding.
    pub(crate) broken: bool,
    /// The values are those of the file: no profile and no parameter can have dropped any.
    pub(crate) as_written: bool,
    /// Some node varies over it.
    pub(crate) used: Cell<bool>,
}

/// One value of an axis.
#[derive(Debug)]
pub(crate) struct AxisValue {
    /// The value, a scalar.
    pub(crate) tree: Tree,
    /// The row of the table, in the order of [`Axis::columns`].
    pub(crate) columns: Vec<String>,
}

impl AxisValue {
    /// The text in ids and labels.
    pub(crate) fn text(&self) -> &str {
        self.tree.scalar().map_or("", |scalar| scalar.text.as_str())
    }
}

impl Axis {
    /// Index of a column.
    pub(crate) fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }
}

/// All axes, with the chosen profiles laid over the file.
pub(crate) fn read(
    document: &Document,
    profiles: &[&ProfileDef],
    modules: &Modules,
    scopes: &[Scope<'_>],
    out: &mut Vec<Diagnostic>,
) -> Vec<Axis> {
    for (key, _) in document.profiles.iter().flat_map(|profile| &profile.axes) {
        if !document.axes.iter().any(|(axis, _)| axis.name == key.name) {
            let known = document.axes.iter().map(|(axis, _)| axis.name.as_str());
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::unknown_axis",
                    format!("the pipeline has no axis `{}`", key.name),
                )
                .at(key.span.clone(), "unknown axis")
                .maybe_help(hint(&key.name, "axes", known)),
            );
        }
    }
    let mut axes = Vec::new();
    for (key, value) in &document.axes {
        for param in scopes.iter().filter_map(|scope| scope.written(&key.name)) {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::name_clash",
                    format!("`{}` is both a parameter and an axis", key.name),
                )
                .at(key.span.clone(), "axis")
                .and(param.span.clone(), "parameter")
                .help("rename one of the two: ${...} must name one thing"),
            );
        }
        let replaced = profiles.iter().flat_map(|profile| &profile.axes);
        let instead = replaced.rev().find(|(name, _)| name.name == key.name);
        let reader = Reader { key, modules, scopes, table: OnceCell::new() };
        axes.push(reader.axis(value, instead.map(|(_, tree)| tree), out));
    }
    axes
}

/// The place whose file says where the path of a table starts.
fn table_home(names: &Names<'_>, written: &Tree) -> Span {
    let Data::Map(entries) = &written.data else { return written.span.clone() };
    let from = entries.iter().find(|(key, _)| key.name == "from").and_then(|(_, value)| value.scalar());
    let template = from.and_then(|from| Template::parse(&from.text).ok());
    template.map_or_else(|| written.span.clone(), |template| names.home(&template, &written.span))
}

/// Whether the values depend on a parameter.
pub(crate) fn depends(written: &Tree) -> bool {
    match &written.data {
        Data::Scalar(scalar) => scalar.text.contains("${"),
        Data::List(items) => items.iter().any(depends),
        Data::Map(entries) => entries.iter().any(|(_, value)| depends(value)),
    }
}

struct Reader<'a> {
    key: &'a Key,
    modules: &'a Modules,
    scopes: &'a [Scope<'a>],
    /// The table that was read.
    table: OnceCell<PathBuf>,
}

type Values = (Vec<AxisValue>, Vec<String>);

impl Reader<'_> {
    fn axis(&self, written: &Tree, instead: Option<&Tree>, out: &mut Vec<Diagnostic>) -> Axis {
        let from_table =
            matches!(&written.data, Data::Map(entries) if entries.iter().any(|(k, _)| k.name == "from"));
        let values = match instead {
            // A profile that lists ids of a table picks rows of it, so that their columns stay usable.
            Some(picked) if from_table && !matches!(picked.data, Data::Map(_)) => {
                self.values(written, out).and_then(|all| self.pick(all, picked, out))
            }
            other => self.values(other.unwrap_or(written), out),
        };
        let place = instead.unwrap_or(written).span.clone();
        let values = values.filter(|(values, _)| self.check(values, &place, out));
        let broken = values.is_none();
        let (values, columns) = values.unwrap_or_default();
        Axis {
            name: self.key.name.clone(),
            span: self.key.span.clone(),
            values,
            columns,
            table: self.table.get().cloned(),
            broken,
            as_written: instead.is_none() && !depends(written),
            used: Cell::new(false),
        }
    }

    fn values(&self, written: &Tree, out: &mut Vec<Diagnostic>) -> Option<Values> {
        let place = format!("the axis `{}`", self.key.name);
        let scope = &self.scopes[self.modules.of(&written.span)];
        let names = Names { scope, axes: &[], here: &[], place: &place };
        names.check(written, out)?;
        let filled = names.fill(written, Combination { axes: &[], values: &[] });
        let filled = filled.map_err(|(span, message)| out.push(self.wrong(span, &message))).ok()?;
        match &filled.data {
            Data::List(items) => {
                let items: Vec<_> = items.iter().map(|item| self.value(item, out)).collect();
                Some((items.into_iter().collect::<Option<_>>()?, Vec::new()))
            }
            Data::Map(entries) => {
                let get =
                    |name: &str| entries.iter().find(|(key, _)| key.name == name).map(|(_, value)| value);
                match (get("range"), get("from"), get("key"), entries.len()) {
                    (Some(range), None, None, 1) => Some((self.range(range, out)?, Vec::new())),
                    (None, Some(from), Some(key), 2) => {
                        self.table(from, key, &table_home(&names, written), out)
                    }
                    _ => {
                        out.push(self.shape(&filled));
                        None
                    }
                }
            }
            Data::Scalar(_) => {
                out.push(self.shape(&filled));
                None
            }
        }
    }

    fn wrong(&self, span: Span, message: &str) -> Diagnostic {
        Diagnostic::error("celldag::pipeline::bad_axis", format!("axis `{}`: {message}", self.key.name))
            .at(span, "here")
    }

    fn shape(&self, found: &Tree) -> Diagnostic {
        self.wrong(found.span.clone(), &format!("{} does not say which values it has", found.describe()))
            .help("write [a, b], {range: 10}, {range: [1, 11]} (11 not included), {range: [1, 11, 2]} (every second) or {from: table.tsv, key: column}")
    }

    fn value(&self, item: &Tree, out: &mut Vec<Diagnostic>) -> Option<AxisValue> {
        if item.scalar().is_some() && !item.is_null() {
            return Some(AxisValue { tree: item.clone(), columns: Vec::new() });
        }
        out.push(self.wrong(
            item.span.clone(),
            &format!("a value must be a word or a number, not {}", item.describe()),
        ));
        None
    }

    fn range(&self, tree: &Tree, out: &mut Vec<Diagnostic>) -> Option<Vec<AxisValue>> {
        let number =
            |tree: &Tree| tree.scalar().filter(|s| !s.quoted).and_then(|s| s.text.parse::<i64>().ok());
        let parts: Option<Vec<i64>> = match &tree.data {
            Data::Scalar(_) => number(tree).map(|end| vec![0, end]),
            Data::List(parts) => parts.iter().map(number).collect(),
            Data::Map(_) => None,
        };
        let (start, end, step) = match parts.as_deref() {
            Some([start, end]) => (*start, *end, 1),
            Some([start, end, step]) if *step > 0 => (*start, *end, *step),
            _ => {
                let message = "`range` must be a number, [first, end] or [first, end, step]";
                let help = "{range: 10} counts from 0 to 9; numbers are whole, and a step is at least 1";
                out.push(self.wrong(tree.span.clone(), message).help(help));
                return None;
            }
        };
        if end.saturating_sub(start) / step > MAX_VALUES {
            out.push(self.wrong(tree.span.clone(), &format!("more than {MAX_VALUES} values")));
            return None;
        }
        let value =
            |n: i64| AxisValue { tree: Tree::plain(n.to_string(), tree.span.clone()), columns: Vec::new() };
        let count = usize::try_from(step).unwrap_or(1);
        Some((start..end).step_by(count).map(value).collect())
    }

    fn table(&self, from: &Tree, key: &Tree, home: &Span, out: &mut Vec<Diagnostic>) -> Option<Values> {
        let (Some(file), Some(column)) = (from.scalar(), key.scalar()) else {
            out.push(self.shape(from));
            return None;
        };
        let path = self.modules.root(self.modules.of(home)).join(&file.text);
        // One axis reads one table: its own, or that of the profile.
        self.table.get_or_init(|| path.clone());
        let Table { columns, rows } = match table::read(&path) {
            Ok(table) => table,
            Err(message) => {
                let code = "celldag::pipeline::axis_table";
                let message = format!("axis `{}`: {message}", self.key.name);
                let help = "paths are relative to the folder of the pipeline file";
                out.push(Diagnostic::error(code, message).at(from.span.clone(), "this table").help(help));
                return None;
            }
        };
        let Some(index) = columns.iter().position(|name| *name == column.text) else {
            let message = format!("`{}` has no column `{}`", file.text, column.text);
            let help = hint(&column.text, "columns", columns.iter().map(String::as_str));
            out.push(self.wrong(key.span.clone(), &message).maybe_help(help));
            return None;
        };
        let value = |row: Vec<String>| {
            let text = row.get(index).cloned().unwrap_or_default();
            AxisValue { tree: Tree::plain(text, from.span.clone()), columns: row }
        };
        Some((rows.into_iter().map(value).collect(), columns))
    }

    fn pick(&self, (all, columns): Values, picked: &Tree, out: &mut Vec<Diagnostic>) -> Option<Values> {
        let (wanted, _) = self.values(picked, out)?;
        let mut all: Vec<Option<AxisValue>> = all.into_iter().map(Some).collect();
        let mut rows = Vec::new();
        for value in &wanted {
            let found = all.iter_mut().find(|row| row.as_ref().is_some_and(|row| row.text() == value.text()));
            if let Some(row) = found {
                rows.extend(row.take());
                continue;
            }
            let message = format!("the table has no row `{}`, or it is listed twice", value.text());
            let left = all.iter().flatten().map(AxisValue::text);
            let near = crate::check::suggest::nearest(value.text(), left)
                .map(|near| format!("did you mean `{near}`?"));
            out.push(self.wrong(value.tree.span.clone(), &message).maybe_help(near));
        }
        (rows.len() == wanted.len()).then_some((rows, columns))
    }

    /// Values become parts of ids and labels, so they must be there, differ, and not look like the punctuation of an id.
    fn check(&self, values: &[AxisValue], place: &Span, out: &mut Vec<Diagnostic>) -> bool {
        if values.is_empty() {
            out.push(self.wrong(place.clone(), "it has no values").help("an axis needs at least one value"));
            return false;
        }
        let mut seen = BTreeSet::new();
        for value in values {
            let text = value.text();
            let span = value.tree.span.clone();
            if text.trim() != text
                || text.is_empty()
                || text.contains(|c: char| ",=[]".contains(c) || c.is_control())
            {
                let message = format!("the value {text:?} cannot be part of a job's name");
                let help =
                    "use letters, digits, `_`, `-`, `.` and `/`; put longer texts into a column of a table";
                out.push(self.wrong(span, &message).help(help));
                return false;
            }
            if !seen.insert(text) {
                out.push(
                    self.wrong(span, &format!("the value `{text}` appears twice"))
                        .help("remove one of the two"),
                );
                return false;
            }
        }
        true
    }
}
