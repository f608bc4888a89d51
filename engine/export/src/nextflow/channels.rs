//! What feeds a process: the rows of its sheet, put together with what other processes gave, by the values of shared axes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use celldag_engine::Pipeline;

use super::Port;
use super::process::{key, out, summaries};
use super::sheet::Sheet;
use super::text::inside;
use crate::error::ExportError;
use crate::workflow::{Feed, Item, Label, Names, Rule, Setting, Workflow};

/// What the whole workflow block has names for.
pub(super) struct Body {
    /// Parameters of the workflow.
    params: Names,
    /// Files of the user that do not differ between the jobs of a node: parameters of the workflow, by path.
    pub(super) files: BTreeMap<PathBuf, String>,
    /// Variables that hold channels.
    pub(super) variables: Names,
}

impl Body {
    pub(super) fn new(params: &[&str]) -> Self {
        let (mut taken, mut variables) = (Names::default(), Names::default());
        params.iter().for_each(|name| taken.occupy(name));
        ["jobs", "quote", "files_of", "places_of", "of_jobs"].iter().for_each(|name| variables.occupy(name));
        Self { params: taken, files: BTreeMap::new(), variables }
    }

    fn param(&mut self, path: &PathBuf, wanted: &str) -> String {
        if let Some(name) = self.files.get(path) {
            return name.clone();
        }
        let name = self.params.take(wanted);
        self.files.insert(path.clone(), name.clone());
        name
    }
}

/// The call of a process: statements of the workflow block, and its ports in the order of the tuple.
pub(super) struct Call {
    pub(super) statements: String,
    /// The channel that the statements make.
    pub(super) channel: String,
    pub(super) ports: Vec<Port>,
}

/// The tuple of a rule while it grows.
pub(super) struct Chain<'a> {
    workflow: &'a Workflow,
    pub(super) rule: &'a Rule,
    pub(super) sheet: &'a mut Sheet,
    pub(super) body: &'a mut Body,
    pub(super) names: Names,
    /// Names of what stands behind `meta`.
    pub(super) have: Vec<String>,
    /// Statements of the workflow block that are complete.
    pub(super) statements: String,
    /// The expression that grows.
    pub(super) text: String,
}

impl Chain<'_> {
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.workflow.rules.iter()
    }

    pub(super) fn tuple(&self) -> String {
        std::iter::once("meta".to_owned()).chain(self.have.iter().cloned()).collect::<Vec<_>>().join(", ")
    }

    /// Puts the chain together with a channel, by shared axes; the variable of what it gave. `gathered`: (what each item of
    /// the channel becomes) all items with these values, as one list.
    fn attach(&mut self, channel: &str, axes: &[String], item: &str, gathered: bool, wanted: &str) -> String {
        let variable = self.names.take(wanted);
        let own = key(self.workflow, "meta", axes);
        let other = key(self.workflow, "up", axes);
        let up = if axes.is_empty() && !item.contains("up.") { "_up" } else { "up" };
        let group = if gathered { ".groupTuple()" } else { "" };
        self.text.push_str(&format!(
            "\n        .map {{ {0} -> tuple({own}, {0}) }}\n        .combine({channel}.map {{ {up}, artifact -> tuple({other}, {item}) }}{group}, by: 0)",
            self.tuple()
        ));
        self.have.push(variable.clone());
        self.text.push_str(&format!("\n        .map {{ _key, {0} -> tuple({0}) }}", self.tuple()));
        variable
    }

    /// Axes that the rule shares with another.
    fn shared(&self, other: &Rule) -> Vec<String> {
        self.rule.axes.iter().filter(|axis| other.axes.contains(axis)).cloned().collect()
    }

    /// Groovy for one artifact of a port, or for the list of (label, artifact) of a port that takes many.
    fn item(&mut self, feed: &Feed, item: &Item) -> Result<String, ExportError> {
        Ok(match item {
            Item::File { label, path } => {
                path.values().try_for_each(|path| named(path))?;
                let file = match path {
                    Setting::Same(path) => format!("params.{}", self.body.param(path, &feed.ident)),
                    Setting::Table(_) => {
                        let show = |path: &PathBuf| path.to_string_lossy().into_owned();
                        format!(
                            "meta.{}",
                            self.sheet.setting(&format!("in_{}", feed.ident), self.rule, path, show)
                        )
                    }
                };
                // A name with brackets is a name, and no pattern.
                let file = format!("file({file}, checkIfExists: true, glob: false)");
                if !feed.many {
                    return Ok(file);
                }
                let label = match label {
                    Setting::Same(label) => format!("\"{}\"", inside(label)),
                    Setting::Table(_) => {
                        let column = self.sheet.setting(
                            &format!("label_{}", feed.ident),
                            self.rule,
                            label,
                            String::clone,
                        );
                        format!("meta.{column}")
                    }
                };
                format!("[[{label}, {file}]]")
            }
            Item::Join { rule, port, label } => {
                let other = &self.workflow.rules[*rule];
                let axes = self.shared(other);
                let channel = out(other, port);
                let own = if feed.many { self.pair("up", label) } else { "artifact".to_owned() };
                // A pair alone would be taken apart when channels are put together.
                let own = if feed.many { format!("[{own}]") } else { own };
                self.attach(&channel, &axes, &own, false, &feed.ident)
            }
            Item::Gather { rule, port, label, .. } => {
                let other = &self.workflow.rules[*rule];
                let axes = self.shared(other);
                let pair = self.pair("up", label);
                self.attach(&out(other, port), &axes, &pair, true, &feed.ident)
            }
        })
    }

    /// Groovy for what stands on a port: an artifact, or a list of (label, artifact).
    pub(super) fn items(&mut self, feed: &Feed, items: &[Item]) -> Result<String, ExportError> {
        let given = items.iter().map(|item| self.item(feed, item)).collect::<Result<Vec<_>, _>>()?;
        Ok(match given.as_slice() {
            [] => "[]".to_owned(),
            [only] => only.clone(),
            all => format!("({})", all.join(" + ")),
        })
    }

    /// `["fold=${up.fold}", artifact]`
    fn pair(&self, of: &str, label: &Label) -> String {
        let axes: Vec<String> = label
            .axes
            .iter()
            .map(|axis| format!("{}=${{{of}.{}}}", inside(axis), super::sheet::ident(self.workflow, axis)))
            .collect();
        let axes = axes.join(",");
        let text = match &label.prefix {
            None => axes,
            Some(prefix) if axes.is_empty() => inside(prefix),
            Some(prefix) => format!("{}[{axes}]", inside(prefix)),
        };
        format!("[\"{text}\", artifact]")
    }
}

/// Refuses a file whose name Nextflow writes into no script.
fn named(path: &Path) -> Result<(), ExportError> {
    match path.to_str() {
        None => Err(ExportError::NotText { path: path.to_owned() }),
        Some(text) if text.contains(|c: char| c.is_ascii_control()) => {
            Err(ExportError::FileName { path: path.to_owned() })
        }
        Some(_) => Ok(()),
    }
}

/// Statements that make the channel of a rule's tasks.
pub(super) fn call(
    workflow: &Workflow,
    pipeline: &Pipeline,
    index: usize,
    sheet: &mut Sheet,
    body: &mut Body,
) -> Result<Call, ExportError> {
    let rule = &workflow.rules[index];
    let mut names = crate::modules::variables();
    workflow.axes.iter().for_each(|axis| names.occupy(&axis.ident));
    ["up", "_up", "_key", "pair", "jobs"].iter().for_each(|word| names.occupy(word));
    let mut variables = crate::modules::variables();
    let channel = body.variables.take(&format!("{}_in", rule.ident));
    let text = format!("jobs({})", super::text::literal(&rule.ident));
    let mut chain =
        Chain { workflow, rule, sheet, body, names, have: Vec::new(), statements: String::new(), text };
    let mut ports = Vec::new();
    let mut last = vec!["meta".to_owned()];
    for feed in &rule.feeds {
        let variable = variables.take(&feed.ident);
        let labels = variables.take(&format!("{variable}_labels"));
        let argument = variables.take(&format!("{variable}_arg"));
        let given = match &feed.items {
            Setting::Same(items) => chain.items(feed, items)?,
            Setting::Table(table) => chain.choose(feed, table)?,
        };
        if feed.many {
            last.push(format!("{given}.toSorted {{ pair -> pair[0] }}.collect {{ pair -> pair[1] }}"));
            last.push(format!("{given}.toSorted {{ pair -> pair[0] }}.collect {{ pair -> pair[0] }}"));
        } else {
            last.push(given);
        }
        let optional = feed.items.values().any(Vec::is_empty);
        ports.push(Port { name: feed.port.clone(), variable, labels, argument, many: feed.many, optional });
    }
    if let Some(file) = rule.runs.file() {
        last.push(format!("file(\"${{projectDir}}/{file}\", checkIfExists: true, glob: false)"));
    }
    let mut above = Vec::new();
    for upper in &rule.above {
        let other = &workflow.rules[*upper];
        let axes = if super::lineage::by_shared_axes(workflow, pipeline, index, *upper) {
            chain.shared(other)
        } else {
            Vec::new()
        };
        above.push(chain.attach(
            &summaries(other),
            &axes,
            "artifact",
            true,
            &format!("{}_above", other.ident),
        ));
    }
    if !above.is_empty() {
        last.push(format!(
            "file(\"${{projectDir}}/lineage/${{meta.{}}}.json\", checkIfExists: true, glob: false)",
            chain.sheet.name
        ));
        let all = above.join(" + ");
        let all = if above.len() > 1 { format!("({all})") } else { all };
        last.push(format!("{all}.toSorted {{ artifact -> artifact.name }}"));
    }
    let (tuple, last) = (chain.tuple(), last.join(", "));
    if last != tuple {
        chain.text.push_str(&format!("\n        .map {{ {tuple} -> tuple({last}) }}"));
    }
    let statements = format!("{}    {channel} = {}\n", chain.statements, chain.text);
    Ok(Call { statements, channel, ports })
}
