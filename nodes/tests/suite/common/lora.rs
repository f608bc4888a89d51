//! Training on real cells: the small Geneformer of the quickstart, myeloid cells against others.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use celldag_data::CellsFile;
use celldag_engine::alone::run_alone;
use celldag_engine::{NodeError, Summary};
use celldag_nodes::embed::{Embed, Tokenize};
use celldag_nodes::learn::lora::LoraTrain;
use celldag_nodes::learn::split::{Role, SplitRow, SplitTable};
use serde_json::{Map, Value, json};

pub(crate) type Ran = Result<(Summary, BTreeMap<String, PathBuf>), NodeError>;

pub(crate) fn with(value: Value) -> Map<String, Value> {
    let Value::Object(map) = value else { panic!("parameters are an object") };
    map
}

pub(crate) fn pipelines() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../pipelines")
}

pub(crate) fn mini() -> PathBuf {
    pipelines().join("models/geneformer-mini")
}

/// A folder with tokens and a split of real cells.
pub(crate) struct Bench {
    pub(crate) root: tempfile::TempDir,
    pub(crate) tokens: PathBuf,
    pub(crate) rows: Vec<SplitRow>,
}

impl Bench {
    /// The first 70 cells: 40 train, 10 validate, 20 are tested.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("folder");
        let cells = pipelines().join("data/pbmc68k_700.h5ad");
        let tokens = tokenized(&cells, &root.path().join("tokens"));
        let obs = CellsFile::open(&cells).expect("cells").obs().clone();
        let labels = obs.column("myeloid").expect("labels");
        let row = |cell: usize| {
            let class = usize::from(labels.as_text(cell).expect("label") == "1");
            SplitRow {
                cell_id: obs.index[cell].clone(),
                repeat: 0,
                fold: 0,
                role: match cell % 7 {
                    0 | 1 => Role::Test,
                    2 => Role::Validation,
                    _ => Role::Train,
                },
                label: ["other", "myeloid"][class].to_owned(),
                class,
                group: String::new(),
            }
        };
        Self { tokens, rows: (0..70).map(row).collect(), root }
    }

    /// An empty folder, and a split in it.
    pub(crate) fn folder(&self, name: &str, rows: &[SplitRow]) -> (PathBuf, PathBuf) {
        let folder = self.root.path().join(name);
        fs_err::create_dir_all(&folder).expect("folder");
        let split = folder.join("split.csv");
        SplitTable { rows: rows.to_vec() }.write(&split).expect("split");
        (folder, split)
    }

    pub(crate) fn train(&self, name: &str, rows: &[SplitRow], params: Value) -> Ran {
        let (folder, split) = self.folder(name, rows);
        let checkpoint = mini();
        let inputs = [
            ("tokens", "", self.tokens.as_path()),
            ("checkpoint", "", checkpoint.as_path()),
            ("split", "", split.as_path()),
        ];
        run_alone(&LoraTrain, with(params), &inputs, &folder, "cpu")
    }

    pub(crate) fn embed(&self, name: &str, adapter: Option<&Path>, params: Value) -> Ran {
        let folder = self.root.path().join(name);
        fs_err::create_dir_all(&folder).expect("folder");
        let checkpoint = mini();
        let mut inputs =
            vec![("tokens", "", self.tokens.as_path()), ("checkpoint", "", checkpoint.as_path())];
        inputs.extend(adapter.map(|adapter| ("adapter", "", adapter)));
        run_alone(&Embed, with(params), &inputs, &folder, "cpu")
    }
}

/// The tokens of a file of cells for the small Geneformer.
pub(crate) fn tokenized(cells: &Path, folder: &Path) -> PathBuf {
    tokenized_with(cells, folder, json!({"model": "geneformer"}))
}

pub(crate) fn tokenized_with(cells: &Path, folder: &Path, options: Value) -> PathBuf {
    let checkpoint = mini();
    let inputs = [("cells", "", cells), ("checkpoint", "", checkpoint.as_path())];
    fs_err::create_dir_all(folder).expect("folder");
    let (_, done) = run_alone(&Tokenize, with(options), &inputs, folder, "cpu").expect("tokens");
    done["tokens"].clone()
}

/// Parameters of a short training.
pub(crate) fn quick() -> Value {
    json!({"layer": -1, "hidden": [16], "epochs": 2, "batch_size": 8, "learning_rate": 3e-3, "dropout": 0.1, "rank": 4, "alpha": 8})
}

pub(crate) fn changed(changes: Value) -> Value {
    let mut params = with(quick());
    params.extend(with(changes));
    Value::Object(params)
}

/// The bytes of all outputs.
pub(crate) fn bytes(outputs: &BTreeMap<String, PathBuf>) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for (port, path) in outputs {
        collect(port.clone(), path, &mut files);
    }
    files
}

fn collect(name: String, path: &Path, files: &mut BTreeMap<String, Vec<u8>>) {
    if path.is_dir() {
        for entry in fs_err::read_dir(path).expect("folder") {
            let path = entry.expect("entry").path();
            let file = path.file_name().expect("name").to_string_lossy().into_owned();
            collect(format!("{name}/{file}"), &path, files);
        }
    } else {
        files.insert(name, fs_err::read(path).expect("output"));
    }
}

/// Vectors that `embed` wrote.
pub(crate) fn vectors(ran: &BTreeMap<String, PathBuf>) -> Vec<f32> {
    CellsFile::open(&ran["embedding"]).expect("file").obsm("X_geneformer").expect("vectors").2
}

/// Runs `tests/python/peft_round_trip.py` with `CELLDAG_PYTHON`, a Python that has peft, and fails if it does. False, said
/// loudly, where none is named.
pub(crate) fn peft_round_trip(arguments: &[&OsStr]) -> bool {
    let Some(python) = std::env::var_os("CELLDAG_PYTHON") else {
        println!("SKIP: peft is asked only with CELLDAG_PYTHON");
        return false;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/peft_round_trip.py");
    let said = Command::new(python).arg(script).args(arguments).output().expect("python");
    println!("{}", String::from_utf8_lossy(&said.stdout));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    true
}
