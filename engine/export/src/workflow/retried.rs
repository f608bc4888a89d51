//! What becomes of perf parameters when memory runs out.

use celldag_engine::{Job, Param, PerfChange};
use serde_json::Value;

use super::params::text;
use super::setting::{Coordinates, Setting};
use crate::error::ExportError;

/// Parameter → its text at each attempt.
pub type Attempts = (String, Setting<Vec<String>>);

/// The parameters that some attempt of some job changes, with what a run of celldag makes of them.
pub(super) fn retried(axes: &[String], jobs: &[&Job]) -> Result<Vec<Attempts>, ExportError> {
    let Some(memory) = jobs.first().and_then(|job| job.retries.out_of_memory.as_ref()) else {
        return Ok(Vec::new());
    };
    let mut out = Vec::new();
    for (name, change) in &memory.set {
        let Some(param) = jobs[0].kind.spec.params.iter().find(|param| param.name == name) else { continue };
        let mut points: Vec<(&Coordinates, Vec<String>)> = Vec::new();
        for job in jobs {
            points.push((&job.coordinates, attempts(job, param, change, memory.times)?));
        }
        if points.iter().any(|(_, texts)| texts.len() > 1) {
            out.extend(Setting::of(axes, &points).map(|setting| (name.clone(), setting)));
        }
    }
    Ok(out)
}

/// The texts of one job, up to the last that differs from the one before it.
fn attempts(job: &Job, param: &Param, change: &PerfChange, times: u32) -> Result<Vec<String>, ExportError> {
    let mut now = job.params.0.get(param.name).cloned().unwrap_or(Value::Null);
    let mut texts = vec![text(job, param, &now)?];
    for _ in 0..times {
        let Some(next) = change.of(&now).filter(|next| *next != now) else { break };
        texts.push(text(job, param, &next)?);
        now = next;
    }
    Ok(texts)
}
