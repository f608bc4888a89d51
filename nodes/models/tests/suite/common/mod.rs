//! Fixtures and devices of the tests.

pub(crate) mod drugs;
pub(crate) mod learning;
pub(crate) mod performer;
pub(crate) mod saved;
pub(crate) mod small_bert;
pub(crate) mod specimen;
pub(crate) mod trainee;
pub(crate) mod uce;

use std::path::{Path, PathBuf};

use celldag_data::checkpoint::SafetensorsFile;
use celldag_data::{CellsFile, Csr, GeneIds};
use celldag_models::{Batch, CellCounts, CellEncoder, CellTokenizer, CellTokens, Options};
use celldag_shaders::Device;

fn skip(what: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{what}");
    println!("SKIP: {what}");
}

/// A file or folder of the reference data.
pub(crate) fn fixture(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("CELLDAG_FIXTURES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from);
    let found = root.join(path);
    if found.exists() {
        return Some(found);
    }
    skip(&format!("{} is missing", found.display()));
    None
}

/// The native backend, and WGSL on the adapter `CELLDAG_TEST_DEVICE` or else on a software driver, where there is one.
pub(crate) fn devices() -> Vec<Device> {
    let mut devices = vec![Device::cpu(2).unwrap()];
    let choice = std::env::var("CELLDAG_TEST_DEVICE").unwrap_or_else(|_| "software".to_owned());
    match Device::open(&choice, 2) {
        Ok(device) => devices.push(device),
        Err(error) => {
            assert!(std::env::var_os("CELLDAG_TEST_DEVICE").is_none(), "{error}");
            skip(&format!("no software GPU driver: {error}"));
        }
    }
    devices
}

/// A reference run: its folder, input and expected arrays.
pub(crate) struct Golden {
    pub(crate) folder: PathBuf,
    pub(crate) genes: GeneIds,
    pub(crate) counts: Csr,
    expected: SafetensorsFile,
}

impl Golden {
    pub(crate) fn open(name: &str) -> Option<Self> {
        let folder = fixture(&format!("golden/{name}"))?;
        let cells = CellsFile::open(folder.join("input.h5ad")).unwrap();
        let matrix = cells.matrix("X").unwrap();
        let genes = GeneIds::detect(matrix.var());
        let counts = cells.read_matrix(&matrix).unwrap();
        let expected = SafetensorsFile::open(&folder.join("expected.safetensors")).unwrap();
        Some(Self { folder, genes, counts, expected })
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.folder.join("checkpoint")
    }

    pub(crate) fn f32s(&self, name: &str) -> Vec<f32> {
        self.expected.read(name).unwrap().as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
    }

    pub(crate) fn f64s(&self, name: &str) -> Vec<f64> {
        self.expected.read(name).unwrap().as_chunks().0.iter().map(|&b| f64::from_le_bytes(b)).collect()
    }

    pub(crate) fn i32s(&self, name: &str) -> Vec<i32> {
        self.expected.read(name).unwrap().as_chunks().0.iter().map(|&b| i32::from_le_bytes(b)).collect()
    }

    pub(crate) fn u8s(&self, name: &str) -> Vec<u8> {
        self.expected.read(name).unwrap().to_vec()
    }

    pub(crate) fn i64s(&self, name: &str) -> Vec<i64> {
        self.expected.read(name).unwrap().as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect()
    }

    /// The input through a tokenizer.
    pub(crate) fn tokenized(&self, tokenizer: &dyn CellTokenizer) -> Vec<CellTokens> {
        tokenized(tokenizer, self.counts.iter())
    }

    /// `tok.input_ids` cell by cell.
    pub(crate) fn tokens(&self) -> Vec<CellTokens> {
        let offsets = self.expected.read("tok.offsets").unwrap();
        let offsets: Vec<usize> =
            offsets.as_chunks().0.iter().map(|&b| usize::try_from(i64::from_le_bytes(b)).unwrap()).collect();
        let ids = self.expected.read("tok.input_ids").unwrap();
        let ids: Vec<u32> = ids.as_chunks().0.iter().map(|&b| u32::from_le_bytes(b)).collect();
        offsets.windows(2).map(|pair| ids[pair[0]..pair[1]].to_vec().into()).collect()
    }
}

/// Rows of counts through a tokenizer; cells are called by their number.
pub(crate) fn tokenized<'a>(
    tokenizer: &dyn CellTokenizer,
    rows: impl Iterator<Item = (&'a [u32], &'a [f32])>,
) -> Vec<CellTokens> {
    let tokenize = |(number, (columns, counts)): (usize, (&[u32], &[f32]))| {
        tokenizer.tokenize(&CellCounts { name: &number.to_string(), columns, counts }).unwrap()
    };
    rows.enumerate().map(tokenize).collect()
}

/// Options as a user gives them.
pub(crate) fn options(chosen: serde_json::Value) -> Options {
    match chosen {
        serde_json::Value::Object(chosen) => Options::new(chosen),
        other => panic!("{other} are no options"),
    }
}

/// Vectors of cells that are looked at alone, read back.
pub(crate) fn embed(encoder: &dyn CellEncoder, cells: &[CellTokens]) -> Vec<f32> {
    encoder.embed(Batch { cells, neighbourhoods: &vec![1; cells.len()] }).unwrap()
}

/// Fails unless both agree within `tolerance`, and says where they differ most.
pub(crate) fn assert_close(got: &[f32], want: &[f32], tolerance: f32, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}: number of values");
    let differences = got.iter().zip(want).map(|(a, b)| (a - b).abs());
    let (at, worst) =
        differences.enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).expect("an array to compare");
    assert!(worst <= tolerance, "{what}: value {at} is {} instead of {}", got[at], want[at]);
    println!("{what}: largest difference {worst:e}");
}
