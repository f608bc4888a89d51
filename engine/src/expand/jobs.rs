//! Nodes to jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::axes::Axis;
use super::choices;
use super::grid::Grid;
use super::join::{Join, label};
use super::paths::Paths;
use crate::check::interpolate::Combination;
use crate::check::needs::Amounts;
use crate::check::params::Resolver;
use crate::check::references::{CheckedItem, ItemSource};
use crate::check::{Checked, Context, Sketch};
use crate::diagnostic::Diagnostic;
use crate::kind::Multiplicity;
use crate::param::Params;
use crate::part::Portion;
use crate::pipeline::{Job, JobInput, Source};
use crate::resources::Resources;

/// More jobs than any study has; guards against a slip in an axis.
const MAX_JOBS: usize = 5_000_000;

/// The jobs of one node before they know each other.
pub(crate) struct NodeJobs {
    /// Which combinations exist.
    pub(crate) grid: Grid,
    /// Parameters by number of the job.
    params: Vec<Arc<Params>>,
    /// Resources by number of the job.
    needs: Vec<Arc<Resources>>,
    /// Index of the first job in the pipeline; set by [`connect`].
    pub(crate) first: usize,
}

/// Finds the jobs of every sound node and checks their parameters. `None` stands for nodes with findings.
pub(crate) fn enumerate(
    context: &Context<'_>,
    checked: &Checked<'_>,
    out: &mut Vec<Diagnostic>,
) -> Vec<Option<NodeJobs>> {
    let mut total: usize = 0;
    let mut all = Vec::new();
    for (node, sketch) in checked.nodes.iter().zip(&checked.sketches.nodes) {
        let (true, Some(kind)) = (node.sound, &sketch.kind) else {
            all.push(None);
            continue;
        };
        let lengths: Vec<usize> = sketch.axes.iter().map(|axis| context.axes[*axis].values.len()).collect();
        total = total.saturating_add(Grid::size(&lengths));
        if total > MAX_JOBS {
            out.push(
                Diagnostic::error("celldag::pipeline::too_many_jobs", format!("more than {MAX_JOBS} jobs"))
                    .at(sketch.def.name.span.clone(), "with this node")
                    .help("check the axes: their lengths multiply"),
            );
            all.push(None);
            break;
        }
        let grid = Grid::new(&sketch.axes, &lengths, |at| node.live.contains(context, sketch, at, out));
        choices::check(context, sketch, node, &grid, out);
        let mut resolver = Resolver::new(context, sketch, kind, &node.params);
        // Jobs that agree in the axes that their parameters name share them.
        let slots: Vec<usize> =
            (0..sketch.axes.len()).filter(|slot| node.params.axes.contains(&sketch.axes[*slot])).collect();
        let mut shared: BTreeMap<Vec<usize>, Option<Arc<Params>>> = BTreeMap::new();
        // Every combination is looked at, also after a finding.
        let mut params = Vec::with_capacity(grid.count());
        let mut amounts = Amounts::new(context, sketch, &node.needs);
        let mut needs = Vec::with_capacity(grid.count());
        for number in 0..grid.count() {
            let at = grid.at(number);
            let projection: Vec<usize> = slots.iter().map(|slot| at.values[*slot]).collect();
            params.extend(shared.entry(projection).or_insert_with(|| resolver.resolve(at, out)).clone());
            needs.push(amounts.of(at, out));
        }
        // Without all parameters there is a finding, so that nothing is connected; the files can still be looked at.
        all.push(Some(NodeJobs { grid, params, needs, first: 0 }));
    }
    all.resize_with(checked.nodes.len(), || None);
    all
}

/// Checks that the files named under `in:` exist, for every job.
pub(crate) fn check_files(
    context: &Context<'_>,
    checked: &Checked<'_>,
    all: &[Option<NodeJobs>],
    paths: &mut Paths,
    out: &mut Vec<Diagnostic>,
) {
    for ((node, sketch), jobs) in checked.nodes.iter().zip(&checked.sketches.nodes).zip(all) {
        for (input, (key, _)) in node.inputs.iter().zip(&sketch.def.inputs) {
            for item in &input.items {
                let ItemSource::Path(template) = &item.source else { continue };
                // A node with other findings may have no jobs; a path that names no axis can be looked at nevertheless.
                let nowhere = Combination { axes: &[], values: &[] };
                let plain = template.references().next().is_none();
                let count = jobs.as_ref().map_or(usize::from(plain), |jobs| jobs.grid.count());
                for number in 0..count {
                    let at = jobs.as_ref().map_or(nowhere, |jobs| jobs.grid.at(number));
                    if !input.takes(item, at.values) {
                        continue;
                    }
                    match sketch.names(context).render(template, at) {
                        Ok(text) => {
                            paths.resolve(context.modules, item, &text, sketch, &key.name);
                        }
                        Err(message) => out.push(
                            Diagnostic::error("celldag::pipeline::bad_interpolation", message)
                                .at(item.span.clone(), "here"),
                        ),
                    }
                    if plain {
                        break;
                    }
                }
            }
        }
    }
}

/// Puts the jobs into order and connects them. Called when nothing is wrong so far.
pub(crate) fn connect(
    context: &Context<'_>,
    checked: &Checked<'_>,
    all: &mut [Option<NodeJobs>],
    paths: &mut Paths,
    out: &mut Vec<Diagnostic>,
) -> Vec<Job> {
    let mut jobs = Vec::with_capacity(all.iter().flatten().map(|node| node.grid.count()).sum());
    let mut count = 0;
    for index in &checked.order.nodes {
        if let Some(node) = &mut all[*index] {
            node.first = count;
            count += node.grid.count();
        }
    }
    for index in &checked.order.nodes {
        let Some(node) = &all[*index] else { continue };
        let mut wiring = Wiring { context, checked, all, paths, node: *index, reported: BTreeSet::new() };
        for number in 0..node.grid.count() {
            if let Some(job) = wiring.job(number, out) {
                let coordinates = shared(&jobs, &job).unwrap_or_else(|| Arc::clone(&job.coordinates));
                jobs.push(Job { coordinates, ..job });
            }
        }
    }
    jobs
}

/// The coordinates of a job above, if they are the same: a study of many folds has most jobs in such chains, and maps of
/// strings are the largest part of a job.
fn shared(jobs: &[Job], job: &Job) -> Option<Arc<BTreeMap<String, String>>> {
    job.inputs.iter().find_map(|input| match &input.source {
        Source::Job { job: above, .. } => {
            let above = &jobs.get(*above)?.coordinates;
            (*above == job.coordinates).then(|| Arc::clone(above))
        }
        Source::Path(_) => None,
    })
}

struct Wiring<'a> {
    context: &'a Context<'a>,
    checked: &'a Checked<'a>,
    all: &'a [Option<NodeJobs>],
    paths: &'a mut Paths,
    node: usize,
    /// Places with a finding: thousands of jobs would repeat it.
    reported: BTreeSet<usize>,
}

impl<'a> Wiring<'a> {
    fn job(&mut self, number: usize, out: &mut Vec<Diagnostic>) -> Option<Job> {
        let sketch: &Sketch<'_> = &self.checked.sketches.nodes[self.node];
        let kind = sketch.kind.clone()?;
        let own = self.all[self.node].as_ref()?;
        let axes = self.context.axes;
        let coordinates = coordinates(axes, &own.grid, number);
        let id = id(sketch.name(), &coordinates);
        let mut inputs = Vec::new();
        for input in &self.checked.nodes[self.node].inputs {
            let port = kind.spec.inputs.get(input.port)?;
            let start = inputs.len();
            let def = sketch.def.inputs.iter().find(|(key, _)| key.name == port.name);
            let several = def.is_some_and(|(_, def)| def.most() > 1);
            for item in input.items.iter().filter(|item| input.takes(item, own.grid.values(number))) {
                self.add(&mut inputs, port.name, item, several, own.grid.values(number), &id, out);
            }
            // A list may lose any of its gathers to `when`, but not all of them.
            if several
                && inputs.len() == start
                && input.items.iter().all(|item| item.gather)
                && let Some(first) = input.items.first()
            {
                self.nothing_to_take(first, &id, out);
            }
            if port.many != Multiplicity::Many {
                inputs[start..].iter_mut().for_each(|input: &mut JobInput| input.label.clear());
            }
        }
        inputs.sort_by(|a, b| (&a.port, &a.label).cmp(&(&b.port, &b.label)));
        let repeated =
            inputs.windows(2).find(|pair| pair[0].port == pair[1].port && pair[0].label == pair[1].label);
        if let Some([first, _]) = repeated
            && self.reported.insert(sketch.def.name.span.start)
        {
            let message = format!(
                "two artifacts on input `{}` of {} are both called `{}`",
                first.port, sketch.place, first.label
            );
            out.push(
                Diagnostic::error("celldag::pipeline::repeated_label", message)
                    .at(sketch.def.name.span.clone(), "in this node")
                    .help("list each artifact once"),
            );
        }
        let needs = own.needs.get(number)?;
        Some(Job {
            node: sketch.name().to_owned(),
            coordinates: Arc::new(coordinates),
            id,
            params: own.params.get(number)?.clone(),
            inputs,
            temporary: sketch.def.temporary,
            retries: self.checked.nodes[self.node].retries.clone(),
            timeout: sketch.def.timeout,
            uses_device: kind.spec.uses_device || needs.gpus > 0,
            resources: (**needs).clone(),
            portion: Portion::Whole,
            dispatch: Arc::clone(&self.checked.nodes[self.node].dispatch),
            kind,
        })
    }

    #[expect(clippy::too_many_arguments, reason = "one edge has this many ends")]
    fn add(
        &mut self,
        inputs: &mut Vec<JobInput>,
        port: &str,
        item: &CheckedItem,
        several: bool,
        values: &[usize],
        id: &str,
        out: &mut Vec<Diagnostic>,
    ) {
        let sketch = &self.checked.sketches.nodes[self.node];
        let axes = self.context.axes;
        let (producer, output) = match &item.source {
            ItemSource::Path(template) => {
                let own = Combination { axes: &sketch.axes, values };
                let Ok(text) = sketch.names(self.context).render(template, own) else { return };
                let path = self.paths.resolve(self.context.modules, item, &text, sketch, port);
                inputs.push(JobInput { port: port.to_owned(), label: text, source: Source::Path(path) });
                return;
            }
            ItemSource::Node { node, port: Some(output) } => (*node, *output),
            ItemSource::Node { port: None, .. } => return,
        };
        let Some(jobs) = &self.all[producer] else { return };
        let other = &self.checked.sketches.nodes[producer];
        let Some(output) = other.kind.as_ref().and_then(|kind| kind.spec.outputs.get(output)) else { return };
        let join = Join::new(axes, &sketch.axes, &jobs.grid);
        let twice = several && self.refers_twice(producer);
        let before = inputs.len();
        join.each(values, &jobs.grid, |found, lacking| {
            let Some(found) = found else { return };
            let label = match (item.gather, join.is_plain()) {
                (false, _) if twice => format!("{}.{}", other.name(), output.name),
                (false, _) => other.name().to_owned(),
                (true, true) => self::id(other.name(), &coordinates(axes, &jobs.grid, found)),
                (true, false) if several => format!("{}[{}]", other.name(), label(axes, lacking)),
                (true, false) => label(axes, lacking),
            };
            let source = Source::Job { job: jobs.first + found, port: output.name.to_owned() };
            inputs.push(JobInput { port: port.to_owned(), label, source });
        });
        if inputs.len() == before && !(several && item.gather) {
            self.nothing_to_take(item, id, out);
        }
    }

    /// The finding that an input's producer has no job there; once for each place in the file.
    fn nothing_to_take(&mut self, item: &CheckedItem, id: &str, out: &mut Vec<Diagnostic>) {
        let ItemSource::Node { node, .. } = &item.source else { return };
        if self.all[*node].is_none() {
            return;
        }
        let (sketch, other) = (&self.checked.sketches.nodes[self.node], &self.checked.sketches.nodes[*node]);
        if self.reported.insert(item.span.start) {
            out.push(
                Diagnostic::error(
                    "celldag::pipeline::excluded_input",
                    format!(
                        "`{id}` needs `{}`, which has no job there: `exclude` or `when` took it away",
                        other.name()
                    ),
                )
                .at(item.span.clone(), "nothing to take")
                .help(format!(
                    "give `{}` the same `exclude` or `when` as `{}`",
                    sketch.name(),
                    other.name()
                )),
            );
        }
    }

    fn refers_twice(&self, producer: usize) -> bool {
        let inputs = &self.checked.nodes[self.node].inputs;
        inputs.iter().any(|input| {
            let same = |item: &&CheckedItem| matches!(item.source, ItemSource::Node { node, .. } if node == producer);
            input.items.iter().filter(same).count() > 1
        })
    }
}

/// Axis → value of a job.
pub(super) fn coordinates(axes: &[Axis], grid: &Grid, number: usize) -> BTreeMap<String, String> {
    let pairs = grid.axes.iter().zip(grid.values(number));
    pairs
        .map(|(axis, value)| (axes[*axis].name.clone(), axes[*axis].values[*value].text().to_owned()))
        .collect()
}

/// `head[fold=3,model=scgpt]`
pub(crate) fn id(node: &str, coordinates: &BTreeMap<String, String>) -> String {
    let mut out = node.to_owned();
    for (index, (axis, value)) in coordinates.iter().enumerate() {
        out.push(if index == 0 { '[' } else { ',' });
        out.push_str(axis);
        out.push('=');
        out.push_str(value);
    }
    if !coordinates.is_empty() {
        out.push(']');
    }
    out
}
