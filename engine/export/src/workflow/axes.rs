//! The axes of a workflow and their order, as far as the jobs tell.

use std::collections::BTreeMap;

use celldag_engine::Pipeline;

use super::name::{Names, encode};

/// An axis of the pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Name in the pipeline.
    pub name: String,
    /// The axis as an identifier.
    pub ident: String,
    /// Values that jobs have, in the order of their first jobs.
    pub values: Vec<String>,
}

impl Axis {
    /// Every value reads in a path as it is.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.values.iter().all(|value| encode(value) == *value)
    }
}

/// All axes of jobs, sorted by name.
pub(super) fn all(pipeline: &Pipeline) -> Vec<Axis> {
    let mut values: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut seen = std::collections::BTreeSet::new();
    for (axis, value) in pipeline.jobs.iter().flat_map(|job| job.coordinates.iter()) {
        if seen.insert((axis, value)) {
            values.entry(axis).or_default().push(value);
        }
    }
    let mut names = Names::default();
    let axis = |(name, values): (&str, Vec<&str>)| Axis {
        name: name.to_owned(),
        ident: names.take(name),
        values: values.into_iter().map(str::to_owned).collect(),
    };
    values.into_iter().map(axis).collect()
}
