//! Choosing between kernels that give the same bits, by measuring them once on the shapes that occur and remembering the
//! fastest for this adapter and driver. Nothing but time depends on it: a missing or old table is as good as none.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use super::{Gpu, folder, lock};
use crate::device::DeviceInfo;
use crate::error::Result;

/// Floating-point operations below which the first candidate is taken: measuring would not pay.
const WORTH: f64 = 2e8;

/// Timed runs of each candidate, after one that compiles it; the median counts.
const RUNS: usize = 3;

/// Measured choices of one adapter and driver.
pub(super) struct Tuner {
    measures: bool,
    path: Option<PathBuf>,
    table: Mutex<BTreeMap<String, String>>,
    /// Names that are used without measuring, by family of kernels.
    forced: Mutex<BTreeMap<&'static str, String>>,
    /// Held while candidates are measured: two threads at once would time each other's work.
    measuring: Mutex<()>,
}

impl Tuner {
    /// With the choices of former runs, if `folder` holds some of this adapter and driver. Without `measures`, the first
    /// candidate is always taken.
    pub(super) fn open(info: &DeviceInfo, folder: Option<PathBuf>, measures: bool) -> Tuner {
        let path = folder.filter(|_| measures).map(|folder| folder.join(file_name(info)));
        let bytes = path.as_deref().and_then(folder::read).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let pairs = text.lines().filter_map(|line| line.split_once('\t'));
        let table = pairs.map(|(key, name)| (key.to_owned(), name.to_owned())).collect();
        Tuner {
            measures,
            path,
            table: Mutex::new(table),
            forced: Mutex::default(),
            measuring: Mutex::default(),
        }
    }

    /// A choice that was made before.
    fn known(&self, key: &str, candidates: &[&'static str]) -> Option<String> {
        let known = lock(&self.table).get(key).cloned();
        known.filter(|known| candidates.iter().any(|name| name == known))
    }

    fn remember(&self, key: &str, name: &str) {
        let mut table = lock(&self.table);
        table.insert(key.to_owned(), name.to_owned());
        if let Some(path) = &self.path {
            let text: String = table.iter().map(|(key, name)| format!("{key}\t{name}\n")).collect();
            folder::write(path, text.as_bytes());
        }
    }
}

/// A file for each adapter and driver; a new driver starts anew.
fn file_name(info: &DeviceInfo) -> String {
    let text = format!("kernels {} {} {}", info.api, info.name, info.driver);
    let plain = text.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' });
    let mut name: String = plain.collect();
    name.truncate(120);
    name
}

impl Gpu {
    /// The kernel of a family (`product`, `attention`) that is used for all work if somebody said so; else the fastest of
    /// `candidates` (names, the likely best first) for work that `key` describes: known from before,
    /// measured now by `time` (seconds), or the first if the work, in floating-point operations, is too little to measure.
    ///
    /// # Errors
    /// Those of `time`.
    pub(crate) fn choose_kernel(
        &self,
        family: &'static str,
        key: &str,
        candidates: &[&'static str],
        work: f64,
        mut time: impl FnMut(&'static str) -> Result<f64>,
    ) -> Result<String> {
        if let Some(forced) = lock(&self.tuner.forced).get(family).cloned() {
            return Ok(forced);
        }
        let first = candidates.first().copied().unwrap_or_default();
        if !self.tuner.measures || candidates.len() < 2 || work < WORTH || self.rehearsing() {
            return Ok(first.to_owned());
        }
        if let Some(known) = self.tuner.known(key, candidates) {
            return Ok(known);
        }
        let _turn = lock(&self.tuner.measuring);
        // Another thread may have measured the same meanwhile.
        if let Some(known) = self.tuner.known(key, candidates) {
            return Ok(known);
        }
        let mut fastest = (f64::INFINITY, first);
        for &name in candidates {
            time(name)?;
            let mut seconds = [0.0; RUNS];
            for run in &mut seconds {
                *run = time(name)?;
            }
            seconds.sort_by(f64::total_cmp);
            let median = seconds[RUNS / 2];
            tracing::debug!(key, name, seconds = median, "measured");
            if median < fastest.0 {
                fastest = (median, name);
            }
        }
        self.tuner.remember(key, fastest.1);
        Ok(fastest.1.to_owned())
    }
}

impl Gpu {
    /// Uses the kernel of this name for all work of a family, or with none goes back to choosing.
    pub(crate) fn force_kernel(&self, family: &'static str, name: Option<&str>) {
        let mut forced = lock(&self.tuner.forced);
        match name {
            Some(name) => drop(forced.insert(family, name.to_owned())),
            None => drop(forced.remove(family)),
        }
    }

    /// The choices that were measured, by what they were measured for.
    pub(crate) fn measured_kernels(&self) -> BTreeMap<String, String> {
        lock(&self.tuner.table).clone()
    }
}
