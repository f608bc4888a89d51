//! What a process has used so far.

use std::error::Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Clock ticks a second of `/proc`, which Linux has fixed for programs.
const TICKS: f64 = 100.0;

/// One phase.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// Jobs of the pipeline.
    pub(crate) jobs: usize,
    /// User and system time of all threads.
    pub(crate) cpu_seconds: f64,
    pub(crate) wall_seconds: f64,
    /// Largest resident set; 10^6 bytes.
    pub(crate) peak_megabytes: f64,
}

impl Usage {
    /// Of this process, from Linux's `/proc`.
    pub(crate) fn now(jobs: usize, wall: Duration) -> Result<Self, Box<dyn Error>> {
        let stat = fs_err::read_to_string("/proc/self/stat")?;
        // The name of the program, in brackets, may hold blanks; user and system time are fields 14 and 15.
        let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
        let ticks: f64 =
            after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        let status = fs_err::read_to_string("/proc/self/status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
        let kilobytes: f64 = peak.trim().trim_end_matches(" kB").parse()?;
        Ok(Self {
            jobs,
            cpu_seconds: ticks / TICKS,
            wall_seconds: wall.as_secs_f64(),
            peak_megabytes: kilobytes * 1024.0 / 1e6,
        })
    }
}
