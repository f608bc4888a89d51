//! Runs that go on: their events are read once, however often somebody asks.

use std::path::Path;

use celldag_engine::record::follow_events;
use celldag_engine::{EngineError, RunHeader};
use celldag_report::served::{Live, LiveState};

/// More runs than this are not remembered: the one that was asked for longest ago is counted from the start again.
const MOST_RUNS: usize = 8;

/// How far the events of runs were counted; the run that was asked for last comes last.
#[derive(Default)]
pub(super) struct Followed(Vec<Run>);

struct Run {
    id: String,
    live: Live,
    /// Bytes of the events that were counted.
    place: u64,
}

impl Followed {
    /// Counts what is new, and tells where the run stands.
    pub(super) fn state(&mut self, run: &RunHeader, folder: &Path) -> Result<LiveState, EngineError> {
        let known = self.0.iter().position(|known| known.id == run.id).map(|i| self.0.remove(i));
        let mut known = known.unwrap_or_else(|| Run { id: run.id.clone(), live: Live::default(), place: 0 });
        let Run { live, place, .. } = &mut known;
        // What was counted before an error is forgotten with it: nothing is counted twice.
        *place = follow_events(folder, *place, &mut |event| live.count(event))?;
        let state = live.state(run);
        if self.0.len() == MOST_RUNS {
            self.0.remove(0);
        }
        self.0.push(known);
        Ok(state)
    }
}
