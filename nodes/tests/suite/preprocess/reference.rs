//! Arrays of `expected.safetensors` and comparison with a stated tolerance.

use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};

/// The reference arrays of one input.
pub(crate) struct Reference {
    bytes: Vec<u8>,
}

/// The folder of `golden/preprocess/NAME`; `None` (after saying so) where the fixtures are absent, which CI forbids.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let workspace = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let fixtures = std::env::var_os("CELLDAG_FIXTURES").map_or_else(|| "../shared".into(), PathBuf::from);
    let folder = workspace.join(fixtures).join("golden/preprocess").join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    let ci = std::env::var("CI").is_ok_and(|value| value == "true");
    assert!(!ci, "{} is missing: set CELLDAG_FIXTURES", folder.display());
    println!("SKIP {} is missing", folder.display());
    None
}

impl Reference {
    pub(crate) fn open(name: &str) -> Option<Self> {
        let bytes = fs_err::read(folder(name)?.join("expected.safetensors")).expect("readable fixture");
        Some(Self { bytes })
    }

    /// An array as f64, row after row, whatever its type in the file.
    pub(crate) fn f64(&self, name: &str) -> Vec<f64> {
        let file = SafeTensors::deserialize(&self.bytes).expect("valid fixture");
        let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
        let data = view.data();
        match view.dtype() {
            Dtype::F64 => data.as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect(),
            Dtype::F32 => data.as_chunks().0.iter().map(|&b| f64::from(f32::from_le_bytes(b))).collect(),
            Dtype::I64 => data.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b) as f64).collect(),
            Dtype::U8 => data.iter().map(|&b| f64::from(b)).collect(),
            other => panic!("{name} is of type {other:?}"),
        }
    }

    pub(crate) fn mask(&self, name: &str) -> Vec<bool> {
        self.f64(name).into_iter().map(|v| v != 0.0).collect()
    }

    pub(crate) fn columns(&self, name: &str) -> usize {
        let file = SafeTensors::deserialize(&self.bytes).expect("valid fixture");
        *file.tensor(name).expect("known array").shape().last().expect("an array")
    }

    /// All of `ours` within `relative` (of the larger of 1 and the reference) of the array; NaN equals NaN only.
    pub(crate) fn close(&self, name: &str, ours: &[f64], relative: f64) {
        close(name, ours, &self.f64(name), relative);
    }
}

pub(crate) fn close(name: &str, ours: &[f64], theirs: &[f64], relative: f64) {
    assert_eq!(ours.len(), theirs.len(), "{name}: number of values");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        let same = (a.is_nan() && b.is_nan()) || a == b || (a - b).abs() <= relative * b.abs().max(1.0);
        assert!(same, "{name}[{i}]: {a} here, {b} in the reference (difference {:e})", (a - b).abs());
    }
}
