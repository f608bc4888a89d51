//! A rule as a process: what it takes, what it leaves, and the call of `celldag step`.

use super::Port;
use super::batch::{self, Batch};
use super::results::{place, publish};
use super::retry;
use super::sheet::{Sheet, ident, with};
use super::take::{Shape, Take, tuple};
use super::text::{inside, literal, word};
use crate::error::ExportError;
use crate::modules::in_comment;
use crate::workflow::{Names, Needs, Output, Rule, Workflow};

/// Mebibytes, which is what Nextflow calls MB.
const MEBIBYTE: u64 = 1 << 20;

/// A process while it is put together.
#[derive(Clone)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) about: &'static str,
    pub(super) directives: String,
    /// Its inputs: those of one job.
    pub(super) takes: Vec<Take>,
    /// Its tasks work through several jobs.
    pub(super) batch: Option<Batch>,
    /// Lines of its outputs.
    pub(super) gives: String,
    /// Statements that arguments need.
    head: String,
    kind: String,
    /// Arguments of the step.
    pub(super) arguments: Vec<String>,
    /// Those that name what the step makes, last.
    pub(super) made: Vec<String>,
}

/// The largest of what any job needs: directives are those of the process.
fn needs(rule: &Rule) -> Needs {
    let mut most = Needs::default();
    for needs in rule.needs.values() {
        most.threads = most.threads.max(needs.threads);
        most.ram = most.ram.max(needs.ram);
        most.gpus = most.gpus.max(needs.gpus);
    }
    most
}

/// `light`: the step needs no device, and no more than one core.
pub(super) fn directives(
    rule: &Rule,
    sheet: &Sheet,
    batch: Option<&Batch>,
    small: bool,
    light: bool,
) -> String {
    let tag = match batch {
        None => format!("meta.{}", sheet.id),
        Some(batch) => format!("batch[0].{}", batch.name),
    };
    let mut out = format!("    tag \"${{{tag}}}\"\n    label 'celldag'\n");
    let mut needs = needs(rule);
    if light {
        (needs.threads, needs.gpus) = (None, 0);
    }
    if small {
        out.push_str("    label 'small'\n");
    }
    if rule.uses_device && !light {
        out.push_str("    label 'device'\n");
    }
    if needs.gpus > 0 {
        out.push_str(&format!("    label 'gpu_{0}'\n    accelerator {0}\n", needs.gpus));
    }
    out.push_str("    cache 'deep'\n");
    if let Some(threads) = needs.threads {
        out.push_str(&format!("    cpus {threads}\n"));
    }
    if let Some(ram) = needs.ram {
        out.push_str(&format!("    memory '{} MB'\n", ram.div_ceil(MEBIBYTE)));
    }
    if let Some(timeout) = rule.timeout {
        // It is that of one step, and a batch runs its steps one after the other.
        let steps = batch.map_or(1, |batch| batch.most);
        out.push_str(&format!("    time '{} s'\n", timeout.as_secs().max(1).saturating_mul(steps)));
    }
    let retries = rule.attempts() - 1;
    if retries > 0 {
        out.push_str(&format!("    label 'retried'\n    maxRetries {retries}\n"));
    }
    out
}

/// The process of a rule. `ports` are its inputs in the order of the tuple.
pub(super) fn process(
    workflow: &Workflow,
    index: usize,
    ports: &[Port],
    sheet: &mut Sheet,
    small: bool,
) -> Result<Process, ExportError> {
    let rule = &workflow.rules[index];
    let mut takes = vec![Take::new("meta", Shape::Value)];
    let mut head = String::new();
    let mut arguments = Vec::new();
    for port in ports {
        let Port { name, variable, argument, .. } = port;
        if port.many {
            let labels = &port.labels;
            takes.push(Take::new(variable, Shape::Files(u8::from(!port.optional))));
            takes.push(Take::new(labels, Shape::Value));
            head.push_str(&format!(
                "    def {argument} = [{labels}, {variable}].transpose().collect {{ label, artifact -> \"--in {name}:${{quote(label)}}=${{artifact}}\" }}.join(' ')\n"
            ));
            arguments.push(format!("${{{argument}}}"));
        } else if port.optional {
            takes.push(Take::new(variable, Shape::Optional));
            head.push_str(&format!(
                "    def {argument} = {variable} ? \"--in {name}=${{{variable}}}\" : ''\n"
            ));
            arguments.push(format!("${{{argument}}}"));
        } else {
            takes.push(Take::new(variable, Shape::File));
            arguments.push(format!("--in {name}=${{{variable}}}"));
        }
    }
    if rule.runs.file().is_some() {
        takes.push(Take::new("program_file", Shape::File));
        arguments.push("--spec ${program_file}".to_owned());
    }
    if !rule.above.is_empty() {
        takes.push(Take::new("lineage", Shape::File));
        takes.push(Take::new("above", Shape::Folder));
        arguments.push("--lineage ${lineage} --above above".to_owned());
    }
    let changing = retry::changing(rule, sheet);
    for (name, setting) in &rule.params {
        if !changing.iter().any(|other| other.name == *name) {
            arguments.extend(with(workflow, rule, sheet, name, setting)?);
        }
    }
    for param in changing {
        head.push_str(&param.statement);
        arguments.push(param.argument);
    }
    arguments.push(format!("--job ${{quote(meta.{})}}", sheet.id));
    if !workflow.salt.is_empty() {
        arguments.push(format!("--salt {}", inside(&word(&workflow.salt))));
    }
    if workflow.strict_numerics {
        arguments.push("--strict-numerics".to_owned());
    }
    let batch = batch::has(rule).then(|| Batch::of(rule, sheet, &takes));
    let (gives, made) = results(rule, sheet, batch.is_some());
    let directives =
        directives(rule, sheet, batch.as_ref(), small, false) + &publish(workflow, index, sheet)?;
    let (name, kind) = (name(rule), inside(&word(rule.runs.word())));
    Ok(Process {
        name,
        about: rule.kind.spec.about,
        directives,
        takes,
        batch,
        gives,
        head,
        kind,
        arguments,
        made,
    })
}

/// Lines of outputs, and the arguments that name what a step makes.
fn results(rule: &Rule, sheet: &Sheet, batches: bool) -> (String, Vec<String>) {
    let mut gives = String::new();
    let mut made = Vec::new();
    let mut give = |path: String, emit: &str| {
        let meta = if batches { "batch" } else { "meta" };
        gives.push_str(&format!("    tuple val({meta}), path({path}), emit: {emit}\n"));
    };
    for output in &rule.outputs {
        let Output { port, ident, .. } = output;
        if batches {
            give(format!("{}, arity: '1..*'", literal(&place(output, Some("*")))), ident);
            made.push(format!("--out {port}={}", place(output, Some(&format!("${{meta.{}}}", sheet.name)))));
        } else {
            // A name with brackets is a name, and no pattern.
            let place = place(output, None);
            give(format!("{}, glob: false", literal(&place)), ident);
            made.push(format!("--out {}", inside(&word(&format!("{port}={place}")))));
        }
    }
    if rule.summarised {
        let file = format!("\"summary/${{meta.{}}}.json\"", sheet.name);
        give(if batches { format!("'{SUMMARIES}', arity: '1..*'") } else { file.clone() }, &summary(rule));
        made.push(format!("--summary {file}"));
    }
    (gives, made)
}

/// The summaries of a batch.
const SUMMARIES: &str = "summary/*.json";

/// A channel that a process gives: results of single jobs.
fn given(rule: &Rule, emit: &str, places: &str) -> String {
    let channel = format!("{}.out.{emit}", name(rule));
    if batch::has(rule) { format!("of_jobs({channel}, {})", literal(places)) } else { channel }
}

/// The channel of an output port.
pub(super) fn out(rule: &Rule, port: &str) -> String {
    rule.outputs
        .iter()
        .find(|output| output.port == port)
        .map_or_else(String::new, |output| given(rule, &output.ident, &place(output, Some("*"))))
}

/// The channel of summaries.
pub(super) fn summaries(rule: &Rule) -> String {
    given(rule, &summary(rule), SUMMARIES)
}

impl Process {
    pub(super) fn text(&self) -> String {
        let takes = tuple(self.batch.as_ref().map_or(&self.takes, |batch| &batch.takes));
        let arguments: String = self
            .arguments
            .iter()
            .chain(&self.made)
            .map(|argument| format!("        {argument} \\\\\n"))
            .collect();
        let about = in_comment(self.about);
        let Self { name, directives, gives, head, kind, .. } = self;
        let step = format!(
            "    \"\"\"\n    celldag step {kind} \\\\\n{arguments}        --threads ${{task.cpus}} ${{memory}} ${{store}}\n    \"\"\"\n"
        );
        let script = match &self.batch {
            None => format!("{head}{step}"),
            Some(batch) => {
                let each: String =
                    format!("{head}{step}").lines().map(|line| format!("    {line}\n")).collect();
                format!(
                    "    def steps = batch.withIndex().collect {{ meta, number ->\n{}{each}    }}\n    steps.join('\\n')\n",
                    batch.unpack
                )
            }
        };
        format!(
            "// {about}\nprocess {name} {{\n{directives}\n    input:\n    {takes}\n\n    output:\n{gives}\n    script:\n{TASK}{script}}}\n",
        )
    }
}

/// What the task was given, for every step of it.
const TASK: &str = "    def store = task.ext.store ? \"--cache ${quote(task.ext.store)}\" : '--no-cache'\n    def memory = task.memory ? \"--memory ${task.memory.toMega()}MiB\" : ''\n";

/// Name of the process.
pub(super) fn name(rule: &Rule) -> String {
    rule.ident.to_ascii_uppercase()
}

/// Name of the channel of summaries: unlike every output port.
pub(super) fn summary(rule: &Rule) -> String {
    let mut names = Names::default();
    rule.outputs.iter().for_each(|output| names.occupy(&output.ident));
    names.take("summary")
}

/// `[meta.dataset, meta.model]`, the values by which two channels are put together.
pub(super) fn key(workflow: &Workflow, of: &str, axes: &[String]) -> String {
    let values: Vec<String> = axes.iter().map(|axis| format!("{of}.{}", ident(workflow, axis))).collect();
    format!("[{}]", values.join(", "))
}
