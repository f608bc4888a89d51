//! Which heads of a run: all folds of one training, or those that the user named.

use std::collections::BTreeMap;

use celldag_cache::Artifact;
use celldag_engine::{Action, JobRecord, RunRecord};

use super::training::Known;
use crate::failure::Failure;

/// Axes whose heads are of one training: they are read together.
const WITHIN_A_TRAINING: [&str; 2] = ["fold", "repeat"];

/// Jobs that trained the heads.
pub(super) struct Chosen<'a> {
    pub(super) jobs: Vec<(&'a JobRecord, &'a Action)>,
    /// Jobs of the same training that were not asked for.
    pub(super) left_out: usize,
}

/// The jobs of one training that wrote heads. `wanted` is a node (`head`), a training (`head[model=scgpt]`: the axes in
/// any order) or one job of it with its fold. It must not be of several trainings.
pub(super) fn choose<'a>(
    run: &RunRecord,
    jobs: &'a [Known<'a>],
    wanted: Option<&str>,
) -> Result<Chosen<'a>, Failure> {
    let mut trainings: BTreeMap<String, Vec<(&JobRecord, &Action)>> = BTreeMap::new();
    for (job, action) in jobs.iter().filter(|(job, action)| of_type(job, action, "head").next().is_some()) {
        trainings.entry(training(job)).or_default().push((job, action));
    }
    let names = trainings.keys().cloned().collect::<Vec<_>>().join(", ");
    let mut found: Vec<(String, Chosen<'_>)> = trainings
        .into_iter()
        .map(|(name, all)| {
            let count = all.len();
            let asked = |job: &JobRecord| wanted.is_none_or(|wanted| is_meant(wanted, job));
            let jobs: Vec<_> = all.into_iter().filter(|(job, _)| asked(job)).collect();
            (name, Chosen { left_out: count - jobs.len(), jobs })
        })
        .filter(|(_, chosen)| !chosen.jobs.is_empty())
        .collect();
    match (found.len(), found.pop()) {
        (1, Some((_, chosen))) => Ok(chosen),
        (0, _) | (_, None) => Err(Failure::Usage {
            message: match wanted {
                Some(wanted) => format!("run {} has no head of `{wanted}`", run.id()),
                None => format!("run {} has no trained head", run.id()),
            },
            help: Some(if names.is_empty() {
                "name a run with `mlp-head` or `linear-head`; `celldag runs` lists them".to_owned()
            } else {
                format!("heads were trained by: {names}")
            }),
        }),
        (_, Some(last)) => {
            let choices: Vec<String> = found.into_iter().chain([last]).map(|(name, _)| name).collect();
            Err(Failure::Usage {
                message: match wanted {
                    Some(wanted) => format!("`{wanted}` of run {} is more than one training", run.id()),
                    None => format!("run {} trained heads more than once", run.id()),
                },
                help: Some(format!("choose one with --head: {}", choices.join(", "))),
            })
        }
    }
}

/// `head[model=scgpt]`: the node with the axes that tell its trainings apart.
fn training(job: &JobRecord) -> String {
    let axes: Vec<String> = job
        .coordinates
        .iter()
        .filter(|(axis, _)| !WITHIN_A_TRAINING.contains(&axis.as_str()))
        .map(|(axis, value)| format!("{axis}={value}"))
        .collect();
    if axes.is_empty() { job.node.clone() } else { format!("{}[{}]", job.node, axes.join(",")) }
}

/// Whether `node`, `node[axis=value,...]` or the whole id means this job.
fn is_meant(wanted: &str, job: &JobRecord) -> bool {
    if wanted == job.node || wanted == job.id || wanted == training(job) {
        return true;
    }
    let Some((node, axes)) = wanted.strip_suffix(']').and_then(|wanted| wanted.split_once('[')) else {
        return false;
    };
    let has = |pair: &str| {
        let pair = pair.trim().split_once('=');
        pair.is_some_and(|(axis, value)| job.coordinates.get(axis).is_some_and(|own| own == value))
    };
    node == job.node && axes.split(',').all(has)
}

/// Outputs of a job that have this type.
pub(super) fn of_type<'a>(
    job: &'a JobRecord,
    action: &'a Action,
    ty: &'a str,
) -> impl Iterator<Item = &'a Artifact> {
    let fits = move |port: &str| action.outputs.get(port).is_some_and(|output| output.ty == ty);
    job.outputs.iter().filter(move |(port, _)| fits(port)).map(|(_, artifact)| artifact)
}
