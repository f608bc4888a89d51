//! A rule as a process: what it takes, what it leaves, and the call of `celldag step`.

use super::Port;
use super::sheet::{Sheet, ident, with};
use super::text::{inside, literal, word};
use crate::error::ExportError;
use crate::workflow::{Names, Needs, Output, Rule, Workflow};

/// Mebibytes, which is what Nextflow calls MB.
const MEBIBYTE: u64 = 1 << 20;

/// Where an output lies in the folder of a task, and whether that differs between jobs: the plain path, or else Groovy that
/// reads it from the row of the job.
fn place(
    workflow: &Workflow,
    index: usize,
    output: &Output,
    sheet: &mut Sheet,
) -> Result<(String, bool), ExportError> {
    let rule = &workflow.rules[index];
    let inner = format!("out/{}", output.file);
    let mut wanted =
        workflow.outputs.iter().filter(|wanted| wanted.rule == index && wanted.port == output.port);
    let Some(first) = wanted.next() else { return Ok((inner, false)) };
    let refused =
        |why: &'static str| ExportError::Place { output: format!("{}.{}", rule.node, output.port), why };
    if wanted.next().is_some() {
        return Err(refused("stands in `outputs` twice"));
    }
    let mut cells = Vec::new();
    for path in &first.paths {
        let Some(path) = path else {
            cells.push(inner.clone());
            continue;
        };
        let inside = path.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        let text = path.to_str().filter(|text| !text.contains('\''));
        match text.filter(|_| inside) {
            Some(text) => cells.push(format!("publish/{text}")),
            None => {
                return Err(refused(
                    "has a path in `outputs` that is absolute, leads out of the folder or holds a quote",
                ));
            }
        }
    }
    if let [only] = cells.as_slice() {
        return Ok((only.clone(), false));
    }
    let column = sheet.add(&format!("out_{}", output.ident), cells);
    Ok((format!("${{meta.{column}}}"), true))
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

fn directives(rule: &Rule, sheet: &Sheet, small: bool) -> String {
    let mut out = format!("    tag \"${{meta.{}}}\"\n    label 'celldag'\n", sheet.id);
    let needs = needs(rule);
    if small {
        out.push_str("    label 'small'\n");
    }
    if rule.uses_device {
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
    let retries =
        rule.retries.transient + rule.retries.out_of_memory.as_ref().map_or(0, |memory| memory.times);
    if retries > 0 {
        out.push_str(&format!("    label 'retried'\n    maxRetries {retries}\n"));
    }
    out
}

/// The whole process. `ports` are its inputs in the order of the tuple.
pub(super) fn process(
    workflow: &Workflow,
    index: usize,
    ports: &[Port],
    sheet: &mut Sheet,
    small: bool,
) -> Result<String, ExportError> {
    let rule = &workflow.rules[index];
    let mut takes = vec!["val(meta)".to_owned()];
    let mut head = String::from(
        "    def store = task.ext.store ? \"--cache '${task.ext.store}'\" : '--no-cache'\n    def memory = task.memory ? \"--memory ${task.memory.toMega()}MiB\" : ''\n",
    );
    let mut arguments = Vec::new();
    for port in ports {
        let Port { name, variable, .. } = port;
        if port.many {
            let (labels, argument) = (&port.labels, &port.argument);
            takes.push(format!("path({variable}, stageAs: '{variable}?/*', arity: '1..*')"));
            takes.push(format!("val({labels})"));
            head.push_str(&format!(
                "    def {argument} = [{labels}, {variable}].transpose().collect {{ label, artifact -> \"--in '{name}:${{label}}='${{artifact}}\" }}.join(' ')\n"
            ));
            arguments.push(format!("${{{argument}}}"));
        } else {
            takes.push(format!("path({variable}, stageAs: '{variable}/*')"));
            arguments.push(format!("--in {name}=${{{variable}}}"));
        }
    }
    if !rule.above.is_empty() {
        takes.push("path(lineage, stageAs: 'lineage/*')".to_owned());
        takes.push("path(above, stageAs: 'above/*', arity: '1..*')".to_owned());
        arguments.push("--lineage ${lineage} --above above".to_owned());
    }
    for (name, setting) in &rule.params {
        arguments.extend(with(workflow, rule, sheet, name, setting)?);
    }
    let mut gives = String::new();
    for output in &rule.outputs {
        let (place, differs) = place(workflow, index, output, sheet)?;
        // A name with brackets is a name, and no pattern.
        let (path, place) =
            if differs { (format!("\"{place}\""), place) } else { (literal(&place), inside(&place)) };
        gives.push_str(&format!("    tuple val(meta), path({path}, glob: false), emit: {}\n", output.ident));
        arguments.push(format!("--out '{}={place}'", output.port));
    }
    if rule.summarised {
        let file = format!("\"summary/${{meta.{}}}.json\"", sheet.name);
        gives.push_str(&format!("    tuple val(meta), path({file}), emit: {}\n", summary(rule)));
        arguments.push(format!("--summary \"summary/${{meta.{}}}.json\"", sheet.name));
    }
    arguments.push(format!("--job '${{meta.{}}}'", sheet.id));
    if !workflow.salt.is_empty() {
        arguments.push(format!("--salt {}", inside(&word(&workflow.salt))));
    }
    if workflow.strict_numerics {
        arguments.push("--strict-numerics".to_owned());
    }
    let arguments: String = arguments.iter().map(|argument| format!("        {argument} \\\\\n")).collect();
    Ok(format!(
        "// {}\nprocess {} {{\n{}\n    input:\n    {}\n\n    output:\n{gives}\n    script:\n{head}    \"\"\"\n    celldag step {} \\\\\n{arguments}        --threads ${{task.cpus}} ${{memory}} ${{store}}\n    \"\"\"\n}}\n",
        rule.kind.spec.about,
        name(rule),
        directives(rule, sheet, small),
        if let [only] = takes.as_slice() { only.clone() } else { format!("tuple {}", takes.join(", ")) },
        word(rule.kind.spec.name),
    ))
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
