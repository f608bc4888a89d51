//! What a workflow manager has to know of a pipeline: rules for its nodes, their axes, and what their ports take.
//!
//! It is read off the expanded jobs, so that everything that a pipeline file can say (exclusions, conditions, choices, included
//! files, profiles) has been said already. What differs between the jobs of a rule is a [`Setting`]: a table over the axes that
//! decide it.

mod axes;
mod feed;
mod groups;
mod name;
mod params;
mod program;
mod retried;
mod setting;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use celldag_engine::registry::Registered;
use celldag_engine::{Job, Multiplicity, Pipeline, Retries};
use serde_json::{Map, Value};

pub use axes::Axis;
pub use feed::{Feed, Item, Label};
pub(crate) use name::Names;
pub use name::{decode, encode};
pub use program::Runs;
pub use retried::Attempts;
pub use setting::{Coordinates, Setting, Table};

use self::groups::{above, groups, layers, rule_of};
use crate::error::ExportError;

/// Parameter → text for `--with`; `None` where the default is meant.
pub type Given = (String, Setting<Option<String>>);

/// A pipeline as rules.
#[derive(Clone)]
pub struct Workflow {
    /// `name:` of the pipeline.
    pub name: String,
    /// Folder of the pipeline file; the paths of [`Wanted`] start here in a run of celldag.
    pub root: PathBuf,
    /// `salt:` of the pipeline; empty by default.
    pub salt: String,
    /// `numerics: strict` of the pipeline.
    pub strict_numerics: bool,
    /// Every axis of some job, sorted by name.
    pub axes: Vec<Axis>,
    /// One rule a node ([`Workflow::of`]) or a layer of it ([`Workflow::without_circles`]), in the order of their first jobs.
    pub rules: Vec<Rule>,
    /// `outputs:` of the pipeline.
    pub outputs: Vec<Wanted>,
}

/// A node of the pipeline, or a layer of it.
#[derive(Clone)]
pub struct Rule {
    /// Name of the node.
    pub node: String,
    /// The node as an identifier: no other rule or axis has it, whatever the case of its letters.
    pub ident: String,
    /// Its kind.
    pub kind: Registered,
    /// What its steps run.
    pub runs: Runs,
    /// Names of its axes in the order of `axes:`, the slowest first. How many values they have does not matter: folders of jobs are
    /// named by it, and have to stay where they are when a value comes or goes.
    pub axes: Vec<String>,
    /// The jobs, as indices into [`Pipeline::jobs`]; one for each combination of values that exists.
    pub jobs: Vec<usize>,
    /// Their coordinates, in the same order.
    pub combinations: Vec<Coordinates>,
    /// Parameter → text for `--with`, in the order of the kind's reference; `None` where the default is meant.
    pub params: Vec<Given>,
    /// Inputs in the order of the kind's reference; those on which nothing stands are left out.
    pub feeds: Vec<Feed>,
    /// Outputs in the order of the kind's reference.
    pub outputs: Vec<Output>,
    /// `resources:`.
    pub needs: Setting<Needs>,
    /// Whether it waits for the compute device.
    pub uses_device: bool,
    /// `retries:`.
    pub retries: Retries,
    /// Perf parameters that `retries:` changes when memory runs out → text for `--with`, attempt by attempt, the last for all after
    /// it. They are among [`Rule::params`] too where a first attempt must be given them.
    pub retried: Vec<Attempts>,
    /// `timeout:`.
    pub timeout: Option<Duration>,
    /// `keep: temp`.
    pub temporary: bool,
    /// `shards:`.
    pub shards: Option<NonZeroU32>,
    /// `batch:`, names of axes.
    pub batch: Vec<String>,
    /// Some rule below it wants the lineage, so that its steps write a summary.
    pub summarised: bool,
    /// Rules above it whose summaries its steps read, as indices into [`Workflow::rules`]; empty unless its kind wants the lineage.
    pub above: Vec<usize>,
}

impl Rule {
    /// How often a job may be tried, as in a run: each cause of failure has its own count.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        let memory = self.retries.out_of_memory.as_ref().map_or(0, |memory| memory.times);
        1_u32.saturating_add(self.retries.transient).saturating_add(memory)
    }
}

/// An output port of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Port of the kind.
    pub port: String,
    /// The port as an identifier: unlike every axis of the workflow.
    pub ident: String,
    /// Name of the file or folder, without a slash at the end; it may have folders in front.
    pub file: String,
    /// It is a folder.
    pub folder: bool,
}

impl Output {
    /// Its name means the same in a pattern of Snakemake, in one of Nextflow, and inside quotes of a shell.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.file.chars().all(|c| c.is_ascii_alphanumeric() || "._-/+".contains(c))
    }
}

/// `resources:` of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needs {
    /// CPU cores, if it says how many.
    pub threads: Option<usize>,
    /// Main memory in bytes.
    pub ram: Option<u64>,
    /// How many GPUs it asks for.
    pub gpus: u32,
    /// Memory of each of them in bytes.
    pub gpu_memory: Option<u64>,
}

/// One entry of `outputs:`, as far as its paths tell entries apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Index into [`Workflow::rules`].
    pub rule: usize,
    /// Output port of the kind.
    pub port: String,
    /// Where the user wants it, job by job in the order of [`Rule::jobs`]: absolute, or relative to the folder for results.
    /// `None` for jobs that the entry does not name.
    pub paths: Vec<Option<PathBuf>>,
}

impl Workflow {
    /// Reads the rules off the jobs of a pipeline.
    ///
    /// # Errors
    /// When no step can run a node, or a value cannot be written on a command line.
    pub fn of(pipeline: &Pipeline) -> Result<Self, ExportError> {
        Self::from(pipeline, &groups(pipeline, &vec![0; pipeline.jobs.len()]))
    }

    /// The same, and no rule takes from itself, be it through others: jobs may do so at other values of axes, and a node of
    /// such jobs is several rules.
    ///
    /// # Errors
    /// As [`Workflow::of`].
    pub fn without_circles(pipeline: &Pipeline) -> Result<Self, ExportError> {
        let nodes = groups(pipeline, &vec![0; pipeline.jobs.len()]);
        Self::from(pipeline, &groups(pipeline, &layers(pipeline, &nodes)))
    }

    fn from(pipeline: &Pipeline, groups: &[Vec<usize>]) -> Result<Self, ExportError> {
        let axes = axes::all(pipeline);
        let mut names = Names::default();
        axes.iter().for_each(|axis| names.occupy(&axis.ident));
        // Begins a rule in Snakemake, so that none can be called so; a port can.
        names.occupy("checkpoint");
        let rule_of = rule_of(pipeline, groups);
        let above = above(pipeline, &rule_of, groups.len());
        let mut rules = Vec::new();
        for (number, jobs) in groups.iter().enumerate() {
            let mut rule = rule(pipeline, &axes, jobs, &rule_of)?;
            rule.ident = names.take(&rule.node);
            let shared = shared(&rule, pipeline);
            rule.runs = program::runs(&rule.kind, (&rule.node, &rule.ident), &shared, &mut rule.params)?;
            if rule.kind.spec.wants_lineage {
                rule.above = above[number].iter().copied().collect();
            }
            rules.push(rule);
        }
        let summarised: BTreeSet<usize> = rules.iter().flat_map(|rule| rule.above.iter().copied()).collect();
        summarised.into_iter().for_each(|rule| rules[rule].summarised = true);
        let outputs = wanted(pipeline, &rules, &rule_of);
        Ok(Self {
            name: pipeline.name.clone(),
            root: pipeline.root.clone(),
            salt: pipeline.salt.clone(),
            strict_numerics: pipeline.strict_numerics,
            axes,
            rules,
            outputs,
        })
    }

    /// The axis of this name.
    #[must_use]
    pub fn axis(&self, name: &str) -> Option<&Axis> {
        self.axes.iter().find(|axis| axis.name == name)
    }
}

fn rule(pipeline: &Pipeline, all: &[Axis], jobs: &[usize], rule_of: &[usize]) -> Result<Rule, ExportError> {
    let own: Vec<&Job> = jobs.iter().map(|job| &pipeline.jobs[*job]).collect();
    let first = own[0];
    let spec = &first.kind.spec;
    let axes = first.dispatch.axes.clone();
    let mut names = Names::default();
    all.iter().for_each(|axis| names.occupy(&axis.ident));
    let (mut inputs, mut outputs) = (names.clone(), names);

    let context = feed::Jobs { pipeline, axes: &axes, jobs, rule_of };
    let mut feeds = Vec::new();
    for port in &spec.inputs {
        let ident = inputs.take(port.name);
        if let Some(items) = context.items(port.name)? {
            let many = port.many == Multiplicity::Many;
            feeds.push(Feed { port: port.name.to_owned(), ident, many, items });
        }
    }
    let output = |port: &celldag_engine::OutPort| Output {
        port: port.name.to_owned(),
        ident: outputs.take(port.name),
        file: port.file.trim_end_matches('/').to_owned(),
        folder: port.file.ends_with('/'),
    };
    let outputs = spec.outputs.iter().map(output).collect();
    let needs = |job: &Job| Needs {
        threads: job.resources.threads,
        ram: job.resources.ram,
        gpus: job.resources.gpus,
        gpu_memory: job.resources.gpu_memory,
    };
    let points: Vec<(&Coordinates, Needs)> = own.iter().map(|job| (&*job.coordinates, needs(job))).collect();
    Ok(Rule {
        node: first.node.clone(),
        ident: String::new(),
        kind: first.kind.clone(),
        runs: Runs::Kind(spec.name),
        params: params_of(&axes, &own)?,
        feeds,
        outputs,
        needs: Setting::of(&axes, &points).unwrap_or(Setting::Same(Needs::default())),
        uses_device: own.iter().any(|job| job.uses_device),
        retries: first.retries.clone(),
        retried: retried::retried(&axes, &own)?,
        timeout: first.timeout,
        temporary: first.temporary,
        shards: first.dispatch.shards,
        batch: first.dispatch.batch.clone(),
        summarised: false,
        above: Vec::new(),
        jobs: jobs.to_vec(),
        combinations: own.iter().map(|job| (*job.coordinates).clone()).collect(),
        axes,
    })
}

/// Parameters in which all jobs of a rule agree.
fn shared(rule: &Rule, pipeline: &Pipeline) -> Map<String, Value> {
    let jobs = || rule.jobs.iter().map(|job| &pipeline.jobs[*job].params);
    let mut shared = jobs().next().map(|params| params.0.clone()).unwrap_or_default();
    shared.retain(|name, value| jobs().all(|params| params.get(name) == Some(value)));
    shared
}

/// Parameters that some job must be given.
fn params_of(axes: &[String], jobs: &[&Job]) -> Result<Vec<Given>, ExportError> {
    let mut by_job: Vec<BTreeMap<String, String>> = Vec::new();
    for job in jobs {
        by_job.push(params::given(job)?.into_iter().collect());
    }
    let mut out = Vec::new();
    for param in &jobs[0].kind.spec.params {
        if !by_job.iter().any(|given| given.contains_key(param.name)) {
            continue;
        }
        let points: Vec<(&Coordinates, Option<String>)> = jobs
            .iter()
            .zip(&by_job)
            .map(|(job, given)| (&*job.coordinates, given.get(param.name).cloned()))
            .collect();
        out.extend(Setting::of(axes, &points).map(|setting| (param.name.to_owned(), setting)));
    }
    Ok(out)
}

/// The entries of `outputs:`. The engine lists their paths entry by entry, so that an entry ends where its rule, its port or
/// the order of jobs does.
fn wanted(pipeline: &Pipeline, rules: &[Rule], rule_of: &[usize]) -> Vec<Wanted> {
    let mut out: Vec<(Wanted, usize)> = Vec::new();
    for output in &pipeline.outputs {
        let rule = rule_of[output.job];
        let Some(place) = rules[rule].jobs.iter().position(|job| *job == output.job) else { continue };
        // Layers of a node take turns.
        let together = |(entry, _): &&mut (Wanted, usize)| {
            rules[entry.rule].node == rules[rule].node && entry.port == output.port
        };
        let own = out.iter_mut().rev().take_while(together).find(|(entry, _)| entry.rule == rule);
        match own.filter(|(_, last)| *last < place) {
            Some((entry, last)) => {
                entry.paths[place] = Some(output.path.clone());
                *last = place;
            }
            None => {
                let mut paths = vec![None; rules[rule].jobs.len()];
                paths[place] = Some(output.path.clone());
                out.push((Wanted { rule, port: output.port.clone(), paths }, place));
            }
        }
    }
    out.into_iter().map(|(entry, _)| entry).collect()
}
