//! One node as a rule.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use serde_json::{Value, json};

use super::batch::Batch;
use super::input::{self, config};
use super::place::{self, LINEAGE, PARTS, SUMMARIES};
use super::text::{fits_a_line, list, literal, python, shell};
use crate::workflow::{Names, Needs, Rule, Runs, Setting, Workflow};

/// Section of config.yaml: node → the executable that is its kind.
const KINDS: &str = "kinds";

/// What a rule consists of, as it is put together.
#[derive(Clone, Default)]
pub(super) struct Lines {
    pub(super) inputs: Vec<(String, String)>,
    pub(super) params: Vec<(String, String)>,
    /// Arguments of the step, as text of a `shell:` string.
    pub(super) options: Vec<String>,
    /// Those that name what the step makes.
    made: Vec<String>,
    /// Functions of the Snakefile that the rule calls.
    pub(super) helpers: BTreeSet<&'static str>,
    /// Section of config.yaml → node → what rules look up.
    pub(super) tables: BTreeMap<&'static str, BTreeMap<String, Value>>,
    /// Axes that the rule works through by itself.
    pub(super) batch: Batch,
    outputs: Vec<(String, String)>,
    resources: Vec<(String, String)>,
}

/// The text of a node's rules, and what they need besides. `names` are those of all rules.
pub(super) fn write(
    workflow: &Workflow,
    rule: &Rule,
    group: Option<&str>,
    names: &mut Names,
) -> (String, Lines) {
    let shards = rule.shards.map_or(1, NonZeroU32::get);
    let batch = if shards > 1 { Batch::default() } else { Batch::of(workflow, rule) };
    let mut lines = Lines { batch, ..Lines::default() };
    let name = job(workflow, rule, &mut lines);
    program(rule, &mut lines);
    lines.options.push(format!("--job {name}"));
    input::write(workflow, rule, &mut lines);
    lineage(workflow, rule, &mut lines);
    params(workflow, rule, &mut lines);
    outputs(workflow, rule, &mut lines);
    let threads = needs(workflow, rule, &mut lines);
    let group = group.map_or_else(String::new, |group| format!("    group: {}\n", python(group)));
    if shards == 1 {
        return (text(workflow, rule, (&rule.ident, &threads, &group), &lines), lines);
    }
    let part = format!("{}/{{shard}}.part", place::pattern(workflow, PARTS, rule));
    let mut piece = lines.clone();
    piece.outputs = vec![("part".to_owned(), format!("temp({})", python(&part)))];
    piece.made =
        vec![format!("--shard {{wildcards.shard}}/{shards}"), "--out part={output.part:q}".to_owned()];
    let mut whole = lines.clone();
    let all = expand_shards(&part, shards);
    whole.inputs.push(("parts".to_owned(), all));
    whole.options.push("--part {input.parts:q}".to_owned());
    // Parts are put together in one thread, and without a GPU.
    whole.resources.retain(|(name, _)| name != "gpu");
    let name = names.take(&format!("{}_shard", rule.ident));
    let pieces = text(workflow, rule, (&name, &threads, &group), &piece);
    let whole = text(workflow, rule, (&rule.ident, "1", &group), &whole);
    (format!("{pieces}\n\n{whole}"), lines)
}

/// All parts of a job.
fn expand_shards(part: &str, shards: u32) -> String {
    let pattern = part.replace('{', "{{").replace('}', "}}").replace("{{shard}}", "{shard}");
    format!("expand({}, shard=range({shards}))", python(&pattern))
}

/// The text of one rule.
fn text(
    workflow: &Workflow,
    rule: &Rule,
    (name, threads, group): (&str, &str, &str),
    lines: &Lines,
) -> String {
    let mut text = format!("rule {name}:\n");
    section(&mut text, "input", &lines.inputs);
    section(&mut text, "output", &lines.outputs);
    section(&mut text, "params", &lines.params);
    text.push_str(group);
    text.push_str(&format!("    threads: {threads}\n"));
    section(&mut text, "resources", &lines.resources);
    let again = rule.attempts() - 1;
    if again > 0 {
        text.push_str(&format!("    retries: {again}\n"));
    }
    let options: Vec<&str> = lines.options.iter().chain(&lines.made).map(String::as_str).collect();
    let kind = match rule.runs {
        // An argument of a command, which config.yaml tells.
        Runs::Executable(_) => format!("{{config[{KINDS}][{}]:q}}", rule.node),
        Runs::Kind(_) | Runs::Program { .. } => literal(&shell(rule.runs.word())),
    };
    let step = format!("{{STEP}} {kind} {}", options.join(" \\\n            "));
    let steps = lines.batch.repeat(workflow, &step);
    text.push_str(&format!("    shell:\n        r\"\"\"\n        {steps}\n        \"\"\"\n"));
    text
}

fn section(text: &mut String, name: &str, entries: &[(String, String)]) {
    if !entries.is_empty() {
        text.push_str(&format!("    {name}:\n"));
        for (name, value) in entries {
            text.push_str(&format!("        {name}={value},\n"));
        }
    }
}

/// What the step is called: as the job is in a run.
fn job(workflow: &Workflow, rule: &Rule, lines: &mut Lines) -> String {
    let mut axes = rule.axes.clone();
    axes.sort();
    if axes.is_empty() {
        return literal(&shell(&rule.node));
    }
    let plain = axes.iter().all(|axis| workflow.axis(axis).is_some_and(crate::workflow::Axis::is_plain));
    let value = |axis: &String| {
        if lines.batch.has(axis) {
            return format!("{axis}={}", Batch::variable(workflow, axis));
        }
        let name = place::ident(workflow, axis);
        if plain {
            format!("{axis}={{wildcards.{name}}}")
        } else {
            format!("{axis}={{decode(wildcards.{name})}}")
        }
    };
    let id = format!("{}[{}]", rule.node, axes.iter().map(value).collect::<Vec<_>>().join(","));
    if plain {
        return format!("\"{id}\"");
    }
    lines.helpers.insert("decode");
    lines.params.push(("job_id".to_owned(), format!("lambda wildcards: f{}", python(&id))));
    "{params.job_id:q}".to_owned()
}

/// What the step runs, where that is no kind of celldag.
fn program(rule: &Rule, lines: &mut Lines) {
    match &rule.runs {
        Runs::Kind(_) => {}
        Runs::Executable(path) => {
            lines.tables.entry(KINDS).or_default().insert(rule.node.clone(), json!(path));
        }
        Runs::Program { file, .. } => {
            lines.inputs.push(("program_file".to_owned(), python(file)));
            lines.options.push("--spec {input.program_file:q}".to_owned());
        }
    }
}

/// For kinds that tell what came before them.
fn lineage(workflow: &Workflow, rule: &Rule, lines: &mut Lines) {
    if !rule.kind.spec.wants_lineage {
        return;
    }
    let path = place::pattern(workflow, LINEAGE, rule);
    lines.inputs.push(("lineage_file".to_owned(), python(&format!("{path}/lineage.json"))));
    lines.options.push("--lineage {input.lineage_file:q}".to_owned());
    if rule.above.is_empty() {
        return;
    }
    let list = python(&format!("{path}/above.txt"));
    lines.helpers.insert("lines_of");
    lines.inputs.push(("summaries_above".to_owned(), format!("lines_of({list})")));
    // File by file: a folder may hold summaries of jobs that the pipeline no longer has.
    // An option for each, since a job may have none above it where its inputs are chosen by an axis.
    let options =
        "lambda wildcards, input: \" \".join(\"--above \" + quote(path) for path in input.summaries_above)";
    lines.params.push(("summaries_above".to_owned(), options.to_owned()));
    lines.options.push("{params.summaries_above}".to_owned());
}

fn params(workflow: &Workflow, rule: &Rule, lines: &mut Lines) {
    // Two names may differ in signs that no identifier has, and an input may be called like a parameter.
    let mut names = Names::default();
    workflow.axes.iter().for_each(|axis| names.occupy(&axis.ident));
    rule.feeds.iter().for_each(|feed| names.occupy(&feed.ident));
    retried(workflow, rule, &mut names, lines);
    for (name, setting) in &rule.params {
        if rule.retried.iter().any(|(own, _)| own == name) {
            continue;
        }
        match setting {
            Setting::Same(Some(text)) if fits_a_line(text) => {
                lines.options.push(format!("--with {}", literal(&shell(&format!("{name}={text}")))));
                continue;
            }
            Setting::Same(None) => continue,
            _ => {}
        }
        if let Some(axis) = itself(workflow, setting) {
            let value = if lines.batch.has(axis) {
                Batch::variable(workflow, axis)
            } else {
                format!("{{wildcards.{}}}", place::ident(workflow, axis))
            };
            lines.options.push(format!("--with {name}={value}"));
            continue;
        }
        let table =
            lines.tables.entry("with").or_default().entry(rule.node.clone()).or_insert_with(|| json!({}));
        table[name] = config(workflow, setting, |text| json!(text));
        lines.helpers.insert("given");
        let ident = names.take(&format!("with_{name}"));
        lines.params.push((ident.clone(), format!("given({}, {})", python(&rule.node), python(name))));
        lines.options.push(format!("{{params.{ident}}}"));
    }
}

/// The axis that is the value of a parameter: `with: {fold: "${fold}"}`.
fn itself<'a>(workflow: &'a Workflow, setting: &'a Setting<Option<String>>) -> Option<&'a str> {
    let Setting::Table(table) = setting else { return None };
    let [axis] = table.axes.as_slice() else { return None };
    let same = table.rows.iter().all(|(key, value)| value.as_ref() == key.first());
    let axis = workflow.axis(axis).filter(|axis| same && axis.is_plain())?;
    Some(&axis.name)
}

/// Parameters that change with each attempt, as resources: these know the number of the attempt. Snakemake does not say why a job
/// failed, and parameters that change no result may be smaller whatever the cause was.
fn retried(workflow: &Workflow, rule: &Rule, names: &mut Names, lines: &mut Lines) {
    for (name, setting) in &rule.retried {
        let ident = names.take(&format!("with_{name}"));
        let by_attempt = match setting {
            Setting::Same(texts) => {
                format!("lambda wildcards, attempt: {}[min(attempt, {}) - 1]", list(texts), texts.len())
            }
            Setting::Table(_) => {
                let tables = lines.tables.entry("retried").or_default();
                let table = tables.entry(rule.node.clone()).or_insert_with(|| json!({}));
                table[name] = config(workflow, setting, |texts| json!(texts));
                lines.helpers.insert("retried");
                format!("retried({}, {})", python(&rule.node), python(name))
            }
        };
        lines.options.push(format!("--with {name}={{resources.{ident}:q}}"));
        lines.resources.push((ident, by_attempt));
    }
}

fn outputs(workflow: &Workflow, rule: &Rule, lines: &mut Lines) {
    for output in &rule.outputs {
        let name = &output.ident;
        let pattern = place::output(workflow, rule, output);
        let mut path = lines.batch.named(workflow, &pattern);
        if output.folder {
            path = format!("directory({path})");
        }
        if rule.temporary {
            path = format!("temp({path})");
        }
        lines.outputs.push((name.clone(), path));
        if lines.batch.is_none() {
            lines.made.push(format!("--out {}={{output.{name}:q}}", output.port));
        } else {
            lines.made.push(format!("--out {}={}", output.port, lines.batch.file(workflow, rule, &pattern)));
        }
    }
    if rule.summarised {
        let path = format!("{}/summary.json", place::pattern(workflow, SUMMARIES, rule));
        lines.outputs.push(("summary_file".to_owned(), lines.batch.named(workflow, &path)));
        if lines.batch.is_none() {
            lines.made.push("--summary {output.summary_file:q}".to_owned());
        } else {
            lines.made.push(format!("--summary {}", lines.batch.file(workflow, rule, &path)));
        }
    }
}

/// Threads and resources.
fn needs(workflow: &Workflow, rule: &Rule, lines: &mut Lines) -> String {
    let threads =
        column(workflow, rule, lines, "threads", |needs| needs.threads.map(|threads| threads as u64));
    let threads =
        threads.unwrap_or_else(|| if rule.uses_device { "config[\"threads\"]" } else { "1" }.to_owned());
    lines.options.push("--threads {threads}".to_owned());
    if let Some(memory) =
        column(workflow, rule, lines, "mem_mb", |needs| needs.ram.map(|bytes| bytes.div_ceil(1 << 20)))
    {
        lines.resources.push(("mem_mb".to_owned(), memory));
        lines.options.push("--memory {resources.mem_mb}M".to_owned());
    }
    if let Some(timeout) = rule.timeout {
        // It is that of one step, and a batch runs its steps one after the other.
        let seconds = timeout.as_secs().saturating_mul(lines.batch.steps());
        lines.resources.push(("runtime".to_owned(), seconds.div_ceil(60).max(1).to_string()));
    }
    if let Some(gpus) =
        column(workflow, rule, lines, "gpu", |needs| (needs.gpus > 0).then_some(needs.gpus.into()))
    {
        lines.resources.push(("gpu".to_owned(), gpus));
    }
    if rule.uses_device {
        lines.options.push("--device {DEVICE:q}".to_owned());
    }
    threads
}

/// One resource: a number, or a function that looks it up; `None` when no job asks for it. Jobs that do not ask beside jobs
/// that do get as much as the least of those: a resource cannot be left out for some jobs of a rule.
fn column(
    workflow: &Workflow,
    rule: &Rule,
    lines: &mut Lines,
    name: &str,
    value: impl Fn(&Needs) -> Option<u64>,
) -> Option<String> {
    let least = rule.needs.values().filter_map(&value).min()?;
    if rule.needs.values().all(|needs| value(needs).unwrap_or(least) == least) {
        return Some(least.to_string());
    }
    let table =
        lines.tables.entry("needs").or_default().entry(rule.node.clone()).or_insert_with(|| json!({}));
    table[name] = config(workflow, &rule.needs, |needs| json!(value(needs).unwrap_or(least)));
    lines.helpers.insert("needs");
    Some(format!("needs({}, {})", python(&rule.node), python(name)))
}
