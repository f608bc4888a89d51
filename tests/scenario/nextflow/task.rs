//! A task as Nextflow runs it: a folder of its own, inputs as links under their staged names, `.command.sh` by `bash -ue`, an
//! environment of declared variables, declared outputs that must be there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::eval::{Evaluator, Host, Scope, Value, shown};
use super::parse::{Args, Expr, Lambda, Line, Process, Stmt};

/// What the configuration would say.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// `task.ext`: `args`, `store`, `prefix`.
    pub(super) ext: BTreeMap<String, String>,
    /// `env`: variables that tasks see besides PATH.
    pub(super) env: BTreeMap<String, String>,
    pub(super) stub: bool,
    /// `task.attempt`.
    pub(super) attempt: i64,
    /// Where `celldag` is, if it is not the one that is tested.
    pub(super) binary: Option<PathBuf>,
}

/// A finished task.
pub(super) struct Task {
    pub(super) code: i32,
    pub(super) stderr: String,
    pub(super) folder: PathBuf,
    /// Channel → item. Empty when the task failed.
    pub(super) outputs: BTreeMap<String, Value>,
    /// Name of a result, and the file.
    pub(super) published: Vec<(String, PathBuf)>,
}

/// Inside of a script nothing can be called but functions of the file, and `error`.
#[derive(Default)]
pub(super) struct ScriptHost {
    pub(super) functions: Vec<(String, Lambda)>,
}

impl Host for ScriptHost {
    fn call(&mut self, name: &str, args: Vec<Value>, _: Vec<(String, Value)>) -> Value {
        if let Some((_, lambda)) = self.functions.iter().find(|(own, _)| own == name).cloned() {
            let mut scope: Scope = lambda.params.iter().cloned().zip(args).collect();
            return Evaluator { host: self }.block(&lambda.body, &mut scope);
        }
        panic!("{name}: {}", args.first().map(shown).unwrap_or_default())
    }

    fn member(&mut self, of: &str, name: &str) -> Value {
        panic!("{of}.{name} means nothing in a script")
    }
}

pub(super) fn run(process: &Process, input: &Value, folder: &Path, settings: &Settings) -> Task {
    fs_err::create_dir_all(folder).expect("a task folder");
    let mut scope = staged(process, input, folder);
    scope.insert("task".to_owned(), task(process, settings, &scope));
    let mut host = ScriptHost { functions: process.functions.clone() };
    let mut evaluator = Evaluator { host: &mut host };
    if !process.when.is_empty() {
        assert!(evaluator.block(&process.when, &mut scope).truth(), "a task that `when` takes away");
    }
    let body: &[Stmt] =
        if settings.stub && !process.stub.is_empty() { &process.stub } else { &process.script };
    let script = shown(&evaluator.block(body, &mut scope));
    fs_err::write(folder.join(".command.sh"), format!("#!/bin/bash -ue\n{}\n", strip_indent(&script)))
        .expect("script");
    let binary = settings.binary.as_deref().unwrap_or(super::binary()).parent().expect("a folder");
    let path = format!("{}:/usr/local/bin:/usr/bin:/bin", binary.display());
    let output = Command::new("bash")
        .args(["-ue", ".command.sh"])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .envs(&settings.env)
        .stdin(Stdio::null())
        .output()
        .expect("bash starts");
    let code = output.status.code().unwrap_or(-1);
    let outputs =
        if code == 0 { collected(process, &mut evaluator, &scope, folder) } else { BTreeMap::new() };
    let published = published(process, &mut evaluator, &scope, folder, &outputs);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Task { code, stderr, folder: folder.to_owned(), outputs, published }
}

fn task(process: &Process, settings: &Settings, scope: &Scope) -> Value {
    let mut entries: BTreeMap<String, Value> = BTreeMap::new();
    entries.insert("process".to_owned(), Value::text(&process.name));
    entries.insert("cpus".to_owned(), Value::Int(1));
    let ext = settings.ext.iter().map(|(name, value)| (name.clone(), Value::text(value)));
    entries.insert("ext".to_owned(), Value::map(ext));
    entries.insert("attempt".to_owned(), Value::Int(settings.attempt));
    let mut host = ScriptHost::default();
    for Line { word, args } in process.directives.iter().filter(|line| line.word != "publishDir") {
        let value = Evaluator { host: &mut host }.expr(&args.plain[0], scope);
        match (word.as_str(), value) {
            ("cpus", value) => drop(entries.insert("cpus".to_owned(), value)),
            ("memory", Value::Text(text)) => {
                let number = text.strip_suffix(" MB").expect("memory in MB").parse().expect("a number");
                entries.insert("memory".to_owned(), Value::Int(number));
            }
            ("cache", value) => assert_eq!(shown(&value), "deep"),
            ("tag" | "label" | "time" | "accelerator" | "maxRetries", _) => {}
            (other, _) => panic!("outside of the subset: {other}"),
        }
    }
    Value::map(entries)
}

/// What an input or output line declares, one after the other: `val(meta)`, `path(cells, stageAs: 'cells/*')`.
fn declared(line: &Line) -> Vec<(&str, &Args)> {
    if line.word != "tuple" {
        return vec![(&line.word, &line.args)];
    }
    let call = |expr| match expr {
        &Expr::Call { on: None, ref name, ref args } => (name.as_str(), args),
        other => panic!("outside of the subset: {other:?}"),
    };
    line.args.plain.iter().map(call).collect()
}

fn option(args: &Args, name: &str) -> Option<String> {
    let (_, value) = args.named.iter().find(|(other, _)| other == name)?;
    match value {
        Expr::Name(name) => Some(name.clone()),
        value => Some(shown(&Evaluator { host: &mut ScriptHost::default() }.expr(value, &Scope::new()))),
    }
}

/// Links the inputs and gives the variables of the script.
fn staged(process: &Process, input: &Value, folder: &Path) -> Scope {
    let [line] = process.inputs.as_slice() else { panic!("one tuple of inputs") };
    let declared = declared(line);
    assert_eq!(declared.len(), input.list().len(), "{} takes {line:?}, not {input:?}", process.name);
    let mut scope = Scope::new();
    for ((ty, args), value) in declared.into_iter().zip(input.list()) {
        let Expr::Name(name) = &args.plain[0] else { panic!("a name") };
        if ty == "val" {
            scope.insert(name.clone(), value.clone());
            continue;
        }
        let pattern = option(args, "stageAs").expect("inputs have folders of their own");
        let arity = option(args, "arity");
        let exact_list = arity.is_some();
        let files = match value {
            Value::List(files) => files.clone(),
            file => vec![file.clone()],
        };
        assert!(arity.as_deref() != Some("1..*") || !files.is_empty(), "{name} is empty");
        let mut links: Vec<Value> = Vec::new();
        for (number, file) in files.iter().enumerate() {
            let Value::Path(from) = file else { panic!("{name}: a file, not {file:?}") };
            let base = from.rsplit('/').next().expect("a name");
            // A file name in the pattern that is no `*` renames.
            let (parent, file) = pattern.split_once('/').expect("DIR/* or DIR?/*");
            let parent = parent.replace('?', &(number + 1).to_string());
            let link = format!("{parent}/{}", if file == "*" { base } else { file });
            fs_err::create_dir_all(folder.join(&parent)).expect("folder");
            assert!(Path::new(from).exists(), "{from} does not exist");
            std::os::unix::fs::symlink(from, folder.join(&link))
                .expect("two files of one name in one folder");
            links.push(Value::Path(link));
        }
        // One file is no list, unless the arity says so.
        let value = if links.len() == 1 && !exact_list { links.remove(0) } else { Value::List(links) };
        scope.insert(name.clone(), value);
    }
    scope
}

fn collected(
    process: &Process,
    evaluator: &mut Evaluator<'_>,
    scope: &Scope,
    folder: &Path,
) -> BTreeMap<String, Value> {
    let mut channels = BTreeMap::new();
    for line in &process.outputs {
        // `emit` stands behind the last declaration of the line.
        let name = option(&line.args, "emit").expect("outputs have names");
        let mut items = Vec::new();
        for (ty, args) in declared(line) {
            let value = evaluator.expr(&args.plain[0], scope);
            if ty == "val" {
                items.push(value);
                continue;
            }
            let pattern = shown(&value);
            let literal = option(args, "glob").as_deref() == Some("false");
            let found = if literal { vec![text(&folder.join(&pattern))] } else { matching(folder, &pattern) };
            let found: Vec<String> = found.into_iter().filter(|path| Path::new(path).exists()).collect();
            assert!(
                !found.is_empty(),
                "{}: output {pattern} is missing in {}",
                process.name,
                folder.display()
            );
            let paths: Vec<Value> = found.into_iter().map(Value::Path).collect();
            let list = option(args, "arity").as_deref() == Some("1..*");
            assert!(list || paths.len() == 1, "{pattern} means several files");
            items.push(if list { Value::List(paths) } else { paths[0].clone() });
        }
        let item = if line.word == "tuple" { Value::List(items) } else { items.remove(0) };
        channels.insert(name, item);
    }
    channels
}

/// What `publishDir` makes of the files of a task.
fn published(
    process: &Process,
    evaluator: &mut Evaluator<'_>,
    scope: &Scope,
    folder: &Path,
    outputs: &BTreeMap<String, Value>,
) -> Vec<(String, PathBuf)> {
    let mut out = Vec::new();
    for line in process.directives.iter().filter(|line| line.word == "publishDir") {
        let (_, save_as) = line.args.named.iter().find(|(name, _)| name == "saveAs").expect("saveAs");
        let save_as = evaluator.expr(save_as, scope);
        let files = |value: &Value| match value {
            Value::List(files) => files.clone(),
            file => vec![file.clone()],
        };
        for value in outputs.values().flat_map(Value::list).flat_map(files) {
            let Value::Path(file) = &value else { continue };
            let name = file.strip_prefix(folder.to_str().expect("text")).expect("below the folder");
            let saved = evaluator.apply(&save_as, &Value::text(name.trim_start_matches('/')));
            if saved.truth() {
                out.push((shown(&saved), PathBuf::from(file)));
            }
        }
    }
    out
}

/// Files at `pattern`, in an order that promises nothing. Of the signs of a glob celldag writes `*` within a name only: any
/// other would be a file name that Nextflow takes for a pattern.
fn matching(folder: &Path, pattern: &str) -> Vec<String> {
    assert!(
        !pattern.contains(['[', '{', '?', '\\']) && !pattern.contains("**"),
        "outside of the subset: {pattern}"
    );
    let mut found = vec![folder.to_owned()];
    for part in pattern.split('/') {
        let mut next = Vec::new();
        for folder in found {
            let Some((first, last)) = part.split_once('*') else {
                assert!(!part.starts_with('.'), "a pattern does not find hidden files: {pattern}");
                next.push(folder.join(part));
                continue;
            };
            let entries = fs_err::read_dir(&folder).into_iter().flatten();
            let names = entries.map(|entry| entry.expect("entry").file_name().into_string().expect("text"));
            // A pattern does not find hidden files.
            let fits = |name: &String| {
                !name.starts_with('.')
                    && name.len() >= first.len() + last.len()
                    && name.starts_with(first)
                    && name.ends_with(last)
            };
            let mut names: Vec<String> = names.filter(fits).collect();
            names.sort();
            next.extend(names.into_iter().rev().map(|name| folder.join(name)));
        }
        found = next;
    }
    found.iter().map(|path| text(path)).collect()
}

fn text(path: &Path) -> String {
    path.to_str().expect("text").to_owned()
}

/// As `String.stripIndent` of Groovy: what all lines that are not blank begin with.
fn strip_indent(text: &str) -> String {
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let least = text.lines().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    text.lines().map(|line| line.get(least..).unwrap_or("")).collect::<Vec<_>>().join("\n")
}
