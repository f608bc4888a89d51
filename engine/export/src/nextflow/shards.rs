//! `shards:` of a node: a process that computes a part a task, and the process of the node, which puts parts together.

use super::Port;
use super::channels::Call;
use super::process::{Process, directives};
use super::sheet::Sheet;
use crate::workflow::{Names, Rule};

/// Into how many parts the jobs of a rule are cut, if they are.
pub(super) fn count(rule: &Rule) -> Option<u32> {
    rule.shards.map(std::num::NonZeroU32::get).filter(|count| *count > 1)
}

/// The processes of parts and of the whole. `processes`: names of all processes.
pub(super) fn cut(
    rule: &Rule,
    whole: Process,
    sheet: &Sheet,
    count: u32,
    small: bool,
    processes: &mut Names,
) -> [Process; 2] {
    let mut part = whole.clone();
    part.name = processes.take(&format!("{}_part", rule.ident)).to_ascii_uppercase();
    part.directives = directives(rule, sheet, small, false);
    part.takes.push("val(shard)".to_owned());
    part.gives = "    tuple val(meta), path(\"${shard}.part\"), emit: part\n".to_owned();
    part.made = vec![format!("--shard ${{shard}}/{count}"), "--out part=${shard}.part".to_owned()];

    let mut whole = whole;
    let publish = whole.directives.lines().filter(|line| line.starts_with("    publishDir "));
    // Parts are put together on one core, and without a device.
    let publish: String = publish.map(|line| format!("{line}\n")).collect();
    whole.directives = directives(rule, sheet, small, true) + &publish;
    whole.takes.push("path(parts, stageAs: 'parts/*', arity: '1..*')".to_owned());
    whole.arguments.push("--part ${parts}".to_owned());
    [part, whole]
}

/// The calls of both.
pub(super) fn calls(
    [part, whole]: &[Process; 2],
    call: &Call,
    sheet: &Sheet,
    count: u32,
    lineage: bool,
) -> String {
    let mut have = vec!["meta"];
    for Port { variable, labels, many, .. } in &call.ports {
        have.push(variable);
        have.extend(many.then_some(labels.as_str()));
    }
    if lineage {
        have.extend(["lineage", "above"]);
    }
    let (channel, have, id) = (&call.channel, have.join(", "), &sheet.id);
    let (part, whole, last) = (&part.name, &whole.name, count - 1);
    format!(
        "    {part}({channel}.combine(channel.of(0..{last})))
    {whole}({channel}
        .map {{ {have} -> tuple(meta.{id}, {have}) }}
        .combine({part}.out.part.map {{ meta, part -> tuple(meta.{id}, part) }}.groupTuple(size: {count}), by: 0)
        .map {{ _key, {have}, parts -> tuple({have}, parts.toSorted {{ part -> part.name }}) }})\n"
    )
}
