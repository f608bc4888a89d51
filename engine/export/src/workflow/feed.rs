//! What stands on the input ports of a rule, said once for all its jobs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use celldag_engine::{Job, JobInput, Pipeline, Source};

use super::setting::{Coordinates, Setting};
use crate::error::ExportError;

/// What stands on one input port of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feed {
    /// Port of the kind.
    pub port: String,
    /// The port as an identifier: unlike every axis of the workflow.
    pub ident: String,
    /// The port takes many artifacts: each needs its label.
    pub many: bool,
    /// What stands there. Nearly always the same for all jobs; a table where the pipeline chooses by the value of an axis.
    pub items: Setting<Vec<Item>>,
}

/// One entry of a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A file or folder of the user.
    File {
        /// Label of the artifact; empty where the port takes one.
        label: Setting<String>,
        /// Absolute path.
        path: Setting<PathBuf>,
    },
    /// The job of another rule at the same values of shared axes. It has no axes that the consumer lacks.
    Join {
        /// Index of the other rule in [`super::Workflow::rules`].
        rule: usize,
        /// Its output port.
        port: String,
        /// How the artifact is called.
        label: Label,
    },
    /// All jobs of another rule that have the same values of shared axes.
    Gather {
        /// Index of the other rule in [`super::Workflow::rules`].
        rule: usize,
        /// Its output port.
        port: String,
        /// How each artifact is called.
        label: Label,
        /// Axes that the other rule has and the consumer has not, sorted by name, as labels have them.
        over: Vec<String>,
        /// Values of these axes, one entry a job, in the order of labels.
        members: Setting<Vec<Vec<String>>>,
    },
}

/// How an artifact on a port is called, by the coordinates of the job that made it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// `head` or `head.predictions` in front, if anything.
    pub prefix: Option<String>,
    /// Axes whose values are told, sorted by name: `fold=3,model=scgpt`, in brackets behind a prefix.
    pub axes: Vec<String>,
}

impl Label {
    /// The label of what the job at these coordinates made.
    #[must_use]
    pub fn of(&self, coordinates: &Coordinates) -> String {
        let value = |axis: &String| format!("{axis}={}", coordinates.get(axis).map_or("", String::as_str));
        let axes = self.axes.iter().map(value).collect::<Vec<_>>().join(",");
        match &self.prefix {
            None => axes,
            Some(prefix) if self.axes.is_empty() => prefix.clone(),
            Some(prefix) => format!("{prefix}[{axes}]"),
        }
    }
}

/// The jobs of the rule that the feeds are for, and where every job of the pipeline has its rule.
pub(super) struct Jobs<'a> {
    pub(super) pipeline: &'a Pipeline,
    /// Axes of the rule.
    pub(super) axes: &'a [String],
    /// Indices of its jobs.
    pub(super) jobs: &'a [usize],
    /// Job → rule.
    pub(super) rule_of: &'a [usize],
}

/// Inputs of one job on one port that come from one place: another rule's port, or the user.
type Group<'a> = (From<'a>, Vec<&'a JobInput>);
/// A port of another rule; `None` is the user.
type From<'a> = Option<(usize, &'a str)>;
/// Where the inputs of a job on a port come from, and how many are files of the user.
type Shape<'a> = Vec<(From<'a>, usize)>;

impl Jobs<'_> {
    fn job(&self, index: usize) -> &Job {
        &self.pipeline.jobs[index]
    }

    /// What stands on a port; `None` when nothing does, in any job.
    pub(super) fn items(&self, port: &str) -> Result<Option<Setting<Vec<Item>>>, ExportError> {
        // Jobs whose inputs come from the same places are described together.
        let mut alike: BTreeMap<Shape<'_>, Vec<(usize, Vec<Group<'_>>)>> = BTreeMap::new();
        for &index in self.jobs {
            let groups = self.groups(index, port);
            // How many a rule gives may differ between jobs, how many files there are decides what is written.
            let shape =
                groups.iter().map(|(from, inputs)| (*from, from.map_or(inputs.len(), |_| 0))).collect();
            alike.entry(shape).or_default().push((index, groups));
        }
        if alike.keys().all(Vec::is_empty) {
            return Ok(None);
        }
        let mut points: Vec<(&Coordinates, Vec<Item>)> = Vec::new();
        for jobs in alike.values() {
            let items = self.describe(port, jobs)?;
            points.extend(jobs.iter().map(|(index, _)| (&*self.job(*index).coordinates, items.clone())));
        }
        Ok(Setting::of(self.axes, &points))
    }

    fn groups(&self, index: usize, port: &str) -> Vec<Group<'_>> {
        let mut groups: BTreeMap<Option<(usize, &str)>, Vec<&JobInput>> = BTreeMap::new();
        for input in self.job(index).inputs.iter().filter(|input| input.port == port) {
            let from = match &input.source {
                Source::Path(_) => None,
                Source::Job { job, port } => Some((self.rule_of[*job], port.as_str())),
            };
            groups.entry(from).or_default().push(input);
        }
        groups.into_iter().collect()
    }

    /// What stands on the port of jobs whose inputs come from the same places.
    fn describe(&self, port: &str, jobs: &[(usize, Vec<Group<'_>>)]) -> Result<Vec<Item>, ExportError> {
        let irregular =
            |index: usize| ExportError::Irregular { job: self.job(index).id.clone(), port: port.to_owned() };
        let (first, groups) =
            jobs.first().map(|(index, groups)| (*index, groups)).ok_or_else(|| irregular(0))?;
        let mut items = Vec::new();
        for (slot, (from, _)) in groups.iter().enumerate() {
            let members: Vec<(usize, &[&JobInput])> =
                jobs.iter().map(|(index, groups)| (*index, groups[slot].1.as_slice())).collect();
            match *from {
                None => items.extend(self.files(&members).ok_or_else(|| irregular(first))?),
                Some((rule, output)) => {
                    items.push(self.made(rule, output, &members).ok_or_else(|| irregular(first))?);
                }
            }
        }
        Ok(items)
    }

    fn files(&self, jobs: &[(usize, &[&JobInput])]) -> Option<Vec<Item>> {
        let count = jobs.first()?.1.len();
        let mut items = Vec::new();
        for slot in 0..count {
            let mut labels = Vec::new();
            let mut paths = Vec::new();
            for (index, inputs) in jobs {
                let input = inputs.get(slot)?;
                let Source::Path(path) = &input.source else { return None };
                labels.push((&*self.job(*index).coordinates, input.label.clone()));
                paths.push((&*self.job(*index).coordinates, path.clone()));
            }
            let label = Setting::of(self.axes, &labels)?;
            items.push(Item::File { label, path: Setting::of(self.axes, &paths)? });
        }
        Some(items)
    }

    fn made(&self, rule: usize, port: &str, jobs: &[(usize, &[&JobInput])]) -> Option<Item> {
        let producer = |input: &JobInput| match &input.source {
            Source::Job { job, .. } => Some(self.job(*job)),
            Source::Path(_) => None,
        };
        let any = producer(jobs.first()?.1.first()?)?;
        let over: Vec<String> =
            any.coordinates.keys().filter(|axis| !self.axes.contains(axis)).cloned().collect();
        let all: Vec<String> = any.coordinates.keys().cloned().collect();
        let pairs = jobs.iter().flat_map(|(index, inputs)| inputs.iter().map(move |input| (*index, *input)));
        let pairs: Vec<(usize, &JobInput)> = pairs.collect();
        // Joined by shared axes, or this is no edge that a pipeline file can say.
        for (index, input) in &pairs {
            let (own, other) = (&self.job(*index).coordinates, &producer(input)?.coordinates);
            if other.iter().any(|(axis, value)| own.get(axis).is_some_and(|own| own != value)) {
                return None;
            }
        }
        let label = candidates(&any.node, port, &over, &all).into_iter().find(|label| {
            pairs.iter().all(|(_, input)| {
                producer(input).is_some_and(|job| label.of(&job.coordinates) == input.label)
            })
        })?;
        let port = port.to_owned();
        if over.is_empty() {
            return pairs.len().eq(&jobs.len()).then_some(Item::Join { rule, port, label });
        }
        let mut points = Vec::new();
        for (index, inputs) in jobs {
            let values = |input: &&JobInput| {
                let coordinates = &producer(input)?.coordinates;
                over.iter().map(|axis| coordinates.get(axis).cloned()).collect::<Option<Vec<_>>>()
            };
            let members: Vec<Vec<String>> = inputs.iter().map(values).collect::<Option<_>>()?;
            points.push((&*self.job(*index).coordinates, members));
        }
        let members = Setting::of(self.axes, &points)?;
        Some(Item::Gather { rule, port, label, over, members })
    }
}

/// Every way in which the engine calls an artifact (`expand/jobs.rs` there), the plainest first.
fn candidates(node: &str, port: &str, over: &[String], all: &[String]) -> Vec<Label> {
    let label = |prefix: Option<String>, axes: &[String]| Label { prefix, axes: axes.to_vec() };
    let (node, both) = (node.to_owned(), format!("{node}.{port}"));
    vec![
        label(None, &[]),
        label(None, over),
        label(Some(node.clone()), &[]),
        label(Some(both), &[]),
        label(Some(node.clone()), over),
        label(Some(node), all),
    ]
}
