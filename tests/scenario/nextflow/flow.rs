//! A workflow as Nextflow runs it: channels between processes, each tuple a task.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::Value as Json;

use super::channel;
use super::eval::{Evaluator, Host, Scope, Value, shown};
use super::parse::{File, Process, parse};
use super::task::{Settings, Task, run};

/// What a workflow did.
pub(super) struct Flow {
    file: File,
    folder: PathBuf,
    work: PathBuf,
    settings: Settings,
    /// (process, task) in the order in which they ran.
    pub(super) tasks: Vec<(String, Task)>,
    /// Results by the names under which they are published, and where the tasks have left them.
    pub(super) published: BTreeMap<String, PathBuf>,
    /// `params` of the configuration.
    params: BTreeMap<String, Value>,
}

impl Flow {
    /// Runs main.nf of `folder`, with task folders in `work`.
    pub(super) fn run(
        folder: &Path,
        work: &Path,
        params: BTreeMap<String, Value>,
        settings: Settings,
    ) -> Self {
        let mut file = parse(&fs_err::read_to_string(folder.join("main.nf")).expect("main.nf"));
        for (name, path) in std::mem::take(&mut file.includes) {
            let text = fs_err::read_to_string(folder.join(format!("{path}.nf"))).expect("a module");
            let process = parse(&text).processes.into_iter().find(|process| process.name == name);
            file.processes.push(process.unwrap_or_else(|| panic!("{path} has no {name}")));
        }
        let settings = Settings { attempt: 1, ..settings };
        let mut flow = Self {
            file,
            folder: folder.to_owned(),
            work: work.to_owned(),
            settings,
            tasks: Vec::new(),
            published: BTreeMap::new(),
            params,
        };
        let body = flow.file.workflow.clone();
        let mut scope: Scope = [
            ("params".to_owned(), Value::map(flow.params.clone())),
            ("projectDir".to_owned(), Value::text(folder.to_str().expect("text"))),
        ]
        .into();
        Evaluator { host: &mut flow }.block(&body, &mut scope);
        flow
    }

    /// Names of the tasks' jobs: process and `meta.id`.
    pub(super) fn ids(&self) -> Vec<String> {
        let mut ids: Vec<String> = self
            .tasks
            .iter()
            .flat_map(|(_, task)| {
                let item = task.outputs.values().next().expect("an output");
                match &item.list()[0] {
                    Value::List(batch) => batch.iter().map(|meta| shown(&meta.member("id"))).collect(),
                    meta => vec![shown(&meta.member("id"))],
                }
            })
            .collect();
        ids.sort();
        ids
    }

    /// Runs the tasks of a process, each as often as it may.
    fn process(&mut self, process: &Process, input: &Value) -> Value {
        for item in input.channel() {
            // One declared value is no tuple.
            let item = if process.takes_a_tuple() { item.clone() } else { Value::List(vec![item.clone()]) };
            let mut settings = self.settings.clone();
            let task = loop {
                let folder = format!("{}-{}-{}", process.name, self.tasks.len(), settings.attempt);
                let task = run(process, &item, &self.work.join(folder), &settings);
                // As the configuration of an export says it for the label `retried`.
                if [4, 137, 140].contains(&task.code) && settings.attempt <= process.retries() {
                    settings.attempt += 1;
                } else {
                    break task;
                }
            };
            assert_eq!(task.code, 0, "{}\n{}", task.folder.display(), task.stderr);
            for (name, file) in &task.published {
                let before = self.published.insert(name.clone(), file.clone());
                assert!(before.is_none(), "{name} is published twice");
            }
            self.tasks.push((process.name.clone(), task));
        }
        Value::Null
    }

    fn sheet(path: &str) -> Value {
        let text = fs_err::read_to_string(path).expect("a sheet");
        assert!(text.is_ascii(), "{path}: Java reads it in any encoding");
        let rows: Json = serde_json::from_str(&text).expect("JSON");
        channel::of(rows.as_array().expect("a list").iter().map(value).collect())
    }
}

fn value(json: &Json) -> Value {
    match json {
        Json::String(text) => Value::text(text),
        Json::Number(number) => Value::Int(number.as_i64().expect("a whole number")),
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(entries) => Value::map(entries.iter().map(|(name, entry)| (name.clone(), value(entry)))),
        other => panic!("no sheet has {other}"),
    }
}

impl Host for Flow {
    fn call(&mut self, name: &str, args: Vec<Value>, _named: Vec<(String, Value)>) -> Value {
        if let Some(process) = self.file.processes.iter().find(|process| process.name == name).cloned() {
            return self.process(&process, &args[0]);
        }
        if let Some((_, lambda)) = self.file.functions.iter().find(|(own, _)| own == name).cloned() {
            let folder = self.folder.to_str().expect("text").to_owned();
            let mut scope: Scope = lambda.params.iter().cloned().zip(args).collect();
            scope.insert("projectDir".to_owned(), Value::Text(folder));
            return Evaluator { host: self }.block(&lambda.body, &mut scope);
        }
        let text = |value: &Value| match value {
            Value::Text(text) | Value::Path(text) => text.clone(),
            other => panic!("a path, not {other:?}"),
        };
        match name {
            "file" => {
                let path = self.folder.join(text(&args[0]));
                assert!(path.exists(), "{} does not exist", path.display());
                Value::Path(path.to_str().expect("text").to_owned())
            }
            "groupKey" => {
                let [key, Value::Int(size)] = args.as_slice() else { panic!("groupKey{args:?}") };
                Value::GroupKey(Rc::new((key.clone(), *size)))
            }
            "channel.of" => match args.as_slice() {
                [Value::Range(first, last)] => channel::of((*first..=*last).map(Value::Int).collect()),
                _ => channel::of(args),
            },
            "channel.fromPath" => channel::of(vec![Value::Path(text(&args[0]))]),
            "splitJson" => Self::sheet(&text(&args[0])),
            other => panic!("outside of the subset: {other}"),
        }
    }

    fn member(&mut self, of: &str, name: &str) -> Value {
        // PROCESS.out.port
        let Some(process) = of.strip_suffix(".out") else { return Value::Host(format!("{of}.{name}")) };
        let tasks = self.tasks.iter().filter(|(own, _)| own == process);
        let items =
            tasks.map(|(_, task)| task.outputs.get(name).unwrap_or_else(|| panic!("{of}.{name}")).clone());
        channel::of(items.collect())
    }
}
