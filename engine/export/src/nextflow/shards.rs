//! `shards:` of a node: a process that computes a part a task, and the process of the node, which puts parts together.

use super::process::{Process, directives};
use super::sheet::Sheet;
use super::take::{Shape, Take, variables};
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
    part.directives = directives(rule, sheet, None, small, false);
    part.takes.push(Take::new("shard", Shape::Value));
    part.gives = "    tuple val(meta), path(\"${shard}.part\"), emit: part\n".to_owned();
    part.made = vec![format!("--shard ${{shard}}/{count}"), "--out part=${shard}.part".to_owned()];

    let mut whole = whole;
    let publish = whole.directives.lines().filter(|line| line.starts_with("    publishDir "));
    // Parts are put together on one core, and without a device.
    let publish: String = publish.map(|line| format!("{line}\n")).collect();
    whole.directives = directives(rule, sheet, None, small, true) + &publish;
    whole.takes.push(Take::new("parts", Shape::Folder));
    whole.arguments.push("--part ${parts}".to_owned());
    [part, whole]
}

/// The calls of both. `channel`: a tuple of `takes` for each job.
pub(super) fn calls(
    [part, whole]: &[Process; 2],
    channel: &str,
    takes: &[Take],
    sheet: &Sheet,
    count: u32,
) -> String {
    let (have, id) = (variables(takes), &sheet.id);
    let (part, whole, last) = (&part.name, &whole.name, count - 1);
    format!(
        "    {part}({channel}.combine(channel.of(0..{last})))
    {whole}({channel}
        .map {{ {have} -> tuple(meta.{id}, {have}) }}
        .combine({part}.out.part.map {{ meta, part -> tuple(meta.{id}, part) }}.groupTuple(size: {count}), by: 0)
        .map {{ _key, {have}, parts -> tuple({have}, parts.toSorted {{ part -> part.name }}) }})\n"
    )
}
