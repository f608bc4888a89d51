//! What expressions of the subset mean, as Groovy and Nextflow define it.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::channel;
use super::parse::{Args, Expr, Lambda, Part, Stmt};

pub(super) type Scope = BTreeMap<String, Value>;

#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    /// Both ends belong to it.
    Range(i64, i64),
    Text(String),
    /// A file of the workflow, absolute, or as it is staged in a task.
    Path(String),
    List(Vec<Value>),
    Map(Rc<BTreeMap<String, Value>>),
    Closure(Rc<(Lambda, Scope)>),
    Channel(Rc<Vec<Value>>),
    /// A key of groups, and how many items the group has.
    GroupKey(Rc<(Value, i64)>),
    /// A function of Nextflow that is only known by its name: `channel`, or a process.
    Host(String),
}

impl Value {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn map(entries: impl IntoIterator<Item = (String, Value)>) -> Self {
        Self::Map(Rc::new(entries.into_iter().collect()))
    }

    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Text(text) => !text.is_empty(),
            Self::List(items) => !items.is_empty(),
            _ => true,
        }
    }

    pub(super) fn list(&self) -> &[Value] {
        match self {
            Self::List(items) => items,
            other => panic!("a list, not {other:?}"),
        }
    }

    pub(super) fn channel(&self) -> &[Value] {
        match self {
            Self::Channel(items) => items,
            other => panic!("a channel, not {other:?}"),
        }
    }

    pub(super) fn member(&self, name: &str) -> Value {
        match self {
            // Groovy gives null for what a map does not have.
            Self::Map(map) => map.get(name).cloned().unwrap_or(Value::Null),
            Self::Path(path) if name == "name" => Value::text(path.rsplit('/').next().unwrap_or(path)),
            Self::Path(path) if name == "parent" => {
                Value::Path(path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned())
            }
            other => panic!("{other:?} has no {name}"),
        }
    }
}

/// Equality of Groovy, and the order in which keys are compared here.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::List(a), Value::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Map(a), Value::Map(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|((n, a), (m, b))| n == m && same(a, b))
        }
        (Value::GroupKey(a), Value::GroupKey(b)) => same(&a.0, &b.0),
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Text(a), Value::Text(b)) | (Value::Path(a), Value::Path(b)) => a == b,
        _ => false,
    }
}

/// How Nextflow writes a value into a script: names of files are escaped for Bash, lists of files are separated by blanks.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Text(text) => text.clone(),
        Value::Path(path) => path.chars().fold(String::new(), |mut out, c| {
            if " '\"()\\!&|<>`:;$*?[]{}~#".contains(c) {
                out.push('\\');
            }
            out.push(c);
            out
        }),
        Value::List(items) if items.iter().all(|item| matches!(item, Value::Path(_))) => {
            items.iter().map(shown).collect::<Vec<_>>().join(" ")
        }
        other => panic!("this belongs into no script: {other:?}"),
    }
}

/// As `flatten` of Groovy.
fn flat(items: &[Value]) -> Vec<Value> {
    let one = |item: &Value| match item {
        Value::List(items) => flat(items),
        other => vec![other.clone()],
    };
    items.iter().flat_map(one).collect()
}

/// Calls of names that the language does not define: processes, `file`, `error`.
pub(super) trait Host {
    fn call(&mut self, name: &str, args: Vec<Value>, named: Vec<(String, Value)>) -> Value;
    fn member(&mut self, of: &str, name: &str) -> Value;
}

pub(super) struct Evaluator<'h> {
    pub(super) host: &'h mut dyn Host,
}

impl Evaluator<'_> {
    /// Runs statements; the value of the last one.
    pub(super) fn block(&mut self, body: &[Stmt], scope: &mut Scope) -> Value {
        let mut last = Value::Null;
        for stmt in body {
            match stmt {
                Stmt::Assign(name, value) => {
                    let value = self.expr(value, scope);
                    scope.insert(name.clone(), value);
                }
                Stmt::If(condition, body) => {
                    if self.expr(condition, scope).truth() {
                        self.block(body, scope);
                    }
                }
                Stmt::Expr(expr) => last = self.expr(expr, scope),
            }
        }
        last
    }

    pub(super) fn expr(&mut self, expr: &Expr, scope: &Scope) -> Value {
        match expr {
            Expr::Null => Value::Null,
            Expr::Bool(value) => Value::Bool(*value),
            Expr::Int(value) => Value::Int(*value),
            Expr::Text(parts) => {
                let mut out = String::new();
                for part in parts {
                    match part {
                        Part::Plain(text) => out.push_str(text),
                        Part::Code(code) => out.push_str(&shown(&self.expr(code, scope))),
                    }
                }
                Value::Text(out)
            }
            Expr::Name(name) => scope.get(name).cloned().unwrap_or_else(|| Value::Host(name.clone())),
            Expr::List(items) => Value::List(items.iter().map(|item| self.expr(item, scope)).collect()),
            Expr::Map(entries) => {
                let entries: Vec<_> =
                    entries.iter().map(|(name, value)| (name.clone(), self.expr(value, scope))).collect();
                Value::map(entries)
            }
            Expr::Member(on, name) => match self.expr(on, scope) {
                Value::Host(of) => self.host.member(&of, name),
                on => on.member(name),
            },
            Expr::Index(on, index) => match (self.expr(on, scope), self.expr(index, scope)) {
                (Value::List(items), Value::Int(at)) => items[usize::try_from(at).expect("an index")].clone(),
                (on @ Value::Map(_), Value::Text(name)) => on.member(&name),
                (on, index) => panic!("outside of the subset: {on:?}[{index:?}]"),
            },
            Expr::Closure(lambda) => Value::Closure(Rc::new((lambda.clone(), scope.clone()))),
            Expr::Choose(condition, yes, no) => {
                if self.expr(condition, scope).truth() {
                    self.expr(yes, scope)
                } else {
                    self.expr(no, scope)
                }
            }
            Expr::Elvis(value, other) => {
                let value = self.expr(value, scope);
                if value.truth() { value } else { self.expr(other, scope) }
            }
            Expr::Not(value) => Value::Bool(!self.expr(value, scope).truth()),
            Expr::Binary(sign, a, b) => self.binary(sign, a, b, scope),
            Expr::Call { on, name, args } => self.call(on.as_deref(), name, args, scope),
        }
    }

    fn binary(&mut self, sign: &str, a: &Expr, b: &Expr, scope: &Scope) -> Value {
        let left = self.expr(a, scope);
        match sign {
            "||" => Value::Bool(left.truth() || self.expr(b, scope).truth()),
            "&&" => Value::Bool(left.truth() && self.expr(b, scope).truth()),
            "+" => match (left, self.expr(b, scope)) {
                (Value::Text(left), right) => Value::Text(left + &shown(&right)),
                (left, right) => Value::List([left.list(), right.list()].concat()),
            },
            "-" | ".." => match (left, self.expr(b, scope)) {
                (Value::Int(left), Value::Int(right)) if sign == "-" => Value::Int(left - right),
                (Value::Int(left), Value::Int(right)) => Value::Range(left, right),
                (left, right) => panic!("outside of the subset: {left:?} {sign} {right:?}"),
            },
            "==" => Value::Bool(same(&left, &self.expr(b, scope))),
            _ => Value::Bool(!same(&left, &self.expr(b, scope))),
        }
    }

    fn call(&mut self, on: Option<&Expr>, name: &str, args: &Args, scope: &Scope) -> Value {
        let on = on.map(|on| self.expr(on, scope));
        let plain: Vec<Value> = args.plain.iter().map(|arg| self.expr(arg, scope)).collect();
        let named: Vec<_> =
            args.named.iter().map(|(name, arg)| (name.clone(), self.expr(arg, scope))).collect();
        match on {
            None if name == "tuple" => Value::List(plain),
            None => self.host.call(name, plain, named),
            Some(Value::Host(of)) => self.host.call(&format!("{of}.{name}"), plain, named),
            Some(Value::Channel(items)) => channel::operator(self, &items, name, &plain, &named),
            Some(on) => self.method(&on, name, &plain),
        }
    }

    /// A list as the only argument of a closure of several parameters is taken apart, as Groovy does it.
    pub(super) fn apply(&mut self, closure: &Value, value: &Value) -> Value {
        let Value::Closure(closure) = closure else { panic!("a closure, not {closure:?}") };
        let (lambda, scope) = &**closure;
        let mut scope = scope.clone();
        if let [name] = lambda.params.as_slice() {
            scope.insert(name.clone(), value.clone());
        } else {
            let items = value.list();
            assert_eq!(items.len(), lambda.params.len(), "{:?} of {value:?}", lambda.params);
            scope.extend(lambda.params.iter().cloned().zip(items.iter().cloned()));
        }
        self.block(&lambda.body, &mut scope)
    }

    fn method(&mut self, on: &Value, name: &str, args: &[Value]) -> Value {
        let texts = |items: &[Value]| items.iter().map(shown).collect::<Vec<_>>();
        match (on, name) {
            (Value::List(items), "size") => Value::Int(i64::try_from(items.len()).expect("small")),
            (Value::List(items), "join") => Value::Text(texts(items).join(&shown(&args[0]))),
            (Value::List(items), "collect") => {
                Value::List(items.iter().map(|item| self.apply(&args[0], item)).collect())
            }
            (Value::List(items), "take") => {
                let Value::Int(count) = args[0] else { panic!("take {args:?}") };
                Value::List(items.iter().take(usize::try_from(count).expect("a count")).cloned().collect())
            }
            (Value::List(items), "collectMany") => {
                let all = items.iter().flat_map(|item| self.apply(&args[0], item).list().to_vec());
                Value::List(all.collect())
            }
            (Value::List(items), "findResult") => {
                let mut found = items.iter().map(|item| self.apply(&args[0], item));
                found.find(|found| !matches!(found, Value::Null)).unwrap_or(Value::Null)
            }
            (Value::List(items), "flatten") => Value::List(flat(items)),
            (Value::List(items), "unique") => {
                let mut kept: Vec<Value> = Vec::new();
                for item in items {
                    if !kept.iter().any(|other| same(other, item)) {
                        kept.push(item.clone());
                    }
                }
                Value::List(kept)
            }
            (Value::List(items), "indexOf") => {
                let place = items.iter().position(|item| same(item, &args[0]));
                Value::Int(place.map_or(-1, |place| i64::try_from(place).expect("small")))
            }
            (Value::List(items), "withIndex") => {
                let pairs =
                    items.iter().zip(0..).map(|(item, at)| Value::List(vec![item.clone(), Value::Int(at)]));
                Value::List(pairs.collect())
            }
            (Value::Text(text), "endsWith") => Value::Bool(text.ends_with(&shown(&args[0]))),
            (Value::Path(path), "toString") => Value::text(path),
            (Value::List(items), "last") => items.last().expect("a last one").clone(),
            (Value::Text(text), "toString") => Value::text(text),
            (Value::Text(text), "replace") => Value::Text(text.replace(&shown(&args[0]), &shown(&args[1]))),
            (Value::List(items), "find") => {
                let found = items.iter().find(|item| self.apply(&args[0], item).truth());
                found.cloned().unwrap_or(Value::Null)
            }
            (Value::List(items), "toSorted") => {
                let mut keyed: Vec<(String, Value)> =
                    items.iter().map(|item| (shown(&self.apply(&args[0], item)), item.clone())).collect();
                keyed.sort_by(|a, b| a.0.cmp(&b.0));
                Value::List(keyed.into_iter().map(|(_, item)| item).collect())
            }
            // Groovy stops with the shortest list.
            (Value::List(items), "transpose") => {
                let count = items.iter().map(|item| item.list().len()).min().unwrap_or(0);
                let row = |at: usize| Value::List(items.iter().map(|item| item.list()[at].clone()).collect());
                Value::List((0..count).map(row).collect())
            }
            (Value::Int(mebibytes), "toMega") => Value::Int(*mebibytes),
            (on, name) => panic!("outside of the subset: {on:?}.{name}"),
        }
    }
}
