//! A rule as a process: what it takes, what it leaves, and the call of `celldag step`.

use super::Port;
use super::results::{place, publish};
use super::retry;
use super::sheet::{Sheet, ident, with};
use super::text::{inside, literal, word};
use crate::error::ExportError;
use crate::modules::in_comment;
use crate::workflow::{Names, Needs, Rule, Workflow};

/// Mebibytes, which is what Nextflow calls MB.
const MEBIBYTE: u64 = 1 << 20;

/// A process while it is put together.
#[derive(Clone, Default)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) about: &'static str,
    pub(super) directives: String,
    /// Declarations of its inputs.
    pub(super) takes: Vec<String>,
    /// Lines of its outputs.
    pub(super) gives: String,
    /// Statements before the script.
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
pub(super) fn directives(rule: &Rule, sheet: &Sheet, small: bool, light: bool) -> String {
    let mut out = format!("    tag \"${{meta.{}}}\"\n    label 'celldag'\n", sheet.id);
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
        out.push_str(&format!("    time '{} s'\n", timeout.as_secs().max(1)));
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
    let mut takes = vec!["val(meta)".to_owned()];
    let mut head = String::from(
        "    def store = task.ext.store ? \"--cache ${quote(task.ext.store)}\" : '--no-cache'\n    def memory = task.memory ? \"--memory ${task.memory.toMega()}MiB\" : ''\n",
    );
    let mut arguments = Vec::new();
    for port in ports {
        let Port { name, variable, argument, .. } = port;
        if port.many {
            let labels = &port.labels;
            let least = if port.optional { 0 } else { 1 };
            takes.push(format!("path({variable}, stageAs: '{variable}?/*', arity: '{least}..*')"));
            takes.push(format!("val({labels})"));
            head.push_str(&format!(
                "    def {argument} = [{labels}, {variable}].transpose().collect {{ label, artifact -> \"--in {name}:${{quote(label)}}=${{artifact}}\" }}.join(' ')\n"
            ));
            arguments.push(format!("${{{argument}}}"));
            continue;
        }
        takes.push(format!("path({variable}, stageAs: '{variable}/*')"));
        if port.optional {
            head.push_str(&format!(
                "    def {argument} = {variable} ? \"--in {name}=${{{variable}}}\" : ''\n"
            ));
            arguments.push(format!("${{{argument}}}"));
        } else {
            arguments.push(format!("--in {name}=${{{variable}}}"));
        }
    }
    if rule.runs.file().is_some() {
        takes.push("path(program_file, stageAs: 'program/*')".to_owned());
        arguments.push("--spec ${program_file}".to_owned());
    }
    if !rule.above.is_empty() {
        takes.push("path(lineage, stageAs: 'lineage/*')".to_owned());
        takes.push("path(above, stageAs: 'above/*', arity: '1..*')".to_owned());
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
    let mut gives = String::new();
    let mut made = Vec::new();
    for output in &rule.outputs {
        let place = place(output);
        // A name with brackets is a name, and no pattern.
        gives.push_str(&format!(
            "    tuple val(meta), path({}, glob: false), emit: {}\n",
            literal(&place),
            output.ident
        ));
        made.push(format!("--out {}", inside(&word(&format!("{}={place}", output.port)))));
    }
    if rule.summarised {
        let file = format!("\"summary/${{meta.{}}}.json\"", sheet.name);
        gives.push_str(&format!("    tuple val(meta), path({file}), emit: {}\n", summary(rule)));
        made.push(format!("--summary {file}"));
    }
    let directives = directives(rule, sheet, small, false) + &publish(workflow, index, sheet)?;
    let (name, kind) = (name(rule), inside(&word(rule.runs.word())));
    Ok(Process { name, about: rule.kind.spec.about, directives, takes, gives, head, kind, arguments, made })
}

impl Process {
    pub(super) fn text(&self) -> String {
        let takes = self.takes.join(", ");
        let takes = if self.takes.len() > 1 { format!("tuple {takes}") } else { takes };
        let arguments: String = self
            .arguments
            .iter()
            .chain(&self.made)
            .map(|argument| format!("        {argument} \\\\\n"))
            .collect();
        let about = in_comment(self.about);
        let Self { name, directives, gives, head, kind, .. } = self;
        format!(
            "// {about}\nprocess {name} {{\n{directives}\n    input:\n    {takes}\n\n    output:\n{gives}\n    script:\n{head}    \"\"\"\n    celldag step {kind} \\\\\n{arguments}        --threads ${{task.cpus}} ${{memory}} ${{store}}\n    \"\"\"\n}}\n",
        )
    }
}

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
