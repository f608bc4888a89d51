//! What the jobs of a node take, whether they are to run or not.

use std::collections::BTreeMap;

use celldag_cache::Store;

use super::median;
use super::past::Pasts;
use crate::error::EngineError;
use crate::pipeline::Pipeline;

/// Node → seconds of work that one of its jobs takes: the median of its jobs in the newest runs of the store, or of jobs of its
/// kind. Nodes of which nothing is known are left out. Writes nothing.
///
/// # Errors
/// When the runs cannot be listed.
pub fn seconds_by_node(store: &Store, pipeline: &Pipeline) -> Result<BTreeMap<String, f64>, EngineError> {
    let wanted = pipeline.jobs.iter().map(|job| job.id.as_str()).collect();
    let pasts = Pasts::load(store, &pipeline.name, wanted)?;
    let mut found = BTreeMap::new();
    for job in &pipeline.jobs {
        let known = match pasts.node(&job.node) {
            [] => pasts.kind(job.kind.spec.name),
            own => own,
        };
        if !known.is_empty() && !found.contains_key(&job.node) {
            found.insert(job.node.clone(), median(known.iter().map(|past| past.seconds).collect()));
        }
    }
    Ok(found)
}
