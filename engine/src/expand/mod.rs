//! Axes to jobs: one pass over the combinations of each node, then one over the edges. Work and memory are proportional
//! to the number of jobs and edges.

pub(crate) mod axes;
mod choices;
pub(crate) mod grid;
pub(crate) mod jobs;
pub(crate) mod join;
pub(crate) mod order;
pub(crate) mod outputs;
pub(crate) mod paths;
pub(crate) mod table;
