//! Choosing between kernels that give the same bits, by measuring them once on the shapes that occur and remembering the
//! fastest for this adapter and driver. Nothing but time depends on it: a missing or old table is as good as none.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use super::{Gpu, folder, lock};
use crate::device::{Backend, Device, DeviceInfo};
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
    forced: Mutex<Option<String>>,
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
        Tuner { measures, path, table: Mutex::new(table), forced: Mutex::default() }
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
    /// The fastest of `candidates` (names, the likely best first) for work that `key` describes: known from before,
    /// measured now by `time` (seconds), or the first if the work, in floating-point operations, is too little to measure.
    ///
    /// # Errors
    /// Those of `time`.
    pub(crate) fn choose_kernel(
        &self,
        key: &str,
        candidates: &[&'static str],
        work: f64,
        mut time: impl FnMut(&'static str) -> Result<f64>,
    ) -> Result<String> {
        if let Some(forced) = lock(&self.tuner.forced).clone() {
            return Ok(forced);
        }
        let first = candidates.first().copied().unwrap_or_default();
        if !self.tuner.measures || candidates.len() < 2 || work < WORTH || self.rehearsing() {
            return Ok(first.to_owned());
        }
        let known = lock(&self.tuner.table).get(key).cloned();
        if let Some(known) = known.filter(|known| candidates.iter().any(|name| name == known)) {
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

impl Device {
    /// Uses the matrix product kernel of this name for every product, whatever its shape, or with none goes back to
    /// choosing. All kernels of [`product_kernels`](crate::ops::product_kernels) give the same bits; this is for tests
    /// and measurements. The name of one that this adapter cannot run changes nothing, and the CPU has no choice.
    pub fn use_product_kernel(&self, name: Option<&str>) {
        if let Backend::Gpu(gpu) = self.backend() {
            *lock(&gpu.tuner.forced) = name.map(str::to_owned);
        }
    }

    /// The kernels that were measured to be the fastest so far, by what they were measured for. Empty on the CPU.
    pub fn measured_kernels(&self) -> BTreeMap<String, String> {
        match self.backend() {
            Backend::Cpu(_) => BTreeMap::new(),
            Backend::Gpu(gpu) => lock(&gpu.tuner.table).clone(),
        }
    }
}
