//! Longest first: a job's rank is the time from its start to the end of the longest chain of jobs below it. Starting the
//! longest chain first keeps the last hours of a run from being one long chain beside idle processors.

use super::history::History;
use crate::pipeline::Pipeline;
use crate::plan::Selection;

/// Rank of every job of the pipeline in milliseconds; 0 for jobs that are not asked for. It depends on the pipeline and on
/// recorded runs only, so the same run orders its jobs in the same way.
pub(crate) fn ranks(pipeline: &Pipeline, selection: &Selection, history: &History) -> Vec<u64> {
    let usual = history.usual();
    let mut ranks = vec![0_u64; pipeline.jobs.len()];
    // Jobs are in topological order: walking backwards meets the consumers first.
    for index in (0..ranks.len()).rev().filter(|&index| selection.wanted[index]) {
        let below = selection.consumers[index].iter().map(|&consumer| ranks[consumer]).max().unwrap_or(0);
        let own = history.seconds(&pipeline.jobs[index]).unwrap_or(usual).clamp(0.0, 1e9);
        // Every job counts: of two chains of jobs that take no time, the longer one goes first.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let own = ((own * 1e3) as u64).max(1);
        ranks[index] = below.saturating_add(own);
    }
    ranks
}
